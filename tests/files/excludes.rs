use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use restow::fault::ErrorKind;
use restow::source::files::{FolderExporter, FolderOptions};

use super::support::*;

const TREE: &[&str] = &[
    ".git/config",
    "a.log",
    "build/out.o",
    "docs/a.log",
    "docs/build/page",
    "docs/deep/er/a.log",
    "keep.log",
    "notes.tmp",
    "src/__pycache__/m.pyc",
    "src/build",
    "{x}",
];

/// The files of `TREE` that are left out.
fn left_out(options: FolderOptions) -> Vec<String> {
    let source = tempfile::tempdir().unwrap();
    for path in TREE {
        write(source.path().join(path), "x");
    }
    let exported = export_with(source.path(), options);
    assert_eq!(exported.problems, []);
    let paths = exported.paths();
    TREE.iter()
        .filter(|path| !paths.contains(&(**path).to_owned()))
        .map(|p| (*p).to_owned())
        .collect()
}

fn patterns(patterns: &[&str]) -> FolderOptions {
    let excludes = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    FolderOptions { excludes, ..FolderOptions::default() }
}

#[test]
fn patterns_mean_what_gitignore_says() {
    let table: &[(&[&str], &[&str])] = &[
        (&[], &[]),
        (&["*.log"], &["a.log", "docs/a.log", "docs/deep/er/a.log", "keep.log"]),
        (&["/*.log"], &["a.log", "keep.log"]),
        (&["*.log", "!keep.log"], &["a.log", "docs/a.log", "docs/deep/er/a.log"]),
        (&["!keep.log", "*.log"], &["a.log", "docs/a.log", "docs/deep/er/a.log", "keep.log"]),
        (&["build"], &["build/out.o", "docs/build/page", "src/build"]),
        (&["build/"], &["build/out.o", "docs/build/page"]),
        (&["/build"], &["build/out.o"]),
        (&["docs/build"], &["docs/build/page"]),
        (&["docs/*.log"], &["docs/a.log"]),
        (&["docs/**/a.log"], &["docs/a.log", "docs/deep/er/a.log"]),
        (&["docs/**"], &["docs/a.log", "docs/build/page", "docs/deep/er/a.log"]),
        (&["**/er"], &["docs/deep/er/a.log"]),
        (&["er/a.log"], &[]),
        (&["?.log"], &["a.log", "docs/a.log", "docs/deep/er/a.log"]),
        (&["[a-c].log"], &["a.log", "docs/a.log", "docs/deep/er/a.log"]),
        (&["[!a].tmp", "notes.[tx]mp"], &["notes.tmp"]),
        (&["{x}"], &["{x}"]),
        (&["{a,keep}.log"], &[]),
        (&["\\a.log", "[unclosed"], &["a.log", "docs/a.log", "docs/deep/er/a.log"]),
        // What is in a folder that is left out cannot be taken back.
        (&["docs/", "!docs/a.log"], &["docs/a.log", "docs/build/page", "docs/deep/er/a.log"]),
        (&["docs/*", "!docs/a.log"], &["docs/build/page", "docs/deep/er/a.log"]),
        (&["A.LOG"], &[]),
    ];
    for (given, expected) in table {
        assert_eq!(left_out(patterns(given)), *expected, "{given:?}");
    }
}

#[test]
fn files_of_patterns() {
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("patterns");
    write(&file, "# a comment\n\n*.log  \r\n!keep.log\n\\{x}\n/src/build");
    let options =
        || FolderOptions { exclude_files: vec![file.clone()], ..FolderOptions::default() };
    let expected = ["a.log", "docs/a.log", "docs/deep/er/a.log", "src/build", "{x}"];
    assert_eq!(left_out(options()), expected);
    let taken_back = FolderOptions { excludes: vec!["!/a.log".to_owned()], ..options() };
    assert_eq!(left_out(taken_back), &expected[1..]);
}

