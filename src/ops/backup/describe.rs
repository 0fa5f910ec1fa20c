//! What a manifest says besides the bytes: names, time, place, the state of a git checkout.

use std::collections::HashSet;
use std::path::Path;

use crate::format::{
    EntryPath, GitState, Manifest, ManifestKind, NodeRef, Statistics, Time, TreeRoot,
};
use crate::id::{ActorId, ChunkId};
use crate::repo::Identity;
use crate::source::Exporter;
use crate::timing::local_now;

use super::BackupOptions;

/// Where each source's entries stand: at the root for one, below its label for several.
pub(super) fn prefixes(sources: &[&dyn Exporter]) -> Vec<EntryPath> {
    if sources.len() == 1 {
        return vec![EntryPath::root()];
    }
    let mut taken = HashSet::new();
    let mut unique = |label: &str| {
        let mut name = label.to_owned();
        for number in 2u32.. {
            if taken.insert(name.clone()) {
                break;
            }
            name = format!("{label}-{number}");
        }
        name
    };
    let prefix = |source: &&dyn Exporter| {
        let label = slug(&source.describe().label);
        EntryPath::new(unique(if label.is_empty() { "source" } else { &label })).unwrap_or_default()
    };
    sources.iter().map(prefix).collect()
}

/// Everything but what the backup itself finds out.
pub(super) fn manifest(
    identity: &Identity,
    sources: &[&dyn Exporter],
    options: &BackupOptions,
) -> Manifest {
    // A backup is not given up for what its snapshot is called.
    let now = local_now().unwrap_or_else(|error| {
        tracing::warn!("{error}: the snapshot's name has the time of UTC");
        jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC)
    });
    let label = match sources {
        [only] => slug(&only.describe().label),
        _ => "several".into(),
    };
    let zone = now.time_zone().iana_name().unwrap_or_default().to_owned();
    Manifest {
        kind: ManifestKind::Snapshot,
        name: options.name.clone().unwrap_or_else(|| name(&label, &now, &options.description)),
        description: options.description.clone(),
        time: Time {
            seconds: now.timestamp().as_second(),
            nanos: u32::try_from(now.timestamp().subsec_nanosecond()).unwrap_or(0),
        },
        zone_offset: now.offset().seconds(),
        zone,
        host: identity.host.clone(),
        user: identity.user.clone(),
        sources: Vec::new(),
        tags: options.tags.clone(),
        permanent: options.permanent,
        incomplete: false,
        problems: Vec::new(),
        problem_count: 0,
        git: std::env::current_dir().ok().and_then(|folder| git_state(&folder)),
        tool: identity.tool.clone(),
        writer: ActorId::new([0; ActorId::LEN]),
        statistics: Statistics::default(),
        catalog: TreeRoot {
            node: NodeRef { id: ChunkId::new([0; ChunkId::LEN]), len: 0 },
            levels: 0,
        },
        ext: Vec::new(),
    }
}

/// `<source>_<YYYYMMDD>_<HHMMSS>[_<slug of the description>]`, local time.
fn name(label: &str, now: &jiff::Zoned, description: &str) -> String {
    let stamp = now.strftime("%Y%m%d_%H%M%S");
    let about = slug(description);
    match about.is_empty() {
        true => format!("{label}_{stamp}"),
        false => format!("{label}_{stamp}_{about}"),
    }
}

/// Lowercase letters, digits and single dashes, at most 40 characters.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        match letter {
            'a'..='z' | '0'..='9' | '.' | '_' => slug.push(letter),
            'A'..='Z' => slug.push(letter.to_ascii_lowercase()),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
        if slug.len() >= 40 {
            break;
        }
    }
    slug.trim_matches(['-', '.']).to_owned()
}

/// Commit and branch of the checkout a folder is in, read from its `.git`; `None` where there is none.
fn git_state(folder: &Path) -> Option<GitState> {
    let git = folder.ancestors().map(|up| up.join(".git")).find(|git| git.exists())?;
    // In a worktree `.git` is a file that says where.
    let git = match std::fs::read_to_string(&git) {
        Ok(text) => folder.join(text.trim().strip_prefix("gitdir: ")?),
        Err(_) => git,
    };
    let common = match std::fs::read_to_string(git.join("commondir")) {
        Ok(text) => git.join(text.trim()),
        Err(_) => git.clone(),
    };
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Some(GitState { commit: head.trim().into(), branch: None });
    };
    let loose = std::fs::read_to_string(common.join(reference)).ok();
    let packed = || {
        let all = std::fs::read_to_string(common.join("packed-refs")).ok()?;
        let line = all.lines().find(|line| line.ends_with(&format!(" {reference}")))?;
        line.split(' ').next().map(str::to_owned)
    };
    let commit = loose.map(|text| text.trim().to_owned()).or_else(packed)?;
    let branch = reference.strip_prefix("refs/heads/").map(str::to_owned);
    Some(GitState { commit, branch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_readable() {
        let now: jiff::Zoned = "2026-03-30T02:30:00+02:00[Europe/Berlin]".parse().unwrap();
        assert_eq!(name("shop", &now, ""), "shop_20260330_023000");
        let named = name("shop", &now, "Before the Migration: v2/v3!");
        assert_eq!(named, "shop_20260330_023000_before-the-migration-v2-v3");
        assert_eq!(slug("../../etc"), "etc");
        assert_eq!(slug("ü"), "");
        assert!(slug(&"x".repeat(100)).len() <= 40);
    }
}
