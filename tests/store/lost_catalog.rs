//! Catalog nodes that cannot be read: what they told of is lost, everything else comes back.

use std::collections::BTreeSet;
use std::fs;

use restow::fault::ErrorKind;
use restow::format::{
    CatalogChild, CatalogLeaf, CatalogNode, Entry, EntryPath, NodeRef, TreeRoot, encode,
};
use restow::id::{ChunkId, SnapshotId};
use restow::ops::{
    CheckOptions, LostStretch, RestoreOptions, RestoreReport, Selection, check, plan_restore,
    restore,
};
use restow::progress::{Cancel, Silent};
use restow::repo::{Repository, SnapshotView, WriteSession};
use restow::store::{CatalogItem, StoreWriter};

use crate::support::binary::Bench;
use crate::support::memory_source::{MemorySource, MemoryTarget};
use crate::support::model::{Files, noise, path};
use crate::support::tree::look;
use crate::support::{back_up, memory_repository, open, small_chunks, view};

/// Eight folders of five files, a leaf each; four leaves to a node, two nodes below the root.
struct Made {
    repository: Repository,
    source: MemorySource,
    honest: SnapshotId,
    entries: Vec<Entry>,
}

/// Which nodes of the tree are to be missing.
#[derive(Default)]
struct Missing {
    leaves: Vec<usize>,
    nodes: Vec<usize>,
}

impl Made {
    fn new() -> Self {
        let repository = open(memory_repository(&small_chunks()));
        let files: Files =
            (0..40).map(|n| (path(&format!("d{}/f{}", n / 5, n % 5)), noise(300, n))).collect();
        let mut source = MemorySource::new(files);
        source.tokens = source.files.keys().map(|name| (name.clone(), b"1".to_vec())).collect();
        let honest = back_up(&repository, &[&source]).unwrap().id.unwrap();
        let view = view(&repository, honest);
        let mut cursor = view.entries();
        let mut entries = Vec::new();
        while let Some(entry) = cursor.next_entry().unwrap() {
            entries.push(entry);
        }
        assert_eq!(entries.len(), 40);
        drop(cursor);
        source.opened.lock().unwrap().clear();
        Self { repository, source, honest, entries }
    }

    /// Commits a snapshot of the same entries with a catalog that lacks these nodes.
    fn without(&self, missing: &Missing) -> SnapshotId {
        let session = WriteSession::begin(&self.repository, false).unwrap();
        let mut writer = session.store_writer();
        let leaves: Vec<CatalogChild> = self
            .entries
            .chunks(5)
            .enumerate()
            .map(|(at, entries)| unless(missing.leaves.contains(&at), leaf(&mut writer, entries)))
            .collect();
        let nodes: Vec<CatalogChild> = leaves
            .chunks(4)
            .enumerate()
            .map(|(at, leaves)| unless(missing.nodes.contains(&at), node(&mut writer, 1, leaves)))
            .collect();
        let root = node(&mut writer, 2, &nodes);
        writer.finish().unwrap();
        let mut manifest = self.repository.manifest(&self.honest).unwrap();
        manifest.catalog = TreeRoot { node: root.node, levels: 2 };
        manifest.time.seconds += 1;
        session.commit(&manifest).unwrap().unwrap()
    }

    fn view(&self, missing: &Missing) -> SnapshotView {
        view(&self.repository, self.without(missing))
    }

    /// The files of folders.
    fn files_of(&self, folders: &[usize]) -> Files {
        let is_wanted = |path: &EntryPath| {
            folders.iter().any(|folder| path.parent().unwrap().display() == format!("d{folder}"))
        };
        let files = self.source.files.iter().filter(|(path, _)| is_wanted(path));
        files.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
    }
}

/// A child as it was, or one that says the same of a node nobody has.
fn unless(missing: bool, child: CatalogChild) -> CatalogChild {
    let id = ChunkId::new(*blake3::hash(child.last.as_bytes()).as_bytes());
    match missing {
        true => CatalogChild { node: NodeRef { id, ..child.node }, ..child },
        false => child,
    }
}

fn leaf(writer: &mut StoreWriter, entries: &[Entry]) -> CatalogChild {
    let record = CatalogLeaf { entries: entries.to_vec(), ext: Vec::new() };
    let node = writer.put_node(&encode(&record).unwrap()).unwrap();
    let last = entries.last().unwrap().path.clone();
    CatalogChild { node, entries: entries.len() as u64, last }
}

fn node(writer: &mut StoreWriter, level: u8, children: &[CatalogChild]) -> CatalogChild {
    let record = CatalogNode { level, children: children.to_vec(), ext: Vec::new() };
    let node = writer.put_node(&encode(&record).unwrap()).unwrap();
    let last = children.last().unwrap().last.clone();
    CatalogChild { node, entries: record.total().unwrap(), last }
}

fn stretches(lost: &[LostStretch]) -> Vec<(u64, String)> {
    lost.iter().map(|lost| (lost.entries, lost.last.display())).collect()
}

