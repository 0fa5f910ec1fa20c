//! A tar archive watched as it goes by: which members it has, and whether its end was seen.
//!
//! Takes any bytes in pieces of any size. What is no archive, or one that Qdrant does not write, ends the
//! watching, never the stream.

use super::contents::{Contents, Member};

const BLOCK: usize = 512;
/// Bytes of a long name that are kept, and of a member that is.
const NAME_MAX: usize = 4096;
const KEPT_MAX: usize = 1024 * 1024;
/// Members of a snapshot that are worth a look inside. They stand at its top.
const KEPT: &[&str] = &["config.json", "version.info", "shard_config.json"];

/// Where in the archive the next byte belongs.
enum Place {
    /// Into a header, or into the blocks of zeros at the end.
    Header,
    /// Into a block with more of a sparse member's map.
    Map(Member),
    /// Into a member, or the zeros that fill its last block.
    Data { left: u64, content: u64, keep: Keep },
    /// Behind the end.
    End,
    /// Nobody knows.
    Lost,
}

/// What the bytes of a member are of use for.
enum Keep {
    Nothing,
    /// The name of the member to come.
    Name,
    Member(String),
}

pub(super) struct Watch {
    place: Place,
    block: Vec<u8>,
    /// Of a member that is kept, or of a long name.
    kept: Vec<u8>,
    long_name: Option<String>,
    /// Whether the block before was one of zeros.
    has_zeros: bool,
    /// Bytes that were taken, and where the last thing that was looked at began.
    at: u64,
    mark: u64,
    contents: Contents,
}

impl Watch {
    pub fn new() -> Self {
        Self {
            place: Place::Header,
            block: Vec::with_capacity(BLOCK),
            kept: Vec::new(),
            long_name: None,
            has_zeros: false,
            at: 0,
            mark: 0,
            contents: Contents::default(),
        }
    }

