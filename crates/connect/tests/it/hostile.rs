//! No bytes make a connector panic, whatever its kind; every row is a record or has a reason.

use crate::collected::read_with;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollbook_model::tenant::CallerNumbers;

fn sources() -> [(&'static str, Value); 4] {
    let fields = json!({"start_at": "s", "duration_s": "d", "called_party": "c"});
    [
        ("asterisk-csv", json!({"zone": "Europe/Berlin"})),
        ("freeswitch-json", json!({})),
        ("csv", json!({"header": false, "columns": ["s", "d", "c"], "fields": fields, "separator": ";"})),
        (
            "csv",
            json!({"header": false, "columns": ["s", "d", "c"], "fields": fields, "quote": "", "time_format": ["%Y-%m-%d %H:%M", "epoch_us"]}),
        ),
    ]
}

/// Pieces of real bodies, which reach deeper than noise does.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: [&[u8]; 30] = [
        b"\"",
        b",",
        b"\n",
        b"\r\n",
        b"\"\"",
        b";",
        b"2026-10-25 02:30:00",
        b"-1",
        b"99999999999999999999",
        b"ANSWERED",
        b"SIP/101-00000001",
        b"Local/1@x-1;2",
        b"\xFF\xFE",
        b"\0",
        b"cdr=",
        b"{\"variables\":{",
        b"\"uuid\":\"u\"",
        b"\"start_uepoch\":\"1554461443123456\"",
        b"}",
        b"[",
        b"]",
        b"{",
        b"\"callflow\":",
        b":",
        b"%7B%22",
        b"eyJ2",
        b"1795359106.1",
        b"\"end_uepoch\":\"-9223372036854775808\"",
        b"\xEF\xBB\xBF",
        b"\"direction\":\"outbound\"",
    ];
    prop_oneof![proptest::sample::select(pieces.map(<[u8]>::to_vec).to_vec()), vec(any::<u8>(), 0..6)]
}

fn survives(body: &[u8]) {
    for (kind, settings) in sources() {
        // A body may be refused as a whole; `read_with` asserts that no row is lost.
        let _refused = read_with(kind, settings, &[], body, CallerNumbers::Pseudonym).err();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_panic(pieces in vec(piece(), 0..60)) {
        survives(&pieces.concat());
    }

    #[test]
    fn no_row_of_the_right_width_panics(cells in vec(vec(piece(), 0..3), 16..22)) {
        let cells: Vec<Vec<u8>> = cells.iter().map(|pieces| pieces.concat()).collect();
        let mut row = cells.join(&b","[..]);
        survives(&row);
        row.push(b'\n');
        survives(&row);
    }

    #[test]
    fn no_variables_panic(values in vec(("[a-z_]{1,8}|uuid|start_uepoch|answer_uepoch|end_uepoch|billsec|duration|last_arg|last_app", "[0-9%a-z/@-]{0,24}"), 0..12)) {
        let variables: Vec<String> = values.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        survives(format!("{{\"variables\":{{{}}}}}", variables.join(",")).as_bytes());
    }
}
