//! Folders and files as a kind of source.

use std::ffi::OsStr;

use super::{FolderExporter, FolderOptions};
use crate::source::kind::{
    OptionSet, OptionValues, Purpose, SourceContext, SourceKind, after_scheme, read_options,
};
use crate::source::{Exporter, SourceError};

/// A path, or `file:` and a path.
pub struct FolderKind;

const SCHEMES: &[&str] = &["file"];

impl SourceKind for FolderKind {
    fn name(&self) -> &str {
        "folder"
    }

    fn recorded(&self) -> &[&str] {
        &["folder", "file"]
    }

    fn schemes(&self) -> &[&str] {
        SCHEMES
    }

    fn path_schemes(&self) -> &[&str] {
        SCHEMES
    }

    fn options(&self, purpose: Purpose) -> OptionSet {
        match purpose {
            Purpose::Backup => OptionSet::of::<FolderOptions>(),
            Purpose::Restore => OptionSet::none(),
        }
    }

    fn is_bulk(&self) -> bool {
        true
    }

    fn exporter(
        &self,
        text: &OsStr,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        let mut options: FolderOptions = read_options(options)?;
        options.leave_out.clone_from(&context.leave_out);
        Ok(Box::new(FolderExporter::new(after_scheme(text, SCHEMES), options)?))
    }
}
