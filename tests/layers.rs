//! A file imports from its own folder and from layers below. Folders of one layer never import each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folder or file of `src`, and its layer. `docs/ARCHITECTURE.md` draws the same picture.
const LAYERS: &[(&str, u8)] = &[
    ("cut", 0),
    ("fault", 0),
    ("id", 0),
    ("limits", 0),
    ("options", 0),
    ("progress", 0),
    ("text", 0),
    ("chunk", 1),
    ("codec", 1),
    ("format", 1),
    ("timing", 1),
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
        let first = |path: &str| -> String {
            path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let names: Vec<String> = match rest.strip_prefix('{') {
            None => vec![first(rest)],
            Some(group) => {
                let mut depth = 1;
                let ends = |c: char| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth == 0 || (depth == 1 && c == ',')
                };
                let mut names = Vec::new();
                for part in group.split_inclusive(ends) {
                    names.push(first(part));
                    if part.ends_with('}') {
                        break;
                    }
                }
                names.retain(|name| !name.is_empty());
                names
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

/// The modules of the library that the binary may name: what it takes to write a source or a storage. All else comes
/// from the crate's root.
const FACE: [&str; 2] = ["source", "storage"];

/// These still call operations of inner modules: what opens sources and restores is not yet on the face.
const NOT_YET: [&str; 9] = [
    "config/load.rs",
    "config/mod.rs",
    "jobs.rs",
    "sources.rs",
    "servers/",
    "commands/import.rs",
    "commands/export.rs",
    "commands/export_qdrant.rs",
    "commands/restore",
];

#[test]
fn the_binary_and_the_examples_use_the_face_of_the_library_only() {
    let mut files = Vec::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    rust_files(&project.join("src/bin"), &mut files);
    rust_files(&project.join("examples"), &mut files);
    let mut wrong = Vec::new();
    let is_left = |file: &PathBuf| NOT_YET.iter().any(|left| file.to_string_lossy().contains(left));
    for file in files.into_iter().filter(|file| !is_left(file)) {
        let text = std::fs::read_to_string(&file).unwrap();
        for name in imports(&text, "restow::") {
            let is_module = name == "pending" || LAYERS.iter().any(|(module, _)| *module == name);
            if is_module && !FACE.contains(&name.as_str()) {
                wrong.push(format!("{} names restow::{name}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_itself_sees_an_upward_import() {
    assert_eq!(
        imports("use crate::ops::backup;\nlet x = crate::id::ChunkId;", "crate::"),
        ["ops", "id"]
    );
    assert_eq!(
        imports("use restow::{Error, ops::{a, b}, source::x};\nuse restow::id::A;", "restow::"),
        ["Error", "ops", "source", "id"]
    );
}
