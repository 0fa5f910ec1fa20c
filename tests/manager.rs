//! The library's face: confirmations, and the async one, whose futures stop what they stand for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use restow::{
    BackupOptions, Confirmed, Error, ErrorKind, Filter, FolderExporter, FolderOptions, Overwrite,
    SnapshotManager,
};

use crate::support::{default_chunks, memory_repository, open};

fn manager() -> SnapshotManager {
    SnapshotManager::new(open(memory_repository(&default_chunks())))
}

fn site() -> (tempfile::TempDir, FolderExporter) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::write(folder.path().join(name), "old").unwrap();
    }
    let exporter = FolderExporter::new(folder.path(), FolderOptions::default()).unwrap();
    (folder, exporter)
}

#[test]
fn nothing_is_replaced_that_was_not_confirmed() {
    let manager = manager();
    let (folder, exporter) = site();
    let id = manager.create(&[&exporter], &BackupOptions::default()).unwrap().id.unwrap();
    fs::write(folder.path().join("a"), "newer").unwrap();
    let error = manager.restore(&id, folder.path(), Overwrite::Refuse).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    let plan = manager.plan_restore(&id, folder.path()).unwrap();

    // More would be replaced than somebody saw.
    fs::write(folder.path().join("b"), "newer too").unwrap();
    let seen = Overwrite::Confirmed(Confirmed::of(&plan));
    let error = manager.restore(&id, folder.path(), seen).unwrap_err();
    assert!(matches!(error, Error::TargetExists { .. }), "{error}");
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"newer", "nothing was touched");

    let plan = manager.plan_restore(&id, folder.path()).unwrap();
    let seen = Overwrite::Confirmed(Confirmed::of(&plan));
    manager.restore(&id, folder.path(), seen).unwrap();
    for name in ["a", "b"] {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"old");
    }
    manager.restore(&id, folder.path(), Overwrite::Refuse).unwrap();
}

#[test]
fn what_is_not_there_is_none_and_what_could_be_several_is_an_error() {
    let manager = manager();
    assert!(manager.get("latest").unwrap().is_none());
    let (_folder, exporter) = site();
    let options = BackupOptions::default().name(Some("same".into()));
    for _ in 0..2 {
        manager.create(&[&exporter], &options).unwrap();
    }
    assert_eq!(manager.get("same").unwrap_err().kind(), ErrorKind::Usage);
    assert!(manager.get("other").unwrap().is_none());
    let id = manager.get("latest").unwrap().unwrap().id;
    assert_eq!(manager.get(&id.to_hex()).unwrap().unwrap().id, id);
    assert_eq!(manager.list(&Filter::default()).unwrap().snapshots.len(), 2);
}

/// It was said before the commit began.
#[test]
fn a_backup_stopped_at_its_last_byte_makes_no_snapshot() {
    struct StopAtEnd(restow::Cancel);
    impl restow::Observer for StopAtEnd {
        fn on(&self, event: restow::Event<'_>) {
            if event == restow::Event::Finished(restow::progress::Phase::Backup) {
                self.0.cancel();
            }
        }
    }
    let (_folder, exporter) = site();
    let cancel = restow::Cancel::new();
    let stopping = Arc::new(StopAtEnd(cancel.clone()));
    let manager = manager();
    let stopped = manager.with_observer(stopping).with_cancel(cancel);
    let error = stopped.create(&[&exporter], &BackupOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(manager.get("latest").unwrap().is_none());
}

#[allow(dead_code)]
#[path = "../examples/embed.rs"]
mod embed;

#[test]
fn the_example_of_embedding_restores_what_it_backed_up() {
    let (folder, _) = site();
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("restored");
    embed::run(&place.path().join("repository"), folder.path(), &target).unwrap();
    assert_eq!(fs::read(target.join("a")).unwrap(), b"old");
}

/// The names of the public functions that take `self` first.
fn operations(text: &str) -> BTreeSet<String> {
    let declared = text.split("pub fn ").skip(1).chain(text.split("pub async fn ").skip(1));
    let methods = declared.filter_map(|rest| {
        let (name, parameters) = rest.split_once('(')?;
        let name = name.split('<').next()?;
        // The macro that declares a list has `$name` there.
        let is_method = parameters.trim_start().starts_with("&self") && !name.starts_with('$');
        is_method.then(|| name.to_owned())
    });
    methods.collect()
}

/// What makes a handle, or only says something of it, needs no thread of its own.
const IMMEDIATE: [&str; 5] = ["repository", "host", "with_observer", "with_cancel", "key_in_use"];

#[test]
fn the_async_face_has_every_operation_of_the_blocking_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manager");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let mut blocking = BTreeSet::new();
    for name in ["mod.rs", "content.rs", "keep.rs", "keys.rs"] {
        blocking.extend(operations(&read(name)));
    }
    for name in IMMEDIATE {
        assert!(blocking.remove(name), "{name} is no method any more");
    }
    let tasks = read("tasks.rs");
    let mut tasked = operations(&tasks);
    for list in tasks.split("\noperations! {\n").skip(1) {
        let entries = list.split("\n}\n").next().unwrap().lines();
        let entries = entries.filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        tasked.extend(entries.filter_map(|line| Some(line.trim().split_once('(')?.0.to_owned())));
    }
    for own in ["blocking", "run"] {
        assert!(tasked.remove(own), "{own} is no method any more");
    }
    assert!(blocking.len() > 30, "{blocking:?}");
    assert_eq!(blocking, tasked);
}

