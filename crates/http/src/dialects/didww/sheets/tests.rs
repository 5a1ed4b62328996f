//! Rows of the contract, cell by cell.

use super::{InboundCalls, OutboundCalls};
use std::borrow::Cow;
use tollbook_model::call::{CallField, value_from_text};
use tollbook_model::sheet::Sheet;
use tollbook_model::value::Value;

type Given = (CallField, &'static str);

/// The row that a sheet makes of a record with these values; times and numbers are read as their fields want them.
fn row(sheet: &dyn Sheet, given: &[Given]) -> String {
    let value = |wanted: &CallField| match given.iter().find(|(field, _)| field == wanted) {
        None => Value::Null,
        Some((CallField::Extra, text)) => Value::Text((*text).into()),
        Some((field, text)) => value_from_text(*field, *text).unwrap(),
    };
    let values: Vec<Value<'_>> = sheet.fields().iter().map(value).collect();
    let mut cells: Vec<Cow<'_, str>> = Vec::new();
    sheet.row(&values, &mut cells);
    assert_eq!(cells.len(), sheet.headers().len());
    cells.join(",")
}

/// The same values, some of them others.
fn with(given: &[Given], others: &[Given]) -> Vec<Given> {
    let kept = given.iter().filter(|(field, _)| !others.iter().any(|(other, _)| other == field));
    kept.chain(others).copied().filter(|(_, text)| !text.is_empty()).collect()
}

const INBOUND: [Given; 13] = [
    (CallField::StartAt, "2026-03-01T09:00:00.000Z"),
    (CallField::AnswerAt, "2026-03-01T09:00:02.000Z"),
    (CallField::EndAt, "2026-03-01T09:01:02.999Z"),
    (CallField::DurationS, "60"),
    (CallField::Result, "answered"),
    (CallField::CallingParty, "+15550001111"),
    (CallField::CallerName, "Ann Example"),
    (CallField::Did, "+442071234567"),
    (CallField::CalledParty, "100"),
    (CallField::DisconnectInitiator, "caller"),
    (CallField::Trunk, "Main SIP"),
    (CallField::CallId, "c-0001"),
    (
        CallField::Extra,
        r#"{"destination_uri":"sip:desk@pbx.example.net","pstn":"0.004","trunk_group":"Group A"}"#,
    ),
];

#[test]
fn inbound_calls_are_shown_as_the_contract_shows_them() {
    let line = |others: &[Given]| row(&InboundCalls, &with(&INBOUND, others));
    assert_eq!(
        line(&[]),
        "2026-03-01 09:00:00,2026-03-01 09:00:02,2026-03-01 09:01:02,Completed,15550001111,Ann Example,442071234567,60,1,\
         200,Bye,Origination,Main SIP,sip:desk@pbx.example.net,Group A,,0.000,0.004,0.000,0.000,0.004,c-0001"
    );
    let busy = line(&[
        (CallField::StartAt, "2026-03-01T09:05:00.000Z"),
        (CallField::AnswerAt, ""),
        (CallField::EndAt, ""),
        (CallField::DurationS, "0"),
        (CallField::Result, "busy"),
        (CallField::CallerName, ""),
        (CallField::Did, ""),
        (CallField::CalledParty, "442071234567"),
        (CallField::DisconnectInitiator, "callee"),
        (CallField::CallId, ""),
        (CallField::Extra, r#"{"destination_uri":"sip:desk@pbx.example.net"}"#),
    ]);
    assert_eq!(
        busy,
        "2026-03-01 09:05:00,,,Failed,15550001111,,442071234567,0,1,486,Busy Here,Destination,Main SIP,\
         sip:desk@pbx.example.net,,,0.000,0.000,0.000,0.000,0.000,"
    );
    let charged = line(&[(CallField::Charged, "1.2345"), (CallField::Currency, "USD")]);
    assert!(charged.ends_with(",0.000,0.004,0.000,0.000,1.235,c-0001"), "{charged}");
    let euros = line(&[(CallField::Charged, "1.2345"), (CallField::Currency, "EUR")]);
    assert!(euros.ends_with(",Group A,,,,,,,c-0001"), "{euros}");
    let own_words = line(&[
        (CallField::SipCode, "603"),
        (CallField::Result, ""),
        (CallField::DisconnectReason, "Decline"),
        (CallField::Attempt, "3"),
        (CallField::CallingParty, "p1_46811ad46a4377bb53aaa119788081bf"),
    ]);
    assert!(own_words.contains(",Failed,p1_46811ad46a4377bb53aaa119788081bf,"), "{own_words}");
    assert!(own_words.contains(",60,3,603,Decline,Origination,"), "{own_words}");
}

const OUTBOUND: [Given; 15] = [
    (CallField::StartAt, "2026-03-01T10:00:00.000Z"),
    (CallField::AnswerAt, "2026-03-01T10:00:01.000Z"),
    (CallField::EndAt, "2026-03-01T10:01:00.000Z"),
    (CallField::DurationS, "59"),
    (CallField::Result, "answered"),
    (CallField::CallingParty, "+442070000001"),
    (CallField::CalledParty, "+15550002222"),
    (CallField::BillingDurationS, "60"),
    (CallField::Trunk, "Trunk 1"),
    (CallField::Country, "US"),
    (CallField::Network, "Example Tel"),
    (CallField::CallType, "International"),
    (CallField::Rate, "0.01"),
    (CallField::Charged, "0.0095"),
    (CallField::CallId, "c-0002"),
];

#[test]
fn outbound_calls_are_shown_as_the_contract_shows_them() {
    let line = |others: &[Given]| row(&OutboundCalls, &with(&OUTBOUND, others));
    assert_eq!(
        line(&[]),
        "2026-03-01 10:00:00,2026-03-01 10:00:01,2026-03-01 10:01:00,Completed,442070000001,442070000001,15550002222,59,60,\
         200,Normal call clearing,Trunk 1,United States,Example Tel,International,0.010,0.010,,c-0002"
    );
    let unanswered =
        line(&[(CallField::Result, "no-answer"), (CallField::DurationS, "0"), (CallField::Cli, "+4420")]);
    assert_eq!(
        unanswered,
        "2026-03-01 10:00:00,,2026-03-01 10:01:00,Failed,442070000001,4420,15550002222,0,,480,Temporarily Unavailable,\
         Trunk 1,United States,Example Tel,International,,0,,c-0002"
    );
    let named = line(&[
        (CallField::Country, "Utopia"),
        (CallField::Charged, ""),
        (CallField::Rate, ""),
        (CallField::Extra, r#"{"p_charge_info":"sip:1@x"}"#),
    ]);
    assert!(named.ends_with(",Utopia,Example Tel,International,,0.000,sip:1@x,c-0002"), "{named}");
}
