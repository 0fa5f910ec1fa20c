//! A SQLite database with an index over a column in random order. A night updates, inserts and deletes rows.

use std::path::Path;

use rusqlite::{Connection, Statement, Transaction, params};

use super::seeded::{Kind, Numbers, Words};
use super::series::Series;

const INSERT: &str = "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)";

pub struct Database {
    bytes: u64,
    keys: Vec<i64>,
    next_key: i64,
    words: Words,
    numbers: Numbers,
}

fn open(place: &Path) -> Connection {
    let connection = Connection::open(place.join("customers.db")).unwrap();
    let quick = "PRAGMA page_size = 4096; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;
        PRAGMA cache_size = -65536;";
    connection.execute_batch(quick).unwrap();
    connection
}

impl Database {
    pub fn new(bytes: u64) -> Self {
        let (words, numbers) = (Words::new(), Numbers::new(2));
        Self { bytes, keys: Vec::new(), next_key: 1, words, numbers }
    }

    fn text(&mut self, kind: Kind) -> String {
        self.words.text(kind, &mut self.numbers)
    }

    fn insert(&mut self, statement: &mut Statement<'_>) {
        let key = self.next_key;
        self.next_key += 1;
        self.keys.push(key);
        let (email, name) = (self.text(Kind::Email), self.text(Kind::Name));
        let (changed, note) = (self.text(Kind::Date), self.text(Kind::Text(30)));
        let balance = self.numbers.below(900_000) as i64;
        statement.execute(params![key, email, name, balance, changed, note]).unwrap();
    }

    fn update(&mut self, transaction: &Transaction<'_>) {
        let key = self.keys[self.numbers.below(self.keys.len() as u64) as usize];
        let (column, kind) = match self.numbers.below(100) {
            0..50 => ("changed", Kind::Date),
            50..85 => ("note", Kind::Text(30)),
            _ => ("email", Kind::Email),
        };
        let value = self.text(kind);
        let balance = self.numbers.below(900_000) as i64;
        let update = format!("UPDATE customers SET {column} = ?, balance = ? WHERE id = ?");
        let mut statement = transaction.prepare(&update).unwrap();
        statement.execute(params![value, balance, key]).unwrap();
    }

    fn delete(&mut self, transaction: &Transaction<'_>) {
        let at = self.numbers.below(self.keys.len() as u64) as usize;
        let key = self.keys.swap_remove(at);
        let mut statement = transaction.prepare("DELETE FROM customers WHERE id = ?").unwrap();
        statement.execute(params![key]).unwrap();
    }
}

fn size(connection: &Connection) -> u64 {
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    pages as u64 * 4096
}

impl Series for Database {
    fn begin(&mut self, place: &Path) {
        let mut connection = open(place);
        let table = "CREATE TABLE customers
            (id INTEGER PRIMARY KEY, email TEXT, name TEXT, balance INTEGER, changed TEXT, note TEXT)";
        connection.execute_batch(table).unwrap();
        // The index takes the rest.
        while size(&connection) < self.bytes / 100 * 84 {
            let transaction = connection.transaction().unwrap();
            let mut statement = transaction.prepare(INSERT).unwrap();
            (0..5000).for_each(|_| self.insert(&mut statement));
            drop(statement);
            transaction.commit().unwrap();
        }
        connection.execute_batch("CREATE INDEX by_email ON customers (email)").unwrap();
    }

    fn advance(&mut self, place: &Path) {
        let mut connection = open(place);
        let transaction = connection.transaction().unwrap();
        let rows = self.keys.len();
        (0..rows / 100).for_each(|_| self.update(&transaction));
        let mut statement = transaction.prepare(INSERT).unwrap();
        (0..rows / 200).for_each(|_| self.insert(&mut statement));
        drop(statement);
        (0..rows / 500).for_each(|_| self.delete(&transaction));
        transaction.commit().unwrap();
    }
}
