#![no_main]

use std::sync::LazyLock;

use restow::format::PackKind;
use restow::store::{PackView, Vault};

static VAULT: LazyLock<Vault> = LazyLock::new(restow_fuzz::vault);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for kind in [PackKind::Data, PackKind::Metadata] {
        if let Ok(view) = PackView::read(&VAULT, kind, "fuzz", bytes) {
            assert!(view.contents.blocks_end() <= bytes.len() as u64);
        }
    }
});
