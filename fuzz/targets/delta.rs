#![no_main]

use restow::codec::{compress_against, decompress_against};

// Some bytes, again and again, and what edits of them make; or two halves that have nothing to do with each other.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_first_chunk::<3>() else { return };
    let (some, edits) = rest.split_at(rest.len() * usize::from(head[0]) / 256);
    let base = some.repeat(usize::from(head[1]) + 1);
    let mut raw = base.clone();
    for edit in edits.as_chunks::<4>().0 {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (raw.len() + 1);
        let end = (at + usize::from(edit[2])).min(raw.len());
        match edit[3] % 4 {
            0 => drop(raw.drain(at..end)),
            1 => drop(raw.splice(at..at, edits[..edits.len().min(usize::from(edit[2]))].to_vec())),
            2 => raw[at..end].fill(edit[3]),
            _ => raw[at..end].reverse(),
        }
    }
    if head[2] == 0 {
        raw = edits.to_vec();
    }
    raw.truncate(1 << 20);
    let (mut coded, mut back) = (Vec::new(), Vec::new());
    compress_against(3, &base, &raw, &mut coded).unwrap();
    decompress_against(&base, &coded, raw.len(), &mut back).unwrap();
    assert!(back == raw);
});
