//! Catalogs and recipes that a holder of the key got wrong: what a node says of its children must be so, and
//! no tree is walked for longer than what is stored is worth.

use restow::format::{
    CatalogChild, CatalogLeaf, CatalogNode, ChunkRef, Content, Entry, NodeRef, Recipe, RecipeChild,
    RecipeLeaf, RecipeNode, TreeRoot, encode,
};
use restow::id::SnapshotId;
use restow::ops::{CheckOptions, CheckReport, check};
use restow::progress::{Cancel, Silent};
use restow::repo::{Repository, WriteSession};
use restow::store::StoreWriter;

use crate::support::memory_source::MemorySource;
use crate::support::model::{noise, path};
use crate::support::{back_up, memory_repository, open, restore_to_memory, small_chunks, view};

/// A repository with one snapshot of three files, and their entries.
struct Bench {
    repository: Repository,
    honest: SnapshotId,
    entries: Vec<Entry>,
}

impl Bench {
    fn new() -> Self {
        let repository = open(memory_repository(&small_chunks()));
        let files =
            ["a", "b", "c"].map(|name| (path(name), noise(100, u64::from(name.as_bytes()[0]))));
        let honest = back_up(&repository, &[&MemorySource::new(files.into())]).unwrap().id.unwrap();
        let mut entries = Vec::new();
        let view = view(&repository, honest);
        let mut cursor = view.entries();
        while let Some(entry) = cursor.next_entry().unwrap() {
            entries.push(entry);
        }
        assert!(entries.len() >= 3);
        drop(cursor);
        Self { repository, honest, entries }
    }

    fn first_ref(&self) -> ChunkRef {
        let of = |entry: &Entry| match &entry.content {
            Some(Content { recipe: Recipe::Inline(refs), .. }) => refs.first().copied(),
            _ => None,
        };
        self.entries.iter().find_map(of).unwrap()
    }

    /// Commits a snapshot whose catalog `build` makes.
    fn commit(&self, build: impl FnOnce(&mut StoreWriter) -> TreeRoot) -> SnapshotId {
        let session = WriteSession::begin(&self.repository, false).unwrap();
        let mut writer = session.store_writer();
        let catalog = build(&mut writer);
        writer.finish().unwrap();
        let mut manifest = self.repository.manifest(&self.honest).unwrap();
        manifest.catalog = catalog;
        manifest.name = "made by hand".into();
        session.commit(&manifest).unwrap().unwrap()
    }

    fn check(&self) -> CheckReport {
        check(&self.repository, &CheckOptions::default(), &Silent, &Cancel::new()).unwrap()
    }

    /// `check` names the snapshot, and reading it is an error too.
    fn refused(&self, id: SnapshotId) {
        let report = self.check();
        let named: Vec<_> = report.snapshots_damaged.iter().map(|damage| damage.id).collect();
        assert_eq!(named, [id]);
        let view = view(&self.repository, id);
        let mut cursor = view.entries();
        let read = std::iter::from_fn(|| cursor.next_entry().transpose()).find_map(Result::err);
        assert!(read.is_some(), "a reader took the tree for good");
    }
}

fn leaf(writer: &mut StoreWriter, entries: &[Entry]) -> CatalogChild {
    let record = CatalogLeaf { entries: entries.to_vec(), ext: Vec::new() };
    let node = writer.put_node(&encode(&record).unwrap()).unwrap();
    let last = entries.last().map(|entry| entry.path.clone()).unwrap_or_default();
    CatalogChild { node, entries: entries.len() as u64, last }
}

fn node(writer: &mut StoreWriter, level: u8, children: Vec<CatalogChild>) -> NodeRef {
    let record = CatalogNode { level, children, ext: Vec::new() };
    writer.put_node(&encode(&record).unwrap()).unwrap()
}

fn two_leaves(bench: &Bench, writer: &mut StoreWriter) -> Vec<CatalogChild> {
    let (front, back) = bench.entries.split_at(1);
    vec![leaf(writer, front), leaf(writer, back)]
}

#[test]
fn an_honest_tree_by_hand_is_good() {
    let bench = Bench::new();
    let id = bench.commit(|writer| {
        let children = two_leaves(&bench, writer);
        TreeRoot { node: node(writer, 1, children), levels: 1 }
    });
    assert!(bench.check().is_clean());
    let (made, honest) = (
        restore_to_memory(&bench.repository, id),
        restore_to_memory(&bench.repository, bench.honest),
    );
    assert_eq!(made.contents(), honest.contents());
}

#[test]
fn an_inner_node_without_children() {
    let bench = Bench::new();
    let id = bench.commit(|writer| TreeRoot { node: node(writer, 1, Vec::new()), levels: 1 });
    bench.refused(id);
}

#[test]
fn a_leaf_named_twice() {
    let bench = Bench::new();
    let id = bench.commit(|writer| {
        let mut children = two_leaves(&bench, writer);
        children[0] = CatalogChild { last: path("0"), ..children[1].clone() };
        TreeRoot { node: node(writer, 1, children), levels: 1 }
    });
    bench.refused(id);
}

