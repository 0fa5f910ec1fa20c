#![no_main]

use restow::format::EntryPath;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(path) = EntryPath::new(bytes) {
        assert_eq!(path.as_bytes(), bytes);
        for name in path.components() {
            assert!(!name.is_empty() && name != b"." && name != b".." && !name.contains(&0));
        }
        if let Some(parent) = path.parent() {
            assert_eq!(parent.join(path.name()).unwrap(), path);
            assert!(parent < path && path.strip(&parent).is_some());
        }
    }
});