fn restored(view: &SnapshotView, options: &RestoreOptions) -> (Files, RestoreReport) {
    let target = MemoryTarget::default();
    let plan = plan_restore(view, &mut target.importer(), options, &Cancel::new()).unwrap();
    let importer = Box::new(target.importer());
    let report = restore(view, importer, options, &Silent, &Cancel::new()).unwrap();
    assert_eq!(plan.losses, report.losses);
    assert_eq!(plan.entries(), report.entries);
    (target.contents(), report)
}

#[test]
fn a_lost_leaf_costs_its_own_entries_and_no_others() {
    let made = Made::new();
    for lost in 0..8 {
        let view = made.view(&Missing { leaves: vec![lost], ..Missing::default() });
        let (files, report) = restored(&view, &RestoreOptions::default());
        let rest: Vec<usize> = (0..8).filter(|folder| *folder != lost).collect();
        assert!(files == made.files_of(&rest), "leaf {lost}");
        assert_eq!(stretches(&report.losses.stretches), [(5, format!("d{lost}/f4"))]);
        assert!(report.is_damaged());
        assert_eq!((report.losses.entries, report.damaged_count), (5, 0));
    }
}

#[test]
fn a_lost_inner_node_costs_what_is_below_it() {
    let made = Made::new();
    let view = made.view(&Missing { nodes: vec![0], leaves: vec![6] });
    let (files, report) = restored(&view, &RestoreOptions::default());
    assert!(files == made.files_of(&[4, 5, 7]));
    let expected = [(20, "d3/f4".to_owned()), (5, "d6/f4".to_owned())];
    assert_eq!(stretches(&report.losses.stretches), expected);
    assert_eq!(report.losses.entries, 25);
}

#[test]
fn a_lost_root_is_an_error() {
    let made = Made::new();
    let session = WriteSession::begin(&made.repository, false).unwrap();
    let mut manifest = made.repository.manifest(&made.honest).unwrap();
    manifest.catalog.node.id = ChunkId::new([7; 32]);
    let id = session.commit(&manifest).unwrap().unwrap();
    let view = view(&made.repository, id);
    let importer = Box::new(MemoryTarget::default().importer());
    let error =
        restore(&view, importer, &RestoreOptions::default(), &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage);
}

#[test]
fn looking_for_a_path_tells_lost_from_missing() {
    let made = Made::new();
    let view = made.view(&Missing { leaves: vec![3], ..Missing::default() });
    assert!(view.entry(&path("d2/f4")).unwrap().is_some());
    assert!(view.entry(&path("d4/f0")).unwrap().is_some());
    assert_eq!(view.entry(&path("d4/nothing")).unwrap(), None);
    assert_eq!(view.entry(&path("d3/f2")).unwrap_err().kind(), ErrorKind::Damage);
    let mut cursor = view.entries();
    cursor.seek(&path("d3/f2")).unwrap();
    let Some(CatalogItem::Lost(lost)) = cursor.next_item().unwrap() else { panic!() };
    assert_eq!((lost.entries, lost.last), (5, path("d3/f4")));
    assert_eq!(cursor.next_entry().unwrap().unwrap().path, path("d4/f0"));
}

#[test]
fn a_part_is_restored_around_what_is_lost() {
    let made = Made::new();
    let view = made.view(&Missing { leaves: vec![2], ..Missing::default() });
    let below = RestoreOptions::default().prefix(path("d4"));
    let (files, report) = restored(&view, &below);
    assert_eq!(files.len(), 5);
    assert!(!report.is_damaged(), "nothing below d4 is lost");
    let lost = RestoreOptions::default().prefix(path("d2"));
    let (files, report) = restored(&view, &lost);
    assert!(files.is_empty());
    assert_eq!(report.losses.entries, 5);
}

/// The entry of a folder may be lost while entries in it are not.
#[test]
fn a_selected_folder_whose_own_entry_is_lost() {
    let made = Made::new();
    let view = made.view(&Missing { leaves: vec![0], ..Missing::default() });
    let selection = Selection::only(&["d5".to_owned()]).unwrap();
    let options = RestoreOptions::default().selection(selection);
    let (files, report) = restored(&view, &options);
    assert!(files == made.files_of(&[5]));
    assert_eq!(report.losses.entries, 5, "it cannot be known whether they were selected");
}

#[test]
fn check_names_what_is_lost_and_how_much() {
    let made = Made::new();
    let id = made.without(&Missing { nodes: vec![0], leaves: vec![6] });
    let report =
        check(&made.repository, &CheckOptions::default(), &Silent, &Cancel::new()).unwrap();
    let [damage] = report.snapshots_damaged.as_slice() else { panic!("{report:?}") };
    assert_eq!((damage.id, damage.count), (id, 25));
    let named: Vec<_> = damage.entries.iter().map(|entry| entry.path.to_vec()).collect();
    assert_eq!(named, [b"d3/f4", b"d6/f4"]);
    assert!(damage.entries[0].message.starts_with("20 entries up to here are lost"));
}