#[test]
fn leaves_that_overlap() {
    let bench = Bench::new();
    let id = bench.commit(|writer| {
        let [front, .., back] = bench.entries.as_slice() else { panic!() };
        let children =
            vec![leaf(writer, &bench.entries[..2]), leaf(writer, &[front.clone(), back.clone()])];
        TreeRoot { node: node(writer, 1, children), levels: 1 }
    });
    bench.refused(id);
}

#[test]
fn a_count_or_a_last_path_that_lies() {
    let lies: [fn(&mut CatalogChild); 3] =
        [|child| child.entries += 1, |child| child.entries = 0, |child| child.last = path("zz")];
    for lie in lies {
        let bench = Bench::new();
        let id = bench.commit(|writer| {
            let mut children = two_leaves(&bench, writer);
            lie(children.last_mut().unwrap());
            TreeRoot { node: node(writer, 1, children), levels: 1 }
        });
        bench.refused(id);
    }
}

fn recipe_leaf(writer: &mut StoreWriter, refs: Vec<ChunkRef>) -> RecipeChild {
    let record = RecipeLeaf { refs, ext: Vec::new() };
    let (refs, bytes) = record.total();
    RecipeChild { node: writer.put_node(&encode(&record).unwrap()).unwrap(), refs, bytes }
}

fn recipe_node(writer: &mut StoreWriter, level: u8, children: Vec<RecipeChild>) -> RecipeChild {
    let record = RecipeNode { level, children, ext: Vec::new() };
    let (refs, bytes) =
        record.children.iter().fold((0, 0), |sum, child| (sum.0 + child.refs, sum.1 + child.bytes));
    RecipeChild { node: writer.put_node(&encode(&record).unwrap()).unwrap(), refs, bytes }
}

/// A catalog of one file with this recipe.
fn one_file(
    bench: &Bench,
    writer: &mut StoreWriter,
    len: u64,
    recipe: RecipeChild,
    levels: u8,
) -> TreeRoot {
    let mut entry = bench.entries.iter().find(|entry| entry.content.is_some()).unwrap().clone();
    let root = TreeRoot { node: recipe.node, levels };
    entry.content = Some(Content { len, recipe: Recipe::Tree(root) });
    TreeRoot { node: leaf(writer, &[entry]).node, levels: 0 }
}

/// Repetition is what deduplication is for: a node may stand in a recipe any number of times.
#[test]
fn a_recipe_may_repeat_a_node() {
    let bench = Bench::new();
    let first = bench.first_ref();
    let id = bench.commit(|writer| {
        let child = recipe_leaf(writer, vec![first, first]);
        let root = recipe_node(writer, 1, vec![child; 3]);
        one_file(&bench, writer, root.bytes, root, 1)
    });
    assert!(bench.check().is_clean());
    let files = restore_to_memory(&bench.repository, id).contents();
    let (bytes, once) = (files.values().next().unwrap(), first.len as usize);
    assert_eq!(bytes.len(), 6 * once);
    assert!(bytes.chunks(once).all(|part| part == &bytes[..once]));
}

#[test]
fn a_recipe_node_that_lies() {
    let lies: [fn(&mut RecipeChild); 4] = [
        |child| child.bytes += 1,
        |child| child.refs += 1,
        |child| child.refs = 0,
        |child| child.bytes = 0,
    ];
    for lie in lies {
        let bench = Bench::new();
        let first = bench.first_ref();
        let id = bench.commit(|writer| {
            let mut child = recipe_leaf(writer, vec![first, first]);
            let honest = child.bytes;
            lie(&mut child);
            let root = recipe_node(writer, 1, vec![child]);
            one_file(&bench, writer, honest, root, 1)
        });
        let damaged = bench.check().snapshots_damaged;
        assert_eq!(damaged.iter().map(|damage| damage.id).collect::<Vec<_>>(), [id]);
        let view = view(&bench.repository, id);
        let entry = view.entries().next_entry().unwrap().unwrap();
        let mut recipe = view.recipe(&entry.content.unwrap());
        let read = std::iter::from_fn(|| recipe.next_ref().transpose()).find_map(Result::err);
        assert!(read.is_some(), "a reader took the recipe for good");
    }
}

/// 64 children at each of 8 levels are 2^48 leaves: `check` reads each of the nine nodes once.
#[test]
fn a_deep_recipe_is_checked_in_no_time() {
    let bench = Bench::new();
    let first = bench.first_ref();
    bench.commit(|writer| {
        let mut child = recipe_leaf(writer, vec![first]);
        for level in 1..=8 {
            child = recipe_node(writer, level, vec![child; 64]);
        }
        one_file(&bench, writer, child.bytes, child, 8)
    });
    assert!(bench.check().is_clean());
}

/// Few bytes that would take many times as many in memory are refused while they are decoded.
#[test]
fn a_leaf_of_too_many_entries() {
    let entry = Bench::new().entries[0].clone();
    let entries = vec![Entry { content: None, ..entry }; 16 * 1024 + 1];
    let bytes = encode(&CatalogLeaf { entries, ext: Vec::new() }).unwrap();
    let error = restow::format::decode::<CatalogLeaf>(&bytes).unwrap_err();
    assert!(error.to_string().contains("16384"), "{error}");
}