#[test]
fn space_at_the_end_of_a_line_may_be_meant() {
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("patterns");
    write(&file, "one\\ \ntwo \n");
    for name in ["one", "one ", "two", "two "] {
        write(source.path().join("tree").join(name), "x");
    }
    let options = FolderOptions { exclude_files: vec![file], ..FolderOptions::default() };
    let exported = export_with(&source.path().join("tree"), options);
    assert_eq!(exported.paths(), ["", "one", "two "]);
    assert_eq!(exported.properties, [("excluded".to_owned(), "2".to_owned())]);
}

#[test]
fn presets() {
    let dev = FolderOptions { exclude_presets: vec!["dev".to_owned()], ..Default::default() };
    assert_eq!(left_out(dev), [".git/config", "notes.tmp", "src/__pycache__/m.pyc"]);
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_read() {
    let source = tempfile::tempdir().unwrap();
    let bytes = source.path().join("bytes");
    write(&bytes, b"fine\n\xff\n");
    let wrong = [
        FolderOptions { exclude_presets: vec!["devel".to_owned()], ..Default::default() },
        FolderOptions { exclude_if_present: vec!["a/b".to_owned()], ..Default::default() },
        FolderOptions { exclude_files: vec![bytes], ..Default::default() },
        patterns(&["[b-a]"]),
        patterns(&["/"]),
        patterns(&[""]),
        patterns(&["!"]),
    ];
    for options in wrong {
        let shown = format!("{options:?}");
        let error = FolderExporter::new(source.path(), options).err().expect(&shown);
        assert_eq!(error.kind(), ErrorKind::Usage, "{shown}: {error}");
        if shown.contains("devel") {
            assert!(error.to_string().contains("there is: dev"), "{error}");
        }
    }
    let missing = FolderOptions { exclude_files: vec!["/no/such".into()], ..Default::default() };
    let error = FolderExporter::new(source.path(), missing).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn names_that_are_no_utf_8() {
    let source = tempfile::tempdir().unwrap();
    for name in [&b"\xff.log"[..], b"a\xffb", b"a\nb", b"plain"] {
        write(source.path().join(OsStr::from_bytes(name)), "x");
    }
    let count = |given: &[&str]| export_with(source.path(), patterns(given)).given.len();
    assert_eq!(count(&[]), 5);
    assert_eq!(count(&["*.log"]), 4);
    assert_eq!(count(&["a?b"]), 3);
    assert_eq!(count(&["*"]), 1);
}

#[test]
fn tagged_folders_keep_only_the_tag() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    let signature = "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test";
    write(root.join("cache/CACHEDIR.TAG"), signature);
    write(root.join("cache/data"), "x");
    write(root.join("cache/sub/data"), "x");
    write(root.join("not/CACHEDIR.TAG"), "Signature: something else entirely, but long enough");
    write(root.join("not/data"), "x");
    write(root.join("folder/CACHEDIR.TAG/x"), "x");
    write(root.join("marked/.nobackup"), "");
    write(root.join("marked/data"), "x");
    let caches = FolderOptions { exclude_caches: true, ..FolderOptions::default() };
    let paths = export_with(root, caches).paths();
    assert!(paths.contains(&"cache/CACHEDIR.TAG".to_owned()));
    assert!(!paths.iter().any(|path| path.starts_with("cache/") && path.ends_with("data")));
    assert!(paths.contains(&"not/data".to_owned()));
    assert!(paths.contains(&"folder/CACHEDIR.TAG/x".to_owned()));
    assert!(paths.contains(&"marked/data".to_owned()));

    let marked =
        FolderOptions { exclude_if_present: vec![".nobackup".to_owned()], ..Default::default() };
    let paths = export_with(root, marked).paths();
    assert!(paths.contains(&"marked/.nobackup".to_owned()));
    assert!(!paths.contains(&"marked/data".to_owned()));
    assert!(paths.contains(&"cache/data".to_owned()));
}

#[test]
fn a_single_file_is_never_left_out() {
    let source = tempfile::tempdir().unwrap();
    write(source.path().join("a.log"), "x");
    let exported = export_with(&source.path().join("a.log"), patterns(&["*.log"]));
    assert_eq!(exported.paths(), ["a.log"]);
}
