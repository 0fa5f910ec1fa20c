//! The host's users and groups by id and by name.

use std::collections::HashMap;

/// What `/etc/passwd` and `/etc/group` say. Empty where they cannot be read.
#[derive(Default)]
pub(super) struct Accounts {
    users: Directory,
    groups: Directory,
}

#[derive(Default)]
struct Directory {
    names: HashMap<u32, String>,
    ids: HashMap<String, u32>,
}

impl Accounts {
    pub fn load() -> Self {
        let read = |path: &str| Directory::parse(&std::fs::read(path).unwrap_or_default());
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// Empty where the user has no name.
    pub fn user(&self, uid: u32) -> String {
        self.users.names.get(&uid).cloned().unwrap_or_default()
    }

    pub fn group(&self, gid: u32) -> String {
        self.groups.names.get(&gid).cloned().unwrap_or_default()
    }

    pub fn uid(&self, user: &str) -> Option<u32> {
        self.users.ids.get(user).copied()
    }

    pub fn gid(&self, group: &str) -> Option<u32> {
        self.groups.ids.get(group).copied()
    }
}

impl Directory {
    /// Lines of `name:password:id:…`. The first line for a name or an id counts, as for the system itself.
    fn parse(text: &[u8]) -> Self {
        let mut directory = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b':').map(std::str::from_utf8);
            let (Some(Ok(name)), Some(Ok(id))) = (fields.next(), fields.nth(1)) else { continue };
            let Ok(id) = id.parse::<u32>() else { continue };
            if name.is_empty() || name.starts_with('#') {
                continue;
            }
            directory.names.entry(id).or_insert_with(|| name.to_owned());
            directory.ids.entry(name.to_owned()).or_insert(id);
        }
        directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_counts_and_odd_lines_do_not() {
        let text = b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n\n# note\n+::::\nbad:x:y:\n\
                     \xff\xfe:x:7:\nann:x:1000:";
        let directory = Directory::parse(text);
        assert_eq!(directory.names.get(&0).map(String::as_str), Some("root"));
        assert_eq!(directory.ids.get("toor"), Some(&0));
        assert_eq!(directory.names.get(&7), None);
        assert_eq!(directory.ids.get("ann"), Some(&1000));
        assert_eq!(directory.names.len(), 2);
    }
}
