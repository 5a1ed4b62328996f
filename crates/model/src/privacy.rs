//! Pseudonyms of external callers (`natalia.md` section 5): how a number becomes one, and how the original is sealed.
//!
//! Who may see an original again is decided in `app`.

use crate::call::{CallField, CallRecord, FieldProblem};
use aes_gcm_siv::aead::{Aead, KeyInit};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::borrow::Cow;
use tollbook_kit::secret::Secret;

/// Digits from which on the last four are shown beside a pseudonym.
const SHOWN_FROM_DIGITS: usize = 7;

/// A tenant's key of one generation; makes pseudonyms and seals originals.
#[derive(Clone)]
pub struct PseudonymKey {
    generation: u32,
    bytes: Secret<[u8; 32]>,
    keyed: Hmac<Sha256>,
    seal: Aes256GcmSiv,
}

impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PseudonymKey(generation {})", self.generation)
    }
}

impl PseudonymKey {
    /// The key of `generation` (1 and up) with these bytes.
    pub fn new(generation: u32, bytes: [u8; 32]) -> Self {
        let keyed = <Hmac<Sha256> as KeyInit>::new_from_slice(&bytes).expect("HMAC takes keys of any length");
        let mut derive = keyed.clone();
        derive.update(b"tollbook-seal-v1");
        let seal_key = derive.finalize().into_bytes();
        let seal = Aes256GcmSiv::new_from_slice(&seal_key).expect("SHA-256 makes 32 bytes");
        Self { generation, bytes: Secret::new(bytes), keyed, seal }
    }

    /// Its generation.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Its bytes, for the catalog that keeps it.
    pub fn bytes(&self) -> &Secret<[u8; 32]> {
        &self.bytes
    }

    /// The pseudonym of a number in any spelling.
    pub fn pseudonym(&self, number: &str) -> String {
        self.pseudonym_of_normal_form(&normal_form(number))
    }

