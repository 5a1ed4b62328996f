//! What the tests know of CSV and NDJSON exports: read back independently of the product's own code.

use serde_json::Value;
use std::collections::BTreeMap;

/// A CSV export. A cell without anything is none, an empty text (`""`) is some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Names of the columns.
    pub(crate) header: Vec<String>,
    /// Cells of the records.
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Reads a CSV export; everything that is not exactly in its form fails.
    #[track_caller]
    pub(crate) fn of(csv: &[u8]) -> Self {
        let text = csv.strip_prefix(b"\xEF\xBB\xBF").expect("a byte order mark");
        let mut lines = cells(std::str::from_utf8(text).expect("UTF-8")).into_iter();
        let header = lines.next().expect("a header").into_iter().map(|name| name.expect("a name")).collect();
        let table = Self { header, rows: lines.collect() };
        assert!(table.rows.iter().all(|row| row.len() == table.header.len()), "every row has all columns");
        table
    }

    /// The cells of a column.
    #[track_caller]
    pub(crate) fn column(&self, name: &str) -> Vec<Option<&str>> {
        let at = self.header.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name}"));
        self.rows.iter().map(|row| row[at].as_deref()).collect()
    }

    /// How often each value of a column comes; nothing counts as `-`.
    #[track_caller]
    pub(crate) fn counts(&self, name: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for cell in self.column(name) {
            *counts.entry(cell.unwrap_or("-").to_owned()).or_insert(0) += 1;
        }
        counts
    }

    /// Records as maps from column to cell, without those that hold nothing; sorted, so that two exports compare.
    pub(crate) fn records(&self) -> Vec<BTreeMap<String, String>> {
        let named = |row: &Vec<Option<String>>| {
            let cells = self.header.iter().zip(row);
            cells.filter_map(|(name, cell)| Some((name.clone(), cell.clone()?))).collect()
        };
        let mut records: Vec<_> = self.rows.iter().map(named).collect();
        records.sort();
        records
    }
}

/// The records of NDJSON lines or of a JSON array in the form of [`Table::records`].
#[track_caller]
pub(crate) fn json_records<'v>(values: impl IntoIterator<Item = &'v Value>) -> Vec<BTreeMap<String, String>> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => panic!("a field without a value is left out"),
        // `extra` is sorted and without spaces in the export, and the parser keeps its order.
        other => other.to_string(),
    };
    let record = |value: &Value| {
        let object = value.as_object().expect("an object").iter();
        object.map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let mut records: Vec<_> = values.into_iter().map(record).collect();
    records.sort();
    records
}

/// The lines of an NDJSON export.
#[track_caller]
pub(crate) fn lines(ndjson: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(ndjson).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "a line feed after every record");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// The cells of CSV text whose every row ends in a line feed.
#[track_caller]
pub(crate) fn cells(text: &str) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let cell;
        (cell, rest) = next_cell(rest);
        row.push(cell);
        let end = rest.chars().next().expect("a line feed after every row");
        rest = &rest[1..];
        match end {
            ',' => assert!(!rest.is_empty(), "a cell after every comma"),
            '\n' => rows.push(std::mem::take(&mut row)),
            other => panic!("{other:?} behind a cell"),
        }
    }
    assert!(row.is_empty(), "a line feed after every row");
    rows
}

/// The cell at the start, and what follows it.
fn next_cell(text: &str) -> (Option<String>, &str) {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).expect("a line feed after every row");
        let cell = &text[..end];
        assert!(!cell.contains(['"', '\r']), "quoting where it is needed: {cell:?}");
        return ((!cell.is_empty()).then(|| cell.to_owned()), &text[end..]);
    };
    let mut cell = String::new();
    loop {
        let end = rest.find('"').expect("a closing quote");
        cell.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(further) => {
                cell.push('"');
                rest = further;
            }
            None => return (Some(cell), rest),
        }
    }
}

#[test]
fn nothing_is_told_from_empty() {
    let table = Table::of("\u{feff}a,b\n,\"\"\n\"x\"\"\n,\",y\n".as_bytes());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(table.header, ["a", "b"]);
    assert_eq!(table.rows, [vec![None, some("")], vec![some("x\"\n,"), some("y")]]);
}
