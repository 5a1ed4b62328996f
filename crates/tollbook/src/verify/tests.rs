//! Whole logs are found whole; whatever is done to a log or its checkpoint is found.

use super::{NotVerified, VerifyFlags, run, verify};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tempfile::TempDir;
use tollbook_kit::ids::SeededRandomness;
use tollbook_kit::secret::Secret;
use tollbook_model::audit::{CHECKPOINT_TYPE, FIRST_PREVIOUS, hash_of};
use tollbook_model::jws::JwsKey;
use tollbook_model::time_range::instant_text;

const START_MS: i64 = 1_767_603_600_000; // 2026-01-05T09:00:00Z

type Entry = Map<String, Value>;

fn object(value: Value) -> Entry {
    match value {
        Value::Object(members) => members,
        other => panic!("{other}"),
    }
}

/// Gives entries their places from `first` on, and links and hashes those from position `from`.
fn link(entries: &mut [Entry], first: u64, from: usize) {
    let zeros = Value::from(hex(FIRST_PREVIOUS));
    for at in from..entries.len() {
        let previous = if at == 0 { None } else { Some(entries[at - 1]["hash"].clone()) };
        let entry = &mut entries[at];
        entry.insert("seq".into(), (first + at as u64).into());
        if at > 0 || first == 1 {
            entry.insert("prev_hash".into(), previous.unwrap_or_else(|| zeros.clone()));
        }
        rehash(entry);
    }
}

