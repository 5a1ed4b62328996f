//! `asterisk-csv`: the recorded files and the traps of `sources.md` section 3.

use crate::collected::{Collected, Texts, read, read_with};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tollbook_model::tenant::CallerNumbers;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/asterisk-20/");

fn recorded(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}{name}")).expect("recorded data is part of the repository")
}

fn settings() -> Value {
    json!({"zone": "UTC", "trunks": ["trunk-a"], "extension_pattern": "^1[0-9]{2}$"})
}

fn read_lines(body: impl AsRef<[u8]>) -> Collected {
    read("asterisk-csv", settings(), body)
}

fn counts<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_insert(0) += 1;
    }
    counts
}

/// A row of 16 columns with some of them changed, and further columns.
fn row(changes: &[(usize, &str)], further: &[&str]) -> String {
    let mut columns: Vec<String> = [
        "\"acc\"",
        "\"112\"",
        "\"105\"",
        "\"from-internal\"",
        "\"\"\"Desk\"\" <112>\"",
        "\"SIP/112-0000002a\"",
        "\"SIP/105-0000002b\"",
        "\"Dial\"",
        "\"SIP/105,5\"",
        "\"2026-11-22 14:51:46\"",
        "\"2026-11-22 14:51:47\"",
        "\"2026-11-22 14:51:49\"",
        "3",
        "2",
        "\"ANSWERED\"",
        "\"DOCUMENTATION\"",
    ]
    .map(str::to_owned)
    .to_vec();
    for (at, text) in changes {
        columns[*at] = (*text).to_owned();
    }
    columns.extend(further.iter().map(|text| (*text).to_owned()));
    columns.join(",") + "\n"
}

fn one(changes: &[(usize, &str)]) -> Texts {
    read_lines(row(changes, &[])).only().clone()
}

#[test]
fn the_recorded_file_gives_every_row_once() {
    let master = read_lines(recorded("Master.csv"));
    assert_eq!((master.records.len(), master.report.rejected), (1736, 0));
    let ids: BTreeSet<&str> = master.column("id").into_iter().collect();
    assert_eq!(ids.len(), 1736);
    assert_eq!(master.column("call_group").into_iter().collect::<BTreeSet<_>>().len(), 1190);
    let raw = counts(master.column("extra.disposition"));
    assert_eq!(
        raw,
        BTreeMap::from([("ANSWERED", 951), ("NO ANSWER", 580), ("BUSY", 177), ("CONGESTION", 28)])
    );

    let again = read_lines(recorded("Master.csv"));
    assert_eq!(again.records, master.records, "a file sent again gives the same records");
    let account = read_lines(recorded("account-tenant-b.csv"));
    assert_eq!(account.records.len(), 328);
    assert!(
        account.records.iter().all(|record| master.records.contains(record)),
        "the copy holds nothing new"
    );
}

#[test]
fn the_recorded_file_is_understood() {
    let master = read_lines(recorded("Master.csv"));
    for record in &master.records {
        let of = |name: &str| record.get(name).map_or("-", String::as_str);
        let entry = of("extra.dcontext");
        let out = of("extra.dstchannel").starts_with("SIP/trunk");
        let wanted = match (entry, out) {
            ("from-trunk", _) => "inbound",
            (_, true) => "outbound",
            _ => "internal",
        };
        assert_eq!(of("direction"), wanted, "{record:?}");
        assert_eq!(
            of("direction") == "internal",
            of("trunk") == "-",
            "only what crosses the border has a trunk: {record:?}"
        );
        assert_eq!(of("answer_at") != "-", of("extra.disposition") == "ANSWERED", "{record:?}");
        assert!(of("extra.disposition") == "ANSWERED" || of("duration_s") == "0", "{record:?}");
        assert_eq!(of("time_quality"), "exact");
        if of("direction") == "internal" || of("direction") == "outbound" {
            assert!(
                of("extension").parse::<u16>().is_ok_and(|number| (100..800).contains(&number))
                    || of("extension") == "*97",
                "{record:?}"
            );
        }
    }
    let queue_members = master.records.iter().filter(|r| r.contains_key("extra.answer")).count();
    assert_eq!(queue_members, 204, "rows that are not ANSWERED but carry an answer time keep it in extra");
    assert_eq!(
        counts(master.column("disposition")),
        BTreeMap::from([
            ("abandoned", 4),
            ("answered", 895),
            ("busy", 177),
            ("failed", 28),
            ("forwarded", 35),
            ("no-answer", 580),
            ("unknown", 17)
        ])
    );
    assert_eq!(
        master.column("trunk").into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(["-", "trunk-a", "trunk-a-in", "trunk-b", "trunk-b-in", "trunk-dead"])
    );
}

