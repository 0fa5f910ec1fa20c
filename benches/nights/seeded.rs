//! Numbers, words and texts that look like people's, the same in every run.

use std::io::Write;

/// A number that looks random for each seed (the finaliser of splitmix64).
pub fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Yes in `share` of a thousand.
    pub fn happens(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }
}

const TOWNS: &[&str] = &["Leipzig", "Nantes", "Porto", "Turku", "Gdynia", "Bergamo", "Graz"];
const STATES: &[&str] = &["open", "paid", "sent", "returned", "cancelled"];
const DOMAINS: &[&str] = &["example.com", "example.org", "mail.example", "post.example.net"];
const ENDS: &[&str] = &[" ", " ", " ", " ", " ", ", ", ". "];

/// What a column holds.
#[derive(Clone, Copy)]
pub enum Kind {
    Name,
    Email,
    Town,
    State,
    Date,
    Amount,
    Number,
    /// A text of up to about so many words.
    Text(u64),
}

impl Kind {
    pub fn is_quoted(self) -> bool {
        !matches!(self, Self::Amount | Self::Number)
    }
}

/// A vocabulary, and phrases made of it; a few of each are frequent, as in any language.
pub struct Words {
    words: Vec<String>,
    phrases: Vec<String>,
}

fn frequent<'a>(list: &'a [String], numbers: &mut Numbers) -> &'a str {
    let len = list.len() as u64;
    let skewed = numbers.below(len) * numbers.below(len) / len * numbers.below(len) / len;
    &list[skewed as usize]
}

impl Words {
    pub fn new() -> Self {
        let mut numbers = Numbers::new(3);
        let mut letter = |list: &[u8]| char::from(list[numbers.below(list.len() as u64) as usize]);
        let mut word = |syllables: usize| -> String {
            let syllable = |_| [letter(b"bcdfghklmnprstvwz"), letter(b"aeiou")];
            (0..syllables).flat_map(syllable).collect()
        };
        let words: Vec<_> = (0..4000).map(|n| word(1 + n / 900)).collect();
        let mut phrase = || -> String {
            let count = 3 + numbers.below(6);
            let picked: Vec<_> = (0..count).map(|_| frequent(&words, &mut numbers)).collect();
            picked.join(" ")
        };
        let phrases = (0..2000).map(|_| phrase()).collect();
        Self { words, phrases }
    }

    pub fn word(&self, numbers: &mut Numbers) -> &str {
        frequent(&self.words, numbers)
    }

    /// A value of such a column.
    pub fn value(&self, kind: Kind, numbers: &mut Numbers, out: &mut Vec<u8>) {
        let written = match kind {
            Kind::Name => write!(out, "{} {}", self.word(numbers), self.word(numbers)),
            Kind::Email => {
                let domain = numbers.of(DOMAINS);
                let (name, number) = (self.word(numbers), numbers.below(100));
                write!(out, "{name}.{}{number}@{domain}", self.word(numbers))
            }
            Kind::Town => write!(out, "{}", numbers.of(TOWNS)),
            Kind::State => write!(out, "{}", numbers.of(STATES)),
            Kind::Date => {
                let (year, month, day) = (numbers.below(3), numbers.below(12), numbers.below(28));
                let minute = numbers.below(24 * 12) * 5;
                let (hour, minute) = (minute / 60, minute % 60);
                write!(
                    out,
                    "202{}-{:02}-{:02} {hour:02}:{minute:02}:00",
                    year + 3,
                    month + 1,
                    day + 1
                )
            }
            Kind::Amount => write!(out, "{}.{:02}", numbers.below(900), numbers.below(4) * 25),
            Kind::Number => write!(out, "{}", numbers.below(20_000)),
            Kind::Text(most) => {
                let (from, words) = (out.len(), 1 + numbers.below(most));
                while out.len() < from + words as usize * 6 {
                    let list = if numbers.happens(500) { &self.phrases } else { &self.words };
                    out.extend_from_slice(frequent(list, numbers).as_bytes());
                    out.extend_from_slice(numbers.of(ENDS).as_bytes());
                }
                Ok(())
            }
        };
        written.unwrap();
    }

    pub fn text(&self, kind: Kind, numbers: &mut Numbers) -> String {
        let mut out = Vec::new();
        self.value(kind, numbers, &mut out);
        String::from_utf8(out).unwrap()
    }
}
