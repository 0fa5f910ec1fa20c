//! A tar archive watched as it goes by: which members it has, and whether its end was seen.
//!
//! Takes any bytes in pieces of any size. What is no archive, or one that Qdrant does not write, ends the
//! watching, never the stream. The reader of the crate `tar` cannot serve here: it pulls bytes from a reader, where
//! these are pushed by whoever reads the stream for the repository, and it cuts sizes of more than 64 bits.

#[cfg(test)]
mod tests;

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
