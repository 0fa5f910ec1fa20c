//! Downloads that are cut, slow, silent, changed on their way: all of it, or no snapshot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use restow::source::http::ClientOptions;
use restow::source::qdrant::QdrantOptions;
use restow::{BackupOptions, Cancel, Error, ErrorKind};

use super::{back_up, cat, fails, manager};
use crate::support::faulty::{Call, Failure, Faulty};
use crate::support::qdrant::{Qdrant, night, quick};
use crate::support::{default_chunks, memory_repository, open, try_open};

#[test]
fn a_connection_cut_at_every_n_th_byte() {
    let (server, manager) = (Qdrant::with_notes(), manager());
    server.add("small", (0..=255).cycle().take(1000).collect());
    for (collection, every) in [("small", 1), ("small", 7), ("notes", 65_536), ("notes", 999_999)] {
        server.faults(|faults| faults.cut_every = Some(every));
        let before = server.count("GET /collections/");
        let id = back_up(&manager, &server.exporter(&[collection]));
        let bytes = cat(&manager, &id, &format!("{collection}.snapshot"));
        let true_bytes = server.lock().collections[collection].bytes.clone();
        assert!(bytes == **true_bytes, "{collection} every {every}");
        let asked = server.count("GET /collections/") - before;
        assert!(asked >= true_bytes.len() / every, "{asked} requests");
    }
    assert_eq!(server.left(), [""; 0]);
}

#[test]
fn cut_and_nobody_knows_what_to_go_on_with() {
    let server = Qdrant::with_notes();
    server.faults(|faults| (faults.cut_every, faults.no_etag) = (Some(100_000), true));
    let error = fails(&server, &server.exporter(&["notes"]));
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("the connection broke"), "{error}");

    // Replaced meanwhile: the rest of another state is no rest of this one.
    server.faults(|faults| (faults.no_etag, faults.replaced_after_cut) = (false, true));
    let error = fails(&server, &server.exporter(&["notes"])).to_string();
    assert!(error.contains("was replaced while it was read"), "{error}");
}

#[test]
fn a_connection_that_is_cut_without_a_byte_again_and_again() {
    let server = Qdrant::with_notes();
    server.faults(|faults| faults.cut_every = Some(0));
    let error = fails(&server, &server.exporter(&["notes"])).to_string();
    assert!(error.contains("the connection broke"), "{error}");
    let tries = server.count("GET /collections/notes/snapshots/");
    assert_eq!(tries, 1 + ClientOptions::default().retries as usize);
}

#[test]
fn truncated_without_a_word() {
    let server = Qdrant::with_notes();
    let size = night(0).len();
    for at in [0, 1, 1000, size / 2, size - 1] {
        server.faults(|faults| faults.ends_at = Some(at));
        let error = fails(&server, &server.exporter(&["notes"]));
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        let text = error.to_string();
        assert!(text.contains(&format!("{at} bytes came, the server made {size}")), "{text}");
    }
}

#[test]
fn one_bit_that_changed_on_the_way() {
    let server = Qdrant::with_notes();
    for at in [0, 1_234_567, night(0).len() - 1] {
        server.faults(|faults| faults.flips = Some(at));
        let error = fails(&server, &server.exporter(&["notes"])).to_string();
        assert!(error.contains("SHA-256") && error.contains("collections/notes"), "{error}");
    }
}

#[test]
fn slow_is_waited_for_and_silent_is_not() {
    let server = Qdrant::with_notes();
    let http =
        ClientOptions { read_timeout: Duration::from_millis(700), retries: 0, ..quick().http };
    let options = QdrantOptions { http, ..quick() };
    server.faults(|faults| faults.slow = Some(Duration::from_millis(40)));
    let started = Instant::now();
    back_up(&manager(), &server.exporter_with(&["notes"], options.clone()));
    assert!(started.elapsed() > Duration::from_millis(1500), "longer than the time-out in all");

    server.faults(|faults| (faults.slow, faults.silent_after) = (None, Some(200_000)));
    let error = fails(&server, &server.exporter_with(&["notes"], options)).to_string();
    assert!(error.contains("no answer for"), "{error}");
}

#[test]
fn told_to_stop_while_nothing_comes() {
    let server = Qdrant::with_notes();
    server.faults(|faults| faults.silent_after = Some(200_000));
    let (manager, cancel) = (manager(), Cancel::new());
    let stopping = cancel.clone();
    let started = Instant::now();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(600));
        stopping.cancel();
    });
    let error = manager
        .with_cancel(cancel)
        .create(&[&server.exporter(&["notes"])], &BackupOptions::default())
        .unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    stopper.join().unwrap();
    assert_eq!(server.left(), [""; 0], "deleted though all else stopped");
}

#[test]
fn told_to_stop_while_it_waits_to_try_again() {
    let server = Qdrant::with_notes();
    server.instead("GET /collections/notes", 100, 429, "retry-after: 60\r\n", "");
    let cancel = Cancel::new();
    let stopping = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stopping.cancel();
    });
    let started = Instant::now();
    let exporter = server.exporter(&["notes"]);
    let error =
        manager().with_cancel(cancel).create(&[&exporter], &BackupOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_repository_that_fails_leaves_nothing_on_the_server() {
    let server = Qdrant::with_notes();
    server.add("other", vec![5; 50_000]);
    for at in 0..4 {
        let storage = memory_repository(&default_chunks());
        let faulty = Faulty::failing(storage.clone(), at, Failure::CrashBefore).only(&[Call::Put]);
        let repository = try_open(Arc::new(faulty)).unwrap();
        crate::support::back_up(&repository, &[&server.exporter(&[])]).unwrap_err();
        assert_eq!(server.left(), [""; 0], "put {at}");
        assert!(open(storage).snapshots().unwrap().0.is_empty());
    }
}
