//! What people read: answers on standard output, complaints on standard error beside the logs.

use std::io::Write;

/// Writes a line. A reader that went away (a closed pipe) is no reason to stop.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads standard output");
    }
}

/// Writes a line for the person who started the program, apart from what it answers.
#[allow(clippy::print_stderr, reason = "the one place that complains to the terminal")]
pub(crate) fn complain(text: &str) {
    eprintln!("tollbook: {text}");
}

/// Writes rows in columns under their headings.
pub(crate) fn say_table<const COLUMNS: usize>(headings: [&str; COLUMNS], rows: &[[String; COLUMNS]]) {
    say(&table(headings, rows));
}

fn table<const COLUMNS: usize>(headings: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let width = |text: &str| text.chars().count();
    let mut widths = headings.map(width);
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell).max(*widest);
        }
    }
    let line = |cells: [&str; COLUMNS]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(headings)).chain(rows).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["ä".to_owned(), "x".into()], ["abcd".into(), String::new()]];
        assert_eq!(table(["a", "second"], &rows), "a     second\nä     x\nabcd");
        assert_eq!(table(["a", "b"], &[]), "a  b");
    }
}
