//! A snapshot's databases as arangodump would have written them.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::names::{database_folder, stems, view_file};
use super::output::Output;
use super::{DATA_FILE, DUMP, ENCRYPTION, GZIP, STRUCTURE_FILE};
use crate::fault::ErrorKind;
use crate::format::{Bytes, EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer};
use crate::source::arangodb::failure::{io_failed, refused};
use crate::source::arangodb::model::{COLLECTIONS, VIEWS, path};
use crate::source::arangodb::{
    SortOptions, StoredCollection, StoredDatabase, StoredDatabases, definition,
};
use crate::source::{SourceError, Stored};

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct ArangodumpReport {
    pub databases: u64,
    pub collections: u64,
    pub views: u64,
    pub documents: u64,
    /// Bytes of the documents, before they were compressed.
    pub bytes: u64,
    /// Collections and views left out since the repository has lost bytes of them.
    pub damaged: Vec<Problem>,
    /// What else was left out.
    pub problems: Vec<Problem>,
}

/// Writes what is selected to `to`, which must not be there: a folder, or an archive where the name ends with
/// `.tar.gz` or `.tgz`. It appears whole or not at all.
pub fn write_arangodump(
    stored: &dyn Stored,
    to: &Path,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<ArangodumpReport, SourceError> {
    let found = StoredDatabases::of(stored)?;
    if found.databases.is_empty() {
        let message = "the selected part of this snapshot has no ArangoDB database";
        return Err(refused(ErrorKind::Usage, &to.display().to_string(), message));
    }
    let output = Output::new(to)?;
    let in_folders = output.is_archive() || found.databases.len() > 1;
    let mut writing =
        Writing { stored, output, to, observer, cancel, report: ArangodumpReport::default() };
    for unknown in found.unknown {
        writing.problem(unknown, "is nothing that a dump has a place for: left out".into());
    }
    for (name, database) in &found.databases {
        let folder = in_folders.then(|| database_folder(name));
        writing.database(folder.as_deref(), name, database)?;
    }
    let Writing { output, report, .. } = writing;
    output.publish()?;
    Ok(report)
}

struct Writing<'a> {
    stored: &'a dyn Stored,
    output: Output,
    to: &'a Path,
    observer: &'a dyn Observer,
    cancel: &'a Cancel,
    report: ArangodumpReport,
}

impl Writing<'_> {
    fn database(
        &mut self,
        folder: Option<&str>,
        name: &str,
        database: &StoredDatabase,
    ) -> Result<(), SourceError> {
        self.report.databases += 1;
        let about = path(&[name])?;
        let properties = database.properties(self.stored);
        let properties = self.own(about, properties)?.flatten();
        let mut dump = json!({
            "database": name,
            // A snapshot keeps no such time. That it is there tells other tools that this is a dump.
            "lastTickAtDumpStart": "0",
            "useEnvelope": false,
            "useVPack": false,
        });
        if let (Some(object), Some(properties)) = (dump.as_object_mut(), properties) {
            object.insert("properties".to_owned(), properties);
        }
        self.text(folder, DUMP, &dump.to_string())?;
        self.text(folder, ENCRYPTION, "none")?;
        for (collection, parts) in &database.collections {
            let path = path(&[name, COLLECTIONS, collection])?;
            self.observer.on(Event::Current(path.as_bytes()));
            let written = self.collection(folder, collection, parts, &path);
            if self.own(path, written)?.is_some() {
                self.report.collections += 1;
                self.observer.on(Event::Items(1));
            }
        }
        for (view, entry) in &database.views {
            let path = path(&[name, VIEWS, view])?;
            let definition = definition(self.stored, entry);
            if let Some(definition) = self.own(path, definition)? {
                self.text(folder, &view_file(view), &definition.to_string())?;
                self.report.views += 1;
                self.observer.on(Event::Items(1));
            }
        }
        Ok(())
    }

    /// Documents first: a structure says that its collection is there.
    fn collection(
        &mut self,
        folder: Option<&str>,
        name: &str,
        collection: &StoredCollection,
        path: &EntryPath,
    ) -> Result<(), SourceError> {
        let bad = |kind, message: String| refused(kind, &path.display(), message);
        let Some(structure) = collection.structure(self.stored)? else {
            let message = "its structure is not in what is selected: left out";
            return Err(bad(ErrorKind::NotFound, message.into()));
        };
        let line_max = SortOptions::default().line_max;
        let Some(mut lines) = collection.joined(self.stored, line_max)? else {
            let message = "its documents are not in what is selected: left out";
            return Err(bad(ErrorKind::NotFound, message.into()));
        };
        let none = json!({});
        let parameters = structure.get("parameters").unwrap_or(&none);
        let stem = stems(name, parameters).into_iter().next().unwrap_or_default();
        let (observer, cancel, to) = (self.observer, self.cancel, self.to);
        let file = format!("{stem}{DATA_FILE}{GZIP}");
        let bytes = self.output.file(folder, &file, |out| {
            let mut out = GzEncoder::new(out, Compression::fast());
            let (mut line, mut bytes) = (Vec::new(), 0u64);
            while lines.next_line(&mut line)? {
                if cancel.is_cancelled() {
                    return Err(SourceError::Interrupted);
                }
                out.write_all(&line).map_err(io_failed("write", to))?;
                bytes += line.len() as u64;
                observer.on(Event::Bytes(line.len() as u64));
            }
            match collection.count {
                Some(count) if count != lines.count() => {
                    let message =
                        format!("has {} documents, {count} were backed up", lines.count());
                    return Err(bad(ErrorKind::Damage, message));
                }
                _ => {}
            }
            out.finish().map_err(io_failed("write", to))?;
            Ok(bytes)
        })?;
        self.text(folder, &format!("{stem}{STRUCTURE_FILE}"), &structure.to_string())?;
        self.report.bytes += bytes;
        self.report.documents += lines.count();
        Ok(())
    }

    fn text(&mut self, folder: Option<&str>, name: &str, text: &str) -> Result<(), SourceError> {
        let to = self.to;
        let write = |out: &mut dyn Write| out.write_all(text.as_bytes());
        self.output.file(folder, name, |out| write(out).map_err(io_failed("write", to)))
    }

    /// What came of one thing; `None` after a failure that is its own, which is noted.
    fn own<T>(
        &mut self,
        path: EntryPath,
        result: Result<T, SourceError>,
    ) -> Result<Option<T>, SourceError> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(error @ SourceError::Refused { kind: ErrorKind::Damage, .. }) => {
                let problem = problem(path, error.to_string());
                self.tell(&problem);
                self.report.damaged.push(problem);
                Ok(None)
            }
            Err(error @ SourceError::Refused { kind: ErrorKind::NotFound, .. }) => {
                self.problem(path, error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn problem(&mut self, path: EntryPath, message: String) {
        let problem = problem(path, message);
        self.tell(&problem);
        self.report.problems.push(problem);
    }

    fn tell(&self, problem: &Problem) {
        self.observer.on(Event::Problem { path: &problem.path, message: &problem.message });
    }
}

fn problem(path: EntryPath, message: String) -> Problem {
    Problem { path: Bytes::from(path.as_bytes()), message }
}
