//! Kinds of storages: which there are, and how a place's text leads to one.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::wrap::{Counts, Limit, Retry, RetryPolicy, Wrapped};
use super::{Local, Storage, StorageError};
use crate::progress::Cancel;

/// The kinds of this crate, one line each.
fn built_in() -> Vec<Arc<dyn StorageKind>> {
    vec![Arc::new(LocalKind)]
}

/// How a storage is opened, and what it is wrapped in.
#[derive(Clone)]
#[non_exhaustive]
pub struct StorageOptions {
    /// Where a kind finds credentials and the like.
    pub environment: Environment,
    /// Repeats what failed for now. `None`: nothing is repeated.
    pub retry: Option<RetryPolicy>,
    /// Bytes a second. `None`: no limit.
    pub limit_upload: Option<NonZeroU64>,
    /// Most bytes a second to download.
    pub limit_download: Option<NonZeroU64>,
    /// Counts every request, repeated ones too.
    pub counts: Option<Counts>,
    /// Ends waits.
    pub cancel: Cancel,
}

/// Environment variables by name.
pub type Environment = Arc<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

impl Default for StorageOptions {
    /// This process's environment, and no wrappers.
    fn default() -> Self {
        Self {
            environment: Arc::new(|name| std::env::var_os(name)),
            retry: None,
            limit_upload: None,
            limit_download: None,
            counts: None,
            cancel: Cancel::new(),
        }
    }
}

/// What a kind finds in the text of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedPlace {
    /// What a person is shown, without secrets. Equal places have equal texts.
    pub shown: String,
    /// The folder on this machine that holds the objects, if there is one.
    pub folder: Option<PathBuf>,
}

/// One kind of storage.
pub trait StorageKind: Send + Sync {
    /// The schemes of its places, as in `scheme:rest`.
    fn schemes(&self) -> &[&str];

    /// Checks the text of a place, scheme included. Looks at nothing but the text.
    fn parse(&self, text: &str) -> Result<ParsedPlace, StorageError>;

    /// Opens the storage of a place, which must exist. Writes nothing.
    fn open(
        &self,
        place: &Place,
        options: &StorageOptions,
    ) -> Result<Arc<dyn Storage>, StorageError>;

    /// Opens the storage of a place, and makes the place first if it does not exist.
    fn create(
        &self,
        place: &Place,
        options: &StorageOptions,
    ) -> Result<Arc<dyn Storage>, StorageError> {
        self.open(place, options)
    }
}

/// The kinds of storages that places may name.
#[derive(Clone)]
pub struct StorageKinds(Vec<Arc<dyn StorageKind>>);

impl Default for StorageKinds {
    fn default() -> Self {
        Self(built_in())
    }
}

impl StorageKinds {
    /// Adds a kind. Its schemes count before those of kinds that were there.
    pub fn register(&mut self, kind: Arc<dyn StorageKind>) {
        self.0.insert(0, kind);
    }

    /// Every scheme there is.
    pub fn schemes(&self) -> Vec<String> {
        self.0.iter().flat_map(|kind| kind.schemes()).map(|scheme| (*scheme).to_owned()).collect()
    }

    /// The place that a text names: `scheme:rest`, or the path of a folder.
    pub fn place(&self, text: &str) -> Result<Place, StorageError> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        let has = |kind: &&Arc<dyn StorageKind>| {
            scheme.is_some_and(|scheme| kind.schemes().contains(&scheme))
        };
        let kind: Arc<dyn StorageKind> = match (self.0.iter().find(has), scheme) {
            (Some(kind), _) => Arc::clone(kind),
            (None, Some(scheme)) if text.contains("://") => {
                let (scheme, known) = (scheme.to_owned(), self.schemes());
                return Err(StorageError::UnknownScheme { scheme, known });
            }
            // A path may hold colons.
            (None, _) => Arc::new(LocalKind),
        };
        let parsed = kind.parse(text)?;
        Ok(Place { kind, text: text.to_owned(), parsed })
    }
}

/// Where a storage is. Displayed without secrets.
#[derive(Clone)]
pub struct Place {
    kind: Arc<dyn StorageKind>,
    text: String,
    parsed: ParsedPlace,
}

