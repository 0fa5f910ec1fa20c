//! A model of a disk whose power is cut: what was not synced may or may not be there afterwards, in any
//! combination. Every cut of every put and remove is tried, and every state the disk may then be in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::durable::{Disk, DurableTree};

/// What a name in a folder leads to: a number in [`Model::files`], or a folder.
#[derive(Clone, Copy, PartialEq)]
enum Node {
    File(usize),
    Folder,
}

enum Change {
    Link(String, Node),
    Unlink(String),
    Rename(String, String, Node),
}

#[derive(Default)]
struct Folder {
    durable: BTreeMap<String, Node>,
    /// Changes since the last sync, in order; any of them may survive a cut.
    pending: Vec<Change>,
}

struct FileContent {
    bytes: Vec<u8>,
    is_synced: bool,
}

#[derive(Default)]
struct Model {
    files: Vec<FileContent>,
    folders: BTreeMap<PathBuf, Folder>,
}

/// Steps of the durability that a test leaves out, to see that the model notices.
#[derive(Clone, Copy, PartialEq)]
enum Omit {
    Nothing,
    FileSync,
    FolderSync,
    TopFolderSync,
}

struct ModelDisk<'a> {
    model: &'a RefCell<Model>,
    /// Operations until the power is cut.
    left: RefCell<usize>,
    omit: Omit,
}

fn split(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    (path.parent().unwrap().to_owned(), name)
}

fn apply(entries: &mut BTreeMap<String, Node>, change: &Change) {
    match change {
        Change::Link(name, node) => {
            entries.insert(name.clone(), *node);
        }
        Change::Unlink(name) => {
            entries.remove(name);
        }
        Change::Rename(from, to, node) => {
            entries.remove(from);
            entries.insert(to.clone(), *node);
        }
    }
}

impl Model {
    fn with_root() -> RefCell<Self> {
        let mut model = Self::default();
        model.folders.insert("/r".into(), Folder::default());
        RefCell::new(model)
    }

    /// A folder's entries as a running system sees them.
    fn now(&self, folder: &Path) -> io::Result<BTreeMap<String, Node>> {
        let folder = self.folders.get(folder).ok_or(io::ErrorKind::NotFound)?;
        let mut entries = folder.durable.clone();
        folder.pending.iter().for_each(|change| apply(&mut entries, change));
        Ok(entries)
    }

    fn change(&mut self, folder: &Path, change: Change) {
        self.folders.get_mut(folder).unwrap().pending.push(change);
    }

    /// Calls `each` with what a put's key may hold after the power came back, once for every state.
    fn every_outcome(&self, target: &Path, each: &mut dyn FnMut(Option<&[u8]>)) {
        let changes: usize = self.folders.values().map(|folder| folder.pending.len()).sum();
        for survivors in 0..1u32 << changes {
            let mut bits = survivors;
            let mut trees: BTreeMap<&Path, BTreeMap<String, Node>> = BTreeMap::new();
            for (path, folder) in &self.folders {
                let mut entries = folder.durable.clone();
                for change in &folder.pending {
                    if bits & 1 == 1 {
                        apply(&mut entries, change);
                    }
                    bits >>= 1;
                }
                trees.insert(path, entries);
            }
            let reaches = |path: &Path| -> Option<Node> {
                let (folder, name) = split(path);
                trees.get(folder.as_path())?.get(&name).copied()
            };
            let on_the_way = target.ancestors().skip(1).filter(|folder| *folder > Path::new("/r"));
            if !on_the_way.into_iter().all(|folder| reaches(folder) == Some(Node::Folder)) {
                each(None);
                continue;
            }
            match reaches(target) {
                Some(Node::File(number)) => {
                    let file = &self.files[number];
                    each(Some(&file.bytes));
                    if !file.is_synced {
                        each(Some(&file.bytes[..file.bytes.len() / 2]));
                        each(Some(&[]));
                    }
                }
                _ => each(None),
            }
        }
    }
}

impl ModelDisk<'_> {
    fn step(&self) -> io::Result<std::cell::RefMut<'_, Model>> {
        let mut left = self.left.borrow_mut();
        *left = left.checked_sub(1).ok_or_else(|| io::Error::other("power cut"))?;
        Ok(self.model.borrow_mut())
    }
}

