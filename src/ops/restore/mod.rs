//! Restoring: a snapshot on one side, an importer on the other. Planned first, executed second.

mod select;
mod target;
mod window;

use crate::format::{Entry, EntryKind, EntryPath, Problem};
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::SnapshotView;
use crate::source::{Fate, Importer};

pub(super) use self::select::Selected;
pub use self::select::Selection;
pub use self::target::RestoreTarget;
use self::window::Window;
use super::OpError;

/// What part of a snapshot goes where.
#[derive(Default)]
pub struct RestoreOptions {
    /// Only entries below this path, which becomes the target itself.
    pub prefix: EntryPath,
    pub selection: Selection,
}

/// What a restore would do.
#[derive(Debug, Clone, Default)]
pub struct RestorePlan {
    pub new: u64,
    pub kept: u64,
    pub replaced: u64,
    pub bytes: u64,
    /// The first things that would be replaced, and what is there now.
    pub replacements: Vec<(EntryPath, String)>,
}

impl RestorePlan {
    pub fn entries(&self) -> u64 {
        self.new + self.kept + self.replaced
    }
}

/// Replacements a plan names one by one.
const NAMED_MAX: usize = 1000;

/// What a restore did.
#[derive(Debug, Clone, Default)]
pub struct RestoreReport {
    pub entries: u64,
    pub bytes: u64,
    /// Bytes that were already right where they belong.
    pub kept_bytes: u64,
    /// Entries with bytes that are lost: the repository is damaged.
    pub damaged: Vec<Problem>,
    pub damaged_count: u64,
}

/// Looks at what is there and says what would become of it. Changes nothing.
pub fn plan_restore(
    view: &SnapshotView,
    importer: &mut dyn Importer,
    options: &RestoreOptions,
    cancel: &Cancel,
) -> Result<RestorePlan, OpError> {
    let mut plan = RestorePlan::default();
    let mut selected = Selected::new(view, options)?;
    while let Some(entry) = selected.next_entry()? {
        stop_if(cancel)?;
        plan.bytes += entry.len();
        match importer.inspect(&entry)? {
            Fate::New => plan.new += 1,
            Fate::Kept => plan.kept += 1,
            Fate::Replaced(what) => {
                plan.replaced += 1;
                if plan.replacements.len() < NAMED_MAX {
                    plan.replacements.push((entry.path, what));
                }
            }
        }
    }
    Ok(plan)
}

/// Writes the selected entries. Bytes first, in parallel; directories' attributes last, children first.
/// Run again after an interruption, it writes only what differs.
pub fn restore(
    view: &SnapshotView,
    mut importer: Box<dyn Importer>,
    options: &RestoreOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<RestoreReport, OpError> {
    observer.on(Event::Started(Phase::Restore));
    let mut report = RestoreReport::default();
    let mut window = Window::new(view, observer);
    let mut selected = Selected::new(view, options)?;
    while let Some(entry) = selected.next_entry()? {
        stop_if(cancel)?;
        observer.on(Event::Current(entry.path.as_bytes()));
        let sink = importer.place(&entry)?;
        report.entries += 1;
        match sink {
            None => observer.on(Event::Items(1)),
            Some(sink) => fill(view, &mut window, &entry, sink, cancel, &mut report)?,
        }
    }
    window.flush(&mut report)?;
    observer.on(Event::Finished(Phase::Restore));

    observer.on(Event::Started(Phase::RestoreMetadata));
    settle(view, &mut *importer, options, cancel)?;
    importer.finish()?;
    observer.on(Event::Finished(Phase::RestoreMetadata));
    Ok(report)
}

/// Queues an entry's chunks; what becomes too much is fetched and written on the way.
fn fill(
    view: &SnapshotView,
    window: &mut Window<'_>,
    entry: &Entry,
    sink: Box<dyn crate::source::Sink>,
    cancel: &Cancel,
    report: &mut RestoreReport,
) -> Result<(), OpError> {
    window.open(&entry.path, sink, report)?;
    if let Some(content) = &entry.content {
        let mut recipe = view.recipe(content);
        let mut offset = 0u64;
        loop {
            match recipe.next_ref() {
                Ok(Some(chunk)) => {
                    window.want(chunk, offset, report)?;
                    offset += u64::from(chunk.len);
                }
                Ok(None) => break,
                Err(error) => {
                    window.damaged(report, &entry.path, &error);
                    break;
                }
            }
            stop_if(cancel)?;
        }
        report.bytes += offset;
    }
    window.close();
    Ok(())
}

/// Directories get their attributes when everything in them is done, innermost first.
fn settle(
    view: &SnapshotView,
    importer: &mut dyn Importer,
    options: &RestoreOptions,
    cancel: &Cancel,
) -> Result<(), OpError> {
    let mut open: Vec<Entry> = Vec::new();
    let mut selected = Selected::new(view, options)?;
    while let Some(entry) = selected.next_entry()? {
        stop_if(cancel)?;
        while let Some(done) = open.pop_if(|above| entry.path.strip(&above.path).is_none()) {
            importer.settle(&done)?;
        }
        if entry.kind == EntryKind::Directory {
            open.push(entry);
        }
    }
    while let Some(done) = open.pop() {
        importer.settle(&done)?;
    }
    Ok(())
}

fn stop_if(cancel: &Cancel) -> Result<(), OpError> {
    if cancel.is_cancelled() { Err(OpError::Interrupted) } else { Ok(()) }
}
