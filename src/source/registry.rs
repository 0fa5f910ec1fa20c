//! Kinds of sources: which there are, and how the text of a source leads to one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::kind::{OptionSet, OptionValues, Purpose, SourceContext, SourceKind};
use super::{Exporter, SourceError};
use crate::fault::ErrorKind;

/// The kinds of this crate, one line each. The first takes what has no scheme.
fn built_in() -> Vec<Arc<dyn SourceKind>> {
    vec![
        Arc::new(super::files::FolderKind),
        Arc::new(super::sqlite::SqliteKind),
        Arc::new(super::command::command()),
        Arc::new(super::command::stdin()),
        #[cfg(feature = "servers")]
        Arc::new(super::qdrant::QdrantKind),
        #[cfg(feature = "servers")]
        Arc::new(super::arangodb::ArangoKind),
    ]
}

/// The kinds of sources that a program knows.
#[derive(Clone)]
pub struct SourceKinds(Vec<Arc<dyn SourceKind>>);

impl Default for SourceKinds {
    fn default() -> Self {
        Self(built_in())
    }
}

/// A source by its text, and the kind that the text is of.
#[derive(Clone)]
pub struct NamedSource {
    /// What reads it and writes it back.
    pub kind: Arc<dyn SourceKind>,
    /// The source as it was named, scheme included.
    pub text: OsString,
}

impl std::fmt::Debug for NamedSource {
    /// The text may hold what nobody should read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a source of kind {}", self.kind.name())
    }
}

/// The flags of kinds that a command line gave.
#[derive(Debug, Clone, Default)]
pub struct GivenFlags {
    /// By the names in restow.toml.
    pub values: OptionValues,
    /// The flag of each value.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    flags: BTreeMap<String, String>,
}

impl SourceKinds {
    /// Adds a kind. Its schemes count before those of kinds that were there.
    pub fn register(&mut self, kind: Arc<dyn SourceKind>) {
        // The first stays: it takes what has no scheme.
        self.0.insert(1.min(self.0.len()), kind);
    }

