//! Any edits over any base, over several nights.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use restow::repo::CreateOptions;

use crate::support::{back_up, default_chunks, memory_repository, open};

use super::edits::{Edit, apply, edits, files};
use super::{Chains, Series, assert_clean, assert_restores, chains, source};

/// A repository of any chunk size, any depth limit.
pub fn repositories() -> impl Strategy<Value = CreateOptions> {
    let sizes = prop_oneof![
        3 => Just([64, 256, 1024]),
        1 => Just([128, 256, 258]),
        2 => Just([512, 2048, 8192]),
        2 => Just([4096, 16_384, 65_536]),
        1 => Just([32_768, 131_072, 524_288]),
    ];
    let depth = prop::sample::select(vec![0u8, 1, 2, 3, 8, 64]);
    let level = prop::sample::select(vec![1, 3]);
    (sizes, depth, level).prop_map(
        |([chunk_min, chunk_avg, chunk_max], delta_depth, compression)| {
            default_chunks()
                .chunk_min(chunk_min)
                .chunk_avg(chunk_avg)
                .chunk_max(chunk_max)
                .delta_depth(delta_depth)
                .compression(compression)
        },
    )
}

#[test]
fn any_edits_over_any_base_come_back_at_any_depth_limit() {
    let nights = prop::collection::vec(edits(4), 1..9);
    let cases = (repositories(), files(), nights, any::<bool>(), 1usize..200_000);
    let all = Cell::new(Chains::default());
    let config = ProptestConfig { cases: 64, source_file: Some(file!()), ..Default::default() };
    TestRunner::new(config)
        .run(&cases, |(options, first, nights, reopens, read_size)| {
            let storage = memory_repository(&options);
            let (mut repository, mut files) = (open(storage.clone()), first);
            let mut series = Series::new();
            for night in std::iter::once(Vec::<Edit>::new()).chain(nights) {
                night.iter().for_each(|edit| apply(&mut files, edit));
                if reopens {
                    repository = open(storage.clone());
                }
                let mut source = source("any", &files);
                source.read_size = read_size;
                let report = back_up(&repository, &[&source]).unwrap();
                series.push((files.clone(), report.id.unwrap()));
            }
            all.set(all.get().and(chains(&repository, options.delta_depth)));
            let repository = open(storage);
            assert_restores(&repository, &series);
            assert_clean(&repository);
            Ok(())
        })
        .unwrap();
    // How deep chance goes is nothing to rely on: `nights` shows chains of every depth.
    assert!(all.get().deltas > 0);
}
