//! What cannot be taken is refused with its reason; the service lives on and loses nothing.

use crate::native::gzip;
use crate::service::Service;
use serde_json::json;

/// Bound of a body with records.
const BODY_BYTES: usize = 64 * 1024 * 1024;
const RECORDS: &str = "/api/v1/cdr/records";
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const ZSTD: (&str, &str) = ("content-encoding", "zstd");

fn call(key: &str) -> String {
    let call = json!({
        "source_key": key, "pbx_alias": "p1", "start_at": "2026-11-05T10:00:00Z", "duration_s": 1, "direction": "internal",
    });
    format!("{call}\n")
}

/// A call with one member replaced or added.
fn with(name: &str, value: &str) -> Vec<u8> {
    call("bad").replacen('{', &format!("{{\"{name}\":{value},"), 1).into_bytes()
}

/// A call with one of its values replaced.
fn instead(old: &str, new: &str) -> Vec<u8> {
    let text = call("bad");
    assert!(text.contains(old));
    text.replace(old, new).into_bytes()
}

#[test]
fn bad_bodies_are_refused_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path());
    service.put_recorded_source("bench");
    service.put_source("fs", &json!({"kind": "freeswitch-json"})).expect(201);
    let kept = [call("k1"), call("k2"), call("k3")].concat();
    service.post_ndjson(&kept).expect(200);
    let before = service.export("&columns=source_key,received_at").body;

    let too_large = call("big").repeat(BODY_BYTES / call("big").len() + 1).into_bytes();
    let zeros = vec![b' '; BODY_BYTES + 1];
    let packed = gzip(kept.as_bytes());
    let deep_array = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let invalid_text = [b"{\"source_key\":\"\xFF\xFE\"".as_slice(), &call("bad").as_bytes()[17..]].concat();
    let long = format!("\"{}\"", "x".repeat(2 * 1024 * 1024));
    let mut flipped = packed.clone();
    let last = flipped.len() - 5;
    flipped[last] ^= 1;
    let plain: &[(&str, &str)] = &[NDJSON];
    for (what, path, headers, body, status, kind) in [
        ("too many bytes", RECORDS, plain, too_large.clone(), 413, "body-too-large"),
        (
            "too many bytes for a source",
            "/api/v1/sources/bench/records",
            plain,
            too_large,
            413,
            "body-too-large",
        ),
        ("gzip bomb", RECORDS, &[NDJSON, GZIP], gzip(&zeros), 413, "body-too-large"),
        (
            "zstd bomb",
            RECORDS,
            &[NDJSON, ZSTD],
            zstd::encode_all(&zeros[..], 1).unwrap(),
            413,
            "body-too-large",
        ),
        (
            "gzip cut off",
            RECORDS,
            &[NDJSON, GZIP],
            packed[..packed.len() - 9].to_vec(),
            400,
            "malformed-body",
        ),
        ("gzip with a wrong sum", RECORDS, &[NDJSON, GZIP], flipped, 400, "malformed-body"),
        ("gzip that is none", RECORDS, &[NDJSON, GZIP], kept.clone().into_bytes(), 400, "malformed-body"),
        ("zstd that is none", RECORDS, &[NDJSON, ZSTD], kept.clone().into_bytes(), 400, "malformed-body"),
        (
            "unknown coding",
            RECORDS,
            &[NDJSON, ("content-encoding", "br")],
            vec![1],
            415,
            "unsupported-media-type",
        ),
        ("no form", RECORDS, &[], b"hello".to_vec(), 415, "unsupported-media-type"),
        ("no UTF-8", RECORDS, plain, invalid_text, 400, "malformed-body"),
        ("no JSON", RECORDS, plain, b"{\"a\":}\n".to_vec(), 400, "malformed-body"),
        ("half an object", RECORDS, plain, call("bad").as_bytes()[..40].to_vec(), 400, "malformed-body"),
        (
            "half an array",
            RECORDS,
            &[("content-type", "application/json")],
            b"[{".to_vec(),
            400,
            "malformed-body",
        ),
        ("arrays in arrays", RECORDS, plain, deep_array.clone().into_bytes(), 400, "malformed-body"),
        ("arrays in a record", RECORDS, plain, with("more", &deep_array), 400, "malformed-body"),
        ("objects in objects", RECORDS, plain, deep_object.clone().into_bytes(), 400, "malformed-body"),
        ("objects in extra", RECORDS, plain, with("extra", &deep_object), 400, "malformed-body"),
        ("unclosed arrays", RECORDS, plain, "[".repeat(10_000).into_bytes(), 400, "malformed-body"),
        ("deep leg", "/api/v1/sources/fs/records", plain, deep_object.into_bytes(), 400, "malformed-body"),
        ("a day that is not", RECORDS, plain, instead("11-05T", "02-30T"), 400, "malformed-body"),
        ("an hour that is not", RECORDS, plain, instead("T10:", "T25:"), 400, "malformed-body"),
        ("a year too far", RECORDS, plain, instead("2026-", "+99999-"), 400, "malformed-body"),
        ("no start", RECORDS, plain, instead("start_at", "startat"), 400, "malformed-body"),
        ("empty alias", RECORDS, plain, instead("\"p1\"", "\"\""), 400, "malformed-body"),
        ("negative duration", RECORDS, plain, instead(":1,", ":-1,"), 400, "malformed-body"),
        ("half a second", RECORDS, plain, instead(":1,", ":1.5,"), 400, "malformed-body"),
        ("endless duration", RECORDS, plain, instead(":1,", ":99999999999999999999,"), 400, "malformed-body"),
        ("unknown direction", RECORDS, plain, instead("internal", "sideways"), 400, "malformed-body"),
        ("wrong code", RECORDS, plain, with("sip_code", "99"), 400, "malformed-body"),
        ("inexact amount", RECORDS, plain, with("charged", "\"1e3\""), 400, "malformed-body"),
        ("endless value", RECORDS, plain, with("call_id", &long), 400, "malformed-body"),
        (
            "no columns of ours",
            RECORDS,
            &[("content-type", "text/csv")],
            b"a,b\n1,2\n".to_vec(),
            400,
            "malformed-body",
        ),
        (
            "unknown parameter",
            "/api/v1/cdr/records?onerror=skip",
            plain,
            call("bad").into(),
            400,
            "unknown-parameter",
        ),
        (
            "noise as rows",
            "/api/v1/sources/bench/records",
            plain,
            b"\0\x01\xFF,\"\n".to_vec(),
            400,
            "malformed-body",
        ),
        ("unknown source", "/api/v1/sources/none/records", plain, call("bad").into(), 404, "not-found"),
        ("other dataset", "/api/v1/kpis/records", plain, call("bad").into(), 404, "not-found"),
    ] {
        let answer = service.client.send("POST", path, headers, &body);
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(answer.problem(), kind, "{what}: {}", answer.text());
        assert!(
            !answer.text().contains("\u{0}") && answer.body.len() < 100_000,
            "{what}: a short, clean reason"
        );
        assert!(service.runs(), "{what}: the process ended");
        assert!(
            service.export("&columns=source_key,received_at").body == before,
            "{what}: the records changed"
        );
    }
    assert_eq!(service.post_ndjson(&kept).expect(200).json()["duplicates"], 3);
    assert!(!service.logged().contains("panicked"));
}

