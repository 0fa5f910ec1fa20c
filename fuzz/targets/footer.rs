#![no_main]

use restow::format::Footer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for pack_len in [0, 55, 1 << 20, u64::MAX] {
        if let Ok(footer) = Footer::decode(bytes, pack_len) {
            assert_eq!(footer.encode(), bytes);
        }
    }
});