    /// The kind of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn SourceKind>> {
        self.0.iter().find(|kind| kind.name() == name)
    }

    /// The kind that manifests call so.
    pub fn recorded(&self, name: &str) -> Option<&Arc<dyn SourceKind>> {
        self.0.iter().find(|kind| kind.recorded().contains(&name))
    }

    /// The scheme that a text starts with, and the kind that has it.
    fn of_scheme<'t>(&self, text: &'t str) -> Option<(&'t str, &Arc<dyn SourceKind>)> {
        let (scheme, _) = text.split_once(':')?;
        Some((scheme, self.0.iter().find(|kind| kind.schemes().contains(&scheme))?))
    }

    /// The kind that a restore into `to` needs, where that is a server.
    pub fn target(&self, to: &str) -> Option<&Arc<dyn SourceKind>> {
        let (scheme, kind) = self.of_scheme(to)?;
        Some(kind).filter(|kind| kind.has_loader() && !kind.path_schemes().contains(&scheme))
    }

    /// The path in a text that names a path, and what stands before it: `sqlite:` and the like, or nothing.
    pub fn path<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        match (self.of_scheme(text), text.split_once(':')) {
            (Some((scheme, kind)), _) if !kind.path_schemes().contains(&scheme) => None,
            (Some((scheme, _)), _) => text.split_at_checked(scheme.len() + 1),
            // A colon behind a slash belongs to a path; other schemes are told where the source is opened.
            (None, Some((scheme, _))) if !scheme.is_empty() && !scheme.contains('/') => None,
            (None, _) => Some(("", text)),
        }
    }

    /// The source that a text names: `scheme:rest`, or the path of a folder or a file.
    pub fn source(&self, text: &OsStr) -> Result<NamedSource, SourceError> {
        let shown = text.to_string_lossy();
        let kind = match (self.of_scheme(&shown), shown.split_once("://")) {
            (Some((_, kind)), _) => Some(kind),
            (None, Some((scheme, _)))
                if scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') =>
            {
                let message = "no kind of source that this restow reads".to_owned();
                return Err(refused(&format!("{scheme}://"), message));
            }
            (None, _) => self.0.first(),
        };
        let kind = kind.ok_or_else(|| refused(&shown, "no kind of source is registered".into()))?;
        kind.check(text)?;
        Ok(NamedSource { kind: Arc::clone(kind), text: text.to_owned() })
    }

    /// What reads a copy that another tool made, told by its content.
    pub fn importer(
        &self,
        path: &Path,
        identity: Option<&str>,
        options: &OptionValues,
        context: &SourceContext,
    ) -> Result<Box<dyn Exporter>, SourceError> {
        if let Some(kind) = self.0.iter().find(|kind| kind.can_import(path)) {
            return kind.importer(path, identity, options, context);
        }
        let shown = path.display().to_string();
        let message = if path.exists() {
            let known: Vec<_> = self.0.iter().flat_map(|kind| kind.imports()).copied().collect();
            format!("nothing that restow imports: no {}", known.join(", no "))
        } else {
            "there is no such file or folder".to_owned()
        };
        Err(refused(&shown, message))
    }

    fn sets(&self, purpose: Purpose) -> impl Iterator<Item = OptionSet> {
        self.0.iter().map(move |kind| kind.options(purpose))
    }

    /// The names of the options of all kinds, each once.
    pub fn keys(&self, purpose: Purpose) -> Vec<String> {
        let mut keys = Vec::new();
        for key in self.sets(purpose).flat_map(|set| set.keys()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// Checks the value of one option against every kind that has it.
    pub fn check(&self, purpose: Purpose, key: &str, value: &Value) -> Result<(), String> {
        let values = OptionValues::from_iter([(key.to_owned(), value.clone())]);
        let has = |set: &OptionSet| set.keys().iter().any(|own| own == key);
        self.sets(purpose).filter(has).try_for_each(|set| set.check(&values))
    }

    /// Adds the flags of all kinds. One that several kinds have is added once.
    #[cfg(feature = "cli")]
    pub fn add_flags(&self, purpose: Purpose, mut command: clap::Command) -> clap::Command {
        for flag in self.sets(purpose).flat_map(|set| set.flags()) {
            if !command.get_arguments().any(|own| own.get_id() == flag.get_id()) {
                command = command.arg(flag);
            }
        }
        command
    }

    /// The names of those options whose values are paths.
    #[cfg(feature = "cli")]
    pub fn path_keys(&self, purpose: Purpose) -> Vec<String> {
        let is_path = |flag: &clap::Arg| {
            flag.get_value_parser().type_id() == std::any::TypeId::of::<std::path::PathBuf>()
        };
        let flags = self.sets(purpose).flat_map(|set| set.flags()).filter(is_path);
        flags.map(|flag| flag.get_id().as_str().replace('_', "-")).collect()
    }

    /// What those flags gave.
    #[cfg(feature = "cli")]
    pub fn read_flags(
        &self,
        purpose: Purpose,
        matches: &clap::ArgMatches,
    ) -> Result<GivenFlags, clap::Error> {
        let mut given = GivenFlags::default();
        for set in self.sets(purpose) {
            given.values.append(&mut set.read(matches)?);
            for flag in set.flags() {
                let key = flag.get_id().as_str().replace('_', "-");
                if let Some(long) = flag.get_long().filter(|_| given.values.contains_key(&key)) {
                    given.flags.insert(key, format!("--{long}"));
                }
            }
        }
        Ok(given)
    }
}

#[cfg(feature = "cli")]
impl GivenFlags {
    /// A flag that was given and that none of these kinds takes.
    pub fn unused(&self, purpose: Purpose, kinds: &[&Arc<dyn SourceKind>]) -> Option<&str> {
        let taken: Vec<_> = kinds.iter().flat_map(|kind| kind.options(purpose).keys()).collect();
        self.flags.iter().find(|(key, _)| !taken.contains(key)).map(|(_, flag)| flag.as_str())
    }
}

/// Adds later options to earlier ones. Where both have one, the later counts. Lists are joined, so that a later pattern
/// can take something back, but for `collections`: who names some wants no others.
pub fn merge(earlier: &mut OptionValues, later: &OptionValues) {
    for (key, value) in later {
        match (earlier.get_mut(key), value) {
            (Some(Value::Array(list)), Value::Array(more)) if key != "collections" => {
                list.extend(more.iter().cloned());
            }
            _ => {
                earlier.insert(key.clone(), value.clone());
            }
        }
    }
}

fn refused(path: &str, message: String) -> SourceError {
    SourceError::refused(ErrorKind::Usage, path, message)
}
