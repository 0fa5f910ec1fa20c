#![no_main]

use restow::format::{Header, ObjectKind};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for kind in ObjectKind::ALL {
        if let Ok((header, rest)) = Header::decode(kind, bytes) {
            assert_eq!([&header.encode(), rest].concat(), bytes);
        }
    }
});
