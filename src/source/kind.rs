//! A kind of source: how it is named, which options it takes, what reads it and what writes it back.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Description, Exporter, Loader, SourceError};
use crate::fault::ErrorKind;
use crate::progress::Cancel;
pub use crate::storage::Environment;

/// Options by the names that restow.toml has for them. A kind reads them into a struct of its own.
pub type OptionValues = Map<String, Value>;

/// What a kind needs to know besides its options.
#[derive(Clone)]
pub struct SourceContext {
    /// Where servers, keys and the like are named.
    pub environment: Environment,
    /// Folders that no walk enters: a repository does not back up itself.
    pub leave_out: Vec<PathBuf>,
    /// Whether the standard error of a command is passed on as it comes.
    pub pass_stderr: bool,
    /// The program and its arguments, for the kind that [runs one](SourceKind::runs_program).
    pub program: Vec<OsString>,
    /// Ends what runs, where it is set.
    pub cancel: Cancel,
}

impl Default for SourceContext {
    /// The environment of this process, and nothing else.
    fn default() -> Self {
        Self {
            environment: std::sync::Arc::new(|name| std::env::var_os(name)),
            leave_out: Vec::new(),
            pass_stderr: false,
            program: Vec::new(),
            cancel: Cancel::new(),
        }
    }
}

/// What options are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A backup reads the source.
    Backup,
    /// A restore writes it back.
    Restore,
}

/// One kind of source.
pub trait SourceKind: Send + Sync {
    /// The name in manifests, and of its table in restow.toml.
    fn name(&self) -> &str;

    /// Every name that manifests have for it.
    fn recorded(&self) -> &[&str];

    /// The schemes of its sources, as in `scheme:rest`.
    fn schemes(&self) -> &[&str];

    /// Those of its schemes that are followed by a path of this machine.
    fn path_schemes(&self) -> &[&str] {
        &[]
    }

    /// Checks the text of a source, scheme included. Looks at nothing but the text.
    fn check(&self, text: &OsStr) -> Result<(), SourceError> {
        let _ = text;
        Ok(())
    }

    /// The struct that holds its options.
    fn options(&self, purpose: Purpose) -> OptionSet {
        let _ = purpose;
        OptionSet::none()
    }

    /// Whether it is what stands beside a database: folders and files.
    fn is_bulk(&self) -> bool {
        false
    }

    /// Why a backup can have one source of this kind only.
    fn only_one(&self) -> Option<&str> {
        None
    }

    /// Whether a source of this kind is the output of a program.
    fn runs_program(&self) -> bool {
        false
    }

