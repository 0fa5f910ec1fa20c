//! What a kind of source calls its tables and their rows.

/// Singular forms. All plurals in use end with an `s`.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) struct Nouns {
    /// `collection`, `table`.
    pub table: &'static str,
    /// `document`, `point`, `row`.
    pub row: &'static str,
}

impl Nouns {
    /// `1 document`, `7 documents`.
    pub fn rows(self, count: u64) -> String {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {}{plural}", self.row)
    }

    /// ` with 7 documents`, or nothing if the number is unknown.
    pub fn with_rows(self, count: Option<u64>) -> String {
        count.map(|count| format!(" with {}", self.rows(count))).unwrap_or_default()
    }
}
