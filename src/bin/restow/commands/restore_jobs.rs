//! What goes where, and what writes it there.

use std::path::Path;
use std::sync::Arc;

use restow::pending::{RestoreTarget, ServerPart, load, plan_load, plan_restore, restore};
use restow::source::kind::Purpose;
use restow::source::{self, ImportReport, Importer, Loader, OwnerPolicy, SourceKind, SourceKinds};
use restow::{
    EntryPath, Error as OpError, Observer, RestoreOptions, RestorePlan, RestoreReport, Selection,
    SnapshotView,
};

use super::Context;
use crate::args::RestoreArgs;

/// What `--to` names.
pub enum To<'a> {
    /// Each source goes to where it came from.
    Original,
    Folder(&'a Path),
    Server {
        kind: &'a Arc<dyn SourceKind>,
        url: &'a str,
    },
}

impl<'a> To<'a> {
    pub fn of(kinds: &'a SourceKinds, args: &'a RestoreArgs) -> Result<Self, OpError> {
        let Some(to) = args.to.as_deref() else { return Ok(Self::Original) };
        let text = to.to_str().unwrap_or_default();
        if let Some(kind) = kinds.target(text) {
            return Ok(Self::Server { kind, url: text });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            let message = format!("{scheme}:// is no kind of target that this restow writes into");
            return Err(OpError::Usage(message));
        }
        match args.given.unused(Purpose::Restore, &[]) {
            None => Ok(Self::Folder(to)),
            Some(flag) => Err(OpError::Usage(format!(
                "{flag} goes with a server: --to qdrant://HOST:6333 or --to arangodb://HOST:8529"
            ))),
        }
    }
}

/// One source of the snapshot, and its target.
pub enum RestoreJob {
    Folder(RestoreTarget),
    Server { part: ServerPart, url: String },
}

/// What plans and then executes. It remembers what it saw, so that links can be kept.
pub enum Writer {
    Importer(Box<dyn Importer>, Arc<ImportReport>),
    Loader(Box<dyn Loader>),
}

impl RestoreJob {
    pub fn place(&self) -> String {
        match self {
            Self::Folder(target) => target.folder.display().to_string(),
            Self::Server { url, .. } => url.clone(),
        }
    }

    fn prefix(&self) -> &EntryPath {
        match self {
            Self::Folder(target) => &target.prefix,
            Self::Server { part, .. } => &part.prefix,
        }
    }
}

/// All parts of a snapshot, or where they go to a server those that it can take.
pub fn jobs(
    kinds: &SourceKinds,
    view: &SnapshotView,
    selection: &Selection,
    to: &To,
    args: &RestoreArgs,
) -> Result<Vec<RestoreJob>, OpError> {
    let folders = match to {
        To::Server { .. } => Vec::new(),
        To::Original => RestoreTarget::of(view, selection, None)?,
        To::Folder(folder) => RestoreTarget::of(view, selection, Some(folder))?,
    };
    let is_bulk =
        |target: &RestoreTarget| kinds.recorded(&target.kind).is_some_and(|kind| kind.is_bulk());
    let wanted = folders.into_iter().filter(|target| !(args.no_bulk && is_bulk(target)));
    let mut jobs: Vec<_> = wanted.map(RestoreJob::Folder).collect();
    let parts = match to {
        To::Folder(_) => Vec::new(),
        To::Original | To::Server { .. } => ServerPart::of(view, selection)?,
    };
    let restored: Vec<_> = match to {
        To::Server { kind, .. } => vec![*kind],
        _ => parts.iter().filter_map(|part| kinds.recorded(&part.kind)).collect(),
    };
    if let Some(flag) = args.given.unused(Purpose::Restore, &restored)
        && !matches!(to, To::Folder(_))
    {
        let names: Vec<_> = restored.iter().map(|kind| kind.name()).collect();
        let names = if names.is_empty() { "of files".to_owned() } else { names.join(" and ") };
        return Err(OpError::Usage(format!("{flag} means nothing to a restore of {names}")));
    }
    if let To::Server { kind, .. } = to {
        let alike: Vec<_> =
            parts.iter().filter(|part| kind.recorded().contains(&&*part.kind)).collect();
        if alike.len() > 1 {
            let places: Vec<_> = alike.iter().map(|part| part.prefix.display()).collect();
            return Err(OpError::Usage(format!(
                "several sources of this snapshot would go to one server, and one over the other: choose with \
                 --only one of {}",
                places.join(", ")
            )));
        }
    }
    for part in parts {
        let url = match to {
            To::Server { kind, .. } if !kind.recorded().contains(&&*part.kind) => continue,
            To::Server { url, .. } => (*url).to_owned(),
            To::Original | To::Folder(_) => part.url.clone(),
        };
        jobs.push(RestoreJob::Server { part, url });
    }
    match (to, jobs.is_empty()) {
        (To::Server { kind, .. }, true) => Err(OpError::Usage(format!(
            "nothing in this snapshot came from a server of the kind {}: --to FOLDER restores files",
            kind.name()
        ))),
        (_, true) if args.no_bulk => {
            Err(OpError::Usage("--no-bulk leaves nothing of this snapshot".into()))
        }
        _ => Ok(jobs),
    }
}

