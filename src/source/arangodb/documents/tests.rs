use proptest::prelude::*;

use super::*;
use crate::source::arangodb::Joined;

fn collect(options: &SortOptions, text: &str) -> Result<Sorted, SourceError> {
    let mut collector = Collector::new(options, "c.data.json", &Cancel::new());
    collector.read(text.as_bytes())?;
    collector.finish()
}

fn read(body: Box<dyn OpenBody>) -> String {
    let (mut text, mut body) = (String::new(), body.open().unwrap());
    body.read_to_string(&mut text).unwrap();
    body.finish().unwrap();
    text
}

fn streams(sorted: Sorted) -> (String, String) {
    let (documents, revisions) = sorted.split().unwrap();
    let lengths = (documents.stream_len(), revisions.stream_len());
    let documents = read(Box::new(documents));
    let text = read(Box::new(revisions));
    assert_eq!((documents.len() as u64, text.len() as u64), lengths);
    (documents, text)
}

fn joined(documents: &str, revisions: Option<&str>) -> Result<String, SourceError> {
    let revisions = revisions.map(str::as_bytes);
    let mut text = String::new();
    let mut joined = Joined::new(documents.as_bytes(), revisions, 1000, "c");
    joined.read_to_string(&mut text).map_err(|error| SourceError::of_read("c", error))?;
    assert_eq!(joined.count(), text.lines().count() as u64);
    Ok(text)
}

#[test]
fn the_last_word_on_a_key_counts() {
    let text = r#"
        {"type":2300,"data":{"_key":"b","_rev":"1","n":1}}
        {"_key":"a","_rev":"2"}
        {"type":2302,"data":{"_key":"b"}}

        {"_key":"c"}
        {"type":2301,"data":{"_key":"a","_rev":"3","n":2}}
        {"type":2302,"data":{"_key":"never"}}
        {"_key":"\u0064","_rev":""}
        {"_key":"B","_rev":"4"}"#;
    let sorted = collect(&SortOptions::default(), text).unwrap();
    assert_eq!(sorted.count(), 4);
    let (documents, revisions) = streams(sorted);
    let expected = r#"{"_key":"B"}
{"_key":"a","n":2}
{"_key":"c"}
{"_key":"\u0064"}
"#;
    assert_eq!(documents, expected);
    assert_eq!(revisions, "4\n3\n\n\"\"\n");
    let whole = joined(&documents, Some(&revisions)).unwrap();
    assert_eq!(whole.lines().nth(1), Some(r#"{"_rev":"3","_key":"a","n":2}"#));
    assert_eq!(streams(collect(&SortOptions::default(), &whole).unwrap()), (documents, revisions));
}

#[test]
fn an_empty_collection_has_two_empty_streams() {
    let sorted = collect(&SortOptions::default(), "\n").unwrap();
    assert_eq!(sorted.count(), 0);
    assert_eq!(streams(sorted), (String::new(), String::new()));
    assert_eq!(joined("", Some("")).unwrap(), "");
}

#[test]
fn a_bad_line_is_named() {
    let options = SortOptions { line_max: 40, ..SortOptions::default() };
    for (text, why) in [
        ("{\"_key\":\"a\"}\n\n{\"x\":1}\n", "c.data.json: line 3 has no `_key`"),
        ("{\"_key\":\"a\"}\n{\"_key\":\"b\"", "c.data.json: line 2 is broken JSON"),
        (
            "{\"_key\":\"a\",\"x\":\"0123456789 0123456789 0123456789\"}\n",
            "c.data.json: line 1 is longer than 40 bytes",
        ),
    ] {
        let error = collect(&options, text).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().starts_with(why), "{error}");
        assert!(error.to_string().ends_with("holds no documents of ArangoDB"), "{error}");
    }
    let mut collector = Collector::new(&options, "one", &Cancel::new());
    collector.push(b"{\"_key\":\"a\"}").unwrap();
    collector.begin("two");
    assert!(collector.push(b"?").unwrap_err().to_string().starts_with("two: line 1 is broken"));
}

#[test]
fn streams_that_were_not_read_are_told() {
    let sorted = || collect(&SortOptions::default(), "{\"_key\":\"a\",\"_rev\":\"1\"}").unwrap();
    let (mut documents, revisions) = sorted().split().unwrap();
    let mut some = [0; 4];
    documents.read_exact(&mut some).unwrap();
    for early in [Box::new(revisions).open().map(drop), Box::new(documents).finish().map(drop)] {
        let early = early.unwrap_err();
        assert!(early.to_string().contains("documents were not read to their end"), "{early}");
    }

    let (documents, revisions) = sorted().split().unwrap();
    read(Box::new(documents));
    let mut body = Box::new(revisions).open().unwrap();
    body.read_exact(&mut [0]).unwrap();
    let early = body.finish().unwrap_err();
    assert!(early.to_string().contains("revisions were not read to their end"), "{early}");
}

#[test]
fn streams_that_do_not_match_are_told() {
    let documents = "{\"_key\":\"a\"}\n{\"_key\":\"b\"}\n";
    for (documents, revisions, why) in [
        (documents, Some("1\n"), "they part at line 2"),
        (documents, Some("1\n2\n3\n"), "they part at line 3"),
        ("{\"_key\":\"a\"}\n{\"_key\"", Some("1\n2\n"), "line 2 of its documents is cut short"),
        ("[]\n", Some("1\n"), "line 1 of its documents is not a JSON object"),
    ] {
        let error = joined(documents, revisions).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(joined(documents, None).unwrap(), documents);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn order_envelope_and_memory_change_nothing(
        keys in prop::collection::btree_map("[a-z]{1,3}", (0u32..9, "[a-z]{0,3}"), 0..60),
        order in any::<u64>(),
        memory in 1usize..4000,
    ) {
        let document = |key: &str, number: u32, revision: &str| match revision {
            "" => format!(r#"{{"_key":"{key}","n":{number}.0}}"#),
            revision => format!(r#"{{"_key":"{key}","_rev":"{revision}","n":{number}.0}}"#),
        };
        let mut lines: Vec<_> = keys.iter().map(|(key, (n, rev))| document(key, *n, rev)).collect();
        lines.sort_by_key(|line| blake3::hash(format!("{order}{line}").as_bytes()).to_hex());
        let enveloped: Vec<_> =
            lines.iter().rev().map(|line| format!(r#"{{"type":2300,"data":{line}}}"#)).collect();
        let small = SortOptions { memory, fan_in: 2, ..SortOptions::default() };
        let one = streams(collect(&SortOptions::default(), &lines.join("\n")).unwrap());
        let other = streams(collect(&small, &enveloped.join("\n")).unwrap());
        let documents: String =
            keys.iter().map(|(key, (n, _))| document(key, *n, "") + "\n").collect();
        let revisions: String = keys.values().map(|(_, rev)| format!("{rev}\n")).collect();
        prop_assert_eq!(&one, &(documents, revisions));
        prop_assert_eq!(one, other);
    }
}
