//! Segments of normally distributed 32-bit floats, as a vector database has them. A night rewrites one page of
//! 4 KiB in two hundred.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::seeded::Numbers;
use super::series::Series;

const PAGE: usize = 4096;
const SEGMENTS: u64 = 8;

pub struct Vectors {
    pages_each: u64,
    numbers: Numbers,
}

impl Vectors {
    pub fn new(bytes: u64) -> Self {
        let pages_each = (bytes / SEGMENTS / PAGE as u64).max(1);
        Self { pages_each, numbers: Numbers::new(5) }
    }

    fn page(&mut self) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        for float in page.as_chunks_mut::<4>().0 {
            // The sum of four even distributions is nearly a normal one.
            let (a, b) = (self.numbers.next(), self.numbers.next());
            let sum = (a >> 32) + (a & 0xffff_ffff) + (b >> 32) + (b & 0xffff_ffff);
            let value = (sum as f64 / f64::from(u32::MAX) - 2.0) * 3_f64.sqrt();
            *float = (value as f32).to_le_bytes();
        }
        page
    }
}

fn segment(ordinal: u64) -> String {
    format!("segment-{ordinal}.f32")
}

impl Series for Vectors {
    fn begin(&mut self, place: &Path) {
        for ordinal in 0..SEGMENTS {
            let mut out = BufWriter::new(File::create(place.join(segment(ordinal))).unwrap());
            for _ in 0..self.pages_each {
                out.write_all(&self.page()).unwrap();
            }
            out.flush().unwrap();
        }
    }

    fn advance(&mut self, place: &Path) {
        for ordinal in 0..SEGMENTS {
            let path = place.join(segment(ordinal));
            let file = File::options().write(true).open(path).unwrap();
            for at in 0..self.pages_each {
                if self.numbers.happens(5) {
                    file.write_all_at(&self.page(), at * PAGE as u64).unwrap();
                }
            }
        }
    }
}