#[test]
fn external_callers_leave_the_record() {
    let master = recorded("Master.csv");
    let plain = read_lines(&master);
    let hidden = read_with("asterisk-csv", settings(), &[], &master, CallerNumbers::Pseudonym).unwrap();
    for (before, after) in plain.records.iter().zip(&hidden.records) {
        let caller = before["calling_party"].trim_start_matches('+');
        if before["direction"] == "inbound" {
            assert!(after.values().all(|text| !text.contains(caller)), "{caller} is left in {after:?}");
        } else {
            assert_eq!(before, after);
        }
    }
}

#[test]
fn every_width_is_read_in_one_file() {
    let id = "\"pbx-1795359106.106\"";
    let body = [
        row(&[], &[]),
        row(&[], &[id]),
        row(&[], &["\"did\""]),
        row(&[], &[id, "\"did\""]),
        row(&[], &["\"peer\"", id, "1"]),
        row(&[], &[id, "\"peer\"", id, "2"]),
        row(&[], &["\"did\"", "\"peer\"", id, "3"]),
        row(&[], &[id, "\"did\"", "\"peer\"", id, "4"]),
    ]
    .concat();
    let read = read_lines(&body);
    assert_eq!(read.report.rejected, 0, "{:?}", read.report);
    let did = "did";
    assert_eq!(read.column("extra.userfield"), ["-", "-", did, did, "-", "-", did, did]);
    let own = "pbx-1795359106.106";
    assert_eq!(read.column("extra.uniqueid"), ["-", own, "-", own, "-", own, "-", own]);
    assert_eq!(read.column("source_seq"), ["-", "-", "-", "-", "1", "2", "3", "4"]);
    assert_eq!(read.column("source_key")[7], format!("{own}:{own}:4"));
    assert_eq!(read.column("id").into_iter().collect::<BTreeSet<_>>().len(), 8);
}

#[test]
fn equal_rows_without_a_key_stay_two_records() {
    let body = row(&[], &[]).repeat(2);
    let (first, again) = (read_lines(&body), read_lines(&body));
    assert_ne!(first.column("id")[0], first.column("id")[1]);
    assert_eq!(first.column("id"), again.column("id"));
}

#[test]
fn null_and_empty_differ() {
    let record = one(&[(0, "\"\""), (4, ""), (6, "\"\""), (7, "\"Wait\""), (10, "")]);
    assert_eq!(record["account_code"], "");
    assert_eq!(record.get("extra.dstchannel").map(String::as_str), Some(""));
    assert!(!record.contains_key("extra.clid") && !record.contains_key("answer_at"));
}

