use proptest::prelude::*;

use super::*;

/// In pieces of this size.
fn watched(bytes: &[u8], piece: usize) -> Contents {
    let mut watch = Watch::new();
    bytes.chunks(piece).for_each(|piece| watch.push(piece));
    watch.finish()
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A header of this kind and size with its sum set.
fn header(name: &str, kind: u8, size: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar  \0");
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

#[test]
fn members_and_segments_whatever_the_pieces() {
    let long = format!("0/segments/8f8a574d/files/{}", "x".repeat(300));
    let bytes = archive(&[
        ("0/segments/8f8a574d/files/segment.json", &[1; 700]),
        (&long, &[2; 5]),
        ("0/segments/cd19252b.tar", &[3; 512]),
        ("config.json", b"{\"params\":{}}"),
        ("version.info", b"1.19.0"),
        ("empty", b""),
    ]);
    let whole = watched(&bytes, bytes.len());
    assert!(whole.is_whole && whole.odd.is_none(), "{whole:?}");
    assert_eq!(whole.count, 6);
    assert_eq!(whole.members[1].path, long);
    assert_eq!((whole.bytes, whole.allocated), (1236, 1236));
    assert_eq!(whole.config().unwrap()["params"], serde_json::json!({}));
    assert_eq!(whole.version().as_deref(), Some("1.19.0"));
    let segments: Vec<_> =
        whole.segments.iter().map(|(name, sum)| (name.uuid.as_str(), sum.bytes)).collect();
    assert_eq!(segments, [("8f8a574d", 705), ("cd19252b", 512)]);
    for piece in [1, 7, 511, 512, 513, 4096] {
        assert_eq!(watched(&bytes, piece), whole, "{piece}");
    }
}

#[test]
fn sparse_members_have_less_than_they_say() {
    // Stored: two blocks; long: a mebibyte; its map goes on in two more blocks.
    let mut bytes = header("0/wal/open-2", b'S', b"00000002000\0", |block| {
        block[483..494].copy_from_slice(b"00004000000");
        block[482] = 1;
    });
    let mut map = vec![7; BLOCK];
    map[504] = 1;
    bytes.extend_from_slice(&map);
    map[504] = 0;
    bytes.extend_from_slice(&map);
    bytes.extend(vec![9; 1024]);
    bytes.extend(header("last", b'0', b"00000000000\0", |_| {}));
    bytes.extend(vec![0; 1024]);
    for piece in [1, 100, 10_000] {
        let found = watched(&bytes, piece);
        assert!(found.is_whole, "{found:?}");
        assert_eq!((found.members[0].bytes, found.members[0].allocated), (1 << 20, 1024));
        assert_eq!(found.members[1].path, "last");
    }
}

#[test]
fn sizes_in_base_256() {
    assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(2 << 32));
    assert_eq!(number(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), None, "more than 64 bits");
    assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None, "negative");
    assert_eq!(number(b"0000017 \0"), Some(15));
    assert_eq!(number(b"+17"), None);
    assert_eq!(number(b""), None);
}

#[test]
fn hostile_headers_cost_nothing() {
    // A member, and a name, of 2^63 bytes: nothing is allocated for what does not come.
    let size = b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
    for kind in *b"0LKS" {
        let mut watch = Watch::new();
        let huge = header("x", kind, size, |block| block[483] = b'7');
        watch.push(&huge);
        (0..100).for_each(|_| watch.push(&[1; 100_000]));
        assert!(watch.kept.capacity() <= 2 * KEPT_MAX, "{}", char::from(kind));
        assert!(!watch.finish().is_whole);
    }
    let most = header("x", b'0', b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", |_| {});
    assert!(watched(&most, 512).odd.unwrap().contains("too large"));
    let link = header("x", b'2', b"00000000000\0", |_| {});
    assert!(watched(&link, 512).odd.unwrap().contains("a kind that no snapshot has"));
}

#[test]
fn an_end_is_two_blocks_of_zeros_and_nothing_behind() {
    let bytes = archive(&[("a", b"1")]);
    let members = bytes.len() - 2 * BLOCK;
    for end in [0, 1, 512, members, members + 1, members + BLOCK, bytes.len() - 1] {
        let found = watched(&bytes[..end], 100);
        assert!(!found.is_whole && found.odd.is_some(), "{end}");
    }
    let padded = [bytes.as_slice(), &[0; 5000]].concat();
    assert!(watched(&padded, 100).is_whole);
    let more = [padded.as_slice(), &[1]].concat();
    assert!(watched(&more, 100).odd.unwrap().starts_with("bytes behind the end"));
    let between = [&bytes[..members + BLOCK], &bytes].concat();
    assert!(watched(&between, 100).odd.unwrap().contains("behind a block of zeros"));
    assert!(!watched(&[0; 2048], 100).is_whole, "no archive has no member");
}

#[test]
fn many_members_are_counted_and_not_all_listed() {
    let mut watch = Watch::new();
    let block = header("0/segments/1/a", b'0', b"00000000000\0", |_| {});
    for _ in 0..50_000 {
        watch.push(&block);
    }
    watch.push(&[0; 1024]);
    let found = watch.finish();
    assert!(found.is_whole);
    assert_eq!(found.count, 50_000);
    assert!(found.members.len() < 20_000);
    assert_eq!(found.segments.values().next().unwrap().members, 50_000);
}

proptest! {
    /// No bytes make it panic, and the pieces they come in do not matter.
    #[test]
    fn any_bytes(
        mut bytes in prop::collection::vec(any::<u8>(), 0..3000),
        seed in 0usize..4000,
        piece in 1usize..700,
    ) {
        prop_assert_eq!(watched(&bytes, piece), watched(&bytes, bytes.len().max(1)));
        let good = archive(&[("0/segments/a.tar", &bytes), ("b", b"xyz")]);
        bytes.clone_from(&good);
        let at = seed % bytes.len();
        bytes[at] ^= 1 << (seed % 8);
        prop_assert_eq!(watched(&bytes, piece), watched(&bytes, bytes.len()));
    }

    #[test]
    fn skipped_or_pushed(len in 0usize..5000, piece in 1usize..700) {
        let good = archive(&[("a", &vec![1; len]), ("config.json", b"{}")]);
        let (mut watch, mut at) = (Watch::new(), 0);
        while at < good.len() {
            let skipped = watch.may_skip().min((good.len() - at) as u64);
            watch.skip(skipped);
            at += skipped as usize;
            let end = (at + piece.min(512)).min(good.len());
            watch.push(&good[at..end]);
            at = end;
        }
        prop_assert_eq!(watch.finish(), watched(&good, good.len()));
    }
}
