//! A kind of source outside the crate: `table:NAME` is a multiplication table, as long as an option says. It is
//! registered, configured, backed up and restored, and its flag stands in a help text.
//!
//! `cargo run --release --example custom_source`

use std::error::Error;
use std::ffi::OsStr;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use restow::source::kind::{
    OptionSet, OptionValues, Purpose, SourceContext, after_scheme, read_options,
};
use restow::source::{
    Body, BodyEnd, Description, Exporter, Item, OpenBody, Outcome, Session, SourceEntry,
    SourceError, SourceKind, SourceKinds,
};
use restow::{
    BackupOptions, Cancel, CreateOptions, Entry, EntryKind, EntryPath, ErrorKind, Memory,
    Overwrite, Secret, SnapshotManager,
};
use serde::{Deserialize, Serialize};

const SCHEMES: &[&str] = &["table"];

/// The kind of source that `table:NAME` stands for.
pub struct TableKind;

/// One struct: flags of a command line, keys of restow.toml, and what the exporter reads.
#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
#[command(next_help_heading = "With multiplication tables")]
#[serde(default, rename_all = "kebab-case")]
struct TableOptions {
    /// Multiply up to this number
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    up_to: u32,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self { up_to: 10 }
    }
}

impl SourceKind for TableKind {
    fn name(&self) -> &str {
        "table"
    }

    fn recorded(&self) -> &[&str] {
        SCHEMES
    }

    fn schemes(&self) -> &[&str] {
        SCHEMES
    }

    fn options(&self, purpose: Purpose) -> OptionSet {
        match purpose {
            Purpose::Backup => OptionSet::of::<TableOptions>(),
            Purpose::Restore => OptionSet::none(),
        }
    }

    fn exporter(
        &self,
        text: &OsStr,
        options: &OptionValues,
        _: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        let refused = |message: String| SourceError::Refused {
            kind: ErrorKind::Usage,
            path: text.to_string_lossy().into_owned(),
            message,
        };
        let name = after_scheme(text, SCHEMES).to_str().unwrap_or_default().to_owned();
        let path = EntryPath::new(name.as_bytes()).map_err(|error| refused(error.to_string()))?;
        let TableOptions { up_to } = read_options(options)?;
        Ok(Box::new(Table { name, path, up_to }))
    }
}

/// Reads one table.
#[derive(Clone)]
struct Table {
    name: String,
    path: EntryPath,
    up_to: u32,
}

impl Exporter for Table {
    fn describe(&self) -> Description {
        Description {
            kind: "table".to_owned(),
            url: format!("table:{}", self.name),
            label: self.name.clone(),
        }
    }

    fn open(&self, _: &Cancel) -> Result<Box<dyn Session>, SourceError> {
        Ok(Box::new(TableSession(Some(self.clone()))))
    }
}

/// Gives its one entry.
struct TableSession(Option<Table>);

impl Session for TableSession {
    fn next(&mut self) -> Result<Option<Item>, SourceError> {
        let Some(Table { path, up_to, .. }) = self.0.take() else { return Ok(None) };
        let entry = Entry {
            path,
            kind: EntryKind::File,
            unix: None,
            token: Default::default(),
            content: None,
            properties: Vec::new(),
            ext: Vec::new(),
        };
        let lines = (1..=up_to).map(|one| {
            let products: Vec<String> = (1..=up_to).map(|two| (one * two).to_string()).collect();
            products.join("\t") + "\n"
        });
        let body = TableBody(Cursor::new(lines.collect()));
        Ok(Some(SourceEntry::whole(entry, Box::new(body), 0).into()))
    }

    fn finish(self: Box<Self>) -> Result<Outcome, SourceError> {
        Ok(Outcome::default())
    }
}

/// The table's bytes.
struct TableBody(Cursor<String>);

impl OpenBody for TableBody {
    fn open(self: Box<Self>) -> Result<Box<dyn Body>, SourceError> {
        Ok(self)
    }
}

impl Read for TableBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Body for TableBody {
    fn finish(self: Box<Self>) -> Result<BodyEnd, SourceError> {
        Ok(BodyEnd::good())
    }
}

/// The kinds of this program: those of restow, and one more.
pub fn kinds() -> SourceKinds {
    let mut kinds = SourceKinds::default();
    kinds.register(Arc::new(TableKind));
    kinds
}

/// Backs up `table:NAME` with what a configuration says of its kind, and restores it into the folder `to`.
pub fn run(name: &str, configured: &OptionValues, to: &Path) -> Result<(), Box<dyn Error>> {
    let kinds = kinds();
    for (key, value) in configured {
        kinds.check(Purpose::Backup, key, value)?;
    }
    let source = kinds.source(OsStr::new(&format!("table:{name}")))?;
    let exporter = source.kind.exporter(&source.text, configured, &SourceContext::default())?;

    let storage = Arc::new(Memory::new());
    let secret = Secret::Passphrase("correct horse battery staple".into());
    SnapshotManager::init(&*storage, &secret, &CreateOptions::default())?;
    let manager = SnapshotManager::open(storage, &secret)?;
    manager.create(&[&*exporter], &BackupOptions::default())?;
    let snapshot = manager.get("latest")?.ok_or("there is no snapshot")?;
    manager.restore(&snapshot, to, Overwrite::Refuse)?;
    Ok(())
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let configured = OptionValues::from_iter([("up-to".to_owned(), 3.into())]);
    run("small", &configured, home.path())?;
    print!("{}", std::fs::read_to_string(home.path().join("small"))?);
    let mut command = kinds().add_flags(Purpose::Backup, clap::Command::new("backup"));
    println!("{}", command.render_help());
    Ok(())
}