fn rehash(entry: &mut Entry) {
    entry.shift_remove("hash");
    let hash = hash_of(entry).unwrap();
    entry.insert("hash".into(), hex(hash).into());
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random_entry(random: &SeededRandomness) -> Entry {
    let below = |bound: u64| random.next_u64() % bound;
    let mut entry = object(json!({
        "at": instant_text(START_MS + below(1 << 40) as i64),
        "actor": format!("token:{}", below(9)),
        "action": (["token.create", "login", "export.direct"][below(3) as usize]),
        "outcome": (["success", "denied", "error"][below(3) as usize]),
    }));
    for (name, text) in [
        ("actor_role", "admin".to_owned()),
        ("ip", format!("192.0.2.{}", below(200))),
        ("object_type", "token".to_owned()),
        ("object_id", below(1000).to_string()),
        ("reason", "a \"reason\", with é, 😀, \\ and \t".to_owned()),
        ("of_a_later_version", "unknown members count as well".to_owned()),
    ] {
        if below(2) == 0 {
            entry.insert(name.into(), text.into());
        }
    }
    entry
}

fn log(seed: u64, entries: usize) -> Vec<Entry> {
    let random = SeededRandomness::new(seed);
    let mut log: Vec<Entry> = (0..entries).map(|_| random_entry(&random)).collect();
    link(&mut log, 1, 0);
    log
}

fn ndjson(log: &[Entry]) -> String {
    log.iter().map(|entry| format!("{}\n", Value::Object(entry.clone()))).collect()
}

fn json_array(log: &[Entry]) -> String {
    let records: Vec<String> = log.iter().map(|entry| Value::Object(entry.clone()).to_string()).collect();
    if records.is_empty() { "[]\n".into() } else { format!("[\n{}\n]\n", records.join(",\n")) }
}

fn key(seed: u8) -> JwsKey {
    JwsKey::from_seed(&Secret::new([seed; 32]))
}

fn checkpoint(entry: &Entry) -> String {
    let said = json!({"tenant": "acme", "seq": entry["seq"], "hash": entry["hash"], "at": "2026-01-06T00:00:00.000Z"});
    key(1).sign(CHECKPOINT_TYPE, said.to_string().as_bytes())
}

/// A folder with the files of one run.
struct Files {
    folder: TempDir,
    flags: VerifyFlags,
    told: Vec<String>,
}

impl Files {
    fn new() -> Self {
        let flags = VerifyFlags { jwks: None, from_seq: 1, completeness: None, files: Vec::new() };
        Self { folder: tempfile::tempdir().unwrap(), flags, told: Vec::new() }
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

    fn with_keys(mut self) -> Self {
        let keys = json!({"keys": [key(2).public_jwk(), key(1).public_jwk()]});
        self.flags.jwks = Some(self.write("keys.json", keys.to_string()));
        self
    }

    fn beginning_at(mut self, seq: u64) -> Self {
        self.flags.from_seq = seq;
        self
    }

    fn verify(&mut self) -> Result<(), NotVerified> {
        verify(&self.flags, &mut |line| self.told.push(line.to_owned()))
    }

    fn mismatch(&mut self) -> String {
        match self.verify() {
            Err(NotVerified::Mismatch(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    fn wrong_use(&mut self) -> String {
        match self.verify() {
            Err(NotVerified::WrongUse(what)) => what,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn signatures_of_an_export_that_signs_each_record_are_no_part_of_an_entry() {
    let mut signed = log(3, 20);
    for entry in &mut signed {
        entry.insert("_sig".into(), "header..signature".into());
    }
    Files::new().with("log.ndjson", ndjson(&signed)).verify().unwrap();
    signed[4].insert("action".into(), "nothing".into());
    let what = Files::new().with("log.ndjson", ndjson(&signed)).mismatch();
    assert!(what.contains("line 5"), "{what}");
}

/// What may be done to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    Changed,
    MemberRemoved,
    MemberAdded,
    Removed,
    Added,
    Duplicated,
    Swapped,
    CutAtEnd,
    CutAtStart,
}

/// What its author does to hide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hiding {
    Nothing,
    HashOfTheEntry,
    WholeTail,
}

const MUTATIONS: [Mutation; 9] = [
    Mutation::Changed,
    Mutation::MemberRemoved,
    Mutation::MemberAdded,
    Mutation::Removed,
    Mutation::Added,
    Mutation::Duplicated,
    Mutation::Swapped,
    Mutation::CutAtEnd,
    Mutation::CutAtStart,
];

fn mutate(log: &mut Vec<Entry>, mutation: Mutation, hiding: Hiding, random: &SeededRandomness) {
    let at = (random.next_u64() % log.len() as u64) as usize;
    let names: Vec<String> = log[at].keys().cloned().collect();
    let name = &names[(random.next_u64() % names.len() as u64) as usize];
    match mutation {
        Mutation::Changed => change(&mut log[at][name]),
        Mutation::MemberRemoved => drop(log[at].shift_remove(name)),
        Mutation::MemberAdded => drop(log[at].insert("added".into(), json!(null))),
        Mutation::Removed => drop(log.remove(at)),
        Mutation::Added => {
            let mut added = random_entry(random);
            for name in ["seq", "prev_hash", "hash"] {
                added.insert(name.into(), log[at][name].clone());
            }
            log.insert(at, added);
        }
        Mutation::Duplicated => log.insert(at, log[at].clone()),
        Mutation::Swapped => {
            let other = (at + 1) % log.len();
            log.swap(at, other);
        }
        Mutation::CutAtEnd => log.truncate(at),
        Mutation::CutAtStart => drop(log.drain(..=at)),
    }
    match hiding {
        Hiding::Nothing => {}
        Hiding::HashOfTheEntry => log.get_mut(at).map_or((), rehash),
        Hiding::WholeTail => link(log, 1, 0),
    }
}

fn change(value: &mut Value) {
    *value = match value {
        Value::String(text) if text.ends_with('Z') => instant_of(text).into(),
        Value::String(text) => format!("{text}0").into(),
        Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
        other => panic!("{other}"),
    };
}

/// The moment a millisecond later.
fn instant_of(text: &str) -> String {
    instant_text(tollbook_model::time_range::parse_instant(text).unwrap() + 1)
}

#[test]
fn a_whole_log_is_whole_in_any_form() {
    for seed in 0..20 {
        let log = log(seed, 1 + seed as usize * 3);
        let last = checkpoint(log.last().unwrap());
        for content in [ndjson(&log), json_array(&log), serde_json::to_string_pretty(&log).unwrap()] {
            let mut files = Files::new().with("log", content).with("log.jws", &last).with_keys();
            files.verify().unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            let entries = format!("log: {0} entries, seq 1 to {0}", log.len());
            assert!(files.told[1].ends_with(&entries), "{:?}", files.told);
            assert!(files.told[0].contains("tenant acme"), "{:?}", files.told);
            assert_eq!(files.told.len(), 2);
        }
    }
}

#[test]
fn whatever_is_done_to_a_log_is_found() {
    let mut tried = 0;
    for seed in 0..40 {
        let random = SeededRandomness::new(1000 + seed);
        let original = log(seed, 2 + (seed as usize % 9));
        let signed = checkpoint(original.last().unwrap());
        for mutation in MUTATIONS {
            for hiding in [Hiding::Nothing, Hiding::HashOfTheEntry, Hiding::WholeTail] {
                let mut mutated = original.clone();
                mutate(&mut mutated, mutation, hiding, &random);
                // What was taken away may have been made again with the hashes, and a log may grow at its end.
                let grown = hiding == Hiding::WholeTail && mutated.starts_with(&original);
                if grown || mutated == original {
                    continue;
                }
                tried += 1;
                let content = if seed % 2 == 0 { ndjson(&mutated) } else { json_array(&mutated) };
                let what = format!("{mutation:?}, {hiding:?}, seed {seed}:\n{content}");
                let with = Files::new().with("log", &content).with("log.jws", &signed).with_keys().verify();
                assert!(with.is_err(), "{what}");
                // Only a checkpoint tells the beginning of a log from the whole.
                if hiding == Hiding::Nothing && !original.starts_with(&mutated) {
                    assert!(Files::new().with("log", &content).verify().is_err(), "{what}");
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[test]
fn no_bit_can_be_changed() {
    let log = log(7, 2);
    let (text, signed) = (ndjson(&log), checkpoint(&log[1]));
    let files = Files::new().with_keys();
    let (log_path, signed_path) = (files.write("log", &text), files.write("log.jws", &signed));
    let flags = |jwks: &Option<PathBuf>, files: Vec<PathBuf>| VerifyFlags {
        jwks: jwks.clone(),
        from_seq: 1,
        completeness: None,
        files,
    };
    let alone = flags(&None, vec![log_path.clone()]);
    let both = flags(&files.flags.jwks, vec![log_path.clone(), signed_path.clone()]);
    // Every bit of the log; of what is signed, for it takes longer, one of every byte.
    for (flags, path, content, step) in [(&alone, &log_path, &text, 1), (&both, &signed_path, &signed, 7)] {
        for bit in (0..content.len() * 8).step_by(step) {
            let mut changed = content.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(path, &changed).unwrap();
            let verified = verify(flags, &mut |_| {});
            assert!(verified.is_err(), "bit {bit}: {}", String::from_utf8_lossy(&changed));
        }
        std::fs::write(path, content).unwrap();
        verify(flags, &mut |_| {}).unwrap();
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let original = log(3, 5);
    type Change = fn(&mut Vec<Entry>);
    let table: [(&str, Change); 8] = [
        ("line 3 (seq 3): its content is not", |log| change(&mut log[2]["actor"])),
        ("line 4 (seq 4): its prev_hash is not the hash", |log| {
            change(&mut log[2]["actor"]);
            rehash(&mut log[2]);
        }),
        ("line 3 (seq 4): entries are missing before it: it follows seq 2", |log| drop(log.remove(2))),
        ("line 4 (seq 3): it is repeated or misplaced", |log| log.insert(2, log[2].clone())),
        ("line 1 (seq 2): the log begins here and not at seq 1", |log| drop(log.remove(0))),
        ("line 2 (seq 2): its hash is missing", |log| drop(log[1].shift_remove("hash"))),
        ("line 2 (seq 2): its at is missing", |log| drop(log[1].shift_remove("at"))),
        ("line 2: its seq is missing", |log| log[1]["seq"] = json!("2")),
    ];
    for (told, mutate) in table {
        let mut log = original.clone();
        mutate(&mut log);
        let what = Files::new().with("log", ndjson(&log)).mismatch();
        assert!(what.contains(&format!("log: {told}")), "{what}");
        // In an array the records begin in the second line.
        let what = Files::new().with("log", json_array(&log)).mismatch();
        let line = told["line ".len()..].split([' ', ':']).next().unwrap().parse::<u64>().unwrap();
        assert!(what.contains(&format!("log: line {}", line + 1)), "{what}");
    }
}

#[test]
fn text_that_is_no_log_is_a_mismatch() {
    let whole = ndjson(&log(3, 2));
    let array = json_array(&log(3, 2));
    let doubled = whole.replacen("{", "{\"actor\":\"another\",", 1);
    let long = format!("{}{{\"reason\":\"{}\"}}\n", whole, "x".repeat(1 << 20));
    let long_array =
        format!("{},\n{{\"reason\":\"{}\"}}]", array.trim_end_matches("\n]\n"), "x".repeat(1 << 20));
    for (content, told) in [
        (whole[..whole.len() - 9].to_owned(), "line 2: it is not JSON"),
        (array[..array.len() - 2].to_owned(), "it is not JSON"),
        (format!("{array}[]"), "it is not JSON"),
        (doubled, "line 1: it is not JSON (a name that is given twice"),
        (format!("{whole}[]\n"), "line 3: an entry is no JSON object"),
        ("[1]".into(), "line 1: an entry is no JSON object"),
        (long, "line 3: it is longer than any entry"),
        (long_array, "line 4: it is longer than any entry"),
        (String::new(), "there is no entry"),
        ("[]\n".into(), "there is no entry"),
    ] {
        let what = Files::new().with("log", &content).mismatch();
        assert!(what.contains(told), "{told}: {what}");
    }
}

#[test]
fn moments_may_be_shown_in_another_zone() {
    let mut log = log(5, 1);
    log[0].insert("at".into(), "2026-01-05T09:00:00.000Z".into());
    rehash(&mut log[0]);
    log[0].insert("at".into(), "2026-01-05T10:00:00.000+01:00".into());
    Files::new().with("log", ndjson(&log)).verify().unwrap();
    log[0].insert("at".into(), "2026-01-05T10:00:00.000Z".into());
    assert!(Files::new().with("log", ndjson(&log)).mismatch().contains("its content is not"));
}

#[test]
fn a_log_may_come_in_several_files_and_begin_later() {
    let log = log(9, 10);
    let (first, second) = log.split_at(4);
    let in_order = || Files::new().with("a", ndjson(first)).with("b", json_array(second));
    let mut files = in_order().with("c.jws", checkpoint(&log[9])).with_keys();
    files.verify().unwrap();
    assert!(files.told[2].ends_with("b: 6 entries, seq 5 to 10"), "{:?}", files.told);
    let what = Files::new().with("b", json_array(second)).with("a", ndjson(first)).mismatch();
    assert!(what.contains("say --from-seq 5"), "{what}");
    assert!(in_order().with("again", ndjson(second)).mismatch().contains("repeated"));

    let mut later = Files::new().with("b", ndjson(second)).beginning_at(5);
    later.verify().unwrap();
    assert!(later.told.iter().any(|line| line.contains("before seq 5 were not checked")), "{:?}", later.told);
    assert!(Files::new().with("b", ndjson(second)).beginning_at(4).mismatch().contains("not at seq 4"));
    let early = checkpoint(&log[3]);
    let what =
        Files::new().with("b", ndjson(second)).with("c.jws", early).with_keys().beginning_at(5).mismatch();
    assert!(what.contains("before the log begins"), "{what}");
}

#[test]
fn a_checkpoint_seals_the_log_up_to_its_entry() {
    let log = log(4, 6);
    let signed =
        |entry: &Entry| Files::new().with("log", ndjson(&log)).with("c.jws", checkpoint(entry)).with_keys();
    let mut older = signed(&log[3]);
    older.verify().unwrap();
    assert!(older.told.iter().any(|line| line.contains("from seq 5 on are newer")), "{:?}", older.told);
    let mut other = log[3].clone();
    other.insert("hash".into(), "0".repeat(64).into());
    assert!(
        signed(&other).mismatch().contains("line 4 (seq 4): the checkpoint was signed over another entry")
    );
    other.insert("seq".into(), 7.into());
    assert!(signed(&other).mismatch().contains("ends at seq 6, but the checkpoint was signed at seq 7"));
    let mut without = Files::new().with("log", ndjson(&log));
    without.verify().unwrap();
    assert!(
        without.told.iter().any(|line| line.contains("without a signed checkpoint")),
        "{:?}",
        without.told
    );
}

#[test]
fn a_checkpoint_that_is_not_genuine_is_a_mismatch() {
    let log = log(4, 2);
    let said = |said: Value| key(1).sign(CHECKPOINT_TYPE, said.to_string().as_bytes());
    let of_another = key(9).sign(CHECKPOINT_TYPE, b"{}");
    let genuine = checkpoint(&log[1]);
    let (signed, signature) = genuine.rsplit_once('.').unwrap();
    let (_, other_signature) = of_another.rsplit_once('.').unwrap();
    assert_ne!(signature, other_signature);
    for (jws, told) in [
        (of_another.clone(), "a key that is not among the given ones"),
        (format!("{signed}.{other_signature}"), "was changed after it was signed"),
        (said(json!({"tenant": "acme", "seq": 2})), "does not say what a checkpoint says"),
        (
            said(
                json!({"tenant": "a b", "seq": 2, "hash": "0".repeat(64), "at": "2026-01-06T00:00:00.000Z"}),
            ),
            "say",
        ),
    ] {
        let what = Files::new().with("log", ndjson(&log)).with("c.jws", jws).with_keys().mismatch();
        assert!(what.contains(told), "{told}: {what}");
    }
}

#[test]
fn wrong_use_is_told_from_a_mismatch() {
    let log = log(4, 2);
    let (text, signed) = (ndjson(&log), checkpoint(&log[1]));
    let mut narrow = log.clone();
    narrow.iter_mut().for_each(|entry| drop(entry.shift_remove("actor")));
    let table: Vec<(Files, &str)> = vec![
        (Files::new().with("log", &text).with("c.jws", &signed), "--jwks"),
        (Files::new().with("log", &text).with_keys(), "give the signed checkpoint or manifest"),
        (Files::new().with("c.jws", &signed).with_keys(), "no audit log is among"),
        (Files::new().with("c.jws", &signed).with("d.jws", &signed).with("log", &text).with_keys(), "second"),
        (Files::new().with("log", ndjson(&narrow)), "has no actor"),
        (Files::new().with("log", json_array(&narrow)), "has no actor"),
        (Files::new().with("log", "\u{feff}seq,at,actor\n1,2,3\n"), "is a CSV file"),
        (Files::new().with("log", b"\x1f\x8b\x08\x00"), "unpack it"),
        (Files::new().with("log", "PAR1...."), "is a Parquet file"),
        (Files::new().with("log", "seq,at,actor\n"), "is neither"),
        (Files::new().with("log", [0xFF, 0xFE, 0x00]), "is neither"),
    ];
    for (mut files, told) in table {
        let what = files.wrong_use();
        assert!(what.contains(told), "{told}: {what}");
    }
    let mut missing = Files::new();
    missing.flags.files.push(missing.folder.path().join("none"));
    assert!(missing.wrong_use().contains("cannot be read"));
    let mut keys = Files::new().with("log", &text).with("c.jws", &signed);
    keys.flags.jwks = Some(keys.write("keys.json", "{}"));
    assert!(keys.wrong_use().contains("is no JWK Set"));
}

#[test]
fn the_exit_tells_them_apart() {
    let text = ndjson(&log(4, 2));
    let whole = Files::new().with("log", &text);
    let changed = Files::new().with("log", text.replace("token:", "user:"));
    let mut missing = Files::new();
    missing.flags.files.push(missing.folder.path().join("none"));
    for (files, code) in [(whole, 0), (changed, 1), (missing, 2)] {
        assert_eq!(format!("{:?}", run(&files.flags)), format!("{:?}", std::process::ExitCode::from(code)));
    }
}
