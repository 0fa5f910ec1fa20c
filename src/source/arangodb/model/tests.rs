use super::*;

#[test]
fn definitions_have_sorted_keys_whatever_order_they_came_in() {
    let value =
        serde_json::from_str(r#"{"b":{"z":18446744073709551615,"a":1.0},"a":[{"y":1,"x":2}]}"#);
    let text = String::from_utf8(definition(&value.unwrap())).unwrap();
    let expected = r#"{
  "a": [
    {
      "x": 2,
      "y": 1
    }
  ],
  "b": {
    "a": 1.0,
    "z": 18446744073709551615
  }
}
"#;
    assert_eq!(text, expected);
    let text = String::from_utf8(database("db", None)).unwrap();
    assert_eq!(text, "{\n  \"name\": \"db\"\n}\n");
}

#[test]
fn names_that_are_no_component_are_refused() {
    assert_eq!(path(&["db", COLLECTIONS, "a b"]).unwrap().as_bytes(), b"db/collections/a b");
    for bad in ["", ".", "..", "a/b", "/", "a\0"] {
        let error = path(&["db", bad]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().starts_with(&format!("{bad:?}: ")), "{error}");
    }
}

#[test]
fn kinds_are_numbers_and_names() {
    for (number, kind, name) in
        [(2, CollectionKind::Document, "document"), (3, CollectionKind::Edge, "edge")]
    {
        assert_eq!(CollectionKind::of_parameters(&json!({ "type": number })), Some(kind));
        assert_eq!(CollectionKind::of_name(name.as_bytes()), Some(kind));
    }
    assert_eq!(CollectionKind::of_parameters(&json!({ "type": 4 })), None);
    assert_eq!(CollectionKind::of_parameters(&json!({})), None);
}

#[test]
fn a_directory_can_be_entered_by_its_owner_only() {
    let entry = collection(path(&["c"]).unwrap(), CollectionKind::Edge, 7).entry;
    assert_eq!(entry.unix.unwrap().mode, 0o700);
    let properties: Vec<_> =
        entry.properties.iter().map(|it| (it.name.as_str(), it.value.to_vec())).collect();
    assert_eq!(properties, [("type", b"edge".to_vec()), ("count", b"7".to_vec())]);
}
