//! Exhaustive search, by our own means: every state that can be reached is looked at once.
//!
//! States are remembered by a 64-bit hash. Of 100 million states two share one with a probability of 1 in 3,700;
//! then what only the second leads to is not looked at.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::model::{Model, Next, Op, Step, actor_name};
use super::properties::{self, Broken};
use super::state::State;

/// What a search found.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    /// States in which nobody does anything any more.
    pub quiet: usize,
    /// How often a prune had to run to free everything, at most.
    pub prunes: usize,
    pub violation: Option<Violation>,
}

#[derive(Debug)]
pub struct Violation {
    pub broken: Broken,
    pub trace: Vec<String>,
}

/// In depth: the memory needed is that of the hashes.
pub fn explore(model: &Model, states_max: usize) -> Explored {
    let mut seen: HashSet<u64, Hashed> = HashSet::default();
    let mut found = Explored { states: 0, steps: 0, quiet: 0, prunes: 0, violation: None };
    let first = model.scenario.initial();
    seen.insert(hash(&first));
    let (mut stack, mut next) = (vec![first], Next::new());
    while let Some(state) = stack.pop() {
        found.states += 1;
        if found.states >= states_max {
            return found;
        }
        if let Err(broken) = looked_at(model, &state, &mut found) {
            found.violation = Some(Violation { broken, trace: Vec::new() });
            return found;
        }
        model.next(&state, &mut next);
        found.steps += next.len();
        let fresh = next.drain(..).map(|(_, after)| after).filter(|after| seen.insert(hash(after)));
        stack.extend(fresh);
    }
    found
}

/// In breadth, up to so many states: the trace of a violation is as short as can be.
pub fn shortest(model: &Model, states_max: usize) -> Explored {
    let mut found = Explored { states: 0, steps: 0, quiet: 0, prunes: 0, violation: None };
    let first = model.scenario.initial();
    let mut from: HashMap<u64, u64, Hashed> = HashMap::from_iter([(hash(&first), 0)]);
    let (mut queue, mut next) = (VecDeque::from([first]), Next::new());
    while let Some(state) = queue.pop_front() {
        found.states += 1;
        if let Err(broken) = looked_at(model, &state, &mut found) {
            let mut trace = trace(model, &from, &state);
            if let Broken::Restless { trace: after, .. } = &broken {
                trace.extend(after.iter().cloned());
            }
            found.violation = Some(Violation { broken, trace });
            return found;
        }
        if found.states >= states_max {
            return found;
        }
        model.next(&state, &mut next);
        found.steps += next.len();
        let source = hash(&state);
        for (_, after) in next.drain(..) {
            if let Entry::Vacant(entry) = from.entry(hash(&after)) {
                entry.insert(source);
                queue.push_back(after);
            }
        }
    }
    found
}

fn looked_at(model: &Model, state: &State, found: &mut Explored) -> Result<(), Broken> {
    properties::safe(model, state)?;
    if model.is_quiet(state) {
        found.quiet += 1;
        found.prunes = found.prunes.max(properties::comes_to_rest(model, state)?);
    }
    Ok(())
}

/// The steps that lead to a state, from what each state was first reached from.
fn trace(model: &Model, from: &HashMap<u64, u64, Hashed>, last: &State) -> Vec<String> {
    let mut way = vec![hash(last)];
    while let Some(before) = way.last().and_then(|at| from.get(at)).filter(|before| **before != 0) {
        way.push(*before);
    }
    let (mut state, mut next, mut trace) = (model.scenario.initial(), Next::new(), Vec::new());
    for wanted in way.into_iter().rev().skip(1) {
        model.next(&state, &mut next);
        let taken = next.drain(..).find(|(_, after)| hash(after) == wanted);
        let (step, after) = taken.expect("a state is reached by a step");
        trace.push(told(&step));
        state = after;
    }
    trace
}

pub fn told(step: &Step) -> String {
    let who = actor_name(step.actor);
    match step.op {
        Op::PutPack(_) | Op::PutIndex { .. } | Op::Crash => format!("{who}: {:?}", step.op),
        op => format!("{who}: {op:?}"),
    }
}

fn hash(state: &State) -> u64 {
    let mut hasher = Mixed(0x9e37_79b9_7f4a_7c15);
    state.hash(&mut hasher);
    // Zero stands for the beginning's predecessor.
    hasher.finish().max(1)
}

/// Multiply and fold, word by word.
struct Mixed(u64);

impl Hasher for Mixed {
    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = (mixed ^ mixed >> 32).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            self.write_u64(u64::from_le_bytes(whole));
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
}

type Hashed = BuildHasherDefault<Already>;

/// What is a hash already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn write(&mut self, _: &[u8]) {
        unreachable!("hashes are words")
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
