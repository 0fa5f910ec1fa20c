//! docs/JSON.md, read as a description of types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

#[derive(Debug, Clone)]
struct Field {
    kind: String,
    is_optional: bool,
    or_null: bool,
}

/// Sections by their headings, fields by their names.
pub struct Document {
    sections: BTreeMap<String, BTreeMap<String, Field>>,
    seen: BTreeSet<(String, String)>,
}

impl Document {
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/JSON.md");
        let text = std::fs::read_to_string(path).unwrap();
        let mut sections: BTreeMap<String, BTreeMap<String, Field>> = BTreeMap::new();
        let mut inherited = Vec::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("### ") {
                current = heading.trim_matches('`').to_owned();
                let before = sections.insert(current.clone(), BTreeMap::new());
                assert!(before.is_none(), "{current} stands twice");
            } else if let Some(rest) = line.strip_prefix("The fields of a [") {
                inherited.push((current.clone(), rest.split(']').next().unwrap().to_owned()));
            } else if let Some(row) = line.strip_prefix("| `") {
                let (name, rest) = row.split_once("` | ").unwrap();
                let (kind, meaning) = rest.split_once(" | ").unwrap();
                assert!(meaning.trim_end_matches([' ', '|']).len() > 2, "{name}: no meaning");
                let fields = sections.get_mut(&current).unwrap();
                let before = fields.insert(name.to_owned(), Field::new(kind));
                assert!(before.is_none(), "{current}: {name} stands twice");
            }
        }
        for (section, from) in inherited {
            let fields = sections[&from].clone();
            sections.get_mut(&section).unwrap().extend(fields);
        }
        Self { sections, seen: BTreeSet::new() }
    }

    pub fn has(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }

    /// Every field of every document that a command prints, with the path to it: `restow list: snapshots[].id text`.
    pub fn paths(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for section in self.sections.keys().filter(|name| self.is_document(name)) {
            self.paths_below(section, &format!("{section}: "), &mut found);
        }
        found
    }

    /// Other sections are types of fields. Lines on standard error are no field's type.
    fn is_document(&self, section: &str) -> bool {
        let is_named = |field: &Field| field.shape() == section;
        section.starts_with("restow ")
            || !self.sections.values().flat_map(BTreeMap::values).any(is_named)
    }

    fn paths_below(&self, section: &str, path: &str, found: &mut BTreeSet<String>) {
        for (name, field) in &self.sections[section] {
            let optional = if field.is_optional { "optional " } else { "" };
            let null = if field.or_null { " or null" } else { "" };
            let (lists, shape) = (field.lists(), field.shape());
            let place = format!("{path}{name}{lists}");
            let Some((shape, _)) = self.sections.get_key_value(shape) else {
                found.insert(format!("{place} {optional}{shape}{null}"));
                continue;
            };
            found.insert(format!("{place} {optional}object{null}"));
            self.paths_below(shape, &format!("{place}."), found);
        }
    }

    /// Compares an object with a section: all its fields, and nothing else.
    pub fn compare(&mut self, section: &str, value: &Value) {
        let what = format!("{section}: {value}");
        let fields = self
            .sections
            .get(section)
            .unwrap_or_else(|| panic!("{section} is not documented"))
            .clone();
        let object = value.as_object().unwrap_or_else(|| panic!("no object: {what}"));
        for name in object.keys() {
            assert!(fields.contains_key(name), "{name} is not documented: {what}");
        }
        for (name, field) in &fields {
            self.compare_field(section, name, field, object);
        }
    }

    fn compare_field(
        &mut self,
        section: &str,
        name: &str,
        field: &Field,
        object: &Map<String, Value>,
    ) {
        let place = format!("{section}: {name}");
        let Some(value) = object.get(name) else {
            assert!(field.is_optional, "{place} is missing");
            return;
        };
        self.seen.insert((section.to_owned(), name.to_owned()));
        if value.is_null() {
            assert!(field.or_null, "{place} is null");
            return;
        }
        self.compare_kind(&field.kind, value, &place);
    }

    fn compare_kind(&mut self, kind: &str, value: &Value, place: &str) {
        if let Some(inner) = kind.strip_prefix("list of ") {
            let list = value.as_array().unwrap_or_else(|| panic!("{place} is no list: {value}"));
            list.iter().for_each(|one| self.compare_kind(inner, one, place));
            return;
        }
        if let Some(inner) = kind.strip_prefix("map of ") {
            let map = value.as_object().unwrap_or_else(|| panic!("{place} is no map: {value}"));
            map.values().for_each(|one| self.compare_kind(inner, one, place));
            return;
        }
        let fits = match kind {
            "text" => value.is_string(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            shape => return self.compare(section_of(shape), value),
        };
        assert!(fits, "{place} is no {kind}: {value}");
    }

    /// Everything documented has appeared somewhere.
    pub fn all_seen(&self) {
        let mut missing = Vec::new();
        for (section, fields) in &self.sections {
            for name in fields.keys() {
                if !self.seen.contains(&(section.clone(), name.clone())) {
                    missing.push(format!("{section}: {name}"));
                }
            }
        }
        assert!(missing.is_empty(), "documented, and never seen: {missing:#?}");
    }
}

impl Field {
    fn new(text: &str) -> Self {
        let (is_optional, text) = match text.strip_prefix("optional ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (or_null, kind) = match text.strip_suffix(" or null") {
            Some(kind) => (true, kind),
            None => (false, text),
        };
        Self { kind: kind.to_owned(), is_optional, or_null }
    }

    /// What it is, or what it is a list or map of: `text`, or the name of a section.
    fn shape(&self) -> &str {
        let mut kind = self.kind.as_str();
        while let Some(inner) = kind.strip_prefix("list of ").or(kind.strip_prefix("map of ")) {
            kind = inner;
        }
        section_of(kind)
    }

    /// `[]` for each list and `{}` for each map around the shape.
    fn lists(&self) -> String {
        let (mut kind, mut marks) = (self.kind.as_str(), String::new());
        loop {
            let (mark, inner) = match (kind.strip_prefix("list of "), kind.strip_prefix("map of "))
            {
                (Some(inner), _) => ("[]", inner),
                (_, Some(inner)) => ("{}", inner),
                (None, None) => return marks,
            };
            marks.push_str(mark);
            kind = inner;
        }
    }
}

/// The section that describes a type: a command's document has a name of its own as a field.
fn section_of(kind: &str) -> &str {
    match kind {
        "Backup" => "restow backup",
        "Cleanup" => "restow cleanup",
        kind => kind,
    }
}
