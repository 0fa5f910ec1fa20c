//! A dump of a shop's database: one `INSERT` a row, table by table, ordered by key. A night updates, inserts and
//! deletes rows here and there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::seeded::{Kind, Numbers, Words, mix};
use super::series::Series;

const COLUMNS_MAX: usize = 8;

/// A row is what its key, and how often each of its columns was changed, make it.
#[derive(Clone, Copy)]
struct Row {
    key: u64,
    versions: [u8; COLUMNS_MAX],
}

struct Table {
    name: &'static str,
    columns: &'static [Kind],
    /// Of a hundred bytes of the dump.
    share: u64,
    rows: Vec<Row>,
}

pub struct Dump {
    bytes: u64,
    tables: Vec<Table>,
    words: Words,
    numbers: Numbers,
}

impl Dump {
    pub fn new(bytes: u64) -> Self {
        use Kind::{Amount, Date, Email, Name, Number, State, Text, Town};
        let table = |name, share, columns| Table { name, columns, share, rows: Vec::new() };
        let tables = vec![
            table("customers", 22, &[Name, Email, Town, Date, State, Text(6)]),
            table("products", 8, &[Text(4), Amount, Number, State, Text(40)]),
            table("orders", 40, &[Number, Date, State, Amount, Town, Date, Text(5)]),
            table("payments", 15, &[Number, Amount, State, Date, Date]),
            table("notes", 15, &[Number, Name, Date, Text(60)]),
        ];
        Self { bytes, tables, words: Words::new(), numbers: Numbers::new(1) }
    }

    fn write(&self, place: &Path) {
        let file = File::create(place.join("dump.sql")).unwrap();
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        for (ordinal, table) in self.tables.iter().enumerate() {
            writeln!(out, "\n--\n-- Data for {}\n--\n", table.name).unwrap();
            for row in &table.rows {
                line.clear();
                table.render(ordinal, row, &self.words, &mut line);
                out.write_all(&line).unwrap();
            }
        }
        out.flush().unwrap();
    }
}

impl Table {
    fn render(&self, ordinal: usize, row: &Row, words: &Words, line: &mut Vec<u8>) {
        write!(line, "INSERT INTO {} VALUES ({}", self.name, row.key).unwrap();
        for (column, kind) in self.columns.iter().enumerate() {
            let quote: &[u8] = if kind.is_quoted() { b"'" } else { b"" };
            let place = mix(row.key) ^ ((ordinal as u64) << 32) ^ ((column as u64) << 16);
            let mut numbers = Numbers::new(place ^ u64::from(row.versions[column]));
            line.push(b',');
            line.extend_from_slice(quote);
            words.value(*kind, &mut numbers, line);
            line.extend_from_slice(quote);
        }
        line.extend_from_slice(b");\n");
    }

    /// One row in a hundred updated, in one or two columns, 5 in a thousand new, 2 in a thousand gone.
    fn change(&mut self, numbers: &mut Numbers) {
        let columns = self.columns.len() as u64;
        let old = std::mem::take(&mut self.rows);
        self.rows.reserve(old.len() + old.len() / 100);
        for (at, mut row) in old.iter().copied().enumerate() {
            let next = old.get(at + 1).map_or(row.key + 40, |next| next.key);
            if numbers.happens(10) {
                for _ in 0..1 + numbers.below(2) {
                    let version = &mut row.versions[numbers.below(columns) as usize];
                    *version = version.wrapping_add(1);
                }
            }
            let key = row.key;
            if !numbers.happens(2) {
                self.rows.push(row);
            }
            if numbers.happens(5) && next - key > 1 {
                let key = key + 1 + numbers.below(next - key - 1);
                self.rows.push(Row { key, versions: [0; COLUMNS_MAX] });
            }
        }
    }
}

impl Series for Dump {
    fn begin(&mut self, place: &Path) {
        let mut line = Vec::new();
        for (ordinal, table) in self.tables.iter_mut().enumerate() {
            let (mut key, mut bytes) = (1, 0);
            while bytes < self.bytes * table.share / 100 {
                let row = Row { key, versions: [0; COLUMNS_MAX] };
                line.clear();
                table.render(ordinal, &row, &self.words, &mut line);
                bytes += line.len() as u64;
                table.rows.push(row);
                key += 20 + self.numbers.below(40);
            }
        }
        self.write(place);
    }

    fn advance(&mut self, place: &Path) {
        for table in &mut self.tables {
            table.change(&mut self.numbers);
        }
        self.write(place);
    }
}
