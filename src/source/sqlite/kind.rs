//! SQLite databases as a kind of source.

use std::ffi::OsStr;

use super::{SqliteExporter, SqliteOptions};
use crate::source::kind::{
    OptionSet, OptionValues, Purpose, SourceContext, SourceKind, after_scheme, read_options,
};
use crate::source::{Exporter, SourceError};

/// `sqlite:FILE`.
pub struct SqliteKind;

const SCHEMES: &[&str] = &["sqlite"];

impl SourceKind for SqliteKind {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn recorded(&self) -> &[&str] {
        SCHEMES
    }

    fn schemes(&self) -> &[&str] {
        SCHEMES
    }

    fn path_schemes(&self) -> &[&str] {
        SCHEMES
    }

    fn options(&self, purpose: Purpose) -> OptionSet {
        match purpose {
            Purpose::Backup => OptionSet::of::<SqliteOptions>(),
            Purpose::Restore => OptionSet::none(),
        }
    }

    fn exporter(
        &self,
        text: &OsStr,
        options: &OptionValues,
        _: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        let path = after_scheme(text, SCHEMES);
        Ok(Box::new(SqliteExporter::new(path, read_options(options)?)?))
    }
}
