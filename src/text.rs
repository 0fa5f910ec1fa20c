//! Texts as editors leave them: perhaps with a byte order mark, with either end of a line.

/// The lines of a text without their ends (`\n` or `\r\n`) and without a byte order mark at the front.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = without_mark(text).split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// A text without the byte order mark that some editors put at its front.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_ends_of_lines_are_no_part_of_a_text() {
        let of = |text: &str| -> Vec<String> {
            let lines = lines(text.as_bytes());
            lines.map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
        };
        assert_eq!(of("\u{feff}one\r\ntwo\n three \r\r\n"), ["one", "two", " three \r", ""]);
        assert_eq!(of("\u{feff}"), [""]);
        assert_eq!(of("a\u{feff}"), ["a\u{feff}"]);
    }
}
