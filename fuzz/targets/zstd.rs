#![no_main]

use restow::codec::{decompress, decompress_against};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_first_chunk::<3>() else { return };
    let raw_len = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
    let mut out = Vec::new();
    if decompress(rest, raw_len, &mut out).is_ok() {
        assert_eq!(out.len(), raw_len);
    }
    let (base, coded) = rest.split_at(rest.len() / 2);
    if decompress_against(base, coded, raw_len, &mut out).is_ok() {
        assert_eq!(out.len(), raw_len);
    }
});