#[cfg(feature = "async")]
mod tasks {
    use std::future::Future;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};

    use restow::progress::Cancel;
    use restow::source::{Description, Session, SourceError};
    use restow::storage::{Key, Memory, Storage};
    use restow::{
        AsyncSnapshotManager, BackupOptions, Exporter, Filter, RetentionOptions, RetentionPolicy,
        SnapshotManager,
    };

    use crate::support::memory_source::MemorySource;
    use crate::support::model::path;
    use crate::support::{default_chunks, memory_repository, open};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    /// Says that it was opened, and waits until it may go on.
    struct Waiting {
        inner: MemorySource,
        opened: Sender<()>,
        go: Mutex<Receiver<()>>,
    }

    impl Exporter for Waiting {
        fn describe(&self) -> Description {
            self.inner.describe()
        }

        fn open(&self, cancel: &Cancel) -> Result<Box<dyn Session>, SourceError> {
            self.opened.send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
            self.inner.open(cancel)
        }
    }

    fn waiting() -> (Waiting, Receiver<()>, Sender<()>) {
        let inner = MemorySource::new([(path("a"), vec![1; 9000])].into());
        let ((opened, is_open), (go, may_go)) = (channel(), channel());
        (Waiting { inner, opened, go: Mutex::new(may_go) }, is_open, go)
    }

    fn listed(storage: &Memory, folder: &str) -> usize {
        let mut count = 0;
        storage.list(&Key::new(folder).unwrap(), &mut |_| count += 1).unwrap();
        count
    }

    #[test]
    fn a_dropped_backup_stops_and_commits_nothing() {
        for is_dropped in [false, true] {
            let storage = memory_repository(&default_chunks());
            let manager = SnapshotManager::new(open(storage.clone()));
            let manager = AsyncSnapshotManager::new(manager);
            let (source, is_open, go) = waiting();
            let runtime = runtime();
            let entered = runtime.enter();
            let mut future =
                Box::pin(manager.create(vec![Box::new(source)], BackupOptions::default()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(matches!(future.as_mut().poll(&mut context), Poll::Pending));
            is_open.recv().unwrap();
            if is_dropped {
                drop(future);
                go.send(()).unwrap();
                drop(entered);
                // Waits for the blocking thread.
                drop(runtime);
            } else {
                drop(entered);
                go.send(()).unwrap();
                runtime.block_on(future).unwrap();
            }
            assert_eq!(listed(&storage, "snapshots"), usize::from(!is_dropped));
            assert_eq!(listed(&storage, "active"), 0, "the writer took itself off the list");
        }
    }

    #[test]
    fn retention_is_planned_and_then_applied() {
        let manager = SnapshotManager::new(open(memory_repository(&default_chunks())));
        let source = MemorySource::new([(path("a"), vec![1; 9000])].into());
        for _ in 0..3 {
            manager.create(&[&source], &BackupOptions::default()).unwrap();
        }
        let last = manager.get("latest").unwrap().unwrap().id;
        let manager = AsyncSnapshotManager::new(manager);
        let policy = RetentionPolicy { last: Some(1), ..RetentionPolicy::nothing() };
        let options = RetentionOptions::default().policy(policy);
        let runtime = runtime();
        let plan = runtime.block_on(manager.plan_retention(options)).unwrap();
        assert_eq!(manager.blocking().list(&Filter::default()).unwrap().snapshots.len(), 3);
        let report = runtime.block_on(manager.apply_retention(plan)).unwrap();
        assert_eq!(report.deleted.len(), 2);
        let left = runtime.block_on(manager.list(Filter::default())).unwrap().snapshots;
        assert_eq!(left.iter().map(|found| found.id).collect::<Vec<_>>(), [last]);
    }

    #[test]
    fn what_stops_the_blocking_face_stops_this_one() {
        let cancel = Cancel::new();
        let manager = SnapshotManager::new(open(memory_repository(&default_chunks())));
        let manager = AsyncSnapshotManager::new(manager.with_cancel(cancel.clone()));
        let source = MemorySource::new([(path("a"), vec![1; 9000])].into());
        cancel.cancel();
        let created = manager.create(vec![Box::new(source)], BackupOptions::default());
        let error = runtime().block_on(created).unwrap_err();
        assert_eq!(error.kind(), restow::ErrorKind::Interrupted);
    }

    #[test]
    fn many_at_once_and_a_panic_that_is_passed_on() {
        let manager = SnapshotManager::new(open(memory_repository(&default_chunks())));
        let manager = AsyncSnapshotManager::new(manager);
        let runtime = runtime();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..8)
                .map(|number| {
                    let manager = manager.clone();
                    let source = MemorySource::new([(path("a"), vec![number; 9000])].into());
                    tokio::spawn(async move {
                        manager.create(vec![Box::new(source)], BackupOptions::default()).await
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            assert_eq!(manager.list(Filter::default()).await.unwrap().snapshots.len(), 8);
            let panicking = manager.clone();
            let task = tokio::spawn(async move {
                panicking.run::<()>(|_| panic!("of the caller's own")).await
            });
            assert!(task.await.unwrap_err().is_panic());
        });
        let _shared: Arc<dyn Send> = Arc::new(manager);
    }
}