/// What of the snapshot goes nowhere, for people who expect it all.
pub fn left_out(view: &SnapshotView, jobs: &[RestoreJob]) -> Option<String> {
    let is_left = |prefix: &EntryPath| !jobs.iter().any(|job| job.prefix() == prefix);
    let sources = view.manifest.sources.iter().filter(|source| is_left(&source.prefix));
    let left: Vec<_> = sources.map(|source| source.url.as_str()).collect();
    (!left.is_empty()).then(|| format!("not restored here: {}", left.join(", ")))
}

/// What all jobs of a restore have in common.
pub struct Restoring<'r> {
    pub context: &'r Context,
    pub args: &'r RestoreArgs,
    pub view: &'r SnapshotView,
    pub selection: &'r Selection,
}

impl Restoring<'_> {
    pub fn plan(
        &self,
        job: &RestoreJob,
        overwrite: bool,
    ) -> Result<(Writer, RestorePlan), OpError> {
        let (options, cancel) = (self.options(job), self.context.cancel());
        match job {
            RestoreJob::Folder(target) => {
                let (mut importer, report) =
                    target.importer(self.import_options(target, overwrite), cancel)?;
                let plan = plan_restore(self.view, &mut *importer, &options, cancel)?;
                Ok((Writer::Importer(importer, report), plan))
            }
            RestoreJob::Server { part, url } => {
                let kind = self.context.kinds.recorded(&part.kind);
                let kind = kind.ok_or_else(|| {
                    OpError::Usage(format!("this restow writes into no {} server", part.kind))
                })?;
                let (is_named, given) = (self.args.to.is_some(), &self.args.given.values);
                let surroundings = self.context.surroundings();
                let mut loader = kind.loader(url, is_named, given, &surroundings)?;
                let plan = plan_load(self.view, &mut *loader, &options, cancel)?;
                Ok((Writer::Loader(loader), plan))
            }
        }
    }

    /// What was planned, and confirmed where it replaces something.
    pub fn restore(
        &self,
        job: &RestoreJob,
        plan: &RestorePlan,
        mut writer: Writer,
        observer: &dyn Observer,
        total: &mut RestoreReport,
    ) -> Result<(), OpError> {
        let (options, cancel) = (self.options(job), self.context.cancel());
        let is_folder = matches!(writer, Writer::Importer(..));
        if is_folder && plan.replaced > 0 && !self.args.overwrite {
            // Confirmed by hand just now.
            (writer, _) = self.plan(job, true)?;
        }
        match writer {
            Writer::Importer(importer, import) => {
                let done = restore(self.view, importer, &options, observer, cancel);
                let problems = import.problems();
                total.problem_count += problems.len() as u64;
                total.problems.extend(problems);
                total.notes.extend(import.notes());
                total.add(done?);
            }
            Writer::Loader(loader) => {
                let may_replace = plan.replaced > 0;
                total.add(load(self.view, loader, &options, may_replace, observer, cancel)?);
            }
        }
        Ok(())
    }

    fn options(&self, job: &RestoreJob) -> RestoreOptions {
        RestoreOptions::default().prefix(job.prefix().clone()).selection(self.selection.clone())
    }

    fn import_options(&self, target: &RestoreTarget, overwrite: bool) -> source::RestoreOptions {
        let args = self.args;
        let owners = if args.owners_by_name { OwnerPolicy::ByName } else { OwnerPolicy::ById };
        // Consent to replace this and that says nothing of the folder it is in. One that is named after a source
        // is the source's.
        let change_root = args.to.is_none() || args.overwrite || !target.prefix.is_root();
        source::RestoreOptions::default()
            .overwrite(overwrite)
            .owners(owners)
            .change_root(change_root)
    }
}
