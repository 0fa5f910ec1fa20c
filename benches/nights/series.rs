//! One series of nights: data made, backed up, changed, backed up again; beside it what others store for the same.

use std::path::Path;

use super::Settings;
use super::folder::{self, bytes_below};
use super::peers::{Peer, Restic};
use super::repository::{Opened, Restored};
use super::speed;
use super::table::{self, Night, Table};

/// Data that changes. Everything lies directly in `place` or below it and keeps its name.
pub trait Series {
    fn begin(&mut self, place: &Path);
    fn advance(&mut self, place: &Path);

    /// How often it can change.
    fn nights_max(&self) -> u32 {
        u32::MAX
    }

    /// The same for a source and for what came back of it.
    fn fingerprint(&self, folder: &Path) -> blake3::Hash {
        folder::fingerprint(folder)
    }

    /// What else is worth comparing with.
    fn note(&self) -> Option<String> {
        None
    }
}

/// What is at most, or at least, to come of it.
#[derive(Clone, Copy, Default)]
pub struct Bounds {
    /// The repository's growth in a night as a multiple of the peer's patch: on average, and in any night.
    pub growth_mean: Option<f64>,
    pub growth_worst: Option<f64>,
    /// The same for the coded bytes of new chunks alone.
    pub coded_worst: Option<f64>,
    /// A night's speed of the first backup's, and the last night's restore of the first's.
    pub backup_speed: Option<f64>,
    pub restore_speed: Option<f64>,
}

pub struct Plan {
    pub name: &'static str,
    pub about: &'static str,
    pub nights: u32,
    pub peer: Peer,
    /// Whether restic is asked, too, for two nights.
    pub has_restic: bool,
    pub bounds: Bounds,
}

const RESTIC_NIGHTS: u32 = 2;
const SAMPLE: &[u32] = &[1, 2, 8, 15, 22, 30];
const ROUNDS: usize = 3;

pub fn run(plan: &Plan, series: &mut dyn Series, settings: &Settings) {
    let nights = settings.nights.unwrap_or(plan.nights).min(series.nights_max());
    let home = settings.home();
    let (home, source) = (home.path(), home.path().join("source"));
    std::fs::create_dir(&source).unwrap();
    println!("\n{}: {}; {nights} nights", plan.name, plan.about);
    let peer = settings.has_peers.then_some(plan.peer).filter(|peer| peer.is_there());
    match (peer, settings.has_peers) {
        (Some(peer), _) => println!("  beside {}", peer.about()),
        (None, true) => println!("  {} is not installed: left out", plan.peer.program()),
        (None, false) => {}
    }
    let mut restic = (settings.has_peers && plan.has_restic).then(|| Restic::start(home)).flatten();
    let mut repository = Opened::start(home);
    let mut table = Table::new(plan.peer.program(), restic.is_some());
    series.begin(&source);
    let first = series.fingerprint(&source);
    for number in 0..=nights {
        let is_compared = settings.every_night || nights <= 5 || SAMPLE.contains(&number);
        let peer = peer.filter(|_| number > 0 && (is_compared || number == nights));
        if number > 0 {
            peer.inspect(|peer| peer.keep(&source, home));
            series.advance(&source);
        }
        let mut compared = None;
        if number > 0 && plan.bounds.backup_speed.is_some() {
            compared = Some((speed::first(home), speed::rehearsed(home)));
        }
        let before = bytes_below(&home.join("repository"));
        let taken = repository.take();
        let against_first = compared
            .map(|(first, rehearsed)| first.min(speed::first(home)) / rehearsed.min(taken.seconds));
        let growth = bytes_below(&home.join("repository")) - before;
        let patch = peer.map(|peer| peer.patch(&source, home));
        restic = restic.filter(|_| number <= RESTIC_NIGHTS);
        let by_restic = restic.as_ref().map(|restic| restic.growth(&source));
        table.add(Night { number, taken, against_first, growth, patch, restic: by_restic });
    }
    drop(restic);
    let expected = [(0, first), (nights, series.fingerprint(&source))];
    let restores = restores(&mut repository, series, home, expected);
    if settings.is_thinned {
        thin(&mut repository, series, home, nights);
    }
    repository.end();
    if let Some(note) = series.note() {
        println!("  {note}");
    }
    table::verdict(&table, &restores, &plan.bounds);
}

/// All but every seventh night goes, then what is left is compacted: what that frees, and how fast the last night comes
/// back.
fn thin(repository: &mut Opened, series: &dyn Series, home: &Path, nights: u32) {
    let kept: Vec<usize> = (0..=nights as usize).rev().step_by(7).collect();
    let expected = series.fingerprint(&home.join("source"));
    println!("  nights {kept:?} stay");
    for (what, is_compacted) in [("pruned", false), ("compacted", true)] {
        let freed = if is_compacted { repository.compact() } else { repository.thin(kept.clone()) };
        let bytes = bytes_below(&home.join("repository")) as f64 / 1e6;
        let last = [(nights, expected); 2];
        let [restored, _] = restores(repository, series, home, last);
        println!(
            "  {what} in {:.1} s (peak {} MiB), {} bases merged, {} deltas coded anew: {bytes:.1} MB; night {nights} restored in {:.2} s",
            freed.seconds,
            freed.peak >> 20,
            freed.merged,
            freed.rebased,
            restored.seconds,
        );
    }
}

/// The first and the last night, in turns; the best of each. What comes back is what was backed up.
fn restores(
    repository: &mut Opened,
    series: &dyn Series,
    home: &Path,
    nights: [(u32, blake3::Hash); 2],
) -> [Restored; 2] {
    let mut round = || {
        nights.map(|(night, expected)| {
            let restored = repository.restore(night as usize, "restored");
            let folder = home.join("restored");
            assert_eq!(series.fingerprint(&folder), expected, "night {night} came back otherwise");
            std::fs::remove_dir_all(folder).unwrap();
            restored
        })
    };
    let better = |a: Restored, b: Restored| Restored {
        seconds: a.seconds.min(b.seconds),
        peak: a.peak.max(b.peak),
    };
    let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    let both = |[a, b]: [Restored; 2], [c, d]: [Restored; 2]| [better(a, c), better(b, d)];
    rounds.into_iter().reduce(both).unwrap()
}
