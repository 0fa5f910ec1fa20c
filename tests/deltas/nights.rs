//! A long series of nights: chains are bounded, and never all begun anew at once.

use crate::support::{back_up, default_chunks, memory_repository, open, open_with_cache};

use super::edits::Table;
use super::{Series, assert_clean, assert_restores, chains, source, stream};

#[test]
fn forty_nights_of_scattered_edits_cost_about_the_same_every_night() {
    for delta_depth in [4, 8] {
        let [chunk_min, chunk_avg, chunk_max] = [1024, 4096, 16_384];
        let sizes = default_chunks().chunk_min(chunk_min).chunk_avg(chunk_avg).chunk_max(chunk_max);
        let storage = memory_repository(&sizes.delta_depth(delta_depth));
        let cache = tempfile::tempdir().unwrap();
        let mut table = Table::new(50_000, 1);
        let (mut series, mut grown) = (Series::new(), Vec::new());
        for night in 0..41 {
            if night > 0 {
                table.night(500, night);
            }
            let files = stream(table.bytes());
            let repository = open_with_cache(&storage, cache.path());
            let report = back_up(&repository, &[&source("table", &files)]).unwrap();
            series.push((files, report.id.unwrap()));
            grown.push(report.written.pack_bytes + report.written.index_bytes);
        }
        let repository = open(storage);
        assert_eq!(chains(&repository, delta_depth).deepest, delta_depth);
        assert_restores(&repository, &series);
        assert_clean(&repository);
        let (first, nights) = grown.split_first().unwrap();
        let mean = nights.iter().sum::<u64>() / nights.len() as u64;
        assert!(mean < first * 3 / 10, "{mean} a night, {first} in the first: {grown:?}");
        for seven in nights.windows(7) {
            // If all chains were begun anew in one night, it would stand out.
            let others = (seven.iter().sum::<u64>() - seven[3]) / 6;
            assert!(seven[3] < others * 4 / 3, "{} beside {others}: {grown:?}", seven[3]);
            assert!(seven[3] < first / 2, "{grown:?}");
        }
    }
}
