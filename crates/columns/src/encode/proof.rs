//! What proves records of JSON: a leaf of the Merkle tree for each, and a signature in each where that is asked for.
//!
//! Works on rendered text, whose records stand a line each: strings hold no line feed in RFC 8785 form. How leaves
//! become a tree is the model's, and in which order is known to whoever puts texts together.

use memchr::memchr_iter;
use std::sync::Arc;
use tollbook_model::jws::JwsKey;
use tollbook_model::merkle::{Hash, leaf};
use tollbook_model::record_signature::push_signed;

/// Proves records that [`TextEncoder`](super::TextEncoder) has rendered as NDJSON or JSON.
#[derive(Debug, Clone)]
pub struct RecordProof {
    key: Option<Arc<JwsKey>>,
}

/// Rendered records with what proves them.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvedRecords {
    /// The text, with a signature in each record if there is a key.
    pub text: Vec<u8>,
    /// The leaf of each record in its order, made of the record without its signature.
    pub leaves: Vec<Hash>,
}

impl RecordProof {
    /// Makes leaves, and signs with this key, if there is one.
    pub fn new(key: Option<Arc<JwsKey>>) -> Self {
        Self { key }
    }

    /// Proves whole records.
    pub fn prove(&self, text: Vec<u8>) -> ProvedRecords {
        let mut leaves = Vec::new();
        let Some(key) = &self.key else {
            leaves.extend(lines(&text).filter_map(record_in).map(leaf));
            return ProvedRecords { text, leaves };
        };
        let mut signed = Vec::with_capacity(text.len() * 2);
        for line in lines(&text) {
            let Some(record) = record_in(line) else {
                signed.extend_from_slice(line);
                continue;
            };
            leaves.push(leaf(record));
            push_signed(&mut signed, record, &key.sign_detached(record));
            signed.extend_from_slice(&line[record.len()..]);
        }
        ProvedRecords { text: signed, leaves }
    }
}

/// The lines of a text, each with its end.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr_iter(b'\n', text).map(|at| at + 1).chain([text.len()]);
    ends.map(move |end| &text[std::mem::replace(&mut start, end)..end]).filter(|line| !line.is_empty())
}

/// The record that a line begins with; none in a line that only parts records.
fn record_in(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let record = line.strip_suffix(b",").unwrap_or(line);
    (record.first() == Some(&b'{')).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_kit::secret::Secret;
    use tollbook_model::jws::JwsKeys;
    use tollbook_model::record_signature::split;

    const RECORDS: [&str; 3] = [r#"{"id":"1","note":"},\\n{"}"#, "{}", r#"{"id":"3"}"#];

    #[test]
    fn records_are_found_in_every_form() {
        let leaves = RECORDS.map(|record| leaf(record.as_bytes())).to_vec();
        let lines = RECORDS.map(|record| format!("{record}\n")).concat();
        let first = format!("[\n{}", RECORDS.join(",\n"));
        let later = format!(",\n{}", RECORDS.join(",\n"));
        for text in [lines, first, later] {
            let proved = RecordProof::new(None).prove(text.clone().into_bytes());
            assert_eq!(proved, ProvedRecords { text: text.into_bytes(), leaves: leaves.clone() });
        }
        assert_eq!(RecordProof::new(None).prove(Vec::new()).leaves, Vec::<Hash>::new());
    }

    #[test]
    fn each_record_is_signed_and_its_leaf_leaves_the_signature_out() {
        let key = Arc::new(JwsKey::from_seed(&Secret::new([7; 32])));
        let keys = JwsKeys::of([&*key]);
        let proof = RecordProof::new(Some(key));
        let leaves = RECORDS.map(|record| leaf(record.as_bytes())).to_vec();
        let lines = RECORDS.map(|record| format!("{record}\n")).concat();
        let array = format!("[\n{}", RECORDS.join(",\n"));
        for (text, opening, between) in [(lines, "", "\n"), (array, "[\n", ",\n")] {
            let proved = proof.prove(text.into_bytes());
            assert_eq!(proved.leaves, leaves);
            let text = String::from_utf8(proved.text).unwrap();
            let records: Vec<&str> = text.strip_prefix(opening).unwrap().trim_end().split(between).collect();
            assert_eq!(records.len(), RECORDS.len());
            for (signed, record) in records.iter().zip(RECORDS) {
                let split = split(signed.as_bytes()).unwrap().unwrap();
                assert_eq!(split.record, record.as_bytes());
                keys.verify_detached(split.signature, record.as_bytes()).unwrap();
            }
        }
    }
}
