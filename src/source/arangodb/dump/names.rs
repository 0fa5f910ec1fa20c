//! What the files of a dump are called.

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use serde_json::Value;

use super::{DATA_FILE, DUMP, ENCRYPTION, GZIP, STRUCTURE_FILE, VIEW_FILE, VPACK_FILE};

/// What a file is, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileKind<'n> {
    Dump,
    Encryption,
    /// Of the collection whose files begin like this.
    Structure(&'n str),
    View(&'n str),
    Data {
        stem: &'n str,
        /// Where the data is in several files.
        part: Option<u64>,
        is_gzip: bool,
    },
    /// Documents in a binary form.
    VPack,
    Other,
}

impl<'n> FileKind<'n> {
    pub fn of(name: &'n str) -> Self {
        let plain = name.strip_suffix(GZIP);
        let ungzipped = plain.unwrap_or(name);
        if name == DUMP {
            Self::Dump
        } else if name == ENCRYPTION {
            Self::Encryption
        } else if let Some(stem) = name.strip_suffix(STRUCTURE_FILE) {
            Self::Structure(stem)
        } else if let Some(stem) = name.strip_suffix(VIEW_FILE) {
            Self::View(stem)
        } else if ungzipped.ends_with(VPACK_FILE) {
            Self::VPack
        } else if let Some(stem) = ungzipped.strip_suffix(DATA_FILE) {
            let (stem, part) = numbered(stem);
            Self::Data { stem, part, is_gzip: plain.is_some() }
        } else {
            Self::Other
        }
    }
}

/// `name.3` is part 3.
fn numbered(stem: &str) -> (&str, Option<u64>) {
    let split = stem.rsplit_once('.').and_then(|(before, number)| {
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        Some((before, number.parse().ok().filter(|_| is_number)?))
    });
    match split {
        Some((before, part)) => (before, Some(part)),
        None => (stem, None),
    }
}

/// How the files of a collection may begin, the best way first.
pub(super) fn stems(name: &str, parameters: &Value) -> Vec<String> {
    let hash = hash(name);
    let mut bases = vec![base(name, parameters), name.to_owned()];
    bases.dedup();
    bases.into_iter().flat_map(|base| [format!("{base}_{hash}"), base]).collect()
}

/// A name that older versions would not have allowed is none for a file either: then it is the collection's id.
fn base(name: &str, parameters: &Value) -> String {
    let id = || ["cid", "id"].into_iter().find_map(|key| parameters.get(key));
    match is_plain(name) {
        true => name.to_owned(),
        false => match id() {
            Some(Value::String(id)) if is_plain(&format!("_{id}")) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            // Some text that is no other's. The structure says what it is called.
            _ => hash(name),
        },
    }
}

/// What a view's file is called.
pub(super) fn view_file(name: &str) -> String {
    let base = if is_plain(name) { name.to_owned() } else { hash(name) };
    format!("{base}{VIEW_FILE}")
}

/// What the folder of a database is called, where there are several.
pub(super) fn database_folder(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { hash(name) }
}

fn is_plain(name: &str) -> bool {
    let is_good = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(is_good)
}

pub(super) fn hash(name: &str) -> String {
    HEXLOWER.encode(&Md5::digest(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_told_by_their_names() {
        for (name, kind) in [
            ("dump.json", FileKind::Dump),
            ("ENCRYPTION", FileKind::Encryption),
            ("Users_f9aa.structure.json", FileKind::Structure("Users_f9aa")),
            ("v.view.json", FileKind::View("v")),
            ("u.data.json", FileKind::Data { stem: "u", part: None, is_gzip: false }),
            ("u_1.2.data.json.gz", FileKind::Data { stem: "u_1", part: Some(2), is_gzip: true }),
            ("u.x.data.json", FileKind::Data { stem: "u.x", part: None, is_gzip: false }),
            ("u.+1.data.json", FileKind::Data { stem: "u.+1", part: None, is_gzip: false }),
            ("u.0.data.vpack.gz", FileKind::VPack),
            ("u.data.vpack", FileKind::VPack),
            ("README", FileKind::Other),
            ("u.data.json.zst", FileKind::Other),
        ] {
            assert_eq!(FileKind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn collections_are_found_under_the_names_that_arangodump_gives() {
        // As in the real dumps.
        let hashed = "Users_f9aae5fda8d810a29f12d1e61b4ab25f";
        assert_eq!(stems("Users", &json!({ "id": "7" })), [hashed, "Users"]);
        let odd = stems("ä b", &json!({ "cid": "42" }));
        let hash_of = hash("ä b");
        let [hashed, plain] = [format!("42_{hash_of}"), format!("ä b_{hash_of}")];
        assert_eq!(odd, [hashed.as_str(), "42", &plain, "ä b"]);
        // An id never leads anywhere else.
        assert_eq!(base("ä", &json!({ "cid": "../x" })), hash("ä"));
        assert_eq!(view_file("a/b"), format!("{}.view.json", hash("a/b")));
        assert_eq!(view_file("ok"), "ok.view.json");
    }
}
