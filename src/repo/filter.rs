//! Which snapshots count.

use std::collections::BTreeSet;

use globset::{Glob, GlobMatcher};

use crate::format::Time;
use crate::options::options;

use super::{RepoError, Snapshot};

options! {
    /// Which snapshots count.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Filter {
        /// Of this source.
        pub source: Option<SourceMatch>,
        /// Host that took the snapshot.
        pub host: Option<String>,
        /// All of these.
        pub tags: Vec<String>,
        /// Only permanent ones.
        pub permanent: bool,
        /// In a list also those whose writer was taken for dead while it ran. Nothing else looks at this.
        pub void: bool,
        /// Part of a name or description.
        pub name: Option<String>,
        /// Taken then or later.
        pub since: Option<Time>,
        /// Taken earlier.
        pub before: Option<Time>,
    }
}

impl Filter {
    pub fn matches(&self, snapshot: &Snapshot) -> bool {
        let manifest = &snapshot.manifest;
        let of_source = |wanted: &SourceMatch| {
            manifest.sources.iter().any(|source| wanted.matches(&source.url))
        };
        self.source.as_ref().is_none_or(of_source)
            && self.host.as_ref().is_none_or(|host| manifest.host == *host)
            && self.tags.iter().all(|tag| snapshot.tags.contains(tag))
            && (!self.permanent || snapshot.permanent)
            && self.name.as_ref().is_none_or(|text| {
                [&manifest.name, &manifest.description].iter().any(|it| holds(it, text))
            })
            && self.since.is_none_or(|since| manifest.time >= since)
            && self.before.is_none_or(|before| manifest.time < before)
    }

    /// A source that no snapshot has is probably a slip of the pen.
    pub(crate) fn refuse_unknown(
        &self,
        snapshots: &[Snapshot],
        place: impl FnOnce() -> String,
    ) -> Result<(), RepoError> {
        let Some(wanted) = &self.source else { return Ok(()) };
        let sources = || snapshots.iter().flat_map(|one| &one.manifest.sources);
        if snapshots.is_empty() || sources().any(|source| wanted.matches(&source.url)) {
            return Ok(());
        }
        let known: BTreeSet<String> = sources().map(|source| source.url.clone()).collect();
        let known = known.into_iter().take(KNOWN_MAX).collect();
        Err(RepoError::NoSource { place: place(), known })
    }

    /// A pattern may name several sources. The latest snapshot of any of them is not what somebody means.
    pub(super) fn refuse_several(&self, snapshots: &[Snapshot]) -> Result<(), RepoError> {
        let Some(wanted @ SourceMatch::Glob(glob)) = &self.source else { return Ok(()) };
        let named = |snapshot: &Snapshot| -> Vec<String> {
            let urls = snapshot.manifest.sources.iter().map(|source| source.url.clone());
            urls.filter(|url| wanted.matches(url)).collect()
        };
        let series: BTreeSet<Vec<String>> = snapshots.iter().map(named).collect();
        match series.len() {
            0 | 1 => Ok(()),
            _ => {
                let sources = series.into_iter().flatten().collect::<BTreeSet<_>>();
                let wanted = glob.glob().glob().to_owned();
                Err(RepoError::SeveralSources { wanted, sources: sources.into_iter().collect() })
            }
        }
    }
}

/// Sources that an error names.
const KNOWN_MAX: usize = 20;

/// Which sources are meant. A part of a name is no name: `/srv/data` is not `/srv/data-old`.
#[derive(Debug, Clone)]
pub enum SourceMatch {
    /// Those with one of these paths or URLs, as manifests have them.
    Exactly(Vec<String>),
    /// Those whose path or URL a glob matches as a whole. `*` stands for slashes, too.
    Glob(GlobMatcher),
}

impl SourceMatch {
    /// # Errors
    /// What is wrong with the glob.
    pub fn glob(text: &str) -> Result<Self, RepoError> {
        match Glob::new(text) {
            Ok(glob) if !text.is_empty() => Ok(Self::Glob(glob.compile_matcher())),
            Ok(_) => Err(RepoError::Usage("the pattern of a source is empty".into())),
            Err(error) => Err(RepoError::Usage(format!("{text:?} is no glob: {error}"))),
        }
    }

    pub fn matches(&self, url: &str) -> bool {
        match self {
            Self::Exactly(urls) => urls.iter().any(|one| one == url),
            Self::Glob(glob) => glob.is_match(url),
        }
    }
}

impl PartialEq for SourceMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exactly(a), Self::Exactly(b)) => a == b,
            (Self::Glob(a), Self::Glob(b)) => a.glob() == b.glob(),
            _ => false,
        }
    }
}

impl Eq for SourceMatch {}

impl From<&str> for SourceMatch {
    fn from(url: &str) -> Self {
        Self::Exactly(vec![url.to_owned()])
    }
}

/// Whether `wanted` is a part of a text. An empty one is part of none: it narrows, it never means everything.
fn holds(text: &str, wanted: &str) -> bool {
    !wanted.is_empty() && text.contains(wanted)
}