    /// The next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match &mut self.place {
                Place::Lost => return,
                Place::End => {
                    if let Some(more) = bytes.iter().position(|byte| *byte != 0) {
                        self.mark = self.at.saturating_add(more as u64);
                        self.lose("bytes behind the end of the archive");
                        return;
                    }
                    bytes.len()
                }
                Place::Header | Place::Map(_) => {
                    let used = (BLOCK - self.block.len()).min(bytes.len());
                    self.block.extend_from_slice(bytes.get(..used).unwrap_or_default());
                    if self.block.len() == BLOCK {
                        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
                        let end = self.at.saturating_add(used as u64);
                        self.mark = end.saturating_sub(BLOCK as u64);
                        self.take_block(&block);
                    }
                    used
                }
                Place::Data { left, content, keep } => {
                    let used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    let most = match keep {
                        Keep::Nothing => 0,
                        Keep::Name => NAME_MAX,
                        Keep::Member(_) => KEPT_MAX,
                    };
                    let wanted = usize::try_from(*content).unwrap_or(usize::MAX).min(used);
                    let room = most.saturating_sub(self.kept.len()).min(wanted);
                    self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
                    *content -= wanted as u64;
                    *left -= used as u64;
                    if *left == 0 {
                        self.end_member();
                    }
                    used
                }
            };
            self.at = self.at.saturating_add(used as u64);
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Bytes to come that need not be pushed.
    pub fn may_skip(&self) -> u64 {
        match &self.place {
            Place::Data { left, keep: Keep::Nothing, .. } => *left,
            _ => 0,
        }
    }

    /// Whether no member can follow.
    pub fn is_at_the_end(&self) -> bool {
        matches!(self.place, Place::End | Place::Lost)
    }

    /// So many of them were not.
    pub fn skip(&mut self, count: u64) {
        if let Place::Data { left, content, keep: Keep::Nothing } = &mut self.place {
            *left = left.saturating_sub(count);
            *content = content.saturating_sub(count);
            self.at = self.at.saturating_add(count);
            if *left == 0 {
                self.end_member();
            }
        }
    }

    /// The stream has ended.
    pub fn finish(mut self) -> Contents {
        self.mark = self.at;
        match &self.place {
            Place::End => self.contents.is_whole = true,
            Place::Lost => {}
            _ => self.lose("the stream ends without the end of the archive"),
        }
        self.contents
    }

    fn lose(&mut self, what: &str) {
        self.contents.odd = Some(format!("{what}, at byte {}", self.mark));
        self.place = Place::Lost;
    }

    fn take_block(&mut self, block: &[u8]) {
        match std::mem::replace(&mut self.place, Place::Header) {
            Place::Map(member) => match block.get(504) {
                Some(0) => self.begin_member(member),
                _ => self.place = Place::Map(member),
            },
            _ if block.iter().all(|byte| *byte == 0) => {
                if self.has_zeros && self.contents.count > 0 {
                    self.place = Place::End;
                } else if self.has_zeros {
                    self.lose("no member");
                }
                self.has_zeros = true;
            }
            _ if self.has_zeros => self.lose("a member behind a block of zeros"),
            _ => {
                if let Err(what) = self.take_header(block) {
                    self.lose(what);
                }
            }
        }
    }

    fn take_header(&mut self, block: &[u8]) -> Result<(), &'static str> {
        let field = |from: usize, to: usize| block.get(from..to).unwrap_or_default();
        let sum = number(field(148, 156)).ok_or("no header of an archive")?;
        let of = |(at, byte): (usize, &u8)| {
            if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(*byte) }
        };
        if sum != block.iter().enumerate().map(of).sum::<u64>() {
            return Err("no header of an archive (its sum is another)");
        }
        let stored = number(field(124, 136)).ok_or("a member without a size")?;
        let kind = block.get(156).copied().unwrap_or_default();
        if matches!(kind, b'L' | b'K') {
            let keep = if kind == b'L' { Keep::Name } else { Keep::Nothing };
            return self.begin_data(stored, keep);
        }
        let path = match self.long_name.take() {
            Some(name) => name,
            None => short_name(field(0, 100), field(257, 265), field(345, 500)),
        };
        let bytes = match kind {
            0 | b'0' | b'5' | b'7' => stored,
            b'S' => number(field(483, 495)).ok_or("a sparse member without a size")?,
            _ => return Err("a member of a kind that no snapshot has"),
        };
        let member = Member { path, bytes, allocated: stored };
        if kind == b'S' && block.get(482) != Some(&0) {
            self.place = Place::Map(member);
            return Ok(());
        }
        self.begin_member(member);
        Ok(())
    }

    fn begin_member(&mut self, member: Member) {
        let is_plain = member.bytes == member.allocated;
        let keep = match KEPT.contains(&member.path.as_str()) && is_plain {
            true => Keep::Member(member.path.clone()),
            false => Keep::Nothing,
        };
        let stored = member.allocated;
        self.contents.add(member);
        if let Err(what) = self.begin_data(stored, keep) {
            self.lose(what);
        }
    }

    fn begin_data(&mut self, content: u64, keep: Keep) -> Result<(), &'static str> {
        let left = content.checked_next_multiple_of(BLOCK as u64).ok_or("a member too large")?;
        self.kept.clear();
        self.place = Place::Data { left, content, keep };
        if left == 0 {
            self.end_member();
        }
        Ok(())
    }

    fn end_member(&mut self) {
        if let Place::Data { keep, .. } = std::mem::replace(&mut self.place, Place::Header) {
            let kept = std::mem::take(&mut self.kept);
            match keep {
                Keep::Nothing => {}
                Keep::Name => self.long_name = Some(text(&kept)),
                Keep::Member(path) => self.contents.keep(path, kept),
            }
        }
    }
}

/// A number as tar writes it: octal digits, or base 256 behind a set bit.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((0x80, rest)) => {
            let (zeros, value) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
            if zeros.iter().any(|byte| *byte != 0) {
                return None;
            }
            Some(u64::from_be_bytes(value.try_into().ok()?))
        }
        _ => {
            let digits = str::from_utf8(field).ok()?;
            let digits = digits.trim_matches([' ', '\0']);
            u64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+'))
        }
    }
}

/// Up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// GNU's headers have no prefix; POSIX ones may.
fn short_name(name: &[u8], magic: &[u8], prefix: &[u8]) -> String {
    let (name, prefix) = (text(name), text(prefix));
    match magic.starts_with(b"ustar\0") && !prefix.is_empty() {
        true => format!("{prefix}/{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
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
}