#[test]
fn a_parent_with_a_lost_leaf_costs_reading_its_entries_again() {
    let made = Made::new();
    made.without(&Missing { leaves: vec![2], ..Missing::default() });
    let report = back_up(&made.repository, &[&made.source]).unwrap();
    assert_eq!(report.manifest.statistics.unchanged, 35);
    let read: BTreeSet<_> = made.source.opened.lock().unwrap().iter().cloned().collect();
    assert_eq!(read, made.files_of(&[2]).into_keys().collect());
    assert_eq!(report.manifest.problem_count, 0);
    let (files, report) =
        restored(&view(&made.repository, report.id.unwrap()), &RestoreOptions::default());
    assert!(files == made.source.files);
    assert!(!report.is_damaged());
}

/// Real damage, seen as a user sees it.
#[test]
fn a_damaged_leaf_through_the_binary() {
    let bench = Bench::with_repository();
    let tree = bench.path("tree");
    for number in 0..3000 {
        let folder = tree.join(format!("d{}", number % 30));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("file-{number}")), noise(40, number)).unwrap();
    }
    let before = look(&tree);
    let id = bench.back_up(&["tree"]);
    let packs = bench.path("repository/packs");
    for name in look(&packs).iter().filter(|(_, seen)| seen.kind == "file").map(|(name, _)| name) {
        let mut bytes = fs::read(packs.join(name)).unwrap();
        if bytes[7] == 4 {
            // In the first block: the first leaf.
            bytes[1000] ^= 1;
            fs::write(packs.join(name), bytes).unwrap();
        }
    }
    let run = |args: &[&str]| {
        let output = bench.run(args);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        (said, String::from_utf8(output.stderr).unwrap())
    };
    let (said, error) = run(&["show", &id, "--entries"]);
    assert!(error.contains("lost: ") && error.contains(" entries up to d"), "{error}");
    let listed = said.lines().filter(|line| line.contains("/file-")).count();
    assert!(listed > 1000 && listed < 3000, "{listed}");
    let (said, _) = run(&["show", &id, "--entries", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&said).unwrap();
    let lost = shown["lost"][0]["entries"].as_u64().unwrap();
    assert_eq!(lost as usize + shown["entries"].as_array().unwrap().len(), before.len());

    let (_, error) = run(&["restore", &id, "--to", "plan", "--dry-run"]);
    assert!(error.contains(&format!("lost: {lost} entries up to ")), "{error}");
    assert!(!bench.path("plan").exists());
    let (_, error) = run(&["restore", &id, "--to", "out"]);
    assert!(error.contains(&format!("lost: {lost} entries up to ")), "{error}");
    let found = look(&bench.path("out"));
    let files = |seen: &std::collections::BTreeMap<_, crate::support::tree::Seen>| {
        seen.values().filter(|seen| seen.kind == "file").count()
    };
    assert_eq!(files(&found), listed);
    assert!(files(&before) - listed <= lost as usize);
    let is_as_before = |(name, seen): (&std::path::PathBuf, &crate::support::tree::Seen)| {
        seen.kind == "directory" || before[name] == *seen
    };
    assert!(found.iter().all(is_as_before));
    // The next backup reads again what it has nothing to compare with.
    bench.ok(&["backup", "tree"]);
}

/// Nodes that share what is below them, over seven levels: a walk that goes on behind what is lost still
/// enters none of them twice.
#[test]
fn shared_nodes_are_not_walked_again_and_again() {
    const SHARED: usize = 9;
    let made = Made::new();
    let session = WriteSession::begin(&made.repository, false).unwrap();
    let mut writer = session.store_writer();
    let gone = |name: String| {
        let id = ChunkId::new(*blake3::hash(name.as_bytes()).as_bytes());
        CatalogChild { node: NodeRef { id, len: 10 }, entries: 1, last: path(&name) }
    };
    let mut below: Vec<CatalogChild> = (0..SHARED).map(|at| gone(format!("0-{at}"))).collect();
    for level in 1..=7 {
        below = (0..SHARED)
            .map(|at| {
                let mut own = gone(format!("{level}-{at}"));
                for above in 1..level {
                    own = node(&mut writer, above, &[own]);
                }
                node(&mut writer, level, &[below.clone(), vec![own]].concat())
            })
            .collect();
    }
    let root = node(&mut writer, 8, &below);
    writer.finish().unwrap();
    let mut manifest = made.repository.manifest(&made.honest).unwrap();
    manifest.catalog = TreeRoot { node: root.node, levels: 8 };
    let id = session.commit(&manifest).unwrap().unwrap();
    let view = view(&made.repository, id);
    let (mut cursor, mut items) = (view.entries(), 0);
    while cursor.next_item().unwrap().is_some() {
        items += 1;
    }
    assert!(items < 2000, "{items}");
}
