//! Files that hold what a report tells of are whole; whatever differs is found, with its hour.

use super::{NotVerified, VerifyFlags, run, verify};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;
use tollbook_kit::secret::Secret;
use tollbook_model::jws::JwsKey;
use tollbook_model::record_signature::push_signed;
use tollbook_model::time_range::instant_text;

const START_MS: i64 = 1_767_603_600_000; // 2026-01-05T09:00:00Z
const HOUR_MS: i64 = 3_600_000;

/// A line of an export, in the hour that many hours after the start.
fn record(hour: i64, at: i64) -> (i64, String) {
    let start = START_MS + hour * HOUR_MS;
    let line =
        json!({"duration_s": at, "id": format!("{hour}-{at}"), "start_at": instant_text(start + at * 1000)});
    (start, line.to_string())
}

fn records() -> Vec<(i64, String)> {
    [(0, 5), (1, 1), (4, 3)]
        .iter()
        .flat_map(|&(hour, count)| (0..count).map(move |at| record(hour, at)))
        .collect()
}

/// RFC 6962 section 2.1, written as it stands there.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    let hash = |parts: &[&[u8]]| -> [u8; 32] {
        let mut digest = Sha256::new();
        parts.iter().for_each(|part| digest.update(part));
        digest.finalize().into()
    };
    match leaves {
        [] => hash(&[]),
        [only] => *only,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            hash(&[&[1], &root(&leaves[..split]), &root(&leaves[split..])])
        }
    }
}

fn report_of(dataset: &str, records: &[(i64, String)], sequences: impl Fn(&str) -> Option<u64>) -> Value {
    let mut by_hour: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    records.iter().for_each(|(hour, line)| by_hour.entry(*hour).or_default().push(line));
    let hours: Vec<Value> = by_hour
        .iter()
        .map(|(start, lines)| {
            let leaf = |line: &&str| -> [u8; 32] { Sha256::digest([b"\0", line.as_bytes()].concat()).into() };
            let digest = hex::encode(root(&lines.iter().map(leaf).collect::<Vec<_>>()));
            let mut hour = json!({"hour": instant_text(*start), "records": lines.len(), "digest": digest});
            let numbers: Vec<u64> = lines.iter().filter_map(|line| sequences(line)).collect();
            if let (Some(first), Some(last)) = (numbers.iter().min(), numbers.iter().max()) {
                hour["first_sequence"] = (*first).into();
                hour["last_sequence"] = (*last).into();
            }
            hour
        })
        .collect();
    json!({
        "dataset": dataset, "from": instant_text(START_MS), "to": instant_text(START_MS + 24 * HOUR_MS),
        "snapshot_at": "2026-01-06T12:00:00.000Z", "watermark": 9, "algorithm": "rfc6962-sha256",
        "hours": hours, "records": records.len(),
    })
}

fn report() -> Value {
    report_of("cdr", &records(), |_| None)
}

fn ndjson(records: &[(i64, String)]) -> String {
    records.iter().map(|(_, line)| format!("{line}\n")).collect()
}

