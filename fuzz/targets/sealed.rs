#![no_main]

use std::sync::LazyLock;

use restow::format::{Manifest, Note, ObjectKind};
use restow::store::Vault;

static VAULT: LazyLock<Vault> = LazyLock::new(restow_fuzz::vault);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = VAULT.open::<Note>(ObjectKind::Note, "fuzz", bytes);
    let _ = VAULT.open::<Manifest>(ObjectKind::Manifest, "fuzz", bytes);
});