impl Disk for ModelDisk<'_> {
    type File = usize;

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut model = self.step()?;
        let (parent, name) = split(path);
        if model.now(&parent)?.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        model.change(&parent, Change::Link(name, Node::Folder));
        model.folders.insert(path.to_owned(), Folder::default());
        Ok(())
    }

    fn create_new(&self, path: &Path) -> io::Result<usize> {
        let mut model = self.step()?;
        let (parent, name) = split(path);
        let number = model.files.len();
        model.now(&parent)?;
        model.files.push(FileContent { bytes: Vec::new(), is_synced: false });
        model.change(&parent, Change::Link(name, Node::File(number)));
        Ok(number)
    }

    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let mut model = self.step()?;
        model.files[*file] = FileContent { bytes: bytes.to_vec(), is_synced: false };
        Ok(())
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        self.step()?.files[*file].is_synced = self.omit != Omit::FileSync;
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut model = self.step()?;
        let ((folder, from), (to_folder, to)) = (split(from), split(to));
        assert!(folder == to_folder, "an atomic rename stays within its folder");
        let node = model.now(&folder)?[&from];
        model.change(&folder, Change::Rename(from, to, node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut model = self.step()?;
        let (folder, name) = split(path);
        if !model.now(&folder)?.contains_key(&name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        model.change(&folder, Change::Unlink(name));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut model = self.step()?;
        let omitted = match self.omit {
            Omit::FolderSync => path != Path::new("/r"),
            Omit::TopFolderSync => path == Path::new("/r"),
            _ => false,
        };
        if !omitted {
            let entries = model.now(path)?;
            let folder = model.folders.get_mut(path).unwrap();
            (folder.durable, folder.pending) = (entries, Vec::new());
        }
        Ok(())
    }
}

const OLD: &[u8] = b"what was there before";
const NEW: &[u8] = b"what replaces it, a little longer";
const ENOUGH: usize = 1000;

/// Cuts the power at every operation of `act` in turn, and gives `allowed` whether `act` had finished and
/// what the key then holds. Returns how many states were wrong.
fn cut_everywhere(
    starts_with_old: bool,
    omit: Omit,
    act: &dyn Fn(&DurableTree<ModelDisk<'_>>) -> io::Result<()>,
    allowed: &dyn Fn(bool, Option<&[u8]>) -> bool,
) -> usize {
    let key = Path::new("packs/0f/0f00");
    let mut wrong = 0;
    for cut in 0.. {
        let model = Model::with_root();
        if starts_with_old {
            let disk = ModelDisk { model: &model, left: RefCell::new(ENOUGH), omit: Omit::Nothing };
            DurableTree::new(disk, "/r".into()).put(key, OLD).unwrap();
        }
        let disk = ModelDisk { model: &model, left: RefCell::new(cut), omit };
        let has_finished = act(&DurableTree::new(disk, "/r".into())).is_ok();
        model.borrow().every_outcome(&Path::new("/r").join(key), &mut |held| {
            wrong += usize::from(!allowed(has_finished, held));
        });
        if has_finished {
            assert!(cut >= 2, "the power was cut {cut} times");
            return wrong;
        }
        assert!(cut < ENOUGH);
    }
    wrong
}

fn wrong_puts(starts_with_old: bool, omit: Omit) -> usize {
    let key = Path::new("packs/0f/0f00");
    cut_everywhere(starts_with_old, omit, &|tree| tree.put(key, NEW), &|has_finished, held| {
        match held {
            Some(bytes) if bytes == NEW => true,
            Some(bytes) => starts_with_old && !has_finished && bytes == OLD,
            None => !starts_with_old && !has_finished,
        }
    })
}

#[test]
fn a_put_is_whole_or_absent_after_any_power_cut_and_there_once_it_returned() {
    assert_eq!(wrong_puts(false, Omit::Nothing), 0);
    assert_eq!(wrong_puts(true, Omit::Nothing), 0);
}

#[test]
fn a_removed_object_stays_removed() {
    let key = Path::new("packs/0f/0f00");
    let remove = |tree: &DurableTree<ModelDisk<'_>>| {
        let mut result = Ok(());
        let missing = Path::new("packs/0f/0fff");
        tree.remove(Path::new("packs/0f"), &[(0, missing), (1, key)], |_, removed| {
            result = std::mem::replace(&mut result, Ok(())).and(removed);
        });
        result
    };
    let wrong = cut_everywhere(true, Omit::Nothing, &remove, &|done, held| {
        held.is_none_or(|bytes| !done && bytes == OLD)
    });
    assert_eq!(wrong, 0);
    let unsynced = cut_everywhere(true, Omit::FolderSync, &remove, &|done, held| {
        held.is_none_or(|bytes| !done && bytes == OLD)
    });
    assert!(unsynced > 0, "the model notices a removal that is not synced");
}

#[test]
fn a_folder_that_another_process_just_made_is_not_taken_for_durable() {
    let key = Path::new("packs/0f/0f00");
    let model = Model::with_root();
    let disk = || ModelDisk { model: &model, left: RefCell::new(ENOUGH), omit: Omit::Nothing };
    disk().make_folder(Path::new("/r/packs")).unwrap();
    disk().make_folder(Path::new("/r/packs/0f")).unwrap();
    DurableTree::new(disk(), "/r".into()).put(key, NEW).unwrap();
    model.borrow().every_outcome(&Path::new("/r").join(key), &mut |held| {
        assert_eq!(held, Some(NEW));
    });
}

#[test]
fn the_model_notices_each_step_left_out() {
    for omit in [Omit::FileSync, Omit::FolderSync, Omit::TopFolderSync] {
        assert!(wrong_puts(false, omit) > 0);
    }
    assert!(wrong_puts(true, Omit::FileSync) > 0);
    assert!(wrong_puts(true, Omit::FolderSync) > 0);
}
