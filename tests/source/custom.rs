//! A kind of source that is not the crate's: the example of one is registered, configured, backed up and restored.

use std::ffi::OsStr;

use restow::source::kind::{OptionValues, Purpose, SourceContext};
use serde_json::json;

#[path = "../../examples/custom_source.rs"]
mod example;

fn configured(value: serde_json::Value) -> OptionValues {
    OptionValues::from_iter([("up-to".to_owned(), value)])
}

#[test]
fn a_registered_kind_is_configured_backed_up_and_restored() {
    let home = tempfile::tempdir().unwrap();
    example::run("small", &configured(json!(2)), &home.path().join("out")).unwrap();
    assert_eq!(std::fs::read_to_string(home.path().join("out/small")).unwrap(), "1\t2\n2\t4\n");
    let error = example::run("small", &configured(json!("many")), home.path()).unwrap_err();
    assert!(error.to_string().contains("many"), "{error}");
}

#[test]
fn a_registered_kind_has_its_flags_and_its_identity() {
    let kinds = example::kinds();
    let mut command = kinds.add_flags(Purpose::Backup, clap::Command::new("backup"));
    let help = command.render_help().to_string();
    assert!(help.contains("With multiplication tables") && help.contains("--up-to"), "{help}");
    let matches = command.get_matches_from(["backup", "--up-to", "7"]);
    let given = kinds.read_flags(Purpose::Backup, &matches).unwrap();
    assert_eq!(given.values, configured(json!(7)));
    // It means nothing to a folder.
    let folder = kinds.source(OsStr::new("./folder")).unwrap();
    assert_eq!(given.unused(Purpose::Backup, &[&folder.kind]), Some("--up-to"));
    let table = kinds.source(OsStr::new("table:large")).unwrap();
    assert_eq!(given.unused(Purpose::Backup, &[&table.kind]), None);
    let identity = table.kind.identity(&table.text, &given.values, &SourceContext::default());
    assert_eq!(identity.unwrap().url, "table:large");
}
