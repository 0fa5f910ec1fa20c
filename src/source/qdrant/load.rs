//! The loader: collections back into a server, under their names or others.

use serde_json::Value;

use super::api::Api;
use super::decide::{Decision, Existing, Policy, Wanted, decide};
use super::export::QdrantOptions;
use super::failure::refused;
use super::loading::Loading;
use super::parts::{Held, HeldAs, collections};
use super::server::{QdrantServer, is_name};
use crate::fault::ErrorKind;
use crate::format::EntryPath;
use crate::progress::{Cancel, Event, Observer};
use crate::source::renames::check_renames;
use crate::source::{Fate, LoadPlan, LoadReport, LoadStep, Loader, SourceError, Stored};

/// Whose points win where a cluster has others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// The snapshot's.
    #[default]
    Snapshot,
    /// Those of the other replicas.
    Replica,
    /// Nothing is compared.
    NoSync,
}

impl Priority {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Replica => "replica",
            Self::NoSync => "no_sync",
        }
    }
}

/// How collections are restored.
#[derive(Debug, Clone, Default)]
pub struct QdrantRestore {
    /// Those to restore and their names at the server; all under their own where it is empty.
    pub collections: Vec<(String, String)>,
    /// The name of the one collection that is restored.
    pub rename: Option<String>,
    pub priority: Priority,
    /// Leave a collection alone that is there, and call that a success.
    pub if_missing: bool,
    /// Make a collection's aliases again, for its new name if it has one.
    pub aliases: bool,
    /// The other nodes of the server's cluster, for what came from several.
    pub nodes: Vec<QdrantServer>,
}

/// Writes collections into a server.
pub struct QdrantLoader {
    /// The server first, then the other nodes.
    pub(super) apis: Vec<Api>,
    pub(super) restore: QdrantRestore,
    planned: Vec<Part>,
}

/// One collection, its name at the server, and what becomes of what is there.
pub(super) struct Part {
    pub held: Held,
    pub wanted: Wanted,
    pub decision: Decision,
}

impl QdrantLoader {
    /// Asks nothing of the server yet.
    pub fn new(
        server: &QdrantServer,
        options: &QdrantOptions,
        restore: QdrantRestore,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        check_renames(&restore.collections, server.url())?;
        let servers = std::iter::once(server).chain(&restore.nodes);
        let apis = servers
            .map(|server| Api::new(server, options, cancel))
            .collect::<Result<Vec<_>, SourceError>>()?;
        Ok(Self { apis, restore, planned: Vec::new() })
    }

    pub(super) fn api(&self) -> Result<&Api, SourceError> {
        self.apis.first().ok_or_else(|| refused(ErrorKind::Failed, "qdrant", "no server was named"))
    }

    /// What a snapshot holds of what is wanted.
    fn parts(&self, stored: &dyn Stored) -> Result<Vec<Part>, SourceError> {
        let held = collections(stored)?;
        for (old, _) in &self.restore.collections {
            if !held.iter().any(|held| held.collection == *old) {
                let message = "is not in the snapshot, or not selected";
                return Err(refused(ErrorKind::Usage, old, message));
            }
        }
        let mut parts = Vec::new();
        for held in held {
            parts.extend(self.part(held)?);
        }
        match (&self.restore.rename, parts.as_mut_slice()) {
            (None, _) => {}
            (Some(new), [one]) => one.wanted.collection = new.clone(),
            (Some(new), _) => {
                let message = format!("only one collection can be restored as {new}: choose it");
                return Err(refused(ErrorKind::Usage, self.api()?.url(), message));
            }
        }
        Ok(parts)
    }

    /// `None`: it was not chosen.
    fn part(&self, held: Held) -> Result<Option<Part>, SourceError> {
        let chosen = &self.restore.collections;
        let collection = match chosen.iter().find(|(from, _)| *from == held.collection) {
            Some((_, new)) => new.clone(),
            None if chosen.is_empty() => held.collection.clone(),
            None => return Ok(None),
        };
        if !is_name(&collection) {
            return Err(refused(ErrorKind::Usage, &collection, "is no name of a collection"));
        }
        if let HeldAs::Peers(peers) = &held.form
            && self.apis.len() > 1
            && self.apis.len() < peers.len()
        {
            let message = format!(
                "has parts of {} nodes: name as many with --qdrant-node, or a single server that takes all",
                peers.len()
            );
            return Err(refused(ErrorKind::Usage, &collection, message));
        }
        let wanted = Wanted { collection, params: held.params.clone() };
        Ok(Some(Part { held, wanted, decision: Decision::Create }))
    }

