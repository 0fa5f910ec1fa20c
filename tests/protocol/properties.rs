//! What must hold: in every state, and once all is quiet.

use super::compactions;
use super::model::{Model, Next, Op};
use super::objects::{ANY_DEPTH, CHUNKS, Chunks, decodes, members};
use super::search::told;
use super::state::{PRUNES, Prune, PruneAt, QUIET, ReaderAt, SECOND, State, prune_actor};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// A snapshot that was reported done cannot be read whole.
    Lost { manifest: u8, chunk: u8 },
    /// A reader did not find what is there, though it refreshed its index.
    ReaderFailed,
    /// Once all is quiet, prunes do not come to rest with everything freed.
    Restless { why: String, trace: Vec<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Lost,
    ReaderFailed,
    Restless,
}

impl Broken {
    pub fn how(&self) -> How {
        match self {
            Self::Lost { .. } => How::Lost,
            Self::ReaderFailed => How::ReaderFailed,
            Self::Restless { .. } => How::Restless,
        }
    }
}

/// The manifests of snapshots that were reported done and not deleted since.
pub fn committed(state: &State) -> u8 {
    state.manifests & (1 | 1 << SECOND | state.done << 1)
}

pub fn safe(model: &Model, state: &State) -> Result<(), Broken> {
    let located = Model::located(state);
    for manifest in members(u16::from(committed(state))) {
        for chunk in members(u16::from(model.scenario.chunks_of(manifest))) {
            if !decodes(&state.contents, chunk, ANY_DEPTH, located) {
                return Err(Broken::Lost { manifest, chunk });
            }
        }
    }
    match state.reader.at {
        ReaderAt::Failed => Err(Broken::ReaderFailed),
        _ => Ok(()),
    }
}

/// More are never needed: one goes on where others stopped, one makes a plan of its own, one finds nothing to do.
const PRUNES_MAX: usize = 3;

/// Whatever can collapse does; one chunk alone may.
const WANTED: [Chunks; 2] = [!0, 1 << compactions::M];

/// Runs prunes alone until one finds nothing to do: ordinary ones, and those that compact where a scenario has them. How
/// many did something.
pub fn comes_to_rest(model: &Model, state: &State) -> Result<usize, Broken> {
    let mut prunes = rests_after(model, state, None)?;
    for wanted in WANTED.into_iter().filter(|_| model.scenario.compacts != 0) {
        prunes = prunes.max(rests_after(model, state, Some(wanted))?);
    }
    Ok(prunes)
}

fn rests_after(model: &Model, state: &State, wanted: Option<Chunks>) -> Result<usize, Broken> {
    let mut after = *state;
    let mut trace = Vec::new();
    let mut copied = [0u8; CHUNKS];
    // Whoever crashed is taken for dead by now.
    (after.crashes_left, after.expiries_left) = (0, 0);
    let broken = |why: &str, trace: &[String]| {
        Err(Broken::Restless { why: why.into(), trace: trace.to_vec() })
    };
    // What is rescued for waste that stays may be waste itself when that is emptied.
    let copies_max = 1 + u8::from(model.scenario.repacks && model.scenario.compacts != 0);
    for run in 0..=PRUNES_MAX {
        let before = after;
        after.prunes[QUIET] = Prune { wanted, ..Prune::NEW };
        if let Err(why) = run_alone(model, &mut after, &mut copied, &mut trace) {
            return broken(&why, &trace);
        }
        safe(model, &after)?;
        if copied.iter().any(|times| *times > copies_max) {
            return broken("something was copied twice", &trace);
        }
        let same = (before.packs, before.index) == (after.packs, after.index);
        if same && before.condemned == after.condemned {
            return match untidy(model, &after) {
                None => Ok(run),
                Some(why) => broken(&why, &trace),
            };
        }
    }
    broken("prunes find something to do again and again", &trace)
}

/// One prune, nobody else. Of its choices it takes the one that finds everybody else dead.
fn run_alone(
    model: &Model,
    state: &mut State,
    copied: &mut [u8; CHUNKS],
    trace: &mut Vec<String>,
) -> Result<(), String> {
    let actor = prune_actor(QUIET);
    let mut next = Next::new();
    // What it condemned itself was planned with nobody about.
    let mut plans = false;
    for _ in 0..200 {
        if state.prunes[QUIET].at == PruneAt::Ended {
            return match state.active & 1 << actor {
                0 => Ok(()),
                _ => Err("a prune left its announcement".into()),
            };
        }
        next.clear();
        model.prune(state, QUIET, &mut next);
        let (step, after) = next.pop().ok_or("a prune is stuck")?;
        trace.push(told(&step));
        if plans && after.prunes[QUIET].at == PruneAt::PutRescued {
            return Err("a prune let go of what was needed all along".into());
        }
        plans |= matches!(step.op, Op::PutCondemned(_));
        let put = members(after.packs & !state.packs);
        for (chunk, _) in put.flat_map(|pack| after.contents[usize::from(pack)].blocks()) {
            copied[usize::from(chunk)] += 1;
        }
        *state = after;
    }
    Err("a prune does not end".into())
}

/// What is left that nobody needs.
fn untidy(model: &Model, state: &State) -> Option<String> {
    let located = Model::located(state);
    if state.index.packs(0) != located {
        return Some("index objects list packs that are gone".into());
    }
    if state.packs != located {
        return Some("packs that no index lists".into());
    }
    if state.condemned != [0; PRUNES] {
        return Some("something is still condemned".into());
    }
    if state.active != 0 {
        return Some("somebody is still announced".into());
    }
    let needed = closure(model, state);
    let garbage = |pack: &u8| {
        let chunks = state.contents[usize::from(*pack)].chunks();
        match model.scenario.repacks {
            true => chunks & !needed != 0,
            false => chunks & needed == 0,
        }
    };
    let keeps_something = |pack: &u8| model.scenario.repacks || !serves(state, *pack);
    let pack = members(state.packs).find(|pack| garbage(pack) && keeps_something(pack))?;
    Some(format!("pack {pack} holds garbage"))
}

/// The chunks of all manifests and all that they are coded against.
fn closure(model: &Model, state: &State) -> Chunks {
    let mut needed = model.scenario.needed_by(state.manifests);
    loop {
        let mut more = needed;
        for pack in members(Model::located(state)) {
            for (chunk, block) in state.contents[usize::from(pack)].blocks() {
                if needed & (1 << chunk) != 0 {
                    more |= block.base.map_or(0, |base| 1 << base);
                }
            }
        }
        if more == needed {
            return needed;
        }
        needed = more;
    }
}

/// Whether some block in another pack is coded against a chunk of this one.
fn serves(state: &State, pack: u8) -> bool {
    let others = members(state.packs & !(1 << pack));
    let chunks = state.contents[usize::from(pack)].chunks();
    let mut blocks = others.flat_map(|other| state.contents[usize::from(other)].blocks());
    blocks.any(|(_, block)| block.base.is_some_and(|base| chunks & (1 << base) != 0))
}
