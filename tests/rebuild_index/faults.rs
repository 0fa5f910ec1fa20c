//! A rebuild that fails, or is killed, at any of its operations.

use std::sync::Arc;

use restow::format::name;
use restow::ops::{RebuildOptions, rebuild_index};
use restow::progress::{Cancel, Silent};
use restow::repo::Repository;
use restow::storage::Storage;

use super::{
    assert_all_listed, assert_nothing_new, everything, flip, lose, nights, rebuild, rebuild_all,
};
use crate::prune::{LONG, assert_tidy, assert_whole, keys, prune_alone};
use crate::support::faulty::{Failure, Faulty};
use crate::support::{copy_of, open, restore_to_memory, try_open};

fn run(repository: &Repository, all: bool) -> bool {
    let options = if all { everything() } else { RebuildOptions::default() };
    rebuild_index(repository, &options, &Silent, &Cancel::new()).is_ok()
}

/// A storage that dies leaves this process announced, which lives: it is taken for dead later.
#[test]
fn whatever_fails_nothing_is_lost_and_the_next_run_completes_it() {
    for (damages, all) in [(true, false), (true, true), (false, true)] {
        let (base, there) = nights(4);
        let objects = keys(&base, name::INDEX);
        if damages {
            flip(&base, &objects[0], 0.7);
            flip(&base, &objects[1], 0.2);
            lose(&base, &objects[2..3]);
        }
        let counting = Arc::new(Faulty::counting(copy_of(&base)));
        let repository = try_open(Arc::clone(&counting) as Arc<dyn Storage>).unwrap();
        assert!(run(&repository, all));
        let calls = counting.calls();
        assert!(calls > 30, "{calls}");
        let mut failed = 0;
        for failure in Failure::ALL {
            for at in 0..calls {
                let what = format!("{failure:?} at {at} of {calls}, {damages} {all}");
                let storage = copy_of(&base);
                let faulty = Arc::new(Faulty::failing(storage.clone(), at, failure));
                let done = try_open(faulty).is_ok_and(|repository| run(&repository, all));
                failed += usize::from(!done);
                if !damages {
                    for (id, files) in &there {
                        let restored = restore_to_memory(&open(storage.clone()), *id).contents();
                        assert!(restored == *files, "{what}");
                    }
                }
                storage.advance(LONG);
                let report = if all { rebuild_all(&storage) } else { rebuild(&storage) };
                assert!(report.is_whole(), "{what}: {report:?}");
                assert_whole(&storage, &there, &what);
                assert_all_listed(&storage, &what);
                assert_nothing_new(&storage, &there[3].1, &what);
                if at % 5 == 0 {
                    prune_alone(&open(storage.clone()));
                    assert_whole(&storage, &there, &what);
                    assert_tidy(&storage, &what);
                }
            }
        }
        assert!(failed > 100, "{failed}");
    }
}
