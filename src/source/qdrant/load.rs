//! The loader: collections back into a server, under their names or others.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::Api;
use super::failure::refused;
use super::options::QdrantOptions;
use super::parts::{Held, HeldAs, collections};
use super::server::{QdrantServer, is_name};
use super::writer::QdrantWriter;
use crate::fault::ErrorKind;
use crate::format::EntryPath;
use crate::progress::{Cancel, Observer};
use crate::source::tables::{
    ConflictPolicy, Consent, ExistingTable, Nouns, Rebuild, Rename, TableAction, TableSelection,
    TableStep, TableTarget, WantedTable, decide,
};
use crate::source::{Fate, LoadPlan, LoadReport, LoadStep, Loader, SourceError, Stored};

pub(super) const NOUNS: Nouns = Nouns { table: "collection", row: "point" };

/// Whose points win where a cluster has others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// The snapshot's
    #[default]
    Snapshot,
    /// Those of the other replicas
    Replica,
    /// Nothing is compared
    #[cfg_attr(feature = "cli", value(name = "no_sync"))]
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
    /// The collections to restore; all under their own names if it is empty.
    pub collections: Vec<Rename>,
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
    selection: TableSelection,
    consent: Consent,
}

/// What is restored, and what becomes of what is there.
struct QdrantPlan {
    /// By their names in the snapshot.
    held: BTreeMap<String, Held>,
    steps: Vec<TableStep>,
    moved_aliases: Vec<LoadStep>,
}

impl QdrantLoader {
    /// Asks nothing of the server yet.
    pub fn new(
        server: &QdrantServer,
        options: &QdrantOptions,
        restore: QdrantRestore,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let (chosen, sole) = (restore.collections.clone(), restore.rename.clone());
        let selection = TableSelection::new(chosen, sole, server.url())?;
        let servers = std::iter::once(server).chain(&restore.nodes);
        let apis = servers
            .map(|server| Api::new(server, options, cancel))
            .collect::<Result<Vec<_>, SourceError>>()?;
        Ok(Self { apis, restore, selection, consent: Consent::default() })
    }

    pub(super) fn api(&self) -> Result<&Api, SourceError> {
        self.apis.first().ok_or_else(|| refused(ErrorKind::Failed, "qdrant", "no server was named"))
    }

    /// Looks at the server. `may_replace`: see [`Loader::load`].
    fn look(&self, stored: &dyn Stored, may_replace: bool) -> Result<QdrantPlan, SourceError> {
        let held = collections(stored)?;
        let url = self.api()?.url();
        let names: BTreeSet<_> = held.keys().map(String::as_str).collect();
        self.selection.check_available(&names, NOUNS, url)?;
        let renames = self.selection.resolve(names, |_| true, NOUNS, url)?;
        for one in &renames {
            self.check_target(held.get(&one.from), &one.to)?;
        }
        for api in &self.apis {
            api.wait_ready()?;
        }
        let aliases = self.api()?.aliases(None)?;
        let (mut wanted, mut existing) = (Vec::new(), BTreeMap::new());
        let mut moved_aliases = Vec::new();
        for Rename { from, to } in renames {
            // The server would follow it, and replace what nobody was shown.
            if let Some((_, of)) = aliases.iter().find(|(alias, _)| *alias == to) {
                let message =
                    format!("is an alias of collection {of}: restore as {of}, or as another");
                return Err(self.exists(&to, message));
            }
            let Some(held) = held.get(&from) else { continue };
            if let Some(there) = self.existing(held, &to)? {
                existing.insert(to.clone(), there);
            }
            if self.restore.aliases && !self.restore.if_missing {
                moved_aliases.extend(moved(held, &to, &aliases)?);
            }
            wanted.push(WantedTable { from, to, rank: 0, merges: false });
        }
        let policy = match self.restore.if_missing {
            true => ConflictPolicy::Skip,
            false => ConflictPolicy::Replace,
        };
        let steps = decide(&wanted, &existing, &policy.with_consent(may_replace));
        for step in &steps {
            if let Some(why) = step.obstacle(NOUNS) {
                return Err(self.exists(&step.to, why));
            }
        }
        Ok(QdrantPlan { held, steps, moved_aliases })
    }

    fn exists(&self, name: &str, why: String) -> SourceError {
        let url = self.apis.first().map_or_else(|| name.to_owned(), |it| it.collection_url(name));
        refused(ErrorKind::Exists, &url, why)
    }

    /// Without a look at the server.
    fn check_target(&self, held: Option<&Held>, name: &str) -> Result<(), SourceError> {
        if !is_name(name) {
            return Err(refused(ErrorKind::Usage, name, "is no name of a collection"));
        }
        if let Some(Held { form: HeldAs::Peers(peers), .. }) = held
            && self.apis.len() > 1
            && self.apis.len() < peers.len()
        {
            let message = format!(
                "has parts of {} nodes: name as many with --qdrant-node, or a single server that takes all",
                peers.len()
            );
            return Err(refused(ErrorKind::Usage, name, message));
        }
        Ok(())
    }

