//! Printing as std's macros do, but a reader that went away (`restow list | head`) ends no backup: std's panic.

/// Standard output; where it is a full disk, that shows in the exit code.
macro_rules! println {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

/// Standard error. Nobody can be told that it failed.
macro_rules! eprintln {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