    /// What reads the source that `text` names. What is missing, or is something else, is told here.
    fn exporter(
        &self,
        text: &OsStr,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError>;

    /// What manifests call the source that `text` names: kind, URL and label. Nothing is read of the source, and it
    /// need not be there: a path where nothing is now is named by its place.
    fn identity(
        &self,
        text: &OsStr,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Description, SourceError> {
        let error = match self.exporter(text, options, context) {
            Ok(exporter) => return Ok(exporter.describe()),
            Err(error) => error,
        };
        let paths = self.path_schemes();
        // A kind whose every scheme is one of paths takes paths without a scheme, too.
        let has_paths_only = !paths.is_empty() && paths == self.schemes();
        match after_scheme(text, paths) {
            path if path != text || has_paths_only => self.place(path).ok_or(error),
            _ => Err(error),
        }
    }

    /// What manifests call a source of this kind at a path where nothing is now.
    fn place(&self, path: &OsStr) -> Option<Description> {
        Description::of_path(self.name(), path)
    }

    /// Whether its sources are restored by a [`Loader`].
    fn has_loader(&self) -> bool {
        false
    }

    /// What writes a source of this kind into the server at `url`. `is_named`: somebody said this URL, so what stands
    /// behind the server is a new name; else it is where the source came from.
    fn loader(
        &self,
        url: &str,
        is_named: bool,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Loader>, SourceError> {
        let _ = (is_named, options, context);
        Err(refused(url, format!("a {} is not restored into a server", self.name())))
    }

    /// What another tool made that [`importer`](Self::importer) reads, in words; empty where there is none.
    fn imports(&self) -> &[&str] {
        &[]
    }

    /// Whether the content of `path` looks like something that it imports.
    fn can_import(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// What reads the copy of another tool at `path` as a backup of the source `identity`.
    fn importer(
        &self,
        path: &Path,
        identity: Option<&str>,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        let _ = (identity, options, context);
        Err(refused(&path.display().to_string(), "nothing that can be imported".to_owned()))
    }
}

/// What stands behind the scheme, or the whole where there is none.
pub fn after_scheme<'t>(text: &'t OsStr, schemes: &[&str]) -> &'t OsStr {
    let bytes = text.as_bytes();
    let rest = schemes.iter().find_map(|scheme| {
        bytes.strip_prefix(scheme.as_bytes()).and_then(|rest| rest.strip_prefix(b":"))
    });
    OsStr::from_bytes(rest.unwrap_or(bytes))
}

/// Reads the options of a kind. Values of other kinds are passed over.
pub fn read_options<T: DeserializeOwned>(values: &OptionValues) -> Result<T, SourceError> {
    serde_json::from_value(Value::Object(values.clone()))
        .map_err(|error| refused("options", error.to_string()))
}

fn refused(path: &str, message: String) -> SourceError {
    SourceError::refused(ErrorKind::Usage, path, message)
}

/// What a struct of options must be. With feature `cli` its fields are flags as well; the name of a field is the id of
/// the flag, and with `-` for `_` the name in restow.toml.
pub trait KindOptions: Serialize + DeserializeOwned + Default + Flags {}
impl<T: Serialize + DeserializeOwned + Default + Flags> KindOptions for T {}

#[cfg(not(feature = "cli"))]
use Sized as Flags;
#[cfg(feature = "cli")]
use clap::Args as Flags;

/// For kinds without options.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
struct NoOptions {}

/// The options of a kind, whatever their struct is.
#[derive(Clone, Copy)]
pub struct OptionSet {
    defaults: fn() -> OptionValues,
    check: fn(&OptionValues) -> Result<(), String>,
    #[cfg(feature = "cli")]
    augment: fn(clap::Command) -> clap::Command,
    #[cfg(feature = "cli")]
    read: fn(&clap::ArgMatches) -> Result<OptionValues, clap::Error>,
}

impl OptionSet {
    /// No options.
    pub fn none() -> Self {
        Self::of::<NoOptions>()
    }

    /// The options that `T` holds.
    pub fn of<T: KindOptions>() -> Self {
        Self {
            defaults: || values(&T::default()),
            check: |values| {
                let read = serde_json::from_value::<T>(Value::Object(values.clone()));
                read.map(|_| ()).map_err(|error| error.to_string())
            },
            #[cfg(feature = "cli")]
            augment: |command| T::augment_args(command),
            #[cfg(feature = "cli")]
            read: |matches| T::from_arg_matches(matches).map(|options| values(&options)),
        }
    }

    /// The names of all options.
    pub fn keys(&self) -> Vec<String> {
        (self.defaults)().into_iter().map(|(key, _)| key).collect()
    }

    /// Whether options have values that they can have.
    pub fn check(&self, values: &OptionValues) -> Result<(), String> {
        (self.check)(values)
    }

    /// The flags.
    #[cfg(feature = "cli")]
    pub(super) fn flags(&self) -> Vec<clap::Arg> {
        let command = (self.augment)(clap::Command::new("options"));
        command.get_arguments().cloned().collect()
    }

    /// What flags of the command line gave: a default is nobody's word.
    #[cfg(feature = "cli")]
    pub(super) fn read(&self, matches: &clap::ArgMatches) -> Result<OptionValues, clap::Error> {
        let said = |key: &String| {
            let source = matches.value_source(&key.replace('-', "_"));
            source == Some(clap::parser::ValueSource::CommandLine)
        };
        Ok((self.read)(matches)?.into_iter().filter(|(key, _)| said(key)).collect())
    }
}

fn values<T: Serialize>(options: &T) -> OptionValues {
    match serde_json::to_value(options) {
        Ok(Value::Object(values)) => values,
        _ => OptionValues::new(),
    }
}

/// Whole seconds, as flags and restow.toml write a [`Duration`](std::time::Duration).
pub mod seconds {
    use std::num::ParseIntError;
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Reads the value of a flag.
    pub fn parse(text: &str) -> Result<Duration, ParseIntError> {
        text.parse().map(Duration::from_secs)
    }

    /// Writes a number of seconds.
    pub fn serialize<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Copy + Into<Option<Duration>>,
        S: Serializer,
    {
        let value: Option<Duration> = (*value).into();
        value.map(|time| time.as_secs()).serialize(serializer)
    }

    /// Reads a number of seconds.
    pub fn deserialize<'de, T: From<Duration>, D>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
    {
        u64::deserialize(deserializer).map(|seconds| Duration::from_secs(seconds).into())
    }
}
