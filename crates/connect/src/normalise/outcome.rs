//! How a call ended: `result` and `disposition`, and the order in which signals decide them (`record.md` section 2.2).
//!
//! Causes with names of a PBX are translated in that PBX's folder; here are only SIP codes and Q.850 causes.

/// The pair of words that a record gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// One of the four words, or none when none fits.
    pub result: Option<&'static str>,
    /// The fuller word.
    pub disposition: &'static str,
}

/// Caller and called party talked.
pub const ANSWERED: Outcome = Outcome { result: Some("answered"), disposition: "answered" };
/// It rang, nobody answered.
pub const NO_ANSWER: Outcome = Outcome { result: Some("no-answer"), disposition: "no-answer" };
/// The called party was busy.
pub const BUSY: Outcome = Outcome { result: Some("busy"), disposition: "busy" };
/// The caller gave up.
pub const ABANDONED: Outcome = Outcome { result: Some("abandoned"), disposition: "abandoned" };
/// A mailbox answered.
pub const VOICEMAIL: Outcome = Outcome { result: Some("no-answer"), disposition: "voicemail" };
/// The network or the PBX refused it.
pub const FAILED: Outcome = Outcome { result: None, disposition: "failed" };
/// Nothing tells, or a machine answered.
pub const UNKNOWN: Outcome = Outcome { result: None, disposition: "unknown" };

impl Outcome {
    /// The outcome of a call that came from outside and left to outside: the result stays. A failure stays a failure.
    #[must_use]
    pub fn forwarded(self) -> Self {
        if self == FAILED { self } else { Self { disposition: "forwarded", ..self } }
    }

    /// The outcome that a word of the catalogue's dispositions stands for; none for other words.
    pub fn of_disposition(word: &str) -> Option<Self> {
        Some(match word {
            "answered" => ANSWERED,
            "no-answer" => NO_ANSWER,
            "busy" => BUSY,
            "abandoned" => ABANDONED,
            "voicemail" => VOICEMAIL,
            "failed" => FAILED,
            "unknown" => UNKNOWN,
            "forwarded" => UNKNOWN.forwarded(),
            _ => return None,
        })
    }
}

/// The outcome of a call that was not answered, from its codes: busy before the caller's cancel, that before no
/// answer, everything else a failure. None when there is no telling code (Q.850 16 and 31 tell nothing).
pub fn of_unanswered(
    sip_code: Option<i64>,
    q850_cause: Option<i64>,
    caller_cancelled: bool,
) -> Option<Outcome> {
    if matches!(sip_code, Some(486 | 600)) || q850_cause == Some(17) {
        return Some(BUSY);
    }
    if caller_cancelled || sip_code == Some(487) {
        return Some(ABANDONED);
    }
    if matches!(sip_code, Some(408 | 480)) || matches!(q850_cause, Some(18 | 19)) {
        return Some(NO_ANSWER);
    }
    match (sip_code, q850_cause) {
        (Some(300..), _) => Some(FAILED),
        (_, Some(0 | 16 | 31) | None) => None,
        (_, Some(_)) => Some(FAILED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_in_order() {
        for (sip, q850, cancelled, wanted) in [
            (Some(486), None, false, Some(BUSY)),
            (Some(600), Some(18), true, Some(BUSY)),
            (None, Some(17), false, Some(BUSY)),
            (Some(487), None, false, Some(ABANDONED)),
            (Some(480), Some(18), true, Some(ABANDONED)),
            (Some(480), None, false, Some(NO_ANSWER)),
            (Some(408), Some(102), false, Some(NO_ANSWER)),
            (None, Some(19), false, Some(NO_ANSWER)),
            (Some(603), Some(21), false, Some(FAILED)),
            (Some(503), None, false, Some(FAILED)),
            (None, Some(34), false, Some(FAILED)),
            (None, Some(16), false, None),
            (None, Some(31), false, None),
            (Some(200), Some(16), false, None),
            (None, None, false, None),
        ] {
            assert_eq!(of_unanswered(sip, q850, cancelled), wanted, "{sip:?} {q850:?} {cancelled}");
        }
    }

    #[test]
    fn forwarding_keeps_the_result() {
        assert_eq!(ANSWERED.forwarded(), Outcome { result: Some("answered"), disposition: "forwarded" });
        assert_eq!(FAILED.forwarded(), FAILED);
    }

    #[test]
    fn words_are_those_of_the_catalogue() {
        use tollbook_model::call::{DISPOSITIONS, RESULTS};
        for word in DISPOSITIONS {
            let outcome = Outcome::of_disposition(word).expect("every disposition has an outcome");
            assert_eq!(outcome.disposition, word);
            assert!(outcome.result.is_none_or(|result| RESULTS.contains(&result)));
        }
        assert_eq!(Outcome::of_disposition("ANSWERED"), None);
    }
}
