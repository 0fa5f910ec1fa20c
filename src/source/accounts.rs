//! Names and numbers of users and groups.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Gid, Group, Uid, User};

/// Users and groups as the system's name service knows them: local files, LDAP, what else is configured.
/// The default knows nobody. Each name and number is asked for once.
#[derive(Default)]
pub(super) struct Accounts {
    users: Directory,
    groups: Directory,
}

#[derive(Default)]
struct Directory {
    names: Lookups<u32, String>,
    ids: Lookups<String, u32>,
}

/// Answers of a slow lookup, kept. A failed lookup counts as "no such account".
struct Lookups<K, V> {
    ask: fn(&K) -> Option<V>,
    known: Mutex<HashMap<K, Option<V>>>,
}

impl Accounts {
    /// The accounts of this host.
    pub fn system() -> Self {
        Self {
            users: Directory {
                names: Lookups::new(|uid| Some(User::from_uid(Uid::from_raw(*uid)).ok()??.name)),
                ids: Lookups::new(|name| Some(User::from_name(name).ok()??.uid.as_raw())),
            },
            groups: Directory {
                names: Lookups::new(|gid| Some(Group::from_gid(Gid::from_raw(*gid)).ok()??.name)),
                ids: Lookups::new(|name| Some(Group::from_name(name).ok()??.gid.as_raw())),
            },
        }
    }

    /// Empty where the user has no name.
    pub fn user(&self, uid: u32) -> String {
        self.users.names.get(&uid).unwrap_or_default()
    }

    /// Empty where the group has no name.
    pub fn group(&self, gid: u32) -> String {
        self.groups.names.get(&gid).unwrap_or_default()
    }

    pub fn uid(&self, user: &str) -> Option<u32> {
        self.users.ids.get(user)
    }

    pub fn gid(&self, group: &str) -> Option<u32> {
        self.groups.ids.get(group)
    }
}

impl<K: Eq + Hash, V: Clone> Lookups<K, V> {
    fn new(ask: fn(&K) -> Option<V>) -> Self {
        Self { ask, known: Mutex::default() }
    }

    fn get<Q>(&self, of: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(of) {
            return answer.clone();
        }
        let of = of.to_owned();
        let answer = (self.ask)(&of);
        known.insert(of, answer.clone());
        answer
    }
}

impl<K, V> Default for Lookups<K, V> {
    fn default() -> Self {
        Self { ask: |_| None, known: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_name_service_is_asked_once_for_each() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let names = Lookups::new(|id: &u32| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            (*id == 7).then(|| "ann".to_owned())
        });
        for _ in 0..3 {
            assert_eq!(names.get(&7).as_deref(), Some("ann"));
            assert_eq!(names.get(&8), None);
        }
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn root_is_root_and_the_default_knows_nobody() {
        let accounts = Accounts::system();
        assert_eq!((accounts.user(0).as_str(), accounts.uid("root")), ("root", Some(0)));
        assert_eq!(accounts.gid(&accounts.group(0)), Some(0));
        assert_eq!(accounts.uid("no such user"), None);
        let nobody = Accounts::default();
        assert_eq!((nobody.user(0), nobody.uid("root")), (String::new(), None));
    }
}
