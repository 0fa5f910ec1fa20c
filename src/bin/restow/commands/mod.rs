//! One file a command: arguments resolved, the operation called, its report printed.

pub mod backup;
pub mod check;
pub mod completions;
pub mod init;
pub mod list;
pub mod restore;
pub mod show;

use restow::progress::Cancel;
use restow::repo::Filter;

use super::args::{FilterArgs, Options};

/// What every command has at hand.
pub struct Context {
    pub options: Options,
    pub cancel: Cancel,
}

impl FilterArgs {
    pub fn to_filter(&self) -> Filter {
        Filter {
            source: self.source.clone(),
            host: self.host.clone(),
            tags: self.tags.clone(),
            permanent: false,
        }
    }
}
