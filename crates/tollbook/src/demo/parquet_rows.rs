//! How many rows a Parquet file has, from its footer: enough of the Thrift compact protocol to reach one number.
//!
//! The data wing's reader opens parts of the lake only; what is counted here is a file as a client got it.

/// Bytes behind the footer: its length, and the magic word.
const TAIL: usize = 8;
const MAGIC: &[u8] = b"PAR1";
/// `FileMetaData.num_rows` in parquet.thrift.
const NUM_ROWS: i16 = 3;
/// Structures inside structures; a schema needs three.
const MOST_DEPTH: usize = 16;

/// The rows of a whole Parquet file; none when it is not one.
pub(super) fn parquet_rows(file: &[u8]) -> Option<u64> {
    let (before, tail) = file.split_at_checked(file.len().checked_sub(TAIL)?)?;
    let length = u32::from_le_bytes(tail[..4].try_into().ok()?) as usize;
    if &tail[4..] != MAGIC || !file.starts_with(MAGIC) {
        return None;
    }
    let mut footer = Compact(&before[before.len().checked_sub(length)?..]);
    let mut field = 0;
    loop {
        let kind = footer.field(&mut field)?;
        match (kind, field) {
            (0, _) => return None,
            (5 | 6, NUM_ROWS) => return u64::try_from(footer.zigzag()?).ok(),
            (kind, _) => footer.skip(kind, 0)?,
        }
    }
}

/// Bytes in Thrift's compact protocol, read from the front.
struct Compact<'b>(&'b [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The kind of the next field, and its number in `field`; kind 0 ends a structure.
    fn field(&mut self, field: &mut i16) -> Option<u8> {
        let byte = self.byte()?;
        let (step, kind) = (byte >> 4, byte & 0x0F);
        if kind != 0 {
            *field = if step == 0 { i16::try_from(self.zigzag()?).ok()? } else { *field + i16::from(step) };
        }
        Some(kind)
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1 | 2 => Some(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.step_over(8),
            8 => {
                let length = self.varint()?;
                self.step_over(usize::try_from(length).ok()?)
            }
            9 | 10 if depth < MOST_DEPTH => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                // In a list every boolean is a byte, which as a field of a structure is no byte at all.
                let kind = if matches!(byte & 0x0F, 1 | 2) { 3 } else { byte & 0x0F };
                (0..count).try_for_each(|_| self.skip(kind, depth + 1))
            }
            12 if depth < MOST_DEPTH => {
                let mut field = 0;
                loop {
                    match self.field(&mut field)? {
                        0 => return Some(()),
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
            }
            _ => None,
        }
    }

    fn step_over(&mut self, length: usize) -> Option<()> {
        self.0 = self.0.get(length..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_columns::parquet_file::{ExportAssembly, Piece};
    use tollbook_columns::rows::batch_from_rows;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::schema::Schema;
    use tollbook_model::value::Value;

    fn file(rows: usize) -> Vec<u8> {
        let schema = Schema::of(Dataset::AgentConfiguration);
        let text = |text: &'static str| Value::Text(text.into());
        let row = || {
            let mut row = vec![Value::Null; schema.fields.len()];
            (row[0], row[1], row[2]) = (Value::Uuid([7; 16]), text("pbx"), text("csv"));
            (row[7], row[10]) = (Value::Boolean(true), Value::Instant(1));
            row
        };
        let columns: Vec<usize> = (0..schema.fields.len()).collect();
        let mut assembly = ExportAssembly::new(&schema, &columns, &[("key", "value".into())]).unwrap();
        let mut bytes = assembly.opening().to_vec();
        if rows > 0 {
            let given: Vec<_> = (0..rows).map(|_| row()).collect();
            let group = assembly.encode(&[batch_from_rows(&schema, &given).unwrap()]).unwrap();
            assembly.place(&group).unwrap();
            for piece in &group.pieces {
                let Piece::Bytes(piece) = piece else { panic!("encoded rows are bytes") };
                bytes.extend_from_slice(piece);
            }
        }
        bytes.extend_from_slice(&assembly.closing().unwrap());
        bytes
    }

    #[test]
    fn rows_are_read_from_the_footer() {
        for rows in [0, 1, 777] {
            assert_eq!(parquet_rows(&file(rows)), Some(rows as u64));
        }
        let whole = file(3);
        assert_eq!(parquet_rows(&whole[..whole.len() - 1]), None);
        assert_eq!(parquet_rows(b"PAR1"), None);
        assert_eq!(parquet_rows(b"PAR1\xff\xff\xff\xffPAR1"), None);
    }
}