    pub(super) fn existing(&self, collection: &str) -> Result<Option<Existing>, SourceError> {
        Ok(self.api()?.info(collection)?.map(|info| Existing {
            points: info.get("points_count").and_then(Value::as_u64),
            params: info.get("config").and_then(|config| config.get("params")).cloned(),
        }))
    }

    pub(super) fn decide(&self, part: &Part, overwrite: bool) -> Result<Decision, SourceError> {
        let collection = &part.wanted.collection;
        let exists =
            |why| Err(refused(ErrorKind::Exists, &self.api()?.collection_url(collection), why));
        let policy = Policy { overwrite, if_missing: self.restore.if_missing };
        match decide(&part.wanted, self.existing(collection)?.as_ref(), policy) {
            Decision::Refuse(why) => exists(why),
            Decision::Replace(what) if matches!(part.held.form, HeldAs::Points(_)) => {
                exists(format!(
                    "{what} is there, and points would be added to them: delete it first, or restore as another"
                ))
            }
            decision => Ok(decision),
        }
    }
}

impl Loader for QdrantLoader {
    fn plan(&mut self, stored: &dyn Stored) -> Result<LoadPlan, SourceError> {
        let mut parts = self.parts(stored)?;
        for api in &self.apis {
            api.wait_ready()?;
        }
        let aliases = self.api()?.aliases(None)?;
        let mut plan = LoadPlan::default();
        for part in &mut parts {
            let name = &part.wanted.collection;
            // The server would follow it, and replace what nobody was shown.
            if let Some((_, of)) = aliases.iter().find(|(alias, _)| alias == name) {
                let message =
                    format!("is an alias of collection {of}: restore as {of}, or as another");
                return Err(refused(ErrorKind::Exists, &self.api()?.collection_url(name), message));
            }
            part.decision = self.decide(part, true)?;
            let fate = match &part.decision {
                Decision::Replace(what) => Fate::Replaced(what.clone()),
                Decision::Skip(_) => Fate::Kept,
                Decision::Create | Decision::Refuse(_) => Fate::New,
            };
            let bytes = if fate == Fate::Kept { 0 } else { part.held.bytes() };
            if self.restore.aliases && !self.restore.if_missing {
                plan.steps.extend(moved_aliases(part, &aliases)?);
            }
            plan.steps.push(LoadStep { name: step_name(name)?, fate, bytes });
        }
        self.planned = parts;
        Ok(plan)
    }

    fn load(
        mut self: Box<Self>,
        stored: &dyn Stored,
        may_replace: bool,
        observer: &dyn Observer,
        _: &Cancel,
    ) -> Result<LoadReport, SourceError> {
        let planned = std::mem::take(&mut self.planned);
        let mut loading = Loading::new(&self, stored, observer, may_replace);
        for part in &planned {
            observer.on(Event::Current(part.wanted.collection.as_bytes()));
            loading.one(part)?;
            observer.on(Event::Items(1));
        }
        Ok(loading.report)
    }
}

fn step_name(name: &str) -> Result<EntryPath, SourceError> {
    EntryPath::new(name).map_err(|error| refused(ErrorKind::Usage, name, error.to_string()))
}

/// Aliases that would no longer stand for what they stand for.
fn moved_aliases(part: &Part, existing: &[(String, String)]) -> Result<Vec<LoadStep>, SourceError> {
    let of_others = existing
        .iter()
        .filter(|(alias, of)| part.held.aliases.contains(alias) && *of != part.wanted.collection);
    let step = |(alias, of): &(String, String)| {
        let fate = Fate::Replaced(format!("an alias of collection {of}"));
        Ok(LoadStep { name: step_name(alias)?, fate, bytes: 0 })
    };
    of_others.map(step).collect()
}
