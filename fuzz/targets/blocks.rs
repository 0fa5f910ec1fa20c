#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| restow_fuzz::blocks(bytes));
