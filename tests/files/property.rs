//! Random trees against a plain model.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use restow::format::{EntryKind, EntryPath};
use restow::source::files::RestoreOptions;

use super::support::*;

#[derive(Debug, Clone)]
enum Node {
    Folder {
        mode: u32,
    },
    File {
        bytes: Vec<u8>,
        mode: u32,
        time: i64,
    },
    Link {
        target: String,
    },
    /// Another name of the file that comes at this place among the files before it.
    Name {
        of: usize,
    },
}

type Model = BTreeMap<EntryPath, Node>;

fn node() -> impl Strategy<Value = Node> {
    let bytes = (any::<u8>(), 0usize..30_000, any::<u8>()).prop_map(|(fill, len, last)| {
        let mut bytes = vec![fill; len];
        bytes.extend([last]);
        bytes
    });
    prop_oneof![
        (0u32..0o1000).prop_map(|mode| Node::Folder { mode: mode | 0o700 }),
        (bytes, 0u32..0o1000, -5i64..5).prop_map(|(bytes, mode, time)| Node::File {
            bytes,
            mode: mode | 0o400,
            time: time * 1_000_003,
        }),
        "[a-c/.]{1,5}".prop_map(|target| Node::Link { target }),
        (0usize..4).prop_map(|of| Node::Name { of }),
    ]
}

/// Few names, so that two trees often disagree about the same place.
fn model() -> impl Strategy<Value = Model> {
    let name = prop_oneof!["[ab]", "[ab][.!-]", Just("\u{1}".to_owned()), Just("é".to_owned())];
    let path = vec(name, 1..4).prop_map(|names| names.join("/"));
    vec((path, node()), 0..14).prop_map(|wanted| {
        let mut model = Model::new();
        for (path, node) in wanted {
            let path = EntryPath::new(path).unwrap();
            let mut parents = Vec::new();
            let mut parent = path.parent();
            while let Some(folder) = parent.filter(|folder| !folder.is_root()) {
                parent = folder.parent();
                parents.push(folder);
            }
            let fits = parents.iter().all(|folder| {
                model.get(folder).is_none_or(|node| matches!(node, Node::Folder { .. }))
            });
            if fits && !model.contains_key(&path) {
                for folder in parents {
                    model.entry(folder).or_insert(Node::Folder { mode: 0o755 });
                }
                model.insert(path, node);
            }
        }
        model
    })
}

/// Makes the tree; what each path is to hold.
fn build(root: &Path, model: &Model) -> BTreeMap<EntryPath, (EntryKind, Vec<u8>)> {
    let mut made: Vec<(EntryPath, Vec<u8>)> = Vec::new();
    let mut expected = BTreeMap::from([(EntryPath::root(), (EntryKind::Directory, Vec::new()))]);
    for (path, node) in model {
        let place = root.join(path.display());
        let set_mode =
            |mode: &u32| fs::set_permissions(&place, Permissions::from_mode(*mode)).unwrap();
        let kind = match node {
            Node::Folder { mode } => {
                fs::create_dir(&place).unwrap();
                set_mode(mode);
                (EntryKind::Directory, Vec::new())
            }
            Node::File { bytes, mode, time } => {
                fs::write(&place, bytes).unwrap();
                set_mode(mode);
                set_mtime(&place, *time, 1);
                made.push((path.clone(), bytes.clone()));
                (EntryKind::File, bytes.clone())
            }
            Node::Link { target } => {
                symlink(target, &place).unwrap();
                (EntryKind::Symlink { target: target.as_bytes().into() }, Vec::new())
            }
            Node::Name { of } => match made.get(*of) {
                Some((first, bytes)) => {
                    fs::hard_link(root.join(first.display()), &place).unwrap();
                    (EntryKind::File, bytes.clone())
                }
                None => {
                    fs::write(&place, "").unwrap();
                    (EntryKind::File, Vec::new())
                }
            },
        };
        expected.insert(path.clone(), kind);
    }
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back_over_any_other(tree in model(), other in model()) {
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let expected = build(source.path(), &tree);
        build(target.path(), &other);
        let exported = export(source.path());
        prop_assert_eq!(&exported.problems, &[]);
        let found: Vec<_> = exported
            .given
            .iter()
            .map(|given| (given.entry.path.clone(), (given.entry.kind.clone(), given.bytes.clone())))
            .collect();
        prop_assert_eq!(found, expected.clone().into_iter().collect::<Vec<_>>());

        for options in [replacing(), RestoreOptions::default()] {
            let restored = import(target.path(), &exported.given, options);
            prop_assert!(restored.errors.is_empty(), "{:?}", restored.errors);
            prop_assert_eq!(restored.report.problems(), []);
        }
        let mut restored = export(target.path());
        restored.given.retain(|given| expected.contains_key(&given.entry.path));
        assert_same(&exported, &restored);
    }
}
