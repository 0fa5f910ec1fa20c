//! The loader: looks at a server, says what would become of what is there, and has it done.

use std::collections::BTreeSet;

use super::api::{Api, ArangoConnection, SYSTEM};
use super::decide::{Action, Policy};
use super::left::Left;
use super::look::{Look, PlannedDatabase};
use super::name::ArangoServer;
use super::run::Run;
use super::target::Target;
use crate::fault::ErrorKind;
use crate::format::EntryPath;
use crate::limits::MIB;
use crate::progress::{Cancel, Observer};
use crate::source::arangodb::failure::refused;
use crate::source::arangodb::{StoredDatabases, model};
use crate::source::renames::check_renames;
use crate::source::{Fate, LoadPlan, LoadReport, LoadStep, Loader, SourceError, Stored};

/// What is restored, and how.
#[derive(Debug, Clone)]
pub struct ArangoRestore {
    /// Where to, instead of the database's name in the snapshot.
    pub database: Option<String>,
    /// Names in the snapshot, and at the server. All where none is named.
    pub collections: Vec<(String, String)>,
    pub create_database: bool,
    /// What would be replaced is kept under another name.
    pub backup_existing: bool,
    /// What is there stays as it is: only what is missing is restored.
    pub if_missing: bool,
    pub include_system: bool,
    pub include_users: bool,
    /// Bytes of documents in one request.
    pub batch: usize,
}

impl Default for ArangoRestore {
    fn default() -> Self {
        Self {
            database: None,
            collections: Vec::new(),
            create_database: false,
            backup_existing: false,
            if_missing: false,
            include_system: false,
            include_users: false,
            batch: 8 * MIB,
        }
    }
}

/// Writes databases into an ArangoDB server.
pub struct ArangoLoader {
    api: Api,
    server: ArangoServer,
    restore: ArangoRestore,
    /// What the names of collections that are kept end with, the same for all of a restore.
    keep_as: Option<String>,
    /// What was shown to whoever agreed to it.
    planned: Option<BTreeSet<EntryPath>>,
}

impl ArangoLoader {
    pub fn new(
        server: &ArangoServer,
        connection: &ArangoConnection,
        restore: ArangoRestore,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        check_renames(&restore.collections, &server.shown())?;
        for (old, new) in &restore.collections {
            if old != new && (old.starts_with('_') || new.starts_with('_')) {
                let message =
                    format!("--collection {old}:{new}: system collections keep their names");
                return Err(refused(ErrorKind::Usage, &server.shown(), message));
            }
        }
        let now = jiff::Zoned::now().strftime("_backup_%Y%m%d_%H%M%S").to_string();
        let keep_as = restore.backup_existing.then_some(now);
        let api = Api::new(server, connection, cancel)?;
        Ok(Self { api, server: server.clone(), restore, keep_as, planned: None })
    }

    fn look(&self, stored: &dyn Stored) -> Result<Look, SourceError> {
        let found = StoredDatabases::of(stored)?;
        let names: Vec<_> = found.databases.keys().cloned().collect();
        if let (Some(database), 2..) = (&self.restore.database, names.len()) {
            let message = format!(
                "the snapshot holds the databases {}: select one with --only 'NAME/**' to restore it into \
                 {database}, or name none, and each goes where it was",
                names.join(", ")
            );
            return Err(refused(ErrorKind::Usage, &self.server.shown(), message));
        }
        self.check_chosen(&found)?;
        let mut look = Look::default();
        for (name, database) in found.databases {
            let to = self.restore.database.clone().unwrap_or_else(|| name.clone());
            let target = self.target(&to)?;
            let existing = target.existing()?;
            if existing.is_none() && !self.restore.create_database {
                return Err(self.missing_database(&to));
            }
            let policy = Policy {
                chosen: self.restore.collections.clone(),
                include_system: self.restore.include_system,
                include_users: self.restore.include_users && to == SYSTEM,
                if_missing: self.restore.if_missing,
                keep_as: self.keep_as.clone(),
            };
            let planned = PlannedDatabase::new(stored, target, database, existing, &policy);
            look.add(planned?, &name);
        }
        look.unknown(&found.unknown);
        Ok(look)
    }

    fn target(&self, database: &str) -> Result<Target, SourceError> {
        let (version, asked) = match self.api.version(database) {
            Err(error) if error.kind() == ErrorKind::NotFound => match self.restore.create_database
            {
                true => (self.api.version(SYSTEM)?, SYSTEM),
                false => return Err(self.missing_database(database)),
            },
            version => (version?, database),
        };
        let is_cluster = self.api.role(asked)?.is_some_and(|role| role != "SINGLE");
        Ok(Target::new(&self.api, database, !version.is_at_least(3, 8), is_cluster))
    }

    fn missing_database(&self, database: &str) -> SourceError {
        match self.api.missing_database(database) {
            SourceError::Refused { path, message, .. } => {
                let message = format!("{message}; --create-database makes it");
                refused(ErrorKind::Unreachable, &path, message)
            }
            other => other,
        }
    }

    fn check_chosen(&self, found: &StoredDatabases) -> Result<(), SourceError> {
        let there: BTreeSet<&String> =
            found.databases.values().flat_map(|database| database.collections.keys()).collect();
        let missing: Vec<_> = self.restore.collections.iter().map(|(from, _)| from).collect();
        let missing: Vec<_> = missing.into_iter().filter(|name| !there.contains(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
        let message = format!(
            "the snapshot has no collection {}; it has {}",
            list(missing),
            list(there.into_iter().collect())
        );
        Err(refused(ErrorKind::Usage, &self.server.shown(), message))
    }
}

impl Loader for ArangoLoader {
    fn plan(&mut self, stored: &dyn Stored) -> Result<LoadPlan, SourceError> {
        let look = self.look(stored)?;
        self.planned = Some(look.replaced());
        look.plan()
    }

    fn load(
        self: Box<Self>,
        stored: &dyn Stored,
        may_replace: bool,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<LoadReport, SourceError> {
        let look = self.look(stored)?;
        let agreed = self.planned.filter(|_| may_replace).unwrap_or_default();
        look.check(&agreed, &self.server.shown())?;
        let run = |database| Run::new(database, stored, self.restore.batch, observer, cancel);
        let mut runs: Vec<_> = look.databases.into_iter().map(run).collect();
        // Users after everything: among them may be whoever restores, with another password.
        let done = runs.iter_mut().try_for_each(Run::all);
        let done = done.and_then(|()| runs.iter_mut().try_for_each(Run::users));
        let mut report = LoadReport { notes: look.notes, ..LoadReport::default() };
        let mut left = Left::default();
        for run in runs {
            run.add_to(&mut report, &mut left);
        }
        done.map(|()| report).map_err(|error| left.told(error))
    }
}

/// What a step is called where nothing else is: below its database.
pub(super) fn step_path(database: &str, name: &str) -> Result<EntryPath, SourceError> {
    model::path(&[database, name])
}

pub(super) fn fate_of(action: &Action, existing: Option<u64>) -> Fate {
    let documents = |count: u64| match count {
        1 => "1 document".to_owned(),
        count => format!("{count} documents"),
    };
    let what = format!("collection with {}", documents(existing.unwrap_or_default()));
    match action {
        Action::Create => Fate::New,
        Action::Replace => Fate::Replaced(what),
        Action::Rename(kept) => Fate::Replaced(format!("{what}, kept as {kept}")),
        Action::Merge | Action::Keep => Fate::Kept,
    }
}

pub(super) fn step(name: EntryPath, fate: Fate, bytes: u64) -> LoadStep {
    LoadStep { name, fate, bytes }
}
