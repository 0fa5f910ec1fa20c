//! Whether what one actor did to the storage is what the protocol lets it do, in that order.
//!
//! A trace may end anywhere: there the actor crashed, or is still at work. Reads of objects and kinds of objects the
//! protocol does not order (keys, config, notes) are no events.

use super::accepts_prune::PruneSteps;
use super::accepts_writer::WriterSteps;
use super::events::{Act, Kind, ObjectEvent, Rejection, Role};

/// Checks the operations of one actor, in the order in which they were done.
pub fn accepts(trace: &[ObjectEvent]) -> Result<(), Rejection> {
    let Some(first) = trace.first() else { return Ok(()) };
    let mut writer = WriterSteps::default();
    let mut prune = PruneSteps::default();
    let mut steps = Common::default();
    for (at, event) in trace.iter().enumerate() {
        let rejected = |why| Rejection { at, event: event.clone(), why };
        if event.actor != first.actor {
            return Err(rejected("a trace is one actor's"));
        }
        if steps.takes(event).map_err(rejected)? {
            continue;
        }
        match event.actor.role {
            Role::Writer => writer.take(event),
            Role::Prune => prune.take(event),
        }
        .map_err(rejected)?;
    }
    Ok(())
}

/// What writers and prunes have in common: announced first, signs of life while they are.
#[derive(Default)]
struct Common {
    announced: bool,
    retired: bool,
}

impl Common {
    /// Whether that was all there is to the event.
    fn takes(&mut self, event: &ObjectEvent) -> Result<bool, &'static str> {
        let own = event.name == event.actor.name;
        match (event.act, event.kind) {
            (Act::Put, Kind::Active) if !own => Err("nobody announces another"),
            (Act::Put, Kind::Active) if self.announced => Err("announced twice"),
            (Act::Put, Kind::Active) => {
                self.announced = true;
                Ok(true)
            }
            _ if !self.announced => Err("step 1: announced before anything else"),
            (Act::Put, Kind::Beat) if !own || self.retired => {
                Err("a sign of life of another, or of one who has gone")
            }
            (Act::Put, Kind::Beat) => Ok(true),
            (Act::Delete, Kind::Beat) if own && self.retired => Ok(true),
            (Act::Delete, Kind::Beat) if own => Err("active/ goes before beats/"),
            _ if self.retired => Err("nothing after active/ is deleted"),
            (Act::Delete, Kind::Active) if own => {
                self.retired = true;
                // Whether it may go now is for its role to say.
                Ok(false)
            }
            (Act::List, Kind::Beat) => Ok(true),
            _ => Ok(false),
        }
    }
}
