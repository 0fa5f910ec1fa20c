//! What every importer that writes files is told.

use crate::options::options;

options! {
    /// How files are restored.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct RestoreOptions {
        /// Replace what is in the way. Without it, only folders and files of the same size and time may be there.
        pub overwrite: bool,
        /// Whose the restored files are.
        pub owners: OwnerPolicy,
        /// Give a target folder that was there before the attributes of the snapshot's root. A new one always
        /// gets them.
        pub change_root: bool,
    }
}

/// Whose the restored files are. Only root can give files away; for others the choice makes no difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OwnerPolicy {
    /// The ids that the snapshot has.
    #[default]
    ById,
    /// The ids that the snapshot's names have on this host, and the snapshot's ids where it has no such names.
    ByName,
}
