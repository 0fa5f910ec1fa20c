use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Value = (Vec<u8>, Vec<u8>);

fn options(memory: usize, fan_in: usize, folder: &Path) -> SortOptions {
    SortOptions { memory, fan_in, temp_dir: Some(folder.to_owned()), ..SortOptions::default() }
}

fn push(sorter: &mut Sorter, key: &[u8], value: Option<&Value>) {
    let value = value.map(|(revision, document)| super::Value { revision, document });
    sorter.push(key, value).unwrap();
}

fn all(sorted: &SortedRuns) -> Vec<(Vec<u8>, Value)> {
    let (mut merge, mut found) = (sorted.merge().unwrap(), Vec::new());
    let mut record = Record::default();
    while merge.next().unwrap() {
        merge.read(&mut record).unwrap();
        found.push((record.key.clone(), (record.revision.clone(), record.document.clone())));
    }
    found
}

/// Descriptors of files that have no name any more, in a folder of our own.
fn open_in(folder: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let target =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    links.filter_map(target).filter(|path| path.starts_with(folder)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn it_comes_to_the_same_as_a_map(
        records in prop::collection::vec(
            (
                prop::collection::vec(0u8..4, 1..4),
                prop::option::weighted(0.8, (prop::collection::vec(any::<u8>(), 0..5), prop::collection::vec(any::<u8>(), 0..60))),
            ),
            0..300,
        ),
        memory in 1usize..2000,
        fan_in in 0usize..5,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(&options(memory, fan_in, folder.path()), &Cancel::new());
        let mut model = BTreeMap::new();
        for (key, value) in &records {
            push(&mut sorter, key, value.as_ref());
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
        let sorted = sorter.finish().unwrap();
        let expected: Vec<_> = model.into_iter().collect();
        let total = |part: fn(&Value) -> usize| expected.iter().map(|(_, it)| part(it) as u64).sum();
        let totals = Totals {
            records: expected.len() as u64,
            revisions: total(|it| it.0.len()),
            documents: total(|it| it.1.len()),
        };
        prop_assert_eq!(sorted.totals().unwrap(), totals);
        prop_assert_eq!(&all(&sorted), &expected);
        // As often as anybody likes.
        prop_assert_eq!(&all(&sorted), &expected);
    }
}

#[test]
fn many_runs_take_few_open_files_and_no_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(&options(1, 4, folder.path()), &Cancel::new());
    let mut most = 0;
    let count = 1000u32;
    for number in 0..count {
        // 7 and 1000 have no common factor: each once, in another order.
        let key = format!("{:04}", number * 7 % count);
        push(&mut sorter, key.as_bytes(), Some(&(Vec::new(), key.clone().into_bytes())));
        most = most.max(open_in(folder.path()));
    }
    // Up to 3 runs of each of 5 levels, and those that a merge is about to replace.
    assert!((4..=20).contains(&most), "{most}");
    assert!(sorter.runs.len() > 4);
    let sorted = sorter.finish().unwrap();
    assert!(sorted.runs.len() <= 4);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let keys: Vec<_> = all(&sorted).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), 1000);
    assert!(keys.is_sorted());
}

#[test]
fn memory_stays_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let bound = 64 * 1024;
    let mut sorter = Sorter::new(&options(bound, 16, folder.path()), &Cancel::new());
    for number in 0..5000u32 {
        push(&mut sorter, &number.to_be_bytes(), Some(&(vec![1; 11], vec![2; 100])));
        assert!(sorter.buffer.size() <= bound + 200, "{}", sorter.buffer.size());
    }
    assert!(sorter.buffer.bytes.capacity() <= 2 * bound);
    assert_eq!(sorter.finish().unwrap().totals().unwrap().records, 5000);
}

#[test]
fn a_damaged_run_is_an_error() {
    use std::os::unix::fs::FileExt;
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(&options(1, 16, folder.path()), &Cancel::new());
    for number in 0..3u8 {
        push(&mut sorter, &[number], Some(&(Vec::new(), vec![number; 5000])));
    }
    let sorted = sorter.finish().unwrap();
    let file = sorted.runs[0].file_for_test();
    let len = file.metadata().unwrap().len();
    let mut byte = [0];
    file.read_exact_at(&mut byte, len - 1).unwrap();
    file.write_all_at(&[byte[0] ^ 1], len - 1).unwrap();
    let mut merge = sorted.merge().unwrap();
    let outcome = (|| {
        while merge.next()? {}
        std::io::Result::Ok(())
    })();
    assert!(outcome.is_err());
}

#[test]
fn a_stop_is_heeded() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = Cancel::new();
    let mut sorter = Sorter::new(&options(1, 16, folder.path()), &cancel);
    push(&mut sorter, b"a", Some(&(Vec::new(), Vec::new())));
    cancel.cancel();
    assert!(matches!(sorter.push(b"b", None), Err(SourceError::Interrupted)));
}
