//! A file imports from its own folder and from layers below. Folders of one layer never import each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folder or file of `src`, and its layer. `docs/ARCHITECTURE.md` draws the same picture.
const LAYERS: &[(&str, u8)] = &[
    ("cut", 0),
    ("fault", 0),
    ("id", 0),
    ("limits", 0),
    ("progress", 0),
    ("chunk", 1),
    ("codec", 1),
    ("format", 1),
    ("storage", 2),
    ("index", 2),
    ("store", 3),
    ("repo", 4),
    ("source", 5),
    ("ops", 6),
    ("manager", 7),
    ("bin", 8),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules a file names after `crate::` (or, in the binary, `restow::`).
fn imports(text: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(root) {
        let rest = &text[at + root.len()..];
        let before = text[..at].chars().next_back();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let names: Vec<String> = match rest.strip_prefix('{') {
            None => vec![rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()],
            Some(group) => {
                panic!("grouped import of modules cannot be checked: {root}{{{group:.40}")
            }
        };
        found.extend(names);
    }
    found
}

#[test]
fn imports_go_downwards_only() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 50, "the walk found {} files only", files.len());
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let own = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        let own_layer = *layers.get(own).unwrap_or_else(|| panic!("{own} is in no layer"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("use crate::*"), "{} imports everything", file.display());
        let root = if own == "bin" { "restow::" } else { "crate::" };
        for import in imports(&text, root) {
            let Some(layer) = layers.get(import.as_str()) else { continue };
            seen += 1;
            if import != own && *layer >= own_layer {
                wrong.push(format!(
                    "{} ({own_layer}) imports {import} ({layer})",
                    relative.display()
                ));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were recognised");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_itself_sees_an_upward_import() {
    assert_eq!(
        imports("use crate::ops::backup;\nlet x = crate::id::ChunkId;", "crate::"),
        ["ops", "id"]
    );
}