    fn existing(&self, held: &Held, name: &str) -> Result<Option<ExistingTable>, SourceError> {
        let Some(info) = self.api()?.info(name)? else { return Ok(None) };
        let params = info.get("config").and_then(|config| config.get("params"));
        let obstacle = match held.form {
            HeldAs::Points(_) => Some(
                "and points would be added to them: delete it first, or restore as another"
                    .to_owned(),
            ),
            _ => difference(held.params.as_ref(), params).map(|differs| {
                format!("and has {differs}; restore under another name, or delete it first")
            }),
        };
        Ok(Some(ExistingTable { rows: points(&info), obstacle }))
    }
}

/// As a server counts them, which need not be exact.
pub(super) fn points(info: &Value) -> Option<u64> {
    info.get("points_count").and_then(Value::as_u64)
}

impl QdrantPlan {
    fn steps(&self) -> Result<Vec<LoadStep>, SourceError> {
        let mut steps = Vec::new();
        for step in &self.steps {
            let fate = step.fate(NOUNS);
            let held = self.held.get(&step.from).filter(|_| fate != Fate::Kept);
            let (name, bytes) = (step_name(&step.to)?, held.map_or(0, Held::bytes));
            steps.push(LoadStep { name, fate, rows: step.rows(), bytes });
        }
        steps.extend(self.moved_aliases.iter().cloned());
        Ok(steps)
    }
}

impl Loader for QdrantLoader {
    fn plan(&mut self, stored: &dyn Stored) -> Result<LoadPlan, SourceError> {
        let steps = self.look(stored, true)?.steps()?;
        self.consent = Consent::to(&steps);
        Ok(LoadPlan { steps, ..LoadPlan::default() })
    }

    fn load(
        self: Box<Self>,
        stored: &dyn Stored,
        may_replace: bool,
        observer: &dyn Observer,
        _: &Cancel,
    ) -> Result<LoadReport, SourceError> {
        let look = self.look(stored, may_replace)?;
        let consent = if may_replace { &self.consent } else { &Consent::default() };
        let hint = "--overwrite replaces it, --if-missing leaves it alone";
        consent.check(&look.steps()?, NOUNS, self.api()?.url(), hint)?;
        let mut rebuild = Rebuild::new(None, observer);
        let mut writer = QdrantWriter::new(&self, look.held, stored, observer, may_replace);
        let (skipped, steps): (Vec<_>, Vec<_>) =
            look.steps.into_iter().partition(|step| step.action == TableAction::Skip);
        let done = rebuild.replace_all(&mut writer, &steps).and_then(|()| {
            skipped.iter().try_for_each(|step| {
                rebuild.skip(&writer, step);
                let linked = writer.relink(step, None);
                rebuild.note(&step.to, linked).map(drop)
            })
        });
        rebuild.report.bytes = writer.bytes;
        done.map_err(|error| rebuild.journal.explain(error))?;
        Ok(rebuild.report)
    }
}

fn step_name(name: &str) -> Result<EntryPath, SourceError> {
    EntryPath::new(name).map_err(|error| refused(ErrorKind::Usage, name, error.to_string()))
}

/// Aliases that would no longer stand for what they stand for.
fn moved(
    held: &Held,
    name: &str,
    existing: &[(String, String)],
) -> Result<Vec<LoadStep>, SourceError> {
    let of_others =
        existing.iter().filter(|(alias, of)| held.aliases.contains(alias) && of != name);
    let step = |(alias, of): &(String, String)| {
        let fate = Fate::Replaced(format!("an alias of collection {of}"));
        Ok(LoadStep { name: step_name(alias)?, fate, rows: None, bytes: 0 })
    };
    of_others.map(step).collect()
}

/// The server itself takes a snapshot into a collection only with the same vectors and number of shards. What is not
/// known is the server's to judge.
fn difference(wanted: Option<&Value>, existing: Option<&Value>) -> Option<String> {
    let (wanted, existing) = (wanted?, existing?);
    [("vectors", "other vectors"), ("shard_number", "another number of shards")]
        .into_iter()
        .find(|(key, _)| {
            let (ours, theirs) = (wanted.get(key), existing.get(key));
            ours.is_some() && theirs.is_some() && ours != theirs
        })
        .map(|(key, what)| {
            let shown = |value: &Value| value.get(key).map(Value::to_string).unwrap_or_default();
            format!("{what} ({}, the snapshot {})", shown(existing), shown(wanted))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_would_refuse() {
        let params = |size: u64, shards: u64| json!({"vectors": {"size": size, "distance": "Cosine"}, "shard_number": shards});
        let of = |wanted: &Value| difference(Some(wanted), Some(&params(48, 1)));
        assert_eq!(of(&params(48, 1)), None);
        assert!(of(&params(9, 1)).unwrap().contains("other vectors"));
        assert!(of(&params(48, 2)).unwrap().contains("number of shards"));
        assert_eq!(of(&json!({"shard_number": 1})), None);
        assert_eq!(difference(None, Some(&params(48, 1))), None);
    }
}
