#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| restow_fuzz::record::<restow::format::Manifest>(bytes));
