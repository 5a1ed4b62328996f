//! How a leg ended, from the switch's own words: hangup cause, SIP codes, who hung up, and what answered.

use super::leg::Leg;
use crate::normalise::outcome::{self, Outcome};

/// Applications that talk in place of a person when no other leg was bridged.
const MACHINES: [&str; 16] = [
    "ivr",
    "playback",
    "play_and_get_digits",
    "answer",
    "echo",
    "delay_echo",
    "sleep",
    "park",
    "speak",
    "say",
    "read",
    "record",
    "gentones",
    "endless_playback",
    "phrase",
    "rxfax",
];

/// What the leg says about its end.
#[derive(Debug)]
pub(super) struct Signals<'l> {
    /// Connected to somebody or something.
    pub(super) connected: bool,
    /// Final SIP response.
    pub(super) sip_code: Option<i64>,
    /// Q.850 cause; the switch's own causes above 127 are none.
    pub(super) q850_cause: Option<i64>,
    /// The switch's word for the cause.
    pub(super) hangup_cause: Option<&'l str>,
    /// The outcome.
    pub(super) outcome: Outcome,
    /// Who ended the call.
    pub(super) initiator: Option<&'static str>,
}

impl<'l> Signals<'l> {
    pub(super) fn of(leg: &'l Leg, is_a_leg: bool) -> Self {
        let hangup_cause = leg.variable("hangup_cause");
        let q850_cause = leg.number("hangup_cause_q850").filter(|cause| (0..=127).contains(cause));
        let connected = is_connected(leg);
        let sip_code = sip_code(leg, connected);
        let how = leg.variable("sip_hangup_disposition");
        let outcome = if connected {
            of_connected(leg)
        } else {
            of_unconnected(leg, hangup_cause, sip_code, q850_cause, how)
        };
        let initiator = how.and_then(|how| initiator(how, is_a_leg, was_bridged(leg)));
        Self { connected, sip_code, q850_cause, hangup_cause, outcome, initiator }
    }
}

/// An answer time, and time to talk after it where the leg counts that.
fn is_connected(leg: &Leg) -> bool {
    let answered = leg.number("answer_uepoch").or_else(|| leg.number("answer_epoch")).unwrap_or(0) > 0;
    let talk = leg.number("billmsec").into_iter().chain(leg.number("billsec")).max();
    answered && talk.is_none_or(|talk| talk > 0)
}

fn sip_code(leg: &Leg, connected: bool) -> Option<i64> {
    if connected {
        return Some(200);
    }
    let specific = |name| leg.variable(name)?.strip_prefix("sip:")?.parse().ok();
    let code = leg.number("sip_term_status").or_else(|| leg.number("sip_invite_failure_status"));
    code.or_else(|| specific("proto_specific_hangup_cause"))
        .or_else(|| specific("last_bridge_proto_specific_hangup_cause"))
        .filter(|code| (100..=699).contains(code))
}

fn was_bridged(leg: &Leg) -> bool {
    leg.first_of(&["bridge_uuid", "last_bridge_to", "bridge_channel", "signal_bond", "last_bridge_channel"])
        .is_some()
}

fn of_connected(leg: &Leg) -> Outcome {
    let last_app = leg.variable("last_app").unwrap_or("");
    // The stock dialplan reaches the mailbox by a bridge to a loopback.
    let mailbox_argument =
        leg.variable("last_arg").is_some_and(|argument| argument.contains("app=voicemail"));
    let left_message = leg.first_of(&["voicemail_message_len", "voicemail_message"]).is_some();
    if last_app == "voicemail" || mailbox_argument || left_message {
        return outcome::VOICEMAIL;
    }
    let waited_in_queue = last_app == "callcenter" || leg.variable("cc_side") == Some("member");
    let reached_agent = leg.first_of(&["cc_agent", "cc_agent_uuid"]).is_some();
    if waited_in_queue && !reached_agent && !was_bridged(leg) {
        return outcome::ABANDONED;
    }
    if MACHINES.contains(&last_app) && !was_bridged(leg) {
        return outcome::UNKNOWN;
    }
    outcome::ANSWERED
}

