#![no_main]

use restow::format::Marker;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(marker) = Marker::decode(bytes) {
        assert_eq!(Marker::decode(&marker.encode().unwrap()).unwrap(), marker);
    }
});
