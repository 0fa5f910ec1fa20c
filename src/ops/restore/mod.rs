//! Restoring: a snapshot on one side, an importer on the other. Planned first, executed second.

mod gaps;
mod load;
mod select;
mod target;
mod total;
mod window;
mod writing;

use std::collections::HashSet;

use crate::format::{Bytes, Entry, EntryKind, EntryPath, Problem};
use crate::limits::PROBLEMS_MAX;
use crate::options::options;
use crate::progress::{Cancel, Event, Observer, Phase};
use crate::repo::SnapshotView;
use crate::source::{Fate, Importer, SourceError};

pub use self::gaps::{Gaps, gaps, gaps_in};
pub use self::load::{load, plan_load};
pub(super) use self::select::Selected;
pub use self::select::Selection;
pub use self::target::{RestoreTarget, ServerPart};
use self::window::RestoreWindow;
use self::writing::Writing;
use super::OpError;

options! {
    /// What part of a snapshot goes where.
    #[derive(Default)]
    pub struct RestoreOptions {
        /// Only entries below this path, which becomes the target itself.
        pub prefix: EntryPath,
        /// Entries to restore.
        pub selection: Selection,
    }
}

/// What a restore would do.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RestorePlan {
    /// Entries that are not at the target.
    pub new: u64,
    /// Entries that stay as they are.
    pub kept: u64,
    /// Entries that would be replaced.
    pub replaced: u64,
    /// Bytes of the selected entries.
    pub bytes: u64,
    /// The first things that would be replaced, and what is there now.
    pub replacements: Vec<(EntryPath, String)>,
    /// Entries that are lost with a part of the catalog.
    pub losses: Losses,
    /// The first entries that could not be looked for at the target, and how many there are.
    pub problems: Vec<Problem>,
    /// All problems.
    pub problem_count: u64,
    /// What is left out on purpose, and why.
    pub notes: Vec<String>,
}

/// Entries that nothing is known of any more: the part of the catalog that told of them is damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many.
    pub entries: u64,
    /// The first stretches of them.
    pub stretches: Vec<LostStretch>,
}

/// Entries lost together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostStretch {
    /// Number of entries.
    pub entries: u64,
    /// The last of them, as a path in the snapshot. The first is unknown.
    pub last: EntryPath,
    /// Why they are lost.
    pub message: String,
}

impl RestorePlan {
    /// All entries that the plan covers.
    pub fn entries(&self) -> u64 {
        self.new + self.kept + self.replaced
    }
}

/// Replacements a plan names one by one.
const NAMED_MAX: usize = 1000;

/// What a restore did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Entries that were restored.
    pub entries: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Bytes that were already right where they belong.
    pub kept_bytes: u64,
    /// Entries with bytes that are lost: the repository is damaged.
    pub damaged: Vec<Problem>,
    /// All entries with lost bytes.
    pub damaged_count: u64,
    /// Entries that are lost with a part of the catalog.
    pub losses: Losses,
    /// The first entries that could not be made at the target, and how many there are.
    pub problems: Vec<Problem>,
    /// All problems.
    pub problem_count: u64,
    /// What is worth saying, but was to be expected.
    pub notes: Vec<String>,
}

impl RestoreReport {
    /// True where bytes or entries are lost.
    pub fn is_damaged(&self) -> bool {
        self.damaged_count > 0 || self.losses.entries > 0
    }
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
        let inspected = importer.inspect(&entry);
        let Some(fate) = own(inspected, &entry.path, |problem| plan.fail(problem))? else {
            continue;
        };
        plan.bytes += entry.len();
        match fate {
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
    plan.losses = selected.losses();
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
    let (lots, received) = crossbeam_channel::bounded(1);
    let writing = Writing::new(view, observer, cancel);
    // Of those who place: a failed writer stops them before they clear the way for more that is never written.
    let stop = &cancel.child();
    let (mut placing, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || writing.run(&received).inspect_err(|_| stop.cancel()));
        let (report, unmade) = (RestoreReport::default(), HashSet::new());
        let mut placing = Placing { view, observer, cancel: stop, report, unmade };
        let placed = placing.run(&mut *importer, options, RestoreWindow::new(lots));
        // Where both failed, the writer's failure came first: the other merely lost its channel.
        let written = writer.join().map_err(|_| OpError::Lost)??;
        placed.map(|()| (placing, written))
    })?;
    placing.report.add(written);
    observer.on(Event::Finished(Phase::Restore));

    observer.on(Event::Started(Phase::RestoreMetadata));
    let Placing { mut report, unmade, .. } = placing;
    let losses = settle(view, &mut *importer, options, cancel, |importer, entry| {
        if unmade.contains(&entry.path) {
            return Ok(());
        }
        own(importer.settle(entry), &entry.path, |problem| report.fail(observer, problem)).map(drop)
    })?;
    // What could be read when entries were made may be lost now: folders in it kept what they were made with.
    if losses.entries > report.losses.entries {
        report.losses = losses;
    }
    importer.finish()?;
    observer.on(Event::Finished(Phase::RestoreMetadata));
    Ok(report)
}

