//! Which column is where: 16 always, and five that exist only when they are configured.
//!
//! Rows of different width stand in one file after a change of configuration, so this is decided row by row.

use crate::delimited::Fields;

/// Columns that every row has.
pub(super) const BASE: usize = 16;
pub(super) const ACCOUNTCODE: usize = 0;
pub(super) const SRC: usize = 1;
pub(super) const DST: usize = 2;
pub(super) const DCONTEXT: usize = 3;
pub(super) const CLID: usize = 4;
pub(super) const CHANNEL: usize = 5;
pub(super) const DSTCHANNEL: usize = 6;
pub(super) const LASTAPP: usize = 7;
pub(super) const LASTDATA: usize = 8;
pub(super) const START: usize = 9;
pub(super) const ANSWER: usize = 10;
pub(super) const END: usize = 11;
pub(super) const DURATION: usize = 12;
pub(super) const BILLSEC: usize = 13;
pub(super) const DISPOSITION: usize = 14;

/// What a single further column is, when only one of `loguniqueid` and `loguserfield` is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SingleOptional {
    /// A unique id when it looks like one (`[name-]epoch.counter`), else the user field.
    ByShape,
    Uniqueid,
    Userfield,
}

impl SingleOptional {
    /// The words of the setting; the first is the default.
    pub(super) const WORDS: [&'static str; 3] = ["by_shape", "uniqueid", "userfield"];

    pub(super) fn of_word(word: &str) -> Self {
        match word {
            "uniqueid" => Self::Uniqueid,
            "userfield" => Self::Userfield,
            _ => Self::ByShape,
        }
    }
}

/// Positions of the optional columns in one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Columns {
    pub(super) uniqueid: Option<usize>,
    pub(super) userfield: Option<usize>,
    pub(super) peeraccount: Option<usize>,
    pub(super) linkedid: Option<usize>,
    pub(super) sequence: Option<usize>,
}

impl Columns {
    /// The columns of a row by its width; none when no configuration writes rows of that width.
    pub(super) fn of(fields: &Fields, single: SingleOptional) -> Option<Self> {
        let mut columns = Self::default();
        let optional = match fields.len() {
            16 | 19 => 0,
            17 | 20 => 1,
            18 | 21 => 2,
            _ => return None,
        };
        match optional {
            1 => {
                let is_id = match single {
                    SingleOptional::ByShape => uniqueid_seconds(fields.get(BASE)).is_some(),
                    other => other == SingleOptional::Uniqueid,
                };
                *(if is_id { &mut columns.uniqueid } else { &mut columns.userfield }) = Some(BASE);
            }
            2 => (columns.uniqueid, columns.userfield) = (Some(BASE), Some(BASE + 1)),
            _ => {}
        }
        if fields.len() >= BASE + 3 {
            let first = BASE + optional;
            columns.peeraccount = Some(first);
            columns.linkedid = Some(first + 1);
            columns.sequence = Some(first + 2);
        }
        Some(columns)
    }
}

/// The seconds since 1970 in a unique id such as `pbx1-1795359106.106` or `1795359106.106`; none for other text.
pub(super) fn uniqueid_seconds(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (head, counter) = text.rsplit_once('.')?;
    let epoch = head.rsplit_once('-').map_or(head, |(_, epoch)| epoch);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (is_number(counter) && is_number(epoch) && (9..=11).contains(&epoch.len())).then(|| epoch.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::asterisk_csv::DIALECT;

    #[test]
    fn the_width_tells_the_columns() {
        let id = "pbx-1795359106.106";
        for (further, uniqueid, userfield, peeraccount) in [
            (vec![], None, None, None),
            (vec![id], Some(16), None, None),
            (vec!["did"], None, Some(16), None),
            (vec![""], None, Some(16), None),
            (vec![id, "did"], Some(16), Some(17), None),
            (vec!["acc", id, "7"], None, None, Some(16)),
            (vec![id, "acc", id, "7"], Some(16), None, Some(17)),
            (vec!["did", "acc", id, "7"], None, Some(16), Some(17)),
            (vec![id, "did", "acc", id, "7"], Some(16), Some(17), Some(18)),
        ] {
            let line = [vec!["x"; BASE], further.clone()].concat().join(",");
            let mut fields = Fields::default();
            DIALECT.split(line.as_bytes(), 0, true, &mut fields);
            let columns = Columns::of(&fields, SingleOptional::ByShape).expect("a known width");
            assert_eq!(
                (columns.uniqueid, columns.userfield, columns.peeraccount),
                (uniqueid, userfield, peeraccount)
            );
            assert_eq!(columns.sequence, peeraccount.map(|at| at + 2), "{further:?}");
        }
    }

    #[test]
    fn unique_ids_have_a_shape() {
        for (text, seconds) in [
            ("1795359106.106", Some(1_795_359_106)),
            ("bench-pbx-1795359106.106", Some(1_795_359_106)),
            ("did", None),
            ("10.1", None),
            ("1795359106", None),
            ("1795359106.", None),
            ("99999999999999999999999999.1", None),
        ] {
            assert_eq!(uniqueid_seconds(text.as_bytes()), seconds, "{text}");
        }
    }
}
