//! Splitting delimited text into fields, byte by byte: knows a quoted empty field from an absent one, survives broken
//! quotes, and can be told that a record ends with its line.
//!
//! Which fields a record has is not known here.

/// Bound of one record in bytes; a quoted field that runs on for longer is taken as broken.
const RECORD_BYTES: usize = 64 * 1024;

/// The characters that part fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// Between fields.
    pub(crate) separator: u8,
    /// Around fields, doubled inside; none when quotes mean nothing.
    pub(crate) quote: Option<u8>,
    /// Are blanks before a field left out?
    pub(crate) skip_blanks: bool,
}

/// The fields of one record, unquoted. Reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    ends: Vec<(usize, bool)>,
}

impl Fields {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of a field; empty when there is none at that position.
    pub(crate) fn get(&self, at: usize) -> &[u8] {
        let Some(&(end, _)) = self.ends.get(at) else { return &[] };
        let start = if at == 0 { 0 } else { self.ends[at - 1].0 };
        &self.bytes[start..end]
    }

    /// Is the field there, be it as empty quotes?
    pub(crate) fn is_present(&self, at: usize) -> bool {
        self.ends.get(at).is_some_and(|&(_, quoted)| quoted) || !self.get(at).is_empty()
    }

    fn last_is_quoted(&self) -> bool {
        self.ends.last().is_some_and(|&(_, quoted)| quoted)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn end_field(&mut self, quoted: bool) {
        self.ends.push((self.bytes.len(), quoted));
    }
}

/// How a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a line feed.
    Line,
    /// With the input.
    Input,
    /// Inside quotes, or over the bound: the record is broken.
    OpenQuote,
}

impl Dialect {
    /// Splits the record that begins at `from`; answers where the next one begins and how this one ended. With
    /// `within_line` a line feed ends the record even inside quotes.
    pub(crate) fn split(
        &self,
        input: &[u8],
        from: usize,
        within_line: bool,
        fields: &mut Fields,
    ) -> (usize, Ending) {
        fields.clear();
        let mut at = from;
        loop {
            if self.skip_blanks {
                while input.get(at) == Some(&b' ') {
                    at += 1;
                }
            }
            let quoted = self.quote.is_some() && input.get(at).copied() == self.quote;
            if quoted {
                match self.quoted_part(input, from, at + 1, within_line, fields) {
                    Ok(after) => at = after,
                    Err(broken_at) => {
                        fields.end_field(true);
                        return (broken_at, Ending::OpenQuote);
                    }
                }
            }
            let stop = input[at..].iter().position(|&b| b == self.separator || b == b'\n');
            let end = stop.map_or(input.len(), |stop| at + stop);
            fields.bytes.extend_from_slice(&input[at..end]);
            let ends_record = input.get(end) != Some(&self.separator) || self.separator == b'\n';
            if ends_record && end > at && input[end - 1] == b'\r' {
                fields.bytes.pop();
            }
            fields.end_field(quoted);
            if !ends_record {
                at = end + 1;
            } else if end < input.len() {
                return (end + 1, Ending::Line);
            } else {
                return (end, Ending::Input);
            }
        }
    }

    /// May the last row of an input, whose bytes and fields these are and which no line feed ends, be cut off within its
    /// last field? Only a closing quote says that it is not: half a number is a number too.
    pub(crate) fn may_be_cut_off(&self, row: &[u8], fields: &Fields) -> bool {
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        !fields.last_is_quoted() || row.last().copied() != self.quote
    }

    /// Copies what stands between quotes; answers the position after the closing quote, or where the broken record ends.
    fn quoted_part(
        &self,
        input: &[u8],
        record: usize,
        mut at: usize,
        within_line: bool,
        fields: &mut Fields,
    ) -> Result<usize, usize> {
        let quote = self.quote.unwrap_or(b'"');
        let mut spans_lines = false;
        while let Some(&byte) = input.get(at) {
            if byte == quote {
                at += 1;
                match input.get(at) {
                    Some(&after) if after == quote => {}
                    // Where a field spans lines and text follows its closing quote, that quote opened another field.
                    Some(&after)
                        if spans_lines && after != self.separator && !after.is_ascii_whitespace() =>
                    {
                        return Err(at);
                    }
                    _ => return Ok(at),
                }
            } else if byte == b'\n' {
                if within_line || at - record > RECORD_BYTES {
                    return Err(at + 1);
                }
                spans_lines = true;
            }
            fields.bytes.push(byte);
            at += 1;
        }
        Err(at)
    }
}

/// Splits the records of one input. Quotes may span lines; when that makes no record, a quote was left open, and only its
/// own line is lost. Lines that were looked at in vain are then split one by one, so that none is read again and again.
#[derive(Debug)]
pub(crate) struct Records<'i> {
    dialect: Dialect,
    input: &'i [u8],
    /// Records that begin before this offset end with their line.
    one_by_one_until: usize,
}

impl<'i> Records<'i> {
    /// The records of `input`.
    pub(crate) fn new(dialect: Dialect, input: &'i [u8]) -> Self {
        Self { dialect, input, one_by_one_until: 0 }
    }

