//! What is backed up. Seeded: every run sees the same bytes.

use std::fs;
use std::io::Write;
use std::path::Path;

/// A generator of numbers that look random (Knuth's MMIX constants).
pub struct Numbers(u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}

/// Rows of a made-up shop, as a dump has them.
pub fn rows(len: usize) -> Vec<u8> {
    let (mut out, mut numbers) = (Vec::with_capacity(len + 256), Numbers(7));
    for id in 1.. {
        let (a, b, c, d) = (numbers.next(), numbers.next(), numbers.next(), numbers.next());
        let town = ["Leipzig", "Nantes", "Porto", "Turku", "Gdynia"][(a % 5) as usize];
        let status = ["open", "paid", "sent", "returned"][(b % 4) as usize];
        writeln!(
            out,
            "INSERT INTO orders VALUES ({id},{},'{status}','{town}',{}.{:02},'{c:08x}-{d:08x}');",
            a % 90_000,
            b % 900,
            c % 100,
        )
        .unwrap();
        if out.len() >= len {
            break;
        }
    }
    out.truncate(len);
    out
}

pub fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// Fifty thousand files of program-like text in 500 folders, 14 KB on average. Gives their bytes.
pub fn small_files(folder: &Path) {
    let mut numbers = Numbers(11);
    let words: Vec<String> = (0..3000)
        .map(|_| (0..2 + numbers.next() % 9).map(|_| letter(&mut numbers)).collect())
        .collect();
    let mut text = Vec::new();
    for file in 0..50_000u32 {
        let place = folder.join(format!("package-{:03}", file / 100));
        if file.is_multiple_of(100) {
            fs::create_dir_all(&place).unwrap();
        }
        // Most are small, some are large: a product of two numbers.
        let len = 200 + (numbers.next() % 240) * (numbers.next() % 240);
        text.clear();
        while (text.len() as u64) < len {
            let at = (numbers.next() % 3000 * (numbers.next() % 3000) / 3000) as usize;
            let end = [" ", " ", "(", ");\n    ", ".", " = "][(numbers.next() % 6) as usize];
            write!(text, "{}{end}", words[at]).unwrap();
        }
        fs::write(place.join(format!("module_{file}.rs")), &text).unwrap();
    }
}

fn letter(numbers: &mut Numbers) -> char {
    char::from(b'a' + (numbers.next() % 26) as u8)
}
