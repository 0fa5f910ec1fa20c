//! What a night costs when the dump was shaken up.

use restow::format::Statistics;
use restow::progress::Cancel;
use restow::source::arangodb::{ArangodumpExporter, ArangodumpOptions};

use super::{Content, MOVIES, PLAIN, Shape, real};
use crate::support::{back_up, default_chunks, memory_repository, open};

/// Imports one dump after the other as the same source; what the second cost.
fn second(first: &Content, second: &Content) -> Statistics {
    let folder = tempfile::tempdir().unwrap();
    let storage = memory_repository(&default_chunks());
    first.write(&folder.path().join("0"), PLAIN);
    let shape = Shape { envelope: true, reversed: true, gzip: true, parts: 3, ..PLAIN };
    second.write(&folder.path().join("1"), shape);
    let mut last = None;
    for night in ["0", "1"] {
        let identity = Some("arangodb://h:8529/movies".to_owned());
        let options = ArangodumpOptions { identity, ..ArangodumpOptions::default() };
        let path = folder.path().join(night);
        let exporter = ArangodumpExporter::new(path, options, &Cancel::new()).unwrap();
        let report = back_up(&open(storage.clone()), &[&exporter]).unwrap();
        assert!(!report.manifest.incomplete);
        last = Some(report.manifest.statistics);
    }
    last.unwrap()
}

/// 1 % of the documents get another value and another revision.
fn changed(content: &Content) -> Content {
    let mut content = content.clone();
    for collection in content.collections.values_mut() {
        for (number, text) in collection.documents.iter_mut().enumerate().step_by(100) {
            let at = text.find("\"_rev\":\"").unwrap() + 8;
            text.replace_range(at..at + 11, &format!("_new{number:07}"));
            let end = text.rfind('}').unwrap();
            text.insert_str(end, &format!(",\"seen\":{number}"));
        }
    }
    content
}

/// Every document gets another revision, as after a restore.
fn revised(content: &Content) -> Content {
    let mut content = content.clone();
    for collection in content.collections.values_mut() {
        for (number, text) in collection.documents.iter_mut().enumerate() {
            let at = text.find("\"_rev\":\"").unwrap() + 8;
            // As hard to guess as the server's.
            let hash = blake3::hash(&number.to_le_bytes()).to_hex();
            text.replace_range(at..at + 11, &hash[..11]);
        }
    }
    content
}

fn stored(statistics: &Statistics) -> u64 {
    statistics.plain_stored + statistics.delta_stored + statistics.metadata_stored
}

#[test]
fn order_envelope_and_form_cost_nothing() {
    let content = Content::read(&real(MOVIES));
    let night = second(&content, &content);
    assert_eq!((night.new_chunks, night.new_bytes), (0, 0), "{night:?}");
}

#[test]
fn a_night_costs_what_changed_in_it() {
    let content = Content::read(&real(MOVIES));
    let night = second(&content, &changed(&content));
    // 682 of 68,124 documents: with numbers and revisions some 20 bytes each that nobody can guess. As a dump
    // it is 11 MB, and 1.5 MB compressed.
    assert!(stored(&night) < 60_000, "{night:?}");
    assert!(night.plain_stored < 10_000, "{night:?}");
}

#[test]
fn new_revisions_of_all_documents_leave_the_documents_alone() {
    let content = Content::read(&real(MOVIES));
    let bytes = |content: &Content| -> u64 {
        let all = content.collections.values().flat_map(|one| &one.documents);
        all.map(|text| text.len() as u64).sum()
    };
    let revisions = 12 * 68_124;
    let night = second(&content, &revised(&content));
    // No chunk of a document is new: only those of revisions, which are a twelfth of the dump.
    assert_eq!(night.new_bytes, revisions, "{night:?}");
    assert!(bytes(&content) > 12 * revisions);
    // And both together.
    let night = second(&content, &revised(&changed(&content)));
    assert!(stored(&night) < revisions, "{night:?}");
}
