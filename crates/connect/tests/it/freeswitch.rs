//! `freeswitch-json`: envelopes, encodings, identity and what legs say.

use crate::collected::{Collected, read, read_with};
use serde_json::{Value, json};
use tollbook_model::tenant::CallerNumbers;

fn settings() -> Value {
    json!({"extension_pattern": "^1[0-9]{2}$", "trunks": ["external"]})
}

fn read_legs(body: impl AsRef<[u8]>) -> Collected {
    read("freeswitch-json", settings(), body)
}

/// The A leg of an answered call from a desk phone: "inbound" to the switch.
fn leg(uuid: &str) -> Value {
    json!({
        "core-uuid": "0b3f", "switchname": "fs1",
        "channel_data": {"state": "CS_REPORTING", "direction": "inbound"},
        "variables": {
            "uuid": uuid, "call_uuid": uuid, "direction": "inbound", "user_name": "101", "sofia_profile_name": "internal",
            "sip_call_id": "abc@10.0.0.1", "start_stamp": "2019-04-05 12:50:43", "start_epoch": "1554461443",
            "start_uepoch": "1554461443123456", "answer_uepoch": "1554461446123456", "end_uepoch": "1554461456623456",
            "duration": "13", "billsec": "10", "billmsec": "10500", "hangup_cause": "NORMAL_CLEARING",
            "hangup_cause_q850": "16", "sip_hangup_disposition": "recv_bye", "last_app": "bridge",
            "last_arg": "sofia/gateway/carrier/+493023125000", "accountcode": "a1", "domain_name": "pbx.example",
            "presence_id": "101@pbx.example", "read_codec": "PCMA", "hold_accum_seconds": "4"
        },
        "callflow": [{"profile_index": "1", "caller_profile": {
            "username": "101", "caller_id_name": "Desk, 101", "caller_id_number": "101",
            "destination_number": "+493023125000", "context": "default", "uuid": uuid
        }}]
    })
}

#[test]
fn a_leg_becomes_a_record() {
    let read = read_legs(leg("u-1").to_string());
    let record = read.only();
    for (field, text) in [
        ("source_key", "u-1"),
        ("call_group", "u-1"),
        ("call_id", "abc@10.0.0.1"),
        ("leg", "a"),
        ("direction", "outbound"),
        ("result", "answered"),
        ("disposition", "answered"),
        ("start_at", "2019-04-05T10:50:43.123Z"),
        ("answer_at", "2019-04-05T10:50:46.123Z"),
        ("end_at", "2019-04-05T10:50:56.623Z"),
        ("duration_s", "10"),
        ("duration_ms", "10500"),
        ("total_s", "13"),
        ("ring_s", "3"),
        ("ring_ms", "3000"),
        ("hold_s", "4"),
        ("calling_party", "101"),
        ("called_party", "+493023125000"),
        ("trunk", "carrier"),
        ("extension", "101"),
        ("sip_code", "200"),
        ("q850_cause", "16"),
        ("disconnect_initiator", "caller"),
        ("disconnect_reason", "NORMAL_CLEARING"),
        ("caller_name", "Desk, 101"),
        ("account_code", "a1"),
        ("tenant_hint", "pbx.example"),
        ("codec", "PCMA"),
        ("time_quality", "exact"),
        ("source_type", "freeswitch-json"),
        ("pbx_alias", "pbx-1"),
        ("extra.presence_id", "101@pbx.example"),
        ("extra.switchname", "fs1"),
    ] {
        assert_eq!(record.get(field).map(String::as_str), Some(text), "{field}");
    }
}