#[test]
fn directions_and_outcomes() {
    let outside = ("\"from-trunk\"", "\"SIP/trunk-a-in-00000001\"", "\"+442079460590\"");
    let inside = ("\"from-internal\"", "\"SIP/112-00000001\"", "\"112\"");
    let local = ("\"from-internal\"", "\"Local/105@from-internal-00000003;2\"", "\"+442079460590\"");
    for ((context, channel, src), dst, dstchannel, app, disposition, wanted) in [
        (
            outside,
            "\"+494066969102\"",
            "\"SIP/102-00000038\"",
            "Dial",
            "ANSWERED",
            "inbound answered answered 102",
        ),
        (
            outside,
            "\"+494066969102\"",
            "\"SIP/trunk-a-00000038\"",
            "Dial",
            "ANSWERED",
            "inbound answered forwarded -",
        ),
        (outside, "\"+494066969102\"", "\"\"", "Queue", "ANSWERED", "inbound abandoned abandoned -"),
        (
            outside,
            "\"+494066969102\"",
            "\"SIP/102-00000038\"",
            "Queue",
            "NO ANSWER",
            "inbound no-answer no-answer 102",
        ),
        (outside, "\"102\"", "\"\"", "VoiceMail", "ANSWERED", "inbound no-answer voicemail 102"),
        (outside, "\"+494066969102\"", "\"\"", "Playback", "ANSWERED", "inbound - unknown -"),
        (outside, "\"102\"", "\"SIP/102-00000038\"", "Dial", "CANCEL", "inbound abandoned abandoned 102"),
        (local, "\"105\"", "\"SIP/105-00000038\"", "Dial", "BUSY", "inbound busy busy 105"),
        (inside, "\"105\"", "\"SIP/105-00000038\"", "Dial", "ANSWERED", "internal answered answered 105"),
        (inside, "\"600\"", "\"SIP/101-00000038\"", "Dial", "ANSWERED", "internal answered answered 101"),
        (inside, "\"600\"", "\"PJSIP/alice-00000038\"", "Dial", "ANSWERED", "internal answered answered 600"),
        (inside, "\"0044207946075\"", "\"SIP/trunk-b-00000038\"", "Dial", "FAILED", "outbound - failed 112"),
        (inside, "\"112\"", "\"SIP/trunk-a-00000038\"", "Dial", "ANSWERED", "outbound answered answered 112"),
        (inside, "\"+4930\"", "\"\"", "Hangup", "CONGESTION", "outbound - failed 112"),
    ] {
        let record = one(&[
            (1, src),
            (2, dst),
            (3, context),
            (5, channel),
            (6, dstchannel),
            (7, &format!("\"{app}\"")),
            (8, "\"\""),
            (14, &format!("\"{disposition}\"")),
        ]);
        let of = |name: &str| record.get(name).map_or("-", String::as_str);
        let got = format!("{} {} {} {}", of("direction"), of("result"), of("disposition"), of("extension"));
        assert_eq!(got, wanted, "{context} {dst} {dstchannel} {app} {disposition}");
    }
}

#[test]
fn withheld_callers_are_outside_and_numbers_get_their_plus() {
    let record =
        one(&[(1, "\"anonymous\""), (2, "\"105\""), (3, "\"default\""), (5, "\"SIP/provider-00000001\"")]);
    assert_eq!((record["direction"].as_str(), record["trunk"].as_str()), ("inbound", "provider"));
    let record = one(&[(2, "\"00442079460750\""), (6, "\"SIP/trunk-b-00000010\"")]);
    assert_eq!(record["called_party"], "+442079460750");
    assert_eq!(record["dialled_number"], "00442079460750");
}

#[test]
fn names_survive() {
    for (clid, name, bytes) in [
        (&b"\"\"\"Sales, Desk\"\" <112>\""[..], "Sales, Desk", None),
        (b"\"\"\"\\\"\"Lab\"\" <106>\"", "\"Lab", None),
        (b"\"\"\"=1+1\"\" <105>\"", "=1+1", None),
        (b"\"\"\"two\nlines\"\" <105>\"", "two\nlines", None),
        (b"\"\"\"nul\0\"\" <105>\"", "nul\0", None),
        (b"\"\"\"M\xFCller 50%\"\" <105>\"", "M\u{fffd}ller 50%", Some("\"M%FCller 50%25\" <105>")),
    ] {
        let line = row(&[(4, "CLID")], &[]);
        let (head, tail) = line.split_once("CLID").unwrap();
        let body = [head.as_bytes(), clid, tail.as_bytes(), row(&[], &[]).as_bytes()].concat();
        let read = read_lines(&body);
        assert_eq!(read.report.rejected, 0, "{:?}", read.report);
        assert_eq!(read.column("caller_name"), [name, "Desk"]);
        assert_eq!(read.records[0].get("extra.clid_bytes").map(String::as_str), bytes);
    }
}

