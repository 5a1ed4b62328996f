//! Where a record carries its signature: as its first member, `_sig`, which sorts before all others (RFC 8785).
//!
//! What is signed is the record's bytes without it. How is `jws`'s.

/// What a signed record begins with.
const OPENING: &[u8] = b"{\"_sig\":\"";

/// Appends `record`, a JSON object in RFC 8785 form, with its signature, which must need no escapes.
pub fn push_signed(out: &mut Vec<u8>, record: &[u8], signature: &str) {
    let rest = record.strip_prefix(b"{").unwrap_or(record);
    out.extend_from_slice(OPENING);
    out.extend_from_slice(signature.as_bytes());
    out.extend_from_slice(if rest == b"}" { b"\"" } else { b"\"," });
    out.extend_from_slice(rest);
}

/// A record whose signature stands where it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRecord<'r> {
    /// The signature.
    pub signature: &'r str,
    /// The record without it.
    pub record: Vec<u8>,
}

/// A record that begins with a signature, but does not go on as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Takes a record and its signature apart; none when it begins with another member.
///
/// # Errors
/// [`Malformed`], when it is not written as [`push_signed`] writes it.
pub fn split(signed: &[u8]) -> Result<Option<SignedRecord<'_>>, Malformed> {
    let Some(text) = signed.strip_prefix(OPENING) else { return Ok(None) };
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\')).ok_or(Malformed)?;
    let signature = std::str::from_utf8(&text[..end]).map_err(|_| Malformed)?;
    let rest = match &text[end..] {
        [b'"', b',', rest @ ..] if rest.first() == Some(&b'"') => rest,
        [b'"', rest @ ..] if rest == b"}" => rest,
        _ => return Err(Malformed),
    };
    let mut record = Vec::with_capacity(rest.len() + 1);
    record.push(b'{');
    record.extend_from_slice(rest);
    Ok(Some(SignedRecord { signature, record }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_stands_first_and_comes_off_again() {
        for (record, signed) in [
            (r#"{"id":"x"}"#, r#"{"_sig":"a..b","id":"x"}"#),
            (r#"{"id":"x","n":{}}"#, r#"{"_sig":"a..b","id":"x","n":{}}"#),
            ("{}", r#"{"_sig":"a..b"}"#),
        ] {
            let mut out = Vec::new();
            push_signed(&mut out, record.as_bytes(), "a..b");
            assert_eq!(std::str::from_utf8(&out).unwrap(), signed);
            let split = split(&out).unwrap().unwrap();
            assert_eq!((split.signature, split.record.as_slice()), ("a..b", record.as_bytes()));
            assert_eq!(super::split(record.as_bytes()), Ok(None));
        }
    }

    #[test]
    fn what_is_written_otherwise_is_not_taken_apart() {
        for wrong in [
            r#"{"_sig":"a..b""#,
            r#"{"_sig":"a..b",}"#,
            r#"{"_sig":"a..b" ,"id":"x"}"#,
            r#"{"_sig":"a..b"]"#,
            r#"{"_sig":"a..\u0062","id":"x"}"#,
            r#"{"_sig":"a..b"#,
        ] {
            assert_eq!(split(wrong.as_bytes()), Err(Malformed), "{wrong}");
        }
        for other in [r#"{"_sig":1}"#, r#"{ "_sig":"a..b"}"#, r#"{"_sign":"x"}"#, "", "[]"] {
            assert_eq!(split(other.as_bytes()), Ok(None), "{other}");
        }
    }
}
