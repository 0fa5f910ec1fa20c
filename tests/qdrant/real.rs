//! What a real night costs, beside a whole-file patch of it.

use restow::BackupOptions;
use zstd::stream::raw::CParameter;
use zstd::zstd_safe::CCtx;

use super::{back_up, cat, manager};
use crate::support::qdrant::{Qdrant, night};

/// Bytes of `zstd -3 --patch-from`: the old file is a prefix, the window holds both, long matches are looked for.
fn patch(old: &[u8], new: &[u8]) -> usize {
    let mut context = CCtx::create();
    for parameter in [
        CParameter::CompressionLevel(3),
        CParameter::WindowLog(24),
        CParameter::EnableLongDistanceMatching(true),
    ] {
        context.set_parameter(parameter).unwrap();
    }
    context.ref_prefix(old).unwrap();
    let mut out = vec![0; zstd::zstd_safe::compress_bound(new.len())];
    context.compress2(&mut out[..], new).unwrap()
}

/// Coded bytes of the second night, and what the repository grew by, in a new repository.
fn second_night() -> (f64, f64) {
    let (server, manager) = (Qdrant::with_notes(), manager());
    let exporter = server.exporter(&["notes"]);
    let first = back_up(&manager, &exporter);
    server.lock().collections.get_mut("notes").unwrap().bytes = night(1).into();
    let second = manager.create(&[&exporter], &BackupOptions::default()).unwrap();
    for (id, number) in [(first, 0), (second.id.unwrap(), 1)] {
        assert!(cat(&manager, &id, "notes.snapshot") == night(number));
    }
    let statistics = &second.manifest.statistics;
    let coded = (statistics.plain_stored + statistics.delta_stored) as f64;
    (coded, (second.written.pack_bytes + second.written.index_bytes) as f64)
}

/// Where a repository cuts depends on its random key: the bound held in all but one of 2,250.
#[test]
fn a_night_costs_about_what_a_patch_does() {
    let patch = patch(&night(0), &night(1)) as f64;
    let again = zstd::bulk::compress(&night(1), 3).unwrap().len() as f64;
    let (mut coded, mut growth): (Vec<f64>, Vec<f64>) = (0..9).map(|_| second_night()).unzip();
    coded.sort_by(f64::total_cmp);
    growth.sort_by(f64::total_cmp);
    println!("again {again}, patch {patch}, coded {coded:?}, growth {growth:?}");
    assert!(patch < again / 3.0, "the patch is one: {patch} of {again}");
    assert!(coded[7] <= 1.5 * patch, "coded {coded:?}, the patch has {patch}");
    assert!(coded[8] <= 2.0 * patch, "coded {coded:?}, the patch has {patch}");
    assert!(growth[8] <= 4.0 * patch, "growth {growth:?}, the patch has {patch}");
}
