//! A file imports from its own folder and from layers below. Folders of one layer never import each other.

use std::collections::{BTreeMap, BTreeSet};
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
const NOT_YET: [&str; 1] = ["commands/restore"];

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

/// A file of `src` that is not only for tests: its path below `src`, the module it is, and its text without comments,
/// the words in strings, and inner modules of tests.
struct Source {
    path: String,
    module: Vec<String>,
    text: String,
}

/// The files of `src` but for `lib.rs`, and those that a `#[cfg(test)]` declares.
fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let (mut sources, mut of_tests) = (Vec::new(), Vec::new());
    for file in files {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
        let mut module: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        if parts[0] == "bin" {
            module.remove(1);
        } else {
            module.insert(0, "lib".into());
        }
        if ["mod", "main", "lib"].contains(parts.last().unwrap()) {
            module.pop();
        }
        let mut text = bare(&std::fs::read_to_string(&file).unwrap());
        while let Some(start) = text.find("#[cfg(test)]\nmod ") {
            let rest = &text[start..];
            let declared = rest.find(';').filter(|end| !rest[..*end].contains('{'));
            let end = match declared {
                Some(end) => {
                    let name = rest["#[cfg(test)]\nmod ".len()..end].to_owned();
                    of_tests.push([&module[..], &[name]].concat());
                    end + 1
                }
                None => rest.find("\n}\n").map_or(rest.len(), |end| end + 3),
            };
            text.replace_range(start..start + end, "");
        }
        sources.push(Source { path, module, text });
    }
    let is_of_tests = |file: &Source| of_tests.iter().any(|test| file.module.starts_with(test));
    sources.retain(|file| file.path != "lib.rs" && !is_of_tests(file));
    sources
}

/// Without comments and what stands in strings. A character that is a quotation mark is no string.
fn bare(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let (mut bare, mut is_string, mut before) = (String::new(), false, ' ');
        let letters: Vec<char> = line.chars().collect();
        for (at, letter) in letters.iter().copied().enumerate() {
            if letter == '"' && before != '\\' && before != '\'' {
                is_string = !is_string;
            } else if !is_string {
                if letter == '/' && letters.get(at + 1) == Some(&'/') {
                    break;
                }
                bare.push(letter);
            }
            before = if before == '\\' { ' ' } else { letter };
        }
        lines.push(bare.trim_end().to_owned());
    }
    lines.join("\n") + "\n"
}

/// The declarations of `kinds` that stand at the left margin, or one module deep: what a line calls them.
fn declared(text: &str, kinds: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("     ")) {
        let is_inner = line.starts_with(' ');
        let mut words = line.trim_start();
        if let Some(rest) = words.strip_prefix("pub") {
            words = rest.trim_start();
            if words.starts_with('(') {
                words = words.split_once(')').map_or("", |(_, rest)| rest).trim_start();
            }
        }
        for before in ["unsafe ", "async ", "const fn "] {
            words = words.strip_prefix(before).unwrap_or(words);
        }
        let Some((kind, rest)) = words.split_once(' ') else { continue };
        // A `type` in an `impl` or a trait is no type of its own.
        if kinds.contains(&kind) && !(is_inner && kind == "type") {
            let name = rest.trim_start_matches("mut ");
            names.push(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

/// Where a type's name stands once. The kinds of sources are plug-ins side by side, each behind a feature of its own,
/// and none imports another: so each of their folders counts with what all sources share, not with the other kinds.
fn territories(path: &str) -> Vec<String> {
    const SHARED: [&str; 2] = ["http", "tables"];
    let mut parts = path.split('/');
    let top = parts.next().unwrap().trim_end_matches(".rs");
    let layer = LAYERS.iter().find(|(name, _)| *name == top).unwrap().1;
    if top != "source" {
        return vec![layer.to_string()];
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/source");
    let folders = std::fs::read_dir(src).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.path().is_dir());
    let mut kinds: Vec<String> =
        folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    kinds.retain(|kind| !SHARED.contains(&kind.as_str()));
    let own = parts.next().unwrap();
    match kinds.iter().any(|kind| kind == own) {
        true => vec![format!("source/{own}")],
        false => kinds.into_iter().map(|kind| format!("source/{kind}")).collect(),
    }
}

#[test]
fn no_type_name_stands_twice_in_one_layer() {
    let mut names: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for file in sources() {
        for name in declared(&file.text, &["struct", "enum", "trait", "type", "union"]) {
            for territory in territories(&file.path) {
                names.entry((territory, name.clone())).or_default().push(file.path.clone());
            }
        }
    }
    assert!(names.len() > 500, "only {} declarations were recognised", names.len());
    names.retain(|_, files| files.len() > 1);
    assert!(names.is_empty(), "{names:#?}");
}

/// The paths a `use` names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn spread(tree: &str) -> Vec<String> {
    let Some(start) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap();
        return vec![path.split_whitespace().collect()];
    };
    let (before, group) = (&tree[..start], &tree[start + 1..tree.rfind('}').unwrap()]);
    let mut depth = 0;
    let ends = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0 && c == ','
    };
    let parts = group.split(ends).filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| spread(&format!("{before}{}", part.trim()))).collect()
}

/// What one file says of others: the paths it names, from the root of its crate, and which of them it hands on.
#[derive(Default)]
struct Named {
    paths: Vec<Vec<String>>,
    handed_on: BTreeMap<String, Vec<String>>,
}

