//! What is printed: text for people, one JSON document for programs.

use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, anyhow};
use restow::{Manifest, Problem, Snapshot, Standing, Statistics, Time};
use serde_json::{Value, json};

use super::hints;

/// The first error of standard output.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Prints a JSON document to standard output.
pub fn json(document: &Value) -> Result<()> {
    line(format_args!("{document:#}"));
    Ok(())
}

/// Prints a line to standard output.
pub fn line(text: fmt::Arguments<'_>) {
    keep(writeln!(io::stdout(), "{text}"));
}

/// There is no use in printing more.
pub fn has_failed() -> bool {
    FAILED.get().is_some()
}

/// Whether all that was printed could be. A pipe that was closed early is its reader's business.
pub fn end() -> Result<()> {
    keep(io::stdout().flush());
    match FAILED.get() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

pub fn keep(result: io::Result<()>) {
    if let Err(error) = result {
        let _ = FAILED.set(error);
    }
}

/// Prints an error to standard error: what failed, why, and what follows from it.
pub fn error(error: &anyhow::Error, code: u8, as_json: bool) {
    let message = chain(error);
    if as_json {
        eprintln!("{}", json!({ "error": message, "exit_code": code }));
    } else {
        eprintln!("restow: {message}");
    }
}

/// An error with its causes, each said once, and what helps.
pub fn chain(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    match hints::of(error) {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    }
}

/// The one way sizes are printed: 1536 as "1.5 KiB".
pub fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).to_string()
}

pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=59 => format!("{:.1} s", time.as_secs_f64()),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Bytes as text; what is no UTF-8, and control characters, escaped.
pub fn lossy(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for letter in String::from_utf8_lossy(bytes).chars() {
        match letter.is_control() {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

/// Text of a snapshot; control characters escaped.
pub fn text(text: &str) -> String {
    lossy(text.as_bytes())
}

/// Adds the fields of `more` to a document.
pub fn with(mut document: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut document, more) {
        fields.extend(more);
    }
    document
}

/// Tells of objects of one kind that cannot be read.
pub fn complain<E: fmt::Display>(kind: &str, unreadable: &[(impl fmt::Display, E)]) {
    for (id, error) in unreadable {
        eprintln!("restow: {kind} {id} cannot be read: {error}");
    }
}

pub fn unreadable_json<E: fmt::Display>(unreadable: &[(impl fmt::Display, E)]) -> Value {
    let all = unreadable.iter();
    all.map(|(id, error)| json!({ "id": id.to_string(), "error": error.to_string() })).collect()
}

/// The time a snapshot was taken, in the zone it was taken in.
pub fn local_time(manifest: &Manifest) -> String {
    at_offset(manifest.time, manifest.zone_offset)
}

/// A time in the zone that is so many seconds east of UTC.
pub fn at_offset(time: Time, offset: i32) -> String {
    let zoned = timestamp(time).and_then(|timestamp| {
        Some(timestamp.to_zoned(jiff::tz::Offset::from_seconds(offset).ok()?.to_time_zone()))
    });
    match zoned {
        Some(zoned) => zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        None => format!("{} s since 1970", time.seconds),
    }
}

pub fn rfc3339(time: Time) -> String {
    timestamp(time).map_or_else(String::new, |timestamp| timestamp.to_string())
}

fn timestamp(time: Time) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(time.seconds, i32::try_from(time.nanos).unwrap_or(0)).ok()
}

/// The markers and tags of a snapshot.
pub fn marks(snapshot: &Snapshot) -> String {
    let tags = snapshot.tags.iter().map(|tag| format!("#{}", text(tag)));
    let markers = markers(snapshot).into_iter().map(str::to_owned);
    markers.chain(tags).collect::<Vec<_>>().join(" ")
}

/// Words one can grep for.
pub fn markers(snapshot: &Snapshot) -> Vec<&'static str> {
    let mut markers = Vec::new();
    if snapshot.permanent {
        markers.push("[PERMANENT]");
    }
    match snapshot.standing {
        Standing::Good => {}
        Standing::Incomplete => markers.push("[INCOMPLETE]"),
        Standing::Void => markers.push("[VOID]"),
    }
    if snapshot.is_future {
        markers.push("[FUTURE]");
    }
    markers
}

pub fn snapshot_json(snapshot: &Snapshot) -> Value {
    let manifest = &snapshot.manifest;
    json!({
        "id": snapshot.id.to_hex(),
        "tags": snapshot.tags,
        "permanent": snapshot.permanent,
        "unreadable_notes": snapshot.unreadable_notes,
        "standing": match snapshot.standing {
            Standing::Good => "good",
            Standing::Incomplete => "incomplete",
            Standing::Void => "void",
        },
        "future": snapshot.is_future,
        "manifest": manifest_json(manifest),
    })
}

pub fn manifest_json(manifest: &Manifest) -> Value {
    let sources: Vec<Value> = manifest
        .sources
        .iter()
        .map(|source| {
            json!({
                "kind": source.kind,
                "url": source.url,
                "prefix": source.prefix.display(),
                "parent": source.parent.map(|id| id.to_hex()),
                "consistency": source.consistency,
                "properties": source.properties.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            })
        })
        .collect();
    json!({
        "name": manifest.name,
        "description": manifest.description,
        "time": rfc3339(manifest.time),
        "zone": manifest.zone,
        "zone_offset_seconds": manifest.zone_offset,
        "host": manifest.host,
        "user": manifest.user,
        "sources": sources,
        "incomplete": manifest.incomplete,
        "problem_count": manifest.problem_count,
        "problems": manifest.problems.iter().map(problem_json).collect::<Vec<_>>(),
        "git": manifest.git,
        "tool": manifest.tool,
        "statistics": manifest.statistics,
    })
}

pub fn problem_json(problem: &Problem) -> Value {
    json!({ "path": lossy(&problem.path), "message": problem.message })
}

/// How much of a snapshot was known, and what the rest is stored in.
pub fn cost(counts: &Statistics) -> String {
    let known = counts.logical_bytes.saturating_sub(counts.new_bytes);
    let plain = counts.new_bytes.saturating_sub(counts.delta_bytes);
    format!(
        "{} known; {} new in {}, {} changed in {} of deltas; metadata {}",
        bytes(known),
        bytes(plain),
        bytes(counts.plain_stored),
        bytes(counts.delta_bytes),
        bytes(counts.delta_stored),
        bytes(counts.metadata_stored),
    )
}

/// Of each kind of trouble this many are named one by one.
pub const SHOWN: usize = 100;

/// Names what went wrong on standard error.
pub fn problems(what: &str, problems: &[Problem], count: u64) {
    for problem in problems.iter().take(SHOWN) {
        eprintln!("{what}: {}: {}", lossy(&problem.path), problem.message);
    }
    let more = count.saturating_sub(problems.len().min(SHOWN) as u64);
    if more > 0 {
        eprintln!("{what}: and {more} more");
    }
}
