//! One entry's bytes.

use std::io::{self, Write};

use restow::fault::ErrorKind;
use restow::ops::{OpError, cat};
use restow::progress::{Cancel, Silent};

use super::{damage, data_packs, with_snapshot};
use crate::support::model::{Files, noise, path};
use crate::support::{open, view};

fn files() -> Files {
    let zeros = vec![0; 3_000_000];
    let names = [("empty", Vec::new()), ("notes.txt", b"hello".to_vec()), ("zeros", zeros)];
    let mut files: Files = names.into_iter().map(|(name, bytes)| (path(name), bytes)).collect();
    // Some megabytes more than is fetched at once.
    files.insert(path("noise"), noise(20_000_000, 3));
    files
}

#[test]
fn every_file_comes_as_it_was() {
    let (_, repository, id) = with_snapshot(files());
    let view = view(&repository, id);
    for (path, expected) in files() {
        let mut bytes = Vec::new();
        let count = cat(&view, &path, &mut bytes, &Silent, &Cancel::new()).unwrap();
        assert_eq!(count, expected.len() as u64);
        assert!(bytes == expected, "{}", path.display());
    }
}

#[test]
fn a_name_that_is_not_there_brings_the_likely_ones() {
    let (_, repository, id) = with_snapshot(files());
    let view = view(&repository, id);
    for (wanted, near) in [("note.txt", "notes.txt"), ("zeroes", "zeros")] {
        let error =
            cat(&view, &path(wanted), &mut Vec::new(), &Silent, &Cancel::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(near), "{error}");
    }
}

/// All bytes before the lost ones are written, and no others.
#[test]
fn lost_bytes_end_the_output_where_they_begin() {
    let expected = noise(20_000_000, 3);
    let (storage, _, id) = with_snapshot([(path("noise"), expected.clone())].into());
    for key in data_packs(&storage) {
        damage(&storage, &key);
    }
    let repository = open(storage);
    let mut out = Vec::new();
    let error =
        cat(&view(&repository, id), &path("noise"), &mut out, &Silent, &Cancel::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage);
    let OpError::LostBytes { offset, .. } = error else { panic!("{error}") };
    assert_eq!(offset, out.len() as u64);
    assert!(offset > 1_000_000 && offset < 20_000_000, "{offset}");
    assert!(expected.starts_with(&out));
}

struct Closed(usize);

impl Write for Closed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_and_a_stop() {
    let (_, repository, id) = with_snapshot(files());
    let view = view(&repository, id);
    let error = cat(&view, &path("noise"), &mut Closed(100), &Silent, &Cancel::new()).unwrap_err();
    assert!(error.is_broken_pipe(), "{error}");
    let cancel = Cancel::new();
    cancel.cancel();
    let error = cat(&view, &path("noise"), &mut Vec::new(), &Silent, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}
