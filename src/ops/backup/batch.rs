//! What the feeder sends to the assembler.

use crossbeam_channel::Receiver;

use crate::format::{Content, Entry, Property};
use crate::store::{CodedSegment, NamedSegment, StoreError};

/// A segment on its way through the pool, and what to do with it.
pub(super) struct Batch {
    /// Whose streams these are: steps of one lane follow each other, those of several lanes mix.
    pub lane: usize,
    pub segment: Option<OnItsWay>,
    pub steps: Vec<Step>,
}

pub(super) enum OnItsWay {
    /// Some of it belongs to streams that the parent has, too: it is named, then aligned, then coded.
    Named(Receiver<NamedSegment>),
    Coded(Coded),
}

pub(super) type Coded = Receiver<Result<CodedSegment, StoreError>>;

/// The number of an entry in the order of the catalog. Every place reaches the assembler once: as a whole entry,
/// by its end or as given up.
pub(super) type BatchPlace = u64;

/// What the assembler does next. Chunks are taken from the batch's segment, in order.
pub(super) enum Step {
    /// An entry that is complete as it is.
    Whole(BatchPlace, Box<Entry>),
    /// An entry whose bytes follow, and its stream in the parent.
    Begin(BatchPlace, Box<Entry>, Option<OldContent>),
    /// That many chunks of the entry begun.
    Chunks(usize),
    /// The entry begun is read to its end.
    End {
        keep_token: bool,
        /// Added to the entry's own.
        properties: Vec<Property>,
    },
    /// The entry of this place is given up, whether it was begun or not.
    Drop(BatchPlace),
}

/// The bytes of an entry as the parent has them.
pub(super) struct OldContent {
    pub content: Content,
    /// Whether everything the parent refers to is known to be there.
    pub whole: bool,
    /// Whether the parent has them under this name, or one like it.
    pub same_name: bool,
}