impl Place {
    /// A folder on this machine, whatever its path looks like.
    pub fn of_folder(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = path.display().to_string();
        let parsed = ParsedPlace { shown: text.clone(), folder: Some(path) };
        Self { kind: Arc::new(LocalKind), text, parsed }
    }

    /// The text that named it, secrets included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder on this machine that holds the objects, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.parsed.folder.as_deref()
    }

    /// Opens the storage, which must exist.
    pub fn open(&self, options: &StorageOptions) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(wrapped(self.kind.open(self, options)?, options))
    }

    /// Opens the storage, and makes its place first if that does not exist.
    pub fn create(&self, options: &StorageOptions) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(wrapped(self.kind.create(self, options)?, options))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.parsed.shown)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Place({})", self.parsed.shown)
    }
}

/// Opens the storage at a place of one of this crate's kinds.
pub fn open(place: &str, options: &StorageOptions) -> Result<Arc<dyn Storage>, StorageError> {
    StorageKinds::default().place(place)?.open(options)
}

/// Counting is innermost, so that repeated requests count; a repeated put waits for its bytes again.
fn wrapped(mut storage: Arc<dyn Storage>, options: &StorageOptions) -> Arc<dyn Storage> {
    if let Some(counts) = &options.counts {
        storage = Arc::new(Wrapped::new(storage, counts.clone()));
    }
    let (up, down) = (options.limit_upload, options.limit_download);
    if up.is_some() || down.is_some() {
        storage = Arc::new(Wrapped::new(storage, Limit::new(up, down, options.cancel.clone())));
    }
    if let Some(policy) = options.retry {
        storage = Arc::new(Wrapped::new(storage, Retry::new(policy, options.cancel.clone())));
    }
    storage
}

/// A path, or `file:` and a path. Nothing is unescaped.
struct LocalKind;

const FILE: &str = "file";

impl StorageKind for LocalKind {
    fn schemes(&self) -> &[&str] {
        &[FILE]
    }

    fn parse(&self, text: &str) -> Result<ParsedPlace, StorageError> {
        let rest = text.strip_prefix(FILE).and_then(|rest| rest.strip_prefix(':'));
        let bad =
            |reason: &str| StorageError::BadPlace { place: text.into(), reason: reason.into() };
        let path = match rest {
            None => text,
            Some(rest) => match rest.strip_prefix("//") {
                None => rest,
                Some(path) if path.starts_with('/') => path,
                Some(_) => return Err(bad("a file URL names no host: file:///PATH or file:PATH")),
            },
        };
        match path {
            "" => Err(bad("the path is empty")),
            path => Ok(ParsedPlace { shown: path.into(), folder: Some(path.into()) }),
        }
    }

    fn open(&self, place: &Place, _: &StorageOptions) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(Arc::new(Local::open(place.folder().unwrap_or(Path::new(place.text())))?))
    }

    fn create(&self, place: &Place, _: &StorageOptions) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(Arc::new(Local::create(place.folder().unwrap_or(Path::new(place.text())))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::ErrorKind;

    #[test]
    fn paths_and_file_urls_are_folders() {
        let kinds = StorageKinds::default();
        for (text, folder) in [
            ("/srv/backups", "/srv/backups"),
            ("backups", "backups"),
            ("odd:name", "odd:name"),
            ("file:/srv/backups", "/srv/backups"),
            ("file:backups", "backups"),
            ("file:///srv/a%20b", "/srv/a%20b"),
        ] {
            let place = kinds.place(text).unwrap();
            assert_eq!(place.folder(), Some(Path::new(folder)), "{text}");
            assert_eq!(place.to_string(), folder);
        }
        for bad in ["", "file:", "file://host/srv", "file://"] {
            assert_eq!(kinds.place(bad).unwrap_err().kind(), ErrorKind::Usage, "{bad}");
        }
    }

    #[test]
    fn an_unknown_scheme_names_the_known_ones() {
        let error = StorageKinds::default().place("s3://bucket/backups").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(error.to_string(), "no storage has the scheme \"s3\"; known schemes: file");
    }
}