fn of_unconnected(
    leg: &Leg,
    hangup_cause: Option<&str>,
    sip_code: Option<i64>,
    q850_cause: Option<i64>,
    how: Option<&str>,
) -> Outcome {
    // A leg of a fork that lost to another one tells nothing about the call.
    let elsewhere = leg.variable("sip_reason").is_some_and(|reason| {
        let reason = reason.replace(' ', "").to_ascii_lowercase();
        reason.starts_with("sip") && reason.contains("cause=200")
    });
    if elsewhere || matches!(hangup_cause, Some("LOSE_RACE" | "PICKED_OFF")) {
        return outcome::UNKNOWN;
    }
    let cancelled = how == Some("recv_cancel") || hangup_cause == Some("ORIGINATOR_CANCEL");
    let q850_cause = match hangup_cause {
        Some("USER_BUSY") => Some(17),
        Some("NO_ANSWER" | "NO_USER_RESPONSE" | "ALLOTTED_TIMEOUT" | "PROGRESS_TIMEOUT") => Some(19),
        _ => q850_cause,
    };
    if let Some(outcome) = outcome::of_unanswered(sip_code, q850_cause, cancelled) {
        return outcome;
    }
    match hangup_cause {
        Some("NORMAL_CLEARING" | "NORMAL_UNSPECIFIED") => outcome::NO_ANSWER,
        Some("NONE" | "UNSPECIFIED") | None => outcome::UNKNOWN,
        Some(_) => outcome::FAILED,
    }
}

/// `recv_…` is the far end of the leg's own channel, `send_…` the switch on behalf of the other end.
fn initiator(how: &str, is_a_leg: bool, bridged: bool) -> Option<&'static str> {
    let (far_end, other_end) = if is_a_leg { ("caller", "callee") } else { ("callee", "caller") };
    if how.starts_with("recv_") {
        return Some(far_end);
    }
    if !how.starts_with("send_") {
        return None;
    }
    Some(if is_a_leg && !bridged { "system" } else { other_end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_end_in_many_ways() {
        let answered = r#""answer_uepoch":"1700000000000000","billsec":"5""#;
        for (variables, result, disposition) in [
            (answered.to_owned(), Some("answered"), "answered"),
            (format!(r#"{answered},"last_app":"voicemail""#), Some("no-answer"), "voicemail"),
            (format!(r#"{answered},"last_app":"bridge","last_arg":"loopback/app=voicemail:default pbx 102""#), Some("no-answer"), "voicemail"),
            (format!(r#"{answered},"last_app":"ivr""#), None, "unknown"),
            (format!(r#"{answered},"last_app":"playback","bridge_uuid":"x""#), Some("answered"), "answered"),
            (format!(r#"{answered},"last_app":"callcenter""#), Some("abandoned"), "abandoned"),
            (format!(r#"{answered},"last_app":"callcenter","cc_agent":"1""#), Some("answered"), "answered"),
            (r#""answer_uepoch":"0","hangup_cause":"USER_BUSY""#.into(), Some("busy"), "busy"),
            (r#""hangup_cause":"CALL_REJECTED","sip_term_status":"486""#.into(), Some("busy"), "busy"),
            (r#""hangup_cause":"NO_ANSWER","sip_hangup_disposition":"recv_cancel""#.into(), Some("abandoned"), "abandoned"),
            (r#""hangup_cause":"ORIGINATOR_CANCEL","hangup_cause_q850":"487""#.into(), Some("abandoned"), "abandoned"),
            (r#""hangup_cause":"NO_USER_RESPONSE""#.into(), Some("no-answer"), "no-answer"),
            (r#""hangup_cause":"NORMAL_CLEARING","hangup_cause_q850":"16""#.into(), Some("no-answer"), "no-answer"),
            (r#""hangup_cause":"LOSE_RACE","hangup_cause_q850":"502""#.into(), None, "unknown"),
            (r#""sip_term_status":"487","sip_reason":"SIP; cause=200; text=\"x\"""#.into(), None, "unknown"),
            (r#""hangup_cause":"CALL_REJECTED","hangup_cause_q850":"21","proto_specific_hangup_cause":"sip:603""#.into(), None, "failed"),
            (r#""hangup_cause":"UNALLOCATED_NUMBER","hangup_cause_q850":"1""#.into(), None, "failed"),
            (r#""answer_uepoch":"1700000000000000","billsec":"0","billmsec":"0","hangup_cause":"USER_BUSY""#.into(), Some("busy"), "busy"),
            (r#""answer_uepoch":"1700000000000000","billsec":"0","billmsec":"400""#.into(), Some("answered"), "answered"),
            (String::new(), None, "unknown"),
        ] {
            let leg: Leg = serde_json::from_str(&format!(r#"{{"variables":{{{variables}}}}}"#)).unwrap();
            let outcome = Signals::of(&leg, true).outcome;
            assert_eq!((outcome.result, outcome.disposition), (result, disposition), "{variables}");
        }
    }

    #[test]
    fn who_ended_it_depends_on_the_leg() {
        for (how, is_a_leg, bridged, who) in [
            ("recv_bye", true, true, Some("caller")),
            ("send_bye", true, true, Some("callee")),
            ("recv_bye", false, true, Some("callee")),
            ("send_cancel", false, false, Some("caller")),
            ("send_refuse", true, false, Some("system")),
            ("recv_cancel", true, false, Some("caller")),
            ("", true, true, None),
        ] {
            assert_eq!(initiator(how, is_a_leg, bridged), who, "{how} {is_a_leg}");
        }
    }
}