#[test]
fn a_cut_off_row_costs_only_itself() {
    let id = "\"pbx-1795359106.106\"";
    let whole = row(&[], &[id, "\"\"", "\"peer\"", id, "41"]);
    let next = row(&[], &[id, "\"\"", "\"peer\"", id, "42"]);
    for cut in [40, 120, whole.len() - 5, whole.len() - 30] {
        let half = &whole[..cut];
        let at_end = read_lines(format!("{next}{half}"));
        assert_eq!((at_end.records.len(), at_end.report.rejected), (1, 1), "cut at {cut}");
        assert_eq!(at_end.report.reasons[0].line, 2);
        let inside = read_lines(format!("{half}\n{next}{next}"));
        assert_eq!(inside.column("source_seq"), ["42", "42"], "cut at {cut}: {:?}", inside.report);
        assert_eq!(inside.report.rejected, 1);
    }
}

#[test]
fn a_last_line_that_may_be_cut_off_gives_no_record() {
    let id = "\"pbx-1795359106.106\"";
    let first = row(&[], &[id, "\"\"", "\"peer\"", id, "3184"]);
    let last = row(&[], &[id, "\"\"", "\"peer\"", id, "3185"]);
    let body = format!("{first}{last}");
    assert_eq!(read_lines(&body).column("source_seq"), ["3184", "3185"]);
    for cut in 1..last.len() {
        let cut_off = read_lines(&body[..body.len() - cut]);
        assert_eq!(cut_off.column("source_seq"), ["3184"], "cut {cut} bytes before the end");
        assert_eq!(cut_off.report.rejected, 1, "cut {cut} bytes before the end");
    }
    let reason = &read_lines(body.trim_end()).report.reasons[0];
    assert_eq!(
        (reason.line, reason.reason.as_str()),
        (2, "the last line has no line end: it may be cut off; send it again complete")
    );
    // A closed quote and the width of the row before say that the last row is whole.
    let quoted = row(&[], &[id, "\"did\""]);
    let both = format!("{quoted}{}", quoted.trim_end());
    assert_eq!(read_lines(&both).report.rejected, 0);
    // On its own a row may lack any of the optional columns.
    assert_eq!(read_lines(quoted.trim_end()).report.rejected, 1);
}

#[test]
fn the_recorded_file_cut_within_its_last_number_makes_no_false_record() {
    let master = recorded("Master.csv");
    let whole = read_lines(&master);
    let cut_off = read_lines(&master[..master.len() - 2]);
    assert_eq!(cut_off.records, whole.records[..whole.records.len() - 1]);
    assert_eq!(cut_off.report.rejected, 1);
}

#[test]
fn line_ends_do_not_change_a_rows_key() {
    let unix = row(&[], &[]);
    let windows = unix.replace('\n', "\r\n");
    assert_eq!(read_lines(unix).only()["source_key"], read_lines(windows).only()["source_key"]);
}

#[test]
fn lines_that_leave_quotes_open_are_not_read_again_and_again() {
    // Each of these leaves a quote open, whether one was open before it or not.
    let hostile = format!("{}{}", "x\",\",\n".repeat(100_000), row(&[], &[]));
    let read = read_lines(hostile);
    assert_eq!((read.report.rejected, read.records.len()), (100_000, 1));
}

