//! A real Qdrant collection on two nights, between which one point in a hundred was written again: the server's own
//! snapshots, as `qdrant-file:` takes them.

use std::path::Path;

use super::series::Series;

const NIGHTS: [&[u8]; 2] = [
    include_bytes!("../../tests/data/qdrant/notes-night0.snapshot.zst"),
    include_bytes!("../../tests/data/qdrant/notes-night1.snapshot.zst"),
];
const FILE: &str = "notes.snapshot";

pub struct Nights {
    at: usize,
}

impl Nights {
    pub fn new() -> Self {
        Self { at: 0 }
    }

    fn bytes(&self) -> Vec<u8> {
        zstd::decode_all(NIGHTS[self.at]).unwrap()
    }
}

impl Series for Nights {
    fn begin(&mut self, place: &Path) {
        std::fs::write(place.join(FILE), self.bytes()).unwrap();
    }

    fn advance(&mut self, place: &Path) {
        self.at += 1;
        std::fs::write(place.join(FILE), self.bytes()).unwrap();
    }

    fn nights_max(&self) -> u32 {
        1
    }

    fn note(&self) -> Option<String> {
        let again = zstd::bulk::compress(&self.bytes(), 3).unwrap().len() as f64 / 1e6;
        Some(format!("keeping the last night's file as it is, by zstd -3: {again:.3} MB"))
    }
}
