//! A writer's steps, as a machine that reads its operations.

use std::collections::BTreeSet;

use super::events::{Act, Kind, ObjectEvent};

#[derive(Default)]
pub struct WriterSteps {
    at: At,
    /// Put, but in no index object yet.
    unindexed: BTreeSet<String>,
    manifest: String,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    #[default]
    Announced,
    CondemnedListed,
    PacksListed,
    IndexListed,
    /// Void writers are known: steps 4 and 5.
    Working,
    /// The manifest is put.
    Committing,
    /// void/<self> was not there.
    Done,
    /// void/<self> was there.
    Void,
    Ended,
}

impl WriterSteps {
    pub fn take(&mut self, event: &ObjectEvent) -> Result<(), &'static str> {
        match (event.act, event.kind) {
            (Act::List, kind) => self.list(kind, event),
            (Act::Put, Kind::Pack) => {
                self.only(At::Working, "packs are put after step 3 and before the manifest")?;
                self.unindexed.insert(event.name.clone());
                Ok(())
            }
            (Act::Put, Kind::Index) => {
                self.only(At::Working, "index objects are put before the manifest")?;
                match event.packs.iter().all(|pack| self.unindexed.remove(pack)) {
                    true => Ok(()),
                    false => Err("an index object lists packs that this writer has put"),
                }
            }
            (Act::Put, Kind::Manifest) => {
                self.only(At::Working, "one manifest, after step 3")?;
                if !self.unindexed.is_empty() {
                    return Err("step 5: every pack is in an index object before the manifest");
                }
                (self.at, self.manifest) = (At::Committing, event.name.clone());
                Ok(())
            }
            (Act::Delete, Kind::Manifest) => {
                self.only(At::Void, "a manifest is withdrawn if void/ says so, else stays")?;
                if event.name != self.manifest {
                    return Err("a writer withdraws its own manifest");
                }
                self.at = At::Ended;
                Ok(())
            }
            (Act::Delete, Kind::Active) if event.name == event.actor.name => match self.at {
                At::Committing => {
                    Err("step 6: void/ is looked at between the manifest and the end")
                }
                At::Void => Err("step 6: the manifest of a void writer is withdrawn"),
                _ => {
                    self.at = At::Ended;
                    Ok(())
                }
            },
            _ => Err("no operation of a writer"),
        }
    }

    fn only(&self, at: At, why: &'static str) -> Result<(), &'static str> {
        if self.at == at { Ok(()) } else { Err(why) }
    }

    fn list(&mut self, kind: Kind, event: &ObjectEvent) -> Result<(), &'static str> {
        let at = match (kind, self.at) {
            (Kind::Condemned, At::Announced) => At::CondemnedListed,
            (Kind::Condemned, _) => return Err("step 2: condemned/ is listed once, at first"),
            (Kind::Pack, At::CondemnedListed) => At::PacksListed,
            (Kind::Pack, At::Announced) => return Err("step 2 comes before step 3"),
            (Kind::Index, At::PacksListed) => At::IndexListed,
            (Kind::Index, At::Announced | At::CondemnedListed) => {
                return Err("step 3: packs/ is listed before the index");
            }
            (Kind::Void, At::IndexListed) => At::Working,
            (Kind::Void, At::Announced | At::CondemnedListed | At::PacksListed) => {
                return Err("step 3: void/ is listed after the index was");
            }
            (Kind::Void, At::Committing) => match event.found.contains(&event.actor.name) {
                true => At::Void,
                false => At::Done,
            },
            (Kind::Manifest, at) if at < At::Working => {
                return Err("step 3: the parent is chosen once void/ is known");
            }
            // Looking again changes nothing of what counts.
            (_, at) => at,
        };
        self.at = at;
        Ok(())
    }
}
