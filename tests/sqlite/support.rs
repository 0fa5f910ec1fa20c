//! Databases with an invariant, and a writer that never stops.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::support::model::noise;

pub const ROWS: i64 = 2000;

/// A database whose two sides are always equal, `padding` bytes larger than that needs.
pub fn make(path: &Path, journal_mode: &str, padding: usize) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    let mode: String = connection
        .query_row(&format!("PRAGMA journal_mode={journal_mode}"), [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, journal_mode);
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous=OFF;
             CREATE TABLE counter (n INTEGER);
             INSERT INTO counter VALUES (0);
             CREATE TABLE log (n INTEGER PRIMARY KEY, what BLOB);
             CREATE TABLE padding (id INTEGER PRIMARY KEY, bytes BLOB);
             CREATE TABLE one (id INTEGER PRIMARY KEY, v INTEGER, pad BLOB);
             CREATE TABLE two (id INTEGER PRIMARY KEY, v INTEGER);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < {ROWS})
             INSERT INTO one SELECT i, 0, randomblob(400) FROM n;
             INSERT INTO two SELECT id, 0 FROM one;
             CREATE INDEX one_v ON one (v);"
        ))
        .unwrap();
    let mut insert = connection.prepare("INSERT INTO padding (bytes) VALUES (?1)").unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for number in 0..padding / 4000 {
        insert.execute([noise(4000, number as u64)]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    drop(insert);
    connection
}

/// One transaction: every state between two of them breaks the invariant.
pub fn step(connection: &Connection) -> rusqlite::Result<i64> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let n: i64 =
        connection.query_row("UPDATE counter SET n = n + 1 RETURNING n", [], |row| row.get(0))?;
    connection.execute("INSERT INTO log VALUES (?1, randomblob(200))", [n])?;
    connection.execute("UPDATE one SET v = v + 1 WHERE id = ?1", [n * 37 % ROWS + 1])?;
    connection.execute("UPDATE two SET v = v + 1 WHERE id = ?1", [n * 91 % ROWS + 1])?;
    connection.execute_batch("COMMIT")?;
    Ok(n)
}

/// Must be sound and hold a state that existed; its counter.
pub fn verify(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    let n = number("SELECT n FROM counter");
    assert_eq!(n, number("SELECT count(*) FROM log"));
    assert_eq!(n, number("SELECT coalesce(max(n), 0) FROM log"));
    assert_eq!(n, number("SELECT sum(v) FROM one"));
    assert_eq!(n, number("SELECT sum(v) FROM two"));
    n
}

/// Writes until it is dropped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    pub count: Arc<AtomicI64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub fn start(connection: Connection) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                counted.store(step(&connection).unwrap(), Ordering::Relaxed);
            }
        });
        Self { stop, count, thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Err(panic) = self.thread.take().unwrap().join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
