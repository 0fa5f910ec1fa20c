//! What is left out of a backup.

use std::path::PathBuf;
use std::time::Duration;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use super::failure::refused;
use crate::fault::ErrorKind;
use crate::source::SourceError;
use crate::text::lines;

/// Patterns for what hardly anybody wants back, by name.
pub const PRESETS: &[(&str, &[&str])] = &[("dev", &["*.tmp", "__pycache__", ".git"])];

/// What of a folder is read.
///
/// Patterns are those of `.gitignore` files. Without `/` (but at its end) a pattern means a name at any depth,
/// with one a path from the source's root. `*` and `?` stay within a name, `**` stands for any number of
/// folders, `/` at the end means folders only, `!` at the start takes back what an earlier pattern left out;
/// of several that match the last counts. Names are bytes to them: `?` is one byte. What lies in a folder that
/// is left out cannot be taken back.
///
/// Presets come first, then files, then single patterns. Nothing left out is a problem.
#[derive(Debug, Clone, Default)]
pub struct FolderOptions {
    /// Single patterns.
    pub excludes: Vec<String>,
    /// Files of patterns, one a line; `#` starts a comment.
    pub exclude_files: Vec<PathBuf>,
    /// Of a folder that has an entry of such a name, only the folder and that entry are kept.
    pub exclude_if_present: Vec<String>,
    /// The same for `CACHEDIR.TAG` files that start with the standard's signature.
    pub exclude_caches: bool,
    /// Names of [`PRESETS`].
    pub exclude_presets: Vec<String>,
    /// Mount points are kept as empty folders.
    pub one_file_system: bool,
    /// Folders left out wherever the walk meets them, by whatever path: a repository does not back up itself.
    /// Those that are not there are passed over.
    pub leave_out: Vec<PathBuf>,
    /// A file touched less than this long before the start is read again next time; [`SETTLE`] where nothing
    /// is said.
    pub settle: Option<Duration>,
}

/// A file touched this recently may be touched again without its times showing it: they can be as coarse as
/// two seconds, and on a network they are those of another host's clock.
pub const SETTLE: Duration = Duration::from_secs(60);

/// Patterns ready to be matched.
pub(super) struct Excludes {
    set: GlobSet,
    rules: Vec<Rule>,
    matched: Vec<usize>,
}

struct Rule {
    takes_back: bool,
    folders_only: bool,
}

impl Excludes {
    pub fn new(options: &FolderOptions) -> Result<Self, SourceError> {
        let mut patterns = Patterns { globs: GlobSetBuilder::new(), rules: Vec::new() };
        for name in &options.exclude_presets {
            for pattern in preset(name)? {
                patterns.add(pattern)?;
            }
        }
        for file in &options.exclude_files {
            patterns.add_file(file)?;
        }
        for pattern in &options.exclude_if_present {
            if pattern.is_empty() || pattern.contains(['/', '\0']) {
                return Err(usage(pattern, "not a file name"));
            }
        }
        for pattern in &options.excludes {
            patterns.add(pattern)?;
        }
        let set = patterns.globs.build().map_err(|error| usage("exclude", error.to_string()))?;
        Ok(Self { set, rules: patterns.rules, matched: Vec::new() })
    }

    /// Whether the entry at `path` is left out.
    pub fn covers(&mut self, path: &[u8], is_folder: bool) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        self.set.matches_candidate_into(&Candidate::from_bytes(path), &mut self.matched);
        // Sorted, so the last that applies is found from the end.
        let applies = |rule: &&Rule| is_folder || !rule.folders_only;
        let mut rules = self.matched.iter().rev().filter_map(|index| self.rules.get(*index));
        rules.find(applies).is_some_and(|rule| !rule.takes_back)
    }
}

fn preset(name: &str) -> Result<&'static [&'static str], SourceError> {
    let known = PRESETS.iter().find(|(known, _)| *known == name);
    known.map(|(_, patterns)| *patterns).ok_or_else(|| {
        let names: Vec<_> = PRESETS.iter().map(|(name, _)| *name).collect();
        usage(name, format!("no such exclude preset; there is: {}", names.join(", ")))
    })
}

struct Patterns {
    globs: GlobSetBuilder,
    rules: Vec<Rule>,
}

impl Patterns {
    fn add_file(&mut self, file: &std::path::Path) -> Result<(), SourceError> {
        let shown = file.display().to_string();
        let text = std::fs::read(file).map_err(|source| SourceError::Io {
            action: "read exclude file",
            path: shown.clone(),
            source,
        })?;
        for (index, line) in lines(&text).enumerate() {
            let place = || format!("{shown} line {}", index + 1);
            let line = str::from_utf8(line).map_err(|_| usage(&place(), "not UTF-8"))?;
            let line = without_trailing_space(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            self.add(line).map_err(|error| usage(&place(), error.to_string()))?;
        }
        Ok(())
    }

    fn add(&mut self, pattern: &str) -> Result<(), SourceError> {
        let (takes_back, rest) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        let (folders_only, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let glob = match rest.strip_prefix('/') {
            Some(anchored) => anchored.to_owned(),
            None if rest.contains('/') => rest.to_owned(),
            None => format!("**/{rest}"),
        };
        if glob.trim_matches(['/', '*']).is_empty() && rest.trim_matches('/').is_empty() {
            return Err(usage(pattern, "an empty exclude pattern"));
        }
        let glob = GlobBuilder::new(&braces_literal(&glob))
            .literal_separator(true)
            .backslash_escape(true)
            .allow_unclosed_class(true)
            .build()
            .map_err(|error| usage(pattern, error.kind().to_string()))?;
        self.globs.add(glob);
        self.rules.push(Rule { takes_back, folders_only });
        Ok(())
    }
}

/// Space at a line's end is no part of the pattern, unless a backslash says so.
fn without_trailing_space(line: &str) -> &str {
    let trimmed = line.trim_end_matches([' ', '\t']);
    let escapes = trimmed.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if escapes % 2 == 0 {
        return trimmed;
    }
    line.get(..trimmed.len() + 1).unwrap_or(trimmed)
}

/// Braces mean nothing in these patterns, but would to the matcher.
fn braces_literal(pattern: &str) -> String {
    let mut literal = String::with_capacity(pattern.len());
    let (mut escaped, mut in_class) = (false, false);
    for char in pattern.chars() {
        match char {
            '{' | '}' if !escaped && !in_class => literal.push('\\'),
            '[' if !escaped => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        escaped = char == '\\' && !escaped;
        literal.push(char);
    }
    literal
}

fn usage(pattern: &str, message: impl Into<String>) -> SourceError {
    refused(ErrorKind::Usage, pattern.as_bytes(), message)
}
