//! What is inside a collection's snapshot: its members, and the segments they make up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// Members and segments that are listed; the others are counted.
const LISTED_MAX: usize = 10_000;
/// Bytes of all paths that are listed.
const PATHS_MAX: usize = 1024 * 1024;
/// In each segment's folder of a partial snapshot, and in no other.
const SEGMENT_MANIFEST: &str = "/segment_manifest.json";
/// A UUID has 36.
const SEGMENT_NAME_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub path: String,
    pub bytes: u64,
    /// What is stored of it: a sparse one has less than it says.
    pub allocated: u64,
}

/// A segment's name; a shard's own snapshot does not name the shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub shard: Option<u32>,
    pub uuid: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SegmentSum {
    pub members: u64,
    pub bytes: u64,
    pub allocated: u64,
}

/// What was seen of an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub members: Vec<Member>,
    pub count: u64,
    pub bytes: u64,
    pub allocated: u64,
    pub segments: BTreeMap<SegmentName, SegmentSum>,
    pub shards: BTreeSet<u32>,
    /// The end of the archive was seen, and nothing behind it.
    pub is_whole: bool,
    /// Why it was not watched to its end.
    pub odd: Option<String>,
    /// It has only the files that changed since another, and says of each segment which.
    pub is_partial: bool,
    paths: usize,
    kept: BTreeMap<String, Vec<u8>>,
}

impl Contents {
    pub(super) fn add(&mut self, member: Member) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(member.bytes);
        self.allocated = self.allocated.saturating_add(member.allocated);
        let (shard, name) = segment_of(&member.path);
        self.is_partial |= name.is_some() && member.path.ends_with(SEGMENT_MANIFEST);
        if self.shards.len() < LISTED_MAX {
            self.shards.extend(shard);
        }
        if let Some(name) = name
            && (self.segments.len() < LISTED_MAX || self.segments.contains_key(&name))
        {
            let sum = self.segments.entry(name).or_default();
            sum.members += 1;
            sum.bytes = sum.bytes.saturating_add(member.bytes);
            sum.allocated = sum.allocated.saturating_add(member.allocated);
        }
        if self.members.len() < LISTED_MAX && self.paths + member.path.len() <= PATHS_MAX {
            self.paths += member.path.len();
            self.members.push(member);
        }
    }

    pub(super) fn keep(&mut self, path: String, bytes: Vec<u8>) {
        self.kept.insert(path, bytes);
    }

    /// The collection's configuration, where it was in the archive.
    pub fn config(&self) -> Option<Value> {
        serde_json::from_slice(self.kept.get("config.json")?).ok()
    }

    /// The version of the collection's layout, which is not the server's.
    pub fn version(&self) -> Option<String> {
        let text = String::from_utf8(self.kept.get("version.info")?.clone()).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty() && text.len() < 100)
    }

    /// Whether it is a snapshot of one shard, which is laid out like a shard's folder of a collection's.
    pub fn is_of_a_shard(&self) -> bool {
        self.kept.contains_key("shard_config.json") && !self.kept.contains_key("config.json")
    }

    /// Facts for the manifest.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        if self.count == 0 {
            return Vec::new();
        }
        vec![
            ("members", self.count.to_string()),
            ("segments", self.segments.len().to_string()),
            ("allocated", self.allocated.to_string()),
        ]
    }

    /// The entry that lists it.
    pub fn text(&self) -> String {
        let member = |one: &Member| json!({"path": one.path, "bytes": one.bytes, "allocated": one.allocated});
        let segment = |(name, sum): (&SegmentName, &SegmentSum)| {
            json!({
                "shard": name.shard,
                "uuid": name.uuid,
                "members": sum.members,
                "bytes": sum.bytes,
                "allocated": sum.allocated,
            })
        };
        let document = json!({
            "format": if self.count > 0 { Some("tar") } else { None },
            "whole": self.is_whole,
            "odd": self.odd,
            "collection_version": self.version(),
            "bytes": self.bytes,
            "allocated": self.allocated,
            "segments": self.segments.iter().map(segment).collect::<Vec<_>>(),
            "member_count": self.count,
            "members": self.members.iter().map(member).collect::<Vec<_>>(),
        });
        format!("{document:#}\n")
    }
}

/// `[<shard>/]segments/<uuid>.tar` or `[<shard>/]segments/<uuid>/…`
fn segment_of(path: &str) -> (Option<u32>, Option<SegmentName>) {
    let mut parts = path.trim_start_matches("./").split('/').peekable();
    let shard = parts.peek().and_then(|first| first.parse().ok());
    if shard.is_some() {
        parts.next();
    }
    let uuid = match (parts.next(), parts.next()) {
        (Some("segments"), Some(name)) => name.strip_suffix(".tar").unwrap_or(name),
        _ => "",
    };
    let is_name = (1..=SEGMENT_NAME_MAX).contains(&uuid.len());
    let name = is_name.then(|| SegmentName { shard, uuid: uuid.to_owned() });
    (shard, name)
}