#[test]
fn impossible_values_have_reasons_or_are_set_aside() {
    for (change, reason) in [
        ((9, "\"2026-02-30 10:00:00\""), "start: must be a local time such as 2026-11-22 14:51:46"),
        ((9, ""), "start: is required"),
        ((10, "\"yesterday\""), "answer: must be a local time such as 2026-11-22 14:51:46"),
        ((12, "1234567890123456789012345"), "duration: must be a whole number of seconds"),
        ((13, "two"), "billsec: must be a whole number of seconds"),
        ((9, "\"1960-01-01 10:00:00\""), "start_at: must lie between the years 1970 and 9998"),
    ] {
        let read = read_lines(row(&[change], &[]));
        assert_eq!(read.report.reasons.first().map(|r| r.reason.as_str()), Some(reason));
    }
    assert_eq!(read_lines("1,2,3\n").report.reasons[0].reason, "has 3 columns; rows have 16 to 21");
    let record = one(&[(12, "-3600"), (13, "-3601"), (11, "\"2026-11-22 13:51:49\"")]);
    assert_eq!(record["duration_s"], "0");
    assert!(!record.contains_key("total_s") && !record.contains_key("end_at"));
    assert_eq!((record["extra.duration"].as_str(), record["extra.billsec"].as_str()), ("-3600", "-3601"));
    assert_eq!(record["extra.end"], "2026-11-22 13:51:49");
    let record = one(&[(1, "\"1234567890123456789012345\""), (5, "\"SIP/peer-00000001\""), (3, "\"x\"")]);
    assert_eq!((record["calling_party"].len(), record["direction"].as_str()), (25, "inbound"));
}

#[test]
fn local_time_knows_how_sure_it_is() {
    let berlin = json!({"zone": "Europe/Berlin"});
    let repeated = [
        (9, "\"2026-10-25 02:30:00\""),
        (10, "\"2026-10-25 02:59:59\""),
        (11, "\"2026-10-25 02:10:00\""),
        (12, "2400"),
    ];
    for (settings, changes, further, start, end, quality) in [
        (json!({}), &[][..], &[][..], "2026-11-22T14:51:46Z", "2026-11-22T14:51:49Z", "assumed_zone"),
        (json!({"zone": "UTC"}), &[], &[], "2026-11-22T14:51:46Z", "2026-11-22T14:51:49Z", "exact"),
        (berlin.clone(), &[], &[], "2026-11-22T13:51:46Z", "2026-11-22T13:51:49Z", "exact"),
        (berlin.clone(), &repeated, &[], "2026-10-25T00:30:00Z", "2026-10-25T01:10:00Z", "ambiguous"),
        // 1792891800 is 01:30:00Z: the channel was made in the second of the two hours.
        (
            berlin,
            &repeated[..2],
            &["\"1792891800.7\""],
            "2026-10-25T01:30:00Z",
            "2026-11-22T13:51:49Z",
            "ambiguous",
        ),
    ] {
        let read = read("asterisk-csv", settings, row(changes, further));
        let record = read.only();
        assert_eq!((record["start_at"].as_str(), record["end_at"].as_str()), (start, end));
        assert_eq!(record["time_quality"], quality);
    }
}

#[test]
fn marks_headers_and_blank_lines_are_no_rows() {
    let header = "accountcode,src,dst,dcontext,clid,channel,dstchannel,lastapp,lastdata,start,answer,end,duration,billsec,disposition,amaflags";
    let body = format!("\u{feff}{header}\r\n\r\n{}\n{header}\n{}", row(&[], &[]).trim_end(), row(&[], &[]));
    let read = read_lines(&body);
    assert_eq!((read.report.rows, read.records.len()), (2, 2));
    assert_eq!(read_lines("").report.rows, 0);
}

#[test]
fn the_scenarios_read_as_they_were_played() {
    let read = read_lines(recorded("Master_scenarios.csv"));
    assert_eq!((read.records.len(), read.report.rejected), (30, 0));
    let of_group = |linkedid: &str| -> Vec<&str> {
        let rows = read.records.iter().filter(|record| record["call_group"] == linkedid);
        rows.map(|record| record["disposition"].as_str()).collect()
    };
    assert_eq!(
        of_group("benchpbx-1795359039.10"),
        ["busy", "no-answer"],
        "two results for one call stay two rows"
    );
    let trunk_b =
        read.records.iter().find(|r| r.get("dialled_number").is_some_and(|n| n == "00442079460750"));
    assert_eq!(trunk_b.map(|r| r["direction"].as_str()), Some("outbound"));
}
