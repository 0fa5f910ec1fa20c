//! The loader: looks at a server, says what would become of what is there, and has it done.

use std::collections::BTreeSet;

use super::api::{Api, ArangoConnection, SYSTEM};
use super::decide::{NOUNS, Policy, is_system};
use super::look::{ArangoPlan, PlannedDatabase};
use super::name::ArangoServer;
use super::run::DatabaseLoad;
use super::target::Target;
use crate::fault::ErrorKind;
use crate::limits::MIB;
use crate::progress::{Cancel, Observer};
use crate::source::arangodb::StoredDatabases;
use crate::source::arangodb::failure::refused;
use crate::source::tables::{ConflictPolicy, Consent, Journal, Rename, TableSelection};
use crate::source::{LoadPlan, LoadReport, Loader, SourceError, Stored};

/// What is restored, and how.
#[derive(Debug, Clone)]
pub struct ArangoRestore {
    /// Where to, instead of the database's name in the snapshot.
    pub database: Option<String>,
    /// The collections to restore. All where none is named.
    pub collections: Vec<Rename>,
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
    selection: TableSelection,
    conflict: ConflictPolicy,
    /// What was shown to whoever agreed to it.
    consent: Consent,
}

impl ArangoLoader {
    pub fn new(
        server: &ArangoServer,
        connection: &ArangoConnection,
        restore: ArangoRestore,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let shown = server.shown();
        let selection = TableSelection::new(restore.collections.clone(), None, &shown)?;
        for Rename { from, to } in &restore.collections {
            if from != to && (is_system(from) || is_system(to)) {
                let message =
                    format!("--collection {from}:{to}: system collections keep their names");
                return Err(refused(ErrorKind::Usage, &shown, message));
            }
        }
        let conflict = match (restore.if_missing, restore.backup_existing) {
            (true, _) => ConflictPolicy::Skip,
            (false, false) => ConflictPolicy::Replace,
            // The same ending for all collections of a restore.
            (false, true) => ConflictPolicy::KeepAs(
                jiff::Zoned::now().strftime("_backup_%Y%m%d_%H%M%S").to_string(),
            ),
        };
        let (api, server) = (Api::new(server, connection, cancel)?, server.clone());
        let consent = Consent::default();
        Ok(Self { api, server, restore, selection, conflict, consent })
    }

    fn look(
        &self,
        stored: &dyn Stored,
        conflict: &ConflictPolicy,
    ) -> Result<ArangoPlan, SourceError> {
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
        let collections = found.databases.values().flat_map(|database| database.collections.keys());
        let available: BTreeSet<_> = collections.map(String::as_str).collect();
        self.selection.check_available(&available, NOUNS, &self.server.shown())?;
        let mut look = ArangoPlan::default();
        for (name, database) in found.databases {
            let to = self.restore.database.clone().unwrap_or_else(|| name.clone());
            let target = self.target(&to)?;
            let existing = target.existing()?;
            if existing.is_none() && !self.restore.create_database {
                return Err(self.missing_database(&to));
            }
            let policy = Policy {
                selection: self.selection.clone(),
                conflict: conflict.clone(),
                include_system: self.restore.include_system,
                include_users: self.restore.include_users && to == SYSTEM,
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
}

impl Loader for ArangoLoader {
    fn plan(&mut self, stored: &dyn Stored) -> Result<LoadPlan, SourceError> {
        let plan = self.look(stored, &self.conflict)?.plan()?;
        self.consent = Consent::to(&plan.steps);
        Ok(plan)
    }

    fn load(
        self: Box<Self>,
        stored: &dyn Stored,
        may_replace: bool,
        observer: &dyn Observer,
        cancel: &Cancel,
    ) -> Result<LoadReport, SourceError> {
        let conflict = self.conflict.clone().with_consent(may_replace);
        let look = self.look(stored, &conflict)?;
        let hint =
            "--overwrite replaces it, --backup-existing keeps collections under another name";
        let consent = if may_replace { &self.consent } else { &Consent::default() };
        consent.check(&look.steps()?, NOUNS, &self.server.shown(), hint)?;
        let run =
            |database| DatabaseLoad::new(database, stored, self.restore.batch, observer, cancel);
        let mut runs: Vec<_> = look.databases.into_iter().map(run).collect();
        // Users after everything: among them may be whoever restores, with another password.
        let done = runs.iter_mut().try_for_each(DatabaseLoad::all);
        let done = done.and_then(|()| runs.iter_mut().try_for_each(DatabaseLoad::users));
        let mut report = LoadReport { notes: look.notes, ..LoadReport::default() };
        let mut journal = Journal::default();
        for run in runs {
            run.add_to(&mut report, &mut journal);
        }
        done.map(|()| report).map_err(|error| journal.explain(error))
    }
}