/// Makes the entries and gathers what is to be written into them.
struct Placing<'v> {
    view: &'v SnapshotView,
    observer: &'v dyn Observer,
    cancel: &'v Cancel,
    report: RestoreReport,
    /// Directories that could not be made.
    unmade: HashSet<EntryPath>,
}

impl Placing<'_> {
    fn run(
        &mut self,
        importer: &mut dyn Importer,
        options: &RestoreOptions,
        mut window: RestoreWindow,
    ) -> Result<(), OpError> {
        let mut selected = Selected::new(self.view, options)?;
        while let Some(entry) = selected.next_entry()? {
            stop_if(self.cancel)?;
            self.observer.on(Event::Current(entry.path.as_bytes()));
            let note = |problem| self.report.fail(self.observer, problem);
            let Some(sink) = own(importer.place(&entry), &entry.path, note)? else {
                self.observer.on(Event::Items(1));
                if entry.kind == EntryKind::Directory && self.unmade.len() < PROBLEMS_MAX {
                    self.unmade.insert(entry.path);
                }
                continue;
            };
            self.report.entries += 1;
            match sink {
                None => self.observer.on(Event::Items(1)),
                Some(sink) => self.fill(&mut window, &entry, sink)?,
            }
        }
        self.report.losses = selected.losses();
        window.finish()
    }

    /// Asks for an entry's chunks.
    fn fill(
        &mut self,
        window: &mut RestoreWindow,
        entry: &Entry,
        sink: Box<dyn crate::source::Sink>,
    ) -> Result<(), OpError> {
        window.open(&entry.path, sink)?;
        let Some(content) = &entry.content else { return Ok(()) };
        let mut recipe = self.view.recipe(content);
        let mut offset = 0u64;
        loop {
            match recipe.next_ref() {
                Ok(Some(chunk)) => {
                    window.want(chunk, offset)?;
                    offset += u64::from(chunk.len);
                }
                Ok(None) => break,
                Err(error) if error.is_general() => return Err(error.into()),
                Err(error) => {
                    window.damaged(error);
                    break;
                }
            }
            stop_if(self.cancel)?;
        }
        self.report.bytes += offset;
        Ok(())
    }
}

/// Directories get their attributes when everything in them is done, innermost first.
fn settle(
    view: &SnapshotView,
    importer: &mut dyn Importer,
    options: &RestoreOptions,
    cancel: &Cancel,
    mut each: impl FnMut(&mut dyn Importer, &Entry) -> Result<(), OpError>,
) -> Result<Losses, OpError> {
    let mut open: Vec<Entry> = Vec::new();
    let mut selected = Selected::new(view, options)?;
    while let Some(entry) = selected.next_entry()? {
        stop_if(cancel)?;
        while let Some(done) = open.pop_if(|above| entry.path.strip(&above.path).is_none()) {
            each(importer, &done)?;
        }
        if entry.kind == EntryKind::Directory {
            open.push(entry);
        }
    }
    while let Some(done) = open.pop() {
        each(importer, &done)?;
    }
    Ok(selected.losses())
}

/// What came of one entry; `None` after its own failure, which is noted. Other failures end the restore.
fn own<T>(
    result: Result<T, SourceError>,
    path: &EntryPath,
    note: impl FnOnce(Problem),
) -> Result<Option<T>, OpError> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.is_fatal() => Err(error.into()),
        Err(error) => {
            note(problem(path, &error));
            Ok(None)
        }
    }
}

fn problem(path: &EntryPath, error: &dyn std::fmt::Display) -> Problem {
    Problem { path: Bytes::from(path.as_bytes()), message: error.to_string() }
}

fn keep(list: &mut Vec<Problem>, count: &mut u64, problem: Problem) {
    *count += 1;
    if list.len() < PROBLEMS_MAX {
        list.push(problem);
    }
}

impl RestorePlan {
    fn fail(&mut self, problem: Problem) {
        keep(&mut self.problems, &mut self.problem_count, problem);
    }
}

impl RestoreReport {
    /// An entry that could not be made.
    fn fail(&mut self, observer: &dyn Observer, problem: Problem) {
        observer.on(Event::Problem { path: &problem.path, message: &problem.message });
        keep(&mut self.problems, &mut self.problem_count, problem);
    }

    /// An entry that lost bytes. Called once for each.
    fn damage(&mut self, observer: &dyn Observer, problem: Problem) {
        observer.on(Event::Problem { path: &problem.path, message: &problem.message });
        keep(&mut self.damaged, &mut self.damaged_count, problem);
    }
}

fn stop_if(cancel: &Cancel) -> Result<(), OpError> {
    if cancel.is_cancelled() { Err(OpError::Interrupted) } else { Ok(()) }
}
