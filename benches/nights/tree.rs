//! Fifty thousand files of program-like text, a hundred a folder, 14 KB on average. A night edits one in a hundred.

use std::fs;
use std::path::{Path, PathBuf};

use super::seeded::{Numbers, Words};
use super::series::Series;

const ENDS: &[&str] = &[" ", " ", "(", ");\n    ", ".", " = ", ";\n"];

pub struct Tree {
    files: u64,
    words: Words,
    numbers: Numbers,
}

impl Tree {
    pub const DEFAULT_BYTES: u64 = 50_000 * Self::MEAN;
    const MEAN: u64 = 14_500;

    pub fn new(bytes: u64) -> Self {
        let (words, numbers) = (Words::new(), Numbers::new(4));
        Self { files: (bytes / Self::MEAN).max(100), words, numbers }
    }

    fn text(&mut self, len: usize) -> String {
        let mut text = String::with_capacity(len + 16);
        while text.len() < len {
            text.push_str(self.words.word(&mut self.numbers));
            text.push_str(ENDS[self.numbers.below(ENDS.len() as u64) as usize]);
        }
        text
    }
}

impl Tree {
    fn edit(&mut self, text: &mut Vec<u8>) {
        let added = 20 + self.numbers.below(100) as usize;
        let added = self.text(added).into_bytes();
        let (from, to) = match self.numbers.below(3) {
            0 => (text.len(), text.len()),
            _ => {
                let from = self.numbers.below(text.len() as u64) as usize;
                (from, (from + self.numbers.below(100) as usize).min(text.len()))
            }
        };
        text.splice(from..to, added);
    }
}

fn place_of(place: &Path, file: u64) -> PathBuf {
    place.join(format!("package-{:03}", file / 100)).join(format!("module_{file}.rs"))
}

impl Series for Tree {
    fn begin(&mut self, place: &Path) {
        for file in 0..self.files {
            let path = place_of(place, file);
            if file.is_multiple_of(100) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
            }
            // Most are small, some are large: a product of two numbers.
            let len = 200 + self.numbers.below(240) * self.numbers.below(240);
            fs::write(path, self.text(len as usize)).unwrap();
        }
    }

    /// One to five lines of a file are edited, as a small commit does it: two of three edits somewhere inside, the
    /// third adds at the end.
    fn advance(&mut self, place: &Path) {
        for file in 0..self.files {
            if !self.numbers.happens(10) {
                continue;
            }
            let path = place_of(place, file);
            let mut text = fs::read(&path).unwrap();
            for _ in 0..=self.numbers.below(5) {
                self.edit(&mut text);
            }
            fs::write(&path, text).unwrap();
        }
    }
}