/// From the root of its crate, if the path leads to a module of this package.
fn absolute(
    path: &str,
    own: &[String],
    modules: &BTreeMap<Vec<String>, usize>,
) -> Option<Vec<String>> {
    let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
    let mut base = own.to_vec();
    match parts[0].as_str() {
        "crate" => base.truncate(1),
        "restow" if own[0] == "bin" => base = vec!["lib".into()],
        "self" => {}
        "super" => {
            while parts.first().is_some_and(|part| part == "super") {
                parts.remove(0);
                base.pop();
            }
            return Some([base, parts].concat());
        }
        first => {
            let is_below = modules.contains_key(&[own, &[first.to_owned()]].concat());
            return is_below.then(|| [base, parts].concat());
        }
    }
    parts.remove(0);
    Some([base, parts].concat())
}

fn named(file: &Source, modules: &BTreeMap<Vec<String>, usize>) -> Named {
    let (mut named, mut rest) = (Named::default(), String::new());
    let mut statement = String::new();
    for line in file.text.lines() {
        let words = line.trim_start();
        let is_use =
            words.starts_with("use ") || (words.starts_with("pub") && words.contains(" use "));
        if statement.is_empty() && !is_use {
            rest.push_str(line);
            rest.push('\n');
            continue;
        }
        statement.push_str(line.trim());
        statement.push(' ');
        if !line.contains(';') {
            continue;
        }
        let taken = std::mem::take(&mut statement);
        let (before, tree) = taken.split_once("use ").unwrap();
        for path in spread(tree.split(';').next().unwrap()) {
            let Some(path) = absolute(&path, &file.module, modules) else { continue };
            if before.trim().starts_with("pub") {
                named.handed_on.insert(path.last().unwrap().clone(), path.clone());
            }
            named.paths.push(path);
        }
    }
    // A visibility is no import.
    let rest = rest.replace("pub(in ", "pub(in\u{0}");
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '\u{0}';
    let paths = rest.split(|c| !is_of_path(c)).filter(|path| !path.contains('\u{0}'));
    let paths = paths.map(|path| path.trim_end_matches(':')).filter(|path| path.contains("::"));
    let paths = paths.filter(|path| path.starts_with(|c: char| c.is_lowercase()));
    named.paths.extend(paths.filter_map(|path| absolute(path, &file.module, modules)));
    named
}

/// The file that declares what a path names.
fn declaring(
    path: &[String],
    all: &[Named],
    modules: &BTreeMap<Vec<String>, usize>,
) -> Option<usize> {
    let mut path = path.to_vec();
    for _ in 0..8 {
        let depth = (1..=path.len()).rev().find(|depth| modules.contains_key(&path[..*depth]))?;
        let module = modules[&path[..depth]];
        let handed_on = path.get(depth).and_then(|name| all[module].handed_on.get(name));
        match handed_on {
            Some(to) if *to != path => path = to.clone(),
            _ => return Some(module),
        }
    }
    None
}

/// Imports that close circles and are left for now: no others are to come.
const LEFT_CIRCLES: &[(&str, &str)] = &[
    ("source/arangodb/sort/run.rs", "source/arangodb/sort/merge.rs"),
    ("source/qdrant/writer.rs", "source/qdrant/load.rs"),
];

/// Groups of files that import one another in a circle. What a folder's head (`mod.rs`) takes from its own folder closes
/// none: it puts the folder together, and declares what its parts share.
fn circles(files: &[Source], left: &[(&str, &str)]) -> Vec<Vec<String>> {
    let modules: BTreeMap<Vec<String>, usize> =
        files.iter().enumerate().map(|(number, file)| (file.module.clone(), number)).collect();
    let all: Vec<Named> = files.iter().map(|file| named(file, &modules)).collect();
    let imports: Vec<Vec<usize>> = (0..files.len())
        .map(|own| {
            let mut to: Vec<usize> =
                all[own].paths.iter().filter_map(|path| declaring(path, &all, &modules)).collect();
            to.retain(|to| !files[*to].module.starts_with(&files[own].module));
            to.retain(|to| !left.contains(&(files[own].path.as_str(), files[*to].path.as_str())));
            to
        })
        .collect();
    let reached: Vec<Vec<bool>> = (0..files.len())
        .map(|from| {
            let (mut seen, mut next) = (vec![false; files.len()], imports[from].clone());
            while let Some(at) = next.pop() {
                if !std::mem::replace(&mut seen[at], true) {
                    next.extend(&imports[at]);
                }
            }
            seen
        })
        .collect();
    let mut circles = Vec::new();
    for own in (0..files.len()).filter(|own| reached[*own][*own]) {
        let group: Vec<usize> =
            (0..files.len()).filter(|to| reached[own][*to] && reached[*to][own]).collect();
        if group[0] == own {
            let shown = |from: &usize| {
                let to = imports[*from].iter().filter(|to| group.contains(to));
                let to: BTreeSet<&str> = to.map(|to| files[*to].path.as_str()).collect();
                format!("{} -> {to:?}", files[*from].path)
            };
            circles.push(group.iter().map(shown).collect());
        }
    }
    circles
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let circles = circles(&sources(), LEFT_CIRCLES);
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn a_circle_is_seen_through_what_a_head_hands_on() {
    let file = |path: &str, module: &[&str], text: &str| Source {
        path: path.into(),
        module: module.iter().map(|part| (*part).to_owned()).collect(),
        text: text.into(),
    };
    let files = [
        file("a/mod.rs", &["lib", "a"], "mod b;\nmod c;\npub use self::{b::B, c::C};\n"),
        file("a/b.rs", &["lib", "a", "b"], "use super::C;\npub struct B;\n"),
        file("a/c.rs", &["lib", "a", "c"], "pub(in crate::a) fn c(_: &crate::a::b::B) {}\n"),
    ];
    assert_eq!(circles(&files, &[]).len(), 1);
    assert!(circles(&files, &[("a/b.rs", "a/c.rs")]).is_empty());
}