#[test]
fn all_envelopes_and_encodings_give_the_same_record() {
    use base64::Engine as _;
    let json = leg("u-1").to_string();
    let mut encoded = leg("u-1");
    for value in encoded["variables"].as_object_mut().unwrap().values_mut() {
        let text = value.as_str().unwrap().to_owned();
        *value =
            form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20").into();
    }
    let encoded = encoded.to_string();
    let base64 = |text: &str| format!("cdr={}", base64::engine::general_purpose::STANDARD.encode(text));
    let form =
        |text: &str| format!("cdr={}", form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let plain = read_legs(&json);
    for body in
        [&encoded, &form(&json), &form(&encoded), &base64(&json), &base64(&encoded), &format!("cdr={json}")]
    {
        assert_eq!(read_legs(body).only(), plain.only(), "{body}");
    }
}

#[test]
fn direction_never_follows_the_switch() {
    for (what, changes, wanted) in [
        ("a phone calls out", json!({}), "outbound carrier 101"),
        ("a phone calls a phone", json!({"last_arg": "user/102@pbx.example"}), "internal - 102"),
        (
            "the carrier calls in",
            json!({"user_name": "", "sofia_profile_name": "external", "last_arg": "user/102@pbx.example"}),
            "inbound external 102",
        ),
        (
            "the carrier is sent on",
            json!({"user_name": "", "sofia_profile_name": "external"}),
            "inbound external -",
        ),
        (
            "the B leg to the carrier",
            json!({"direction": "outbound", "user_name": "", "sip_gateway_name": "carrier", "last_app": "", "last_arg": ""}),
            "outbound carrier 101",
        ),
        (
            "the B leg to a phone",
            json!({"direction": "outbound", "dialed_user": "102", "user_name": ""}),
            "internal - 102",
        ),
        ("the business direction is known", json!({"call_direction": "local"}), "internal - -"),
    ] {
        let mut leg = leg("u-1");
        for (name, value) in changes.as_object().unwrap() {
            leg["variables"][name] = value.clone();
        }
        let read = read_legs(leg.to_string());
        let of = |name: &str| read.only().get(name).map_or("-", String::as_str).to_owned();
        let mut got = format!("{} {} {}", of("direction"), of("trunk"), of("extension"));
        if what.starts_with("the business") {
            got = format!("{} {} -", of("direction"), of("trunk"));
        }
        assert_eq!(got, wanted, "{what}");
    }
}

#[test]
fn an_unanswered_leg_has_no_answer_and_no_seconds() {
    let mut leg = leg("u-1");
    for (name, value) in [
        ("answer_uepoch", "0"),
        ("billsec", "0"),
        ("billmsec", "0"),
        ("hangup_cause", "ORIGINATOR_CANCEL"),
        ("hangup_cause_q850", "487"),
        ("sip_hangup_disposition", "recv_cancel"),
    ] {
        leg["variables"][name] = value.into();
    }
    let read = read_legs(leg.to_string());
    let record = read.only();
    assert_eq!((record["result"].as_str(), record["duration_s"].as_str()), ("abandoned", "0"));
    assert!(
        ["answer_at", "ring_s", "q850_cause", "sip_code"].iter().all(|field| !record.contains_key(*field))
    );
    assert_eq!(record["extra.hangup_cause_q850"], "487", "the switch's own causes are kept aside");
}

#[test]
fn the_address_must_announce_the_same_uuid() {
    let query = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let body = leg("0F-1").to_string();
    for (query, accepted) in [
        (query("uuid", "0f-1"), true),
        (query("uuid", "a_0F-1"), true),
        (query("key", "v?uuid=a_0F-1"), true),
        (query("uuid", "other"), false),
        (query("key", "v?uuid=other"), false),
        (vec![], true),
    ] {
        let read =
            read_with("freeswitch-json", settings(), &query, body.as_bytes(), CallerNumbers::Plain).unwrap();
        assert_eq!(read.records.len() == 1, accepted, "{query:?}: {:?}", read.report);
    }
}

#[test]
fn several_records_in_one_body() {
    let pretty = serde_json::to_string_pretty(&leg("u-1")).unwrap();
    let lines = format!("{}\n{}\n", leg("u-1"), leg("u-2"));
    let broken = format!(
        "{}\n{{\"variables\": nonsense}}\n{}\n{}",
        leg("u-1"),
        leg("u-2"),
        &leg("u-3").to_string()[..200]
    );
    for (body, keys, refused) in [
        (pretty.clone(), vec!["u-1"], vec![]),
        (lines, vec!["u-1", "u-2"], vec![]),
        (format!("{pretty}\n{pretty}"), vec!["u-1", "u-1"], vec![]),
        (Value::from(vec![leg("u-1"), leg("u-2")]).to_string(), vec!["u-1", "u-2"], vec![]),
        (format!("[{}, 7]", leg("u-1")), vec!["u-1"], vec![2]),
        (broken, vec!["u-1", "u-2"], vec![2, 4]),
        (r#"{"variables":{"uuid":"u-1"}}"#.to_owned(), vec![], vec![1]),
    ] {
        let read = read_legs(&body);
        assert_eq!(read.column("source_key"), keys);
        assert_eq!(
            read.report.reasons.iter().map(|row| row.line).collect::<Vec<_>>(),
            refused,
            "{:?}",
            read.report
        );
    }
}

#[test]
fn depth_size_and_bytes_do_no_harm() {
    let deep = format!(
        "{{\"variables\":{{\"uuid\":\"x\"}},\"app_log\":{}{}}}\n{}",
        "[".repeat(10_000),
        "]".repeat(10_000),
        leg("u-2")
    );
    let read = read_legs(&deep);
    assert_eq!((read.column("source_key"), read.report.rejected), (vec!["u-2"], 1));

    let mut large = leg("u-1");
    large["variables"]["big"] = "x".repeat(60_000).into();
    assert_eq!(read_legs(large.to_string()).column("source_key"), ["u-1"]);

    let mut raw = leg("u-1").to_string().into_bytes();
    let at = raw.windows(4).position(|window| window == b"Desk").unwrap();
    raw[at] = 0xFC;
    assert_eq!(read_legs(&raw).only()["caller_name"], "\u{fffd}esk, 101");
}

#[test]
fn external_callers_leave_the_record() {
    let mut leg = leg("u-1");
    for (name, value) in [
        ("user_name", ""),
        ("sofia_profile_name", "external"),
        ("last_arg", "user/101@pbx.example"),
        ("caller_id_name", "A. Person"),
        ("sip_from_display", "A. Person"),
        ("sip_full_from", "\"A. Person\" <sip:+442079460590@203.0.113.1>"),
        ("sip_from_user", "00442079460590"),
    ] {
        leg["variables"][name] = value.into();
    }
    let profile = &mut leg["callflow"][0]["caller_profile"];
    profile["caller_id_name"] = "A. Person".into();
    profile["caller_id_number"] = "00442079460590".into();
    profile["context"] = "public".into();
    let body = leg.to_string();
    let plain = read_legs(&body);
    assert_eq!(
        (plain.only()["direction"].as_str(), plain.only()["calling_party"].as_str()),
        ("inbound", "+442079460590")
    );
    assert_eq!(plain.only()["extra.calling_party_as_sent"], "00442079460590");
    let hidden = read_with("freeswitch-json", settings(), &[], body.as_bytes(), CallerNumbers::Pseudonym)
        .expect("readable");
    for (field, text) in hidden.only() {
        assert!(!text.contains("2079460590") && !text.contains("Person"), "{field}: {text}");
    }
}
