//! What an actor does to the storage, as far as the protocol orders it.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Writer,
    Prune,
}

/// An actor by role and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorName {
    pub role: Role,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Put,
    Delete,
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Active,
    Beat,
    Void,
    Condemned,
    Pack,
    Index,
    Manifest,
}

/// Who is waited for before what is condemned is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub condemned: String,
    pub writers: Vec<String>,
}

/// A block as index objects tell of it: its chunks, what they are coded against, and how deep they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockTold {
    pub chunks: Vec<String>,
    pub bases: Vec<String>,
    pub depth: u8,
}

/// A put or delete of an object, or a listing of all objects of a kind, from its first page to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    pub actor: ActorName,
    pub act: Act,
    pub kind: Kind,
    /// The object's name. Empty for listings.
    pub name: String,
    /// Packs that the object, or the objects found, name: of index objects and of what is condemned. A condemned
    /// object that names none is a note of who is waited for.
    pub packs: Vec<String>,
    /// Names of what a listing found.
    pub found: Vec<String>,
    /// Of those, the index objects and what condemns packs: the packs that each names.
    pub lists: Vec<(String, Vec<String>)>,
    /// The blocks of packs that index objects list.
    pub contents: Vec<(String, Vec<BlockTold>)>,
    /// The note that was put, or those that were found.
    pub notes: Vec<Note>,
    /// Of a listing of actors: those that are at work.
    pub actors: Vec<ActorName>,
}

impl ObjectEvent {
    pub fn new(actor: &ActorName, act: Act, kind: Kind, name: &str) -> Self {
        Self {
            actor: actor.clone(),
            act,
            kind,
            name: name.into(),
            packs: Vec::new(),
            found: Vec::new(),
            lists: Vec::new(),
            contents: Vec::new(),
            notes: Vec::new(),
            actors: Vec::new(),
        }
    }

    pub fn naming(self, packs: &[&str]) -> Self {
        Self { packs: packs.iter().map(|pack| (*pack).into()).collect(), ..self }
    }

    pub fn finding(self, names: &[&str]) -> Self {
        Self { found: names.iter().map(|name| (*name).into()).collect(), ..self }
    }

    /// Finds these, each of which names packs.
    pub fn listing(self, objects: &[(&str, &[&str])]) -> Self {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let found = objects.iter().map(|(name, _)| (*name).to_owned()).collect();
        let lists = objects.iter().map(|(name, packs)| ((*name).to_owned(), own(packs))).collect();
        let packs = objects.iter().flat_map(|(_, packs)| own(packs)).collect();
        Self { found, lists, packs, ..self }
    }

    /// One block of a pack, of one chunk.
    pub fn telling(mut self, pack: &str, chunk: &str, (bases, depth): (&[&str], u8)) -> Self {
        let bases = bases.iter().map(|base| (*base).to_owned()).collect();
        let block = BlockTold { chunks: vec![chunk.to_owned()], bases, depth };
        self.contents.push((pack.to_owned(), vec![block]));
        self
    }

    pub fn noting(mut self, condemned: &str, writers: &[&str]) -> Self {
        let writers = writers.iter().map(|name| (*name).into()).collect();
        self.notes.push(Note { condemned: condemned.into(), writers });
        self
    }
}

/// A trace that is none of the protocol's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The number of the event.
    pub at: usize,
    pub event: ObjectEvent,
    pub why: &'static str,
}
