use proptest::prelude::*;

use super::*;

/// Key, `_rev` line and document of a line.
fn split(line: &str) -> (String, String, String) {
    match Line::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}")) {
        Line::Document(document) => {
            let (mut text, mut revision) = (Vec::new(), Vec::new());
            document.write(&mut text);
            document.write_revision(&mut revision);
            let [text, revision] = [text, revision].map(|it| String::from_utf8(it).unwrap());
            (document.key.into_owned(), revision, text)
        }
        Line::Removal(key) => panic!("{line} removes {key}"),
    }
}

fn joined(document: &str, revision: &str) -> String {
    let mut line = Vec::new();
    join(document.as_bytes(), revision.as_bytes(), &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn nothing_but_the_top_revision_is_touched() {
    for (line, revision, document) in [
        (r#"{"_key":"a","_rev":"_x","n":1.0}"#, "_x", r#"{"_key":"a","n":1.0}"#),
        (r#"{"_rev":"_x","_key":"a"}"#, "_x", r#"{"_key":"a"}"#),
        (r#"{ "_rev" : "_x" , "_key":"a" }"#, "_x", r#"{  "_key":"a" }"#),
        (r#"{"_key":"a" , "_rev":"_x" }"#, "_x", r#"{"_key":"a" }"#),
        (r#"{"_key":"a","\u005frev":"_x"}"#, "_x", r#"{"_key":"a"}"#),
        (r#"{"\u005fkey":"\u0061","_rev":""}"#, "\"\"", r#"{"\u005fkey":"\u0061"}"#),
        (r#"{"_key":"a"}"#, "", r#"{"_key":"a"}"#),
        (
            r#"{"_key":"a","in":{"_rev":"no","_key":"b"},"_rev":"\"_x\\","l":[{"_rev":1}]}"#,
            r#"\"_x\\"#,
            r#"{"_key":"a","in":{"_rev":"no","_key":"b"},"l":[{"_rev":1}]}"#,
        ),
        (
            r#"{"_key":"a","n":1e400,"m":18446744073709551615,"k":-0.0,"_rev":"r","z":"\ud800","\udfff":"ü"}"#,
            "r",
            r#"{"_key":"a","n":1e400,"m":18446744073709551615,"k":-0.0,"z":"\ud800","\udfff":"ü"}"#,
        ),
        // The later of two counts, as for ArangoDB; other members may stand twice.
        (r#"{"_rev":"1","_rev":"2","_key":"a","x":1,"x":2}"#, "2", r#"{"_key":"a","x":1,"x":2}"#),
        (r#"{"_rev":"1","_key":"a","_rev":"2","_rev":"3","x":1}"#, "3", r#"{"_key":"a","x":1}"#),
    ] {
        assert_eq!(split(line), ("a".into(), revision.into(), document.into()), "{line}");
        let whole = joined(document, revision);
        assert_eq!(split(&whole), ("a".into(), revision.into(), document.into()), "{whole}");
        for envelope in [
            format!(r#"{{"type":2300,"data":{line}}}"#),
            format!(r#" {{ "tick":"7","data": {line} , "type" : 2301 }} "#),
            format!("{line}\r\n"),
        ] {
            assert_eq!(split(&envelope), ("a".into(), revision.into(), document.into()));
        }
    }
    assert_eq!(joined(r#"{"_key":"a"}"#, "_x"), r#"{"_rev":"_x","_key":"a"}"#);
    assert_eq!(joined(r#"{"_key":"a"}"#, ""), r#"{"_key":"a"}"#);
}

#[test]
fn a_document_with_members_of_an_envelope_is_a_document() {
    let line = r#"{"type":2302,"data":{"_key":"inner"},"_key":"outer"}"#;
    assert_eq!(split(line), ("outer".into(), String::new(), line.into()));
}

#[test]
fn removals_name_their_key() {
    for line in [
        r#"{"type":2302,"data":{"_key":"a\u0062","_rev":"_x"}}"#,
        r#"{"type":2302,"key":"ab","rev":"7"}"#,
    ] {
        let Line::Removal(key) = Line::parse(line.as_bytes()).unwrap() else { panic!("{line}") };
        assert_eq!(key, "ab");
    }
}

#[test]
fn what_is_no_line_of_a_dump_is_told() {
    let refused = |line: &[u8]| Line::parse(line).unwrap_err().to_string();
    for (line, why) in [
        (&br#"{"a":1}"#[..], "has no `_key`"),
        (br#"{}"#, "has no `_key`"),
        (br#"[1]"#, "is not a JSON object"),
        (br#""text""#, "is not a JSON object"),
        (br#"{"_key":"a""#, "is broken JSON"),
        (br#"{"_key":"a"} {"_key":"b"}"#, "is broken JSON"),
        (br#"{"_key":"a","x":01}"#, "is broken JSON"),
        (b"plain", "is broken JSON"),
        (b"", "is broken JSON"),
        (b"{\"_key\":\"\xff\"}", "is not UTF-8"),
        (b"{\"_key\":\n\"a\"}", "is a document over several lines"),
        (br#"{"_key":7}"#, "has a `_key` that is not a string"),
        (br#"{"_key":""}"#, "has an empty `_key`"),
        (br#"{"_key":"a","_rev":7}"#, "has a `_rev` that is not a string"),
        (br#"{"_key":"a","_key":"b"}"#, "has two `_key`s that differ"),
        (br#"{"type":2300,"data":{"a":1}}"#, "has no `_key`"),
        (br#"{"type":2300}"#, "is a marker without data"),
        (br#"{"type":2302}"#, "is a marker without data"),
        (br#"{"type":2303,"data":{"_key":"a"}}"#, "is a marker of unknown type 2303"),
        (br#"{"type":"x","data":{"_key":"a"}}"#, "is a marker of unknown type \"x\""),
    ] {
        let said = refused(line);
        assert!(said.contains(why), "{}: {said}", line.escape_ascii());
    }
    let long = format!(r#"{{"_key":"{}"}}"#, "k".repeat(KEY_MAX + 1));
    assert!(refused(long.as_bytes()).contains("has a `_key` of 65537 bytes"));
    // As deep as anybody likes: no stack is used up.
    let deep = format!(r#"{{"_key":"a","d":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(split(&deep).2, deep);
}

fn white() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "\t ", "\r"])
}

fn member() -> impl Strategy<Value = String> {
    let names =
        vec![r#""a""#, r#""_id""#, r#""\"""#, r#""rev""#, r#""_rev\u0000""#, r#""ä""#, r#""type""#];
    let values = vec![
        "1",
        "1.0",
        "1e400",
        "-0",
        "18446744073709551615",
        "null",
        r#""_rev""#,
        r#""\",\"_rev\":\"""#,
        r#"{"_rev":"x","_key":"y"}"#,
        r#"[ {"_rev" : 1} , [] ]"#,
        r#""\ud83d\ude00😀""#,
    ];
    let (names, values) = (prop::sample::select(names), prop::sample::select(values));
    (white(), names, white(), white(), values, white())
        .prop_map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}{value}{d}"))
}

fn revision() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![r#""_rev""#, r#""\u005frev""#, r#""_\u0072ev""#]);
    (white(), name, white(), white(), "[a-zA-Z_-]{0,11}", white())
        .prop_map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}\"{value}\"{d}"))
}

/// The members as they stand, without white space around names and values.
fn members(text: &str) -> Vec<(String, String)> {
    struct All;
    impl<'a> Visitor<'a> for All {
        type Value = Vec<(String, String)>;
        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("members")
        }
        fn visit_map<M: MapAccess<'a>>(self, mut from: M) -> Result<Self::Value, M::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = from.next_entry::<String, &RawValue>()? {
                all.push((name, value.get().to_owned()));
            }
            Ok(all)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(All).unwrap()
}

proptest! {
    #[test]
    fn members_stay_in_order_and_byte_for_byte(
        mut parts in prop::collection::vec(member(), 0..8),
        revisions in prop::collection::vec((any::<prop::sample::Index>(), revision()), 0..4),
        key in any::<prop::sample::Index>(),
        envelope in any::<bool>(),
    ) {
        parts.insert(key.index(parts.len() + 1), r#""_key":"k""#.to_owned());
        for (place, revision) in revisions {
            parts.insert(place.index(parts.len() + 1), revision);
        }
        let line = format!("{{{}}}", parts.join(","));
        let all = members(&line);
        let (kept, cut): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| name != "_rev");
        let sent = if envelope { format!(r#"{{"type":2300,"data":{line}}}"#) } else { line };
        let (found, revision, document) = split(&sent);
        prop_assert_eq!(found, "k");
        prop_assert_eq!(members(&document), kept);
        let last = cut.last().map(|(_, value)| value.trim_matches('"').to_owned());
        prop_assert_eq!(revision.is_empty(), last.is_none());
        prop_assert_eq!(revision.trim_matches('"'), last.unwrap_or_default());
        // There and back.
        let whole = joined(&document, &revision);
        prop_assert_eq!(split(&whole), ("k".to_owned(), revision, document));
    }

    #[test]
    fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..64), text in r#"[{}\[\]":,_a-z0-9\\ ]{0,40}"#) {
        let _ = Line::parse(&line);
        let _ = Line::parse(text.as_bytes());
    }
}