fn array(records: &[(i64, String)]) -> String {
    let lines: Vec<&str> = records.iter().map(|(_, line)| line.as_str()).collect();
    if lines.is_empty() { "[]\n".into() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}

struct Run {
    folder: TempDir,
    flags: VerifyFlags,
    told: Vec<String>,
}

impl Run {
    fn of(report: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        std::fs::write(&path, report.to_string()).unwrap();
        let flags = VerifyFlags { jwks: None, from_seq: 1, completeness: Some(path), files: Vec::new() };
        Self { folder, flags, told: Vec::new() }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn with(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.flags.files.push(self.write(name, content));
        self
    }

    fn verify(&mut self) -> Result<(), NotVerified> {
        let told = &mut self.told;
        verify(&self.flags, &mut |line| told.push(line.to_owned()))
    }

    fn mismatch(mut self) -> (String, Vec<String>) {
        match self.verify() {
            Err(NotVerified::Mismatch(what)) => (what, self.told),
            other => panic!("{other:?}"),
        }
    }

    fn wrong_use(mut self) -> String {
        match self.verify() {
            Err(NotVerified::WrongUse(what)) => what,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_the_report_tells_of_is_whole_in_any_form_and_in_parts() {
    let records = records();
    for content in [ndjson(&records), array(&records)] {
        let mut run = Run::of(&report()).with("cdr", &content);
        run.verify().unwrap();
        assert!(run.told[0].ends_with("up to sequence 9: 3 hours, 9 records"), "{:?}", run.told);
        assert!(run.told[1].ends_with("cdr: 9 records"), "{:?}", run.told);
        assert_eq!(run.told.len(), 2);
    }
    for cut in 0..=records.len() {
        let (first, second) = records.split_at(cut);
        Run::of(&report()).with("a", ndjson(first)).with("b", array(second)).verify().unwrap();
    }
    Run::of(&report_of("cdr", &[], |_| None)).with("none", "").verify().unwrap();
    Run::of(&report_of("cdr", &[], |_| None)).with("none", "[]\n").verify().unwrap();
}

#[test]
fn whatever_differs_is_found_with_its_hour() {
    let all = records();
    let mut tried = 0;
    for at in 0..all.len() {
        let hour = instant_text(all[at].0);
        let mut changed = Vec::new();
        let mut one_less = all.clone();
        one_less.remove(at);
        changed.push(one_less);
        let mut one_twice = all.clone();
        one_twice.insert(at, all[at].clone());
        changed.push(one_twice);
        let mut another = all.clone();
        another[at].1 = all[at].1.replace("\"id\":\"", "\"id\":\"x");
        changed.push(another);
        if all.get(at + 1).is_some_and(|next| next.0 == all[at].0) {
            let mut swapped = all.clone();
            swapped.swap(at, at + 1);
            changed.push(swapped);
        }
        for records in changed {
            let (what, told) = Run::of(&report()).with("cdr", ndjson(&records)).mismatch();
            assert!(what.ends_with("1 of 3 hours differ from what the files hold"), "{what}");
            assert!(told.last().unwrap().starts_with(&hour), "{told:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 9 * 3 + 6);
    let mut more = all.clone();
    more.push(record(7, 0));
    let (what, told) = Run::of(&report()).with("cdr", ndjson(&more)).mismatch();
    assert!(what.contains("1 of 4 hours"), "{what}");
    assert_eq!(told.last().unwrap(), "2026-01-05T16:00:00.000Z: 1 records, but the report tells of none");
    let (what, told) = Run::of(&report()).with("cdr", "").mismatch();
    assert!(what.contains("3 of 3 hours"), "{what}");
    assert_eq!(told[2], "2026-01-05T09:00:00.000Z: no record, but the report tells of 5");
}

#[test]
fn of_many_differences_the_first_are_told() {
    let records: Vec<(i64, String)> = (0..50).map(|hour| record(hour, 0)).collect();
    let (what, told) = Run::of(&report_of("cdr", &records, |_| None)).with("cdr", "").mismatch();
    assert!(what.contains("50 of 50 hours"), "{what}");
    assert_eq!((told.len(), told.last().unwrap().as_str()), (2 + 20 + 1, "and 30 hours more"));
}

#[test]
fn sequence_numbers_are_compared_where_records_show_them() {
    let records: Vec<(i64, String)> = (0..6)
        .map(|at| {
            let hour = START_MS + (at / 3) * HOUR_MS;
            (hour, json!({"at": instant_text(hour + at), "seq": 40 + at}).to_string())
        })
        .collect();
    let seq = |line: &str| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64();
    let good = report_of("audit-log", &records, seq);
    assert_eq!(good["hours"][1]["first_sequence"], 43);
    Run::of(&good).with("log", ndjson(&records)).verify().unwrap();
    let mut other = good.clone();
    other["hours"][1]["last_sequence"] = 46.into();
    let (_, told) = Run::of(&other).with("log", ndjson(&records)).mismatch();
    assert!(told.last().unwrap().contains("the sequence numbers of its records"), "{told:?}");
}

#[test]
fn signatures_in_records_do_not_count_as_content_and_are_checked_with_keys() {
    let key = |seed| JwsKey::from_seed(&Secret::new([seed; 32]));
    let jwks = |key: &JwsKey| json!({"keys": [key.public_jwk()]}).to_string();
    let signed: Vec<(i64, String)> = records()
        .into_iter()
        .map(|(hour, line)| {
            let mut out = Vec::new();
            push_signed(&mut out, line.as_bytes(), &key(1).sign_detached(line.as_bytes()));
            (hour, String::from_utf8(out).unwrap())
        })
        .collect();
    let mut without_keys = Run::of(&report()).with("cdr", ndjson(&signed));
    without_keys.verify().unwrap();
    assert!(without_keys.told.last().unwrap().contains("were not checked"), "{:?}", without_keys.told);
    let mut with_keys = Run::of(&report()).with("cdr", ndjson(&signed));
    with_keys.flags.jwks = Some(with_keys.write("keys.json", jwks(&key(1))));
    with_keys.verify().unwrap();
    assert_eq!(with_keys.told.last().unwrap(), "9 records are signed by themselves");
    let mut other_keys = Run::of(&report()).with("cdr", ndjson(&signed));
    other_keys.flags.jwks = Some(other_keys.write("keys.json", jwks(&key(2))));
    assert!(other_keys.mismatch().0.contains("line 1: the signature of the record"));
}

#[test]
fn a_report_that_contradicts_itself_is_a_mismatch() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 9] = [
        ("another sum", |report| report["records"] = 10.into()),
        ("an hour twice", |report| {
            let first = report["hours"][0].clone();
            report["hours"].as_array_mut().unwrap().push(first);
            report["records"] = 14.into();
        }),
        ("no whole hour", |report| report["hours"][0]["hour"] = "2026-01-05T09:00:00.001Z".into()),
        ("no hour", |report| report["hours"][0]["hour"] = "nine".into()),
        ("no records", |report| {
            report["hours"][1]["records"] = 0.into();
            report["records"] = 8.into();
        }),
        ("no digest", |report| report["hours"][0]["digest"] = "00".into()),
        ("one sequence number", |report| report["hours"][0]["first_sequence"] = 1.into()),
        ("fewer numbers than records", |report| {
            report["hours"][0]["first_sequence"] = 1.into();
            report["hours"][0]["last_sequence"] = 4.into();
        }),
        ("no range", |report| report["from"] = "long ago".into()),
    ];
    for (name, change) in changes {
        let mut changed = report();
        change(&mut changed);
        let (what, _) = Run::of(&changed).with("cdr", ndjson(&records())).mismatch();
        assert!(what.ends_with("the report contradicts itself"), "{name}: {what}");
    }
}

#[test]
fn wrong_use_is_told_from_a_mismatch() {
    let with = |name: &str, value: Value| {
        let mut changed = report();
        changed[name] = value;
        changed
    };
    let good = report();
    let local = ndjson(&records()).replace(".000Z", ".000+00:00");
    let narrow = ndjson(&records()).replace("start_at", "ended_at");
    let table: Vec<(Run, &str)> = vec![
        (Run::of(&json!({"items": []})).with("a", ""), "is no whole completeness report"),
        (Run::of(&with("dataset", "faxes".into())).with("a", ""), "of a dataset that is not known"),
        (Run::of(&with("algorithm", "md5".into())).with("a", ""), "get a newer tollbook"),
        (Run::of(&good).with("a", b"\x1f\x8b\x08\x00"), "unpack what is packed"),
        (Run::of(&good).with("a", "PAR1"), "is no export in ndjson or json"),
        (Run::of(&good).with("a", "\u{feff}id,start_at\n"), "is no export in ndjson or json"),
        (Run::of(&good).with("a", local), "export it with tz=UTC"),
        (Run::of(&good).with("a", narrow), "has no start_at in line 1"),
    ];
    for (run, told) in table {
        let what = run.wrong_use();
        assert!(what.contains(told), "{told}: {what}");
    }
    let mut missing = Run::of(&good);
    missing.flags.files.push(missing.folder.path().join("none"));
    assert!(missing.wrong_use().contains("cannot be read"));
    let mut cut = Run::of(&good).with("a", "");
    let text = good.to_string();
    cut.flags.completeness = Some(cut.write("cut.json", &text[..text.len() - 1]));
    assert!(cut.wrong_use().contains("is no whole completeness report"));
    for (content, told) in [
        ("{\"start_at\":\"2026-01-05T09:00:00.000Z\"\n", "line 1: it is not JSON"),
        (
            "{\"start_at\":\"2026-01-05T09:00:00.000Z\",\"start_at\":\"2026-01-05T09:00:00.000Z\"}\n",
            "not JSON",
        ),
        ("{\"start_at\":\"yesterday\"}\n", "line 1: its start_at is no date-time"),
        ("[\n7\n]\n", "line 2: a record is no JSON object"),
    ] {
        let (what, _) = Run::of(&good).with("a", content).mismatch();
        assert!(what.contains(told), "{told}: {what}");
    }
}

#[test]
fn the_exit_tells_them_apart() {
    let whole = Run::of(&report()).with("cdr", ndjson(&records()));
    let less = Run::of(&report()).with("cdr", ndjson(&records()[1..]));
    let unfit = Run::of(&report()).with("cdr", "id\n");
    for (run_of, code) in [(whole, 0), (less, 1), (unfit, 2)] {
        assert_eq!(format!("{:?}", run(&run_of.flags)), format!("{:?}", std::process::ExitCode::from(code)));
    }
}