    /// Splits the record that begins at `from`; answers where the next one begins and how this one ended. One that spans
    /// lines must have fields that `fits` accepts.
    pub(crate) fn split(
        &mut self,
        from: usize,
        fields: &mut Fields,
        fits: impl FnOnce(&Fields) -> bool,
    ) -> (usize, Ending) {
        if from >= self.one_by_one_until {
            let (next, ending) = self.dialect.split(self.input, from, false, fields);
            let record = &self.input[from..next];
            let spans_lines = line_feeds(record) > 1;
            if ending != Ending::OpenQuote && (!spans_lines || fits(fields)) {
                return (next, ending);
            }
            let inner = record.strip_suffix(b"\n").unwrap_or(record);
            let last_line = inner.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            self.one_by_one_until = from + last_line;
        }
        self.dialect.split(self.input, from, true, fields)
    }
}

/// The input without a byte order mark.
pub(crate) fn without_mark(input: &[u8]) -> &[u8] {
    input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input)
}

/// A row without its line end, of whichever of the two kinds: equal rows are equal in both.
pub(crate) fn without_line_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// Line feeds in a stretch of input.
pub(crate) fn line_feeds(input: &[u8]) -> u64 {
    input.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Why a last row without a line feed is refused.
pub(crate) const NO_LINE_END: &str =
    "the last line has no line end: it may be cut off; send it again complete";

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { separator: b',', quote: Some(b'"'), skip_blanks: false };

    fn split(dialect: Dialect, input: &str, within_line: bool) -> (Vec<String>, Vec<bool>, usize, Ending) {
        let mut fields = Fields::default();
        let (next, ending) = dialect.split(input.as_bytes(), 0, within_line, &mut fields);
        let texts =
            (0..fields.len()).map(|at| String::from_utf8_lossy(fields.get(at)).into_owned()).collect();
        (texts, (0..fields.len()).map(|at| fields.is_present(at)).collect(), next, ending)
    }

    #[test]
    fn records_split_into_fields() {
        for (input, fields, ending) in [
            ("a,b\n", vec!["a", "b"], Ending::Line),
            ("a,b\r\nc", vec!["a", "b"], Ending::Line),
            ("a,\"b,\"\"c\"\"\"", vec!["a", "b,\"c\""], Ending::Input),
            ("\"\"\"\\\"\"Lab\"\" <106>\",x\n", vec!["\"\\\"Lab\" <106>", "x"], Ending::Line),
            ("\"two\nlines\",x\n", vec!["two\nlines", "x"], Ending::Line),
            ("\"a\"b,c\n", vec!["ab", "c"], Ending::Line),
            ("a,\"b\r\"\r\n", vec!["a", "b\r"], Ending::Line),
            ("\n", vec![""], Ending::Line),
            ("a,\"open", vec!["a", "open"], Ending::OpenQuote),
        ] {
            let (texts, _, _, ended) = split(COMMA, input, false);
            assert_eq!(
                (texts, ended),
                (fields.into_iter().map(str::to_owned).collect(), ending),
                "{input:?}"
            );
        }
    }

    #[test]
    fn null_and_empty_are_two_things() {
        let (texts, present, ..) = split(COMMA, "\"\",,x\n", false);
        assert_eq!(texts, ["", "", "x"]);
        assert_eq!(present, [true, false, true]);
    }

    #[test]
    fn a_broken_quote_costs_one_line() {
        let (_, _, next, ending) = split(COMMA, "\"open,x\n\"whole\",y\n", true);
        assert_eq!((next, ending), (8, Ending::OpenQuote));
    }

    #[test]
    fn only_a_closing_quote_says_that_a_row_is_whole() {
        for (row, cut_off) in [
            ("\"a\",12", true),
            ("\"a\",", true),
            ("\"a\",\"b\"c", true),
            ("\"a\",b\"", true),
            ("1,\"b\"", false),
            ("1,\"\"", false),
            ("1,\"b\"\r", false),
        ] {
            let mut fields = Fields::default();
            let (_, ending) = COMMA.split(row.as_bytes(), 0, false, &mut fields);
            assert_eq!(ending, Ending::Input, "{row:?}");
            assert_eq!(COMMA.may_be_cut_off(row.as_bytes(), &fields), cut_off, "{row:?}");
        }
        let unquoted = Dialect { quote: None, ..COMMA };
        let mut fields = Fields::default();
        unquoted.split(b"1,\"b\"", 0, false, &mut fields);
        assert!(unquoted.may_be_cut_off(b"1,\"b\"", &fields));
    }

    #[test]
    fn line_ends_are_no_part_of_a_row() {
        for row in ["a,b\n", "a,b\r\n", "a,b", "a,b\r"] {
            assert_eq!(without_line_end(row.as_bytes()), b"a,b", "{row:?}");
        }
    }

    #[test]
    fn blanks_before_fields_can_be_skipped() {
        let dialect = Dialect { separator: b',', quote: None, skip_blanks: true };
        assert_eq!(split(dialect, "1, \"a\", 2\n", false).0, ["1", "\"a\"", "2"]);
    }
}