    fn pseudonym_of_normal_form(&self, normal: &str) -> String {
        let mut mac = self.keyed.clone();
        mac.update(normal.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut text = format!("p{}_", self.generation);
        for byte in &digest[..16] {
            text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        text
    }

    /// Seals an original. Equal originals seal to equal bytes (the pseudonym shows that equality anyway), which
    /// lets a dictionary hold them.
    ///
    /// Usual spellings (digits, with `+`, with `00`) take one byte for the spelling and half a byte a digit: the digits
    /// are hidden under a keystream that belongs to their own pseudonym, so no two different numbers ever share one, and
    /// [`PseudonymKey::unseal`] proves the result by making the pseudonym again. Everything else goes through
    /// AES-GCM-SIV, which is safe with the fixed nonce that this takes.
    fn seal(&self, original: &str, normal: &str, pseudonym: &str) -> Vec<u8> {
        let spelling = SPELLINGS.iter().position(|prefix| original.strip_prefix(prefix) == Some(normal));
        match spelling {
            Some(spelling)
                if normal.len() <= MOST_PACKED_DIGITS && normal.bytes().all(|b| b.is_ascii_digit()) =>
            {
                let mut sealed = vec![spelling as u8];
                let digits: Vec<u8> = normal.bytes().map(|b| b - b'0').collect();
                let packed =
                    digits.chunks(2).map(|pair| (pair[0] << 4) | pair.get(1).copied().unwrap_or(0x0F));
                sealed.extend(packed.zip(self.keystream(pseudonym)).map(|(byte, mask)| byte ^ mask));
                sealed
            }
            _ => {
                let text = self.seal.encrypt(&Nonce::default(), original.as_bytes());
                [&[OTHER_SPELLING][..], &text.expect("a number is far below the cipher's bound")].concat()
            }
        }
    }

    /// The original of sealed bytes, given the pseudonym that stands in its place; none when they were sealed with another
    /// key or do not belong together.
    pub fn unseal(&self, sealed: &[u8], pseudonym: &str) -> Option<String> {
        let (&spelling, hidden) = sealed.split_first()?;
        let original = if spelling == OTHER_SPELLING {
            String::from_utf8(self.seal.decrypt(&Nonce::default(), hidden).ok()?).ok()?
        } else {
            let mut original = String::from(*SPELLINGS.get(usize::from(spelling))?);
            for (byte, mask) in hidden.iter().zip(self.keystream(pseudonym)) {
                let pair = byte ^ mask;
                original.extend(
                    [pair >> 4, pair & 0x0F]
                        .iter()
                        .filter(|&&digit| digit < 10)
                        .map(|digit| char::from(b'0' + digit)),
                );
            }
            original
        };
        (self.pseudonym(&original) == pseudonym).then_some(original)
    }

    fn keystream(&self, pseudonym: &str) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(b"tollbook-digits-v1 ");
        mac.update(pseudonym.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Spellings of a number whose rest is its normal form.
const SPELLINGS: [&str; 3] = ["", "+", "00"];
const OTHER_SPELLING: u8 = 0xFF;
/// Digits that a keystream can hide; E.164 has 15.
const MOST_PACKED_DIGITS: usize = 40;

/// The form in which numbers are compared: without spaces, `-`, `.`, `(`, `)` and one leading `+` or `00`, if only
/// digits are left; else the original in lower case.
pub fn normal_form(number: &str) -> Cow<'_, str> {
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with("00") {
        return Cow::Borrowed(number);
    }
    let kept = without_separators(number);
    let bare = kept.strip_prefix('+').or_else(|| kept.strip_prefix("00")).unwrap_or(&kept);
    if !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit()) {
        Cow::Owned(bare.to_owned())
    } else {
        Cow::Owned(number.to_lowercase())
    }
}

/// Is the text a pseudonym already, as in a re-imported export?
pub fn is_pseudonym(text: &str) -> bool {
    let Some((generation, digest)) = text.strip_prefix('p').and_then(|rest| rest.split_once('_')) else {
        return false;
    };
    !generation.is_empty()
        && generation.bytes().all(|b| b.is_ascii_digit())
        && digest.len() == 32
        && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Fields of which nothing is known but that a source may write the caller's number into them. `called_party` is not
/// among them: it stays in clear even when somebody calls himself.
const SUSPECT_FIELDS: [CallField; 10] = [
    CallField::CallGroup,
    CallField::CallId,
    CallField::DisconnectReason,
    CallField::CalledName,
    CallField::DialledNumber,
    CallField::Did,
    CallField::AccountCode,
    CallField::TenantHint,
    CallField::RecordingRef,
    CallField::SourceKey,
];

/// Replaces the caller's number in an external call's record and seals the original.
///
/// `calling_party`, `source_number_out` and `cli` are his by their meaning and always become pseudonyms; other fields do
/// when they hold nothing but the number of `calling_party` or `cli`, in any spelling. `caller_name`, and values of
/// `extra` that hold one of the two, are taken away.
///
/// # Errors
/// None in practice; pseudonyms always fit their fields.
pub fn pseudonymise(record: &mut CallRecord<'_>, key: &PseudonymKey) -> Result<(), FieldProblem> {
    record.clear(CallField::CallerName);
    if let Some(number) = clear_number(record, CallField::SourceNumberOut) {
        record.set_text(CallField::SourceNumberOut, key.pseudonym(&number))?;
    }
    if let Some(number) = clear_number(record, CallField::Cli) {
        let normal = normal_form(&number);
        let pseudonym = key.pseudonym_of_normal_form(&normal);
        hide_elsewhere(record, &normal, &pseudonym, key)?;
        record.set_text(CallField::Cli, pseudonym)?;
    }
    let Some(original) = clear_number(record, CallField::CallingParty) else { return Ok(()) };
    let normal = normal_form(&original);
    let pseudonym = key.pseudonym_of_normal_form(&normal);
    hide_elsewhere(record, &normal, &pseudonym, key)?;
    record.set_sealed_calling_party(key.seal(&original, &normal, &pseudonym));
    record.set_text(CallField::CallingParty, pseudonym)?;
    if is_digits(&normal) && normal.len() >= SHOWN_FROM_DIGITS {
        record.set_text(CallField::CallingLast4, normal[normal.len() - 4..].to_owned())?;
    } else {
        record.clear(CallField::CallingLast4);
    }
    Ok(())
}

/// The number of a field that is still in clear.
fn clear_number(record: &CallRecord<'_>, field: CallField) -> Option<String> {
    record.text(field).filter(|number| !number.is_empty() && !is_pseudonym(number)).map(str::to_owned)
}

/// Hides a number wherever else it stands in the record; of a text around a number, such as `sip:+442071234567@host`,
/// the number as well.
fn hide_elsewhere(
    record: &mut CallRecord<'_>,
    normal: &str,
    pseudonym: &str,
    key: &PseudonymKey,
) -> Result<(), FieldProblem> {
    replace_in_suspects(record, normal, pseudonym)?;
    if is_digits(normal) {
        record.retain_extra(|_, value| !holds_digits(value, last_digits(normal)));
        return Ok(());
    }
    record.retain_extra(|_, value| !value.to_lowercase().contains(normal));
    if let Some(digits) = contained_number(normal) {
        replace_in_suspects(record, &digits, &key.pseudonym_of_normal_form(&digits))?;
        record.retain_extra(|_, value| !holds_digits(value, last_digits(&digits)));
    }
    Ok(())
}

fn replace_in_suspects(
    record: &mut CallRecord<'_>,
    normal: &str,
    pseudonym: &str,
) -> Result<(), FieldProblem> {
    for field in SUSPECT_FIELDS {
        if record.text(field).is_some_and(|text| normal_form(text) == normal) {
            record.set_text(field, pseudonym.to_owned())?;
        }
    }
    Ok(())
}

/// The national spelling lacks the country code: the last seven digits give a number away as well.
fn last_digits(digits: &str) -> &str {
    &digits[digits.len().saturating_sub(SHOWN_FROM_DIGITS)..]
}

/// The normal form of the number that stands in a longer text: its longest run of digits, if that is as long as a number.
/// Of an address the part before `@` goes first, because the host may be digits too.
fn contained_number(text: &str) -> Option<String> {
    let user = text.split('@').next().unwrap_or(text);
    [user, text].into_iter().find_map(|part| {
        let joined = without_separators(part);
        let runs = joined.split(|c: char| !c.is_ascii_digit());
        let longest = runs.max_by_key(|run| run.len()).filter(|run| run.len() >= SHOWN_FROM_DIGITS)?;
        Some(normal_form(longest).into_owned())
    })
}

/// The text without what people put between digits.
fn without_separators(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect()
}

fn is_digits(normal: &str) -> bool {
    normal.bytes().all(|b| b.is_ascii_digit())
}

fn holds_digits(value: &str, needle: &str) -> bool {
    let digits = without_separators(value);
    // Two or three digits stand in every other value; only the value that is just them tells anything.
    if needle.len() < 4 { digits == needle } else { digits.contains(needle) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn originals_come_back_in_their_own_spelling_and_only_with_their_pseudonym() {
        let key = PseudonymKey::new(1, [9; 32]);
        for original in [
            "+442071234567",
            "00442071234567",
            "442071234567",
            "+44 20 7123 4567",
            "1",
            "12",
            "anonymous",
            "+",
            "00",
            "Müller",
        ] {
            let normal = normal_form(original);
            let pseudonym = key.pseudonym(original);
            let sealed = key.seal(original, &normal, &pseudonym);
            assert_eq!(key.unseal(&sealed, &pseudonym).as_deref(), Some(original));
            assert_eq!(key.unseal(&sealed, &key.pseudonym("555")), None);
            assert_eq!(PseudonymKey::new(1, [8; 32]).unseal(&sealed, &pseudonym), None);
        }
        let usual = key.seal("+442071234567", "442071234567", &key.pseudonym("+442071234567"));
        assert_eq!(usual.len(), 7, "one byte, and half a byte a digit");
    }

    #[test]
    fn the_callers_number_is_hidden_in_every_field_that_holds_just_it() {
        let key = PseudonymKey::new(1, [9; 32]);
        let mut record = CallRecord::new();
        for (field, text) in [
            (CallField::CallingParty, "+44 20 7123 4567"),
            (CallField::Cli, "02071234567"),
            (CallField::SourceNumberOut, "442071234567"),
            (CallField::CallerName, "A. Person"),
            (CallField::CalledParty, "+442071234567"),
            (CallField::DialledNumber, "00442071234567"),
            (CallField::CalledName, "020 7123-4567"),
            (CallField::DisconnectReason, "Normal call clearing"),
            (CallField::SourceKey, "442071234567-1"),
            (CallField::CallId, "442071234567"),
        ] {
            record.set_text(field, text).unwrap();
        }
        record.push_extra("pai", "sip:02071234567@carrier");
        record.push_extra("context", "from-trunk");
        pseudonymise(&mut record, &key).unwrap();

        let (international, national) = (key.pseudonym("442071234567"), key.pseudonym("02071234567"));
        for (field, wanted) in [
            (CallField::CallingParty, Some(international.as_str())),
            (CallField::Cli, Some(&national)),
            (CallField::SourceNumberOut, Some(&international)),
            (CallField::CallerName, None),
            (CallField::CalledParty, Some("+442071234567")),
            (CallField::DialledNumber, Some(&international)),
            (CallField::CalledName, Some(&national)),
            (CallField::DisconnectReason, Some("Normal call clearing")),
            (CallField::SourceKey, Some("442071234567-1")),
            (CallField::CallId, Some(&international)),
        ] {
            assert_eq!(record.text(field), wanted, "{field:?}");
        }
        assert_eq!(record.extra().len(), 1, "{:?}", record.extra());

        let once = record.clone();
        pseudonymise(&mut record, &PseudonymKey::new(2, [8; 32])).unwrap();
        for field in CallField::ALL {
            assert_eq!(record.get(field), once.get(field), "pseudonyms stay what they are: {field:?}");
        }
    }

    #[test]
    fn a_presented_number_is_hidden_without_a_calling_party_too() {
        let mut record = CallRecord::new();
        record.set_text(CallField::Cli, "+442071234567").unwrap();
        let key = PseudonymKey::new(1, [9; 32]);
        pseudonymise(&mut record, &key).unwrap();
        assert_eq!(record.text(CallField::Cli), Some(key.pseudonym("442071234567").as_str()));
        assert_eq!(record.sealed_calling_party(), None);
    }

    #[test]
    fn a_number_within_the_callers_address_is_hidden_too() {
        let key = PseudonymKey::new(1, [9; 32]);
        for address in [
            "sip:+442071234567@10.20.30.40;user=phone",
            "tel:+44-20-7123-4567;phone-context=x",
            "SIP:00442071234567@carrier.example",
            "\"Desk 12\" <sip:+44 (20) 7123.4567@198.51.100.200>",
        ] {
            for field in [CallField::CallingParty, CallField::Cli] {
                let mut record = CallRecord::new();
                record.set_text(field, address).unwrap();
                record.set_text(CallField::DialledNumber, "+44 20 7123 4567").unwrap();
                record.set_text(CallField::CallId, "442071234568").unwrap();
                record.push_extra("national", "020 7123-4567");
                record.push_extra("contact", "<sip:442071234567@198.51.100.7>");
                record.push_extra("host", "198.51.100.200");
                record.push_extra("other", "+442071230000");
                pseudonymise(&mut record, &key).unwrap();
                let names: Vec<&str> = record.extra().iter().map(|(name, _)| name.as_ref()).collect();
                assert_eq!(names, ["host", "other"], "{address}");
                assert_eq!(
                    record.text(CallField::DialledNumber),
                    Some(key.pseudonym("442071234567").as_str())
                );
                assert_eq!(record.text(CallField::CallId), Some("442071234568"), "another number stays");
                assert!(record.text(field).is_some_and(is_pseudonym), "{address}");
            }
        }
        for none in ["anonymous", "sip:anonymous@10.0.0.1", "desk 123456"] {
            assert_eq!(contained_number(none), None, "{none}");
        }
    }

    #[test]
    fn normal_forms() {
        for (text, normal) in [
            ("+44 20 7123 4567", "442071234567"),
            ("0044(20)7123-4567", "442071234567"),
            ("442071234567", "442071234567"),
            ("020 7123 4567", "02071234567"),
            ("+Anonymous", "+anonymous"),
            ("sip:User@Host", "sip:user@host"),
            ("", ""),
        ] {
            assert_eq!(normal_form(text), normal, "{text}");
        }
    }
}