#[test]
fn bad_definitions_and_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path());
    let good = json!({"kind": "asterisk-csv", "zone": "UTC"}).to_string();
    let deep =
        format!("{{\"kind\":\"asterisk-csv\",\"trunks\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let long = "x".repeat(4000);
    for (alias, body, status, kind) in [
        ("..%2F..%2Fetc%2Fpasswd", good.as_str(), 400, "invalid-parameter"),
        ("a%00b", &good, 400, "invalid-parameter"),
        ("a%0D%0Ab", &good, 400, "invalid-parameter"),
        (&long, &good, 400, "invalid-parameter"),
        ("x", "", 400, "malformed-body"),
        ("x", "[]", 400, "malformed-body"),
        ("x", &deep, 400, "malformed-body"),
        ("x", "{}", 400, "missing-parameter"),
        ("x", r#"{"kind":"crystal-ball"}"#, 400, "invalid-parameter"),
        ("x", r#"{"kind":"asterisk-csv","zone":"Mars/Base"}"#, 400, "invalid-parameter"),
        ("x", r#"{"kind":"asterisk-csv","zonne":"UTC"}"#, 400, "unknown-parameter"),
        ("x", r#"{"kind":"asterisk-csv","extension_pattern":"(((("}"#, 400, "invalid-parameter"),
        (
            "x",
            r#"{"kind":"asterisk-csv","extension_pattern":"((a{1000}){1000}){1000}"}"#,
            400,
            "invalid-parameter",
        ),
    ] {
        let path = format!("/api/v1/sources/{alias}");
        let answer = service.client.send("PUT", &path, &[], body.as_bytes()).unwrap();
        let shown = &body[..body.len().min(80)];
        assert_eq!((answer.status, answer.problem().as_str()), (status, kind), "{alias:.80} {shown}");
        assert!(service.runs());
    }
    assert_eq!(service.client.get("/api/v1/sources").expect(200).json(), json!({"items": []}));
    for alias in ["B%C3%BCro%201", "a%20b+c", "%E6%A0%AA", "..."] {
        service
            .client
            .send("PUT", &format!("/api/v1/sources/{alias}"), &[], good.as_bytes())
            .unwrap()
            .expect(201);
        service.client.send("DELETE", &format!("/api/v1/sources/{alias}"), &[], b"").unwrap().expect(204);
    }
    assert!(!service.logged().contains("panicked"));
}
