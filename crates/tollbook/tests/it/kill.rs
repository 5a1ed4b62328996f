//! Kill -9 at random moments of ingest, compaction and export, again and again on one data folder.
//!
//! `TOLLBOOK_TEST_SEED` repeats the moments of a run, as far as a machine repeats anything.

use crate::client::{Client, End};
use crate::load::{Load, Random};
use crate::service::{Service, TOKEN, day_ago, wait_for};
use crate::table::Table;
use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

const KILLS: u64 = 60;
const KILLS_BETWEEN_CHECKS: u64 = 10;
const POSTERS: u64 = 3;
/// Records, and bytes of each, of a body that no socket's buffers hold when it is exported, and that makes a compaction
/// due.
const LARGE: (usize, usize) = (900, 20_000);
/// Bodies up to this size are sent again now and then.
const REPEATED_BYTES: usize = 4 << 20;
/// Bound of one compaction.
const PATIENCE: Duration = Duration::from_secs(60);
/// A start after a kill may take this much longer than the first one of an empty folder.
const START_PATIENCE: Duration = Duration::from_secs(1);

/// A body that was sent at least once.
#[derive(Debug, Clone)]
struct Sent {
    body: Arc<str>,
    rows: u64,
    acknowledged: bool,
}

/// What the client side knows.
#[derive(Debug, Default)]
struct Ledger {
    bodies: BTreeMap<String, Sent>,
    /// First and last sequence numbers of answers.
    sequences: BTreeMap<u64, u64>,
    whole_exports: u64,
    broken_exports: u64,
}

struct Run {
    ledger: Mutex<Ledger>,
    next_body: AtomicU64,
    days: [String; 3],
}

#[test]
#[allow(clippy::print_stdout, reason = "the seed, and the figures of a run, for whoever looks")]
fn nothing_acknowledged_is_lost_and_nothing_comes_twice() {
    let clock = SystemClock::new();
    let seed = std::env::var("TOLLBOOK_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| clock.now_ms().unsigned_abs());
    println!("TOLLBOOK_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let run = Run { ledger: Mutex::default(), next_body: AtomicU64::new(0), days: [1, 2, 3].map(day_ago) };

    // Made once: it takes longer than most services live here.
    let mut posters: Vec<_> =
        (1..=POSTERS).map(|at| (Load::new(seed + at), Random::new(seed + at))).collect();
    let (mut starts, mut fruitful) = (Vec::new(), 0);
    for kill in 1..=KILLS {
        let service = Service::start(folder.path());
        starts.push(service.started_in);
        // Mostly at once; now and then so late that a compaction may have ended, and its successor begun.
        let longest = if kill % 5 == 0 { 1500 } else { 150 };
        let delay = Duration::from_millis(random.below(longest));
        let before = run.answers();
        work_until_killed(&run, service, delay, &mut posters);
        fruitful += u64::from(run.answers() > before);
        if kill % KILLS_BETWEEN_CHECKS == 0 {
            let service = Service::start(folder.path());
            starts.push(service.started_in);
            check(&run, &service);
            if kill == KILLS_BETWEEN_CHECKS {
                run.send_large(&service);
            }
            break_an_export(service);
        }
    }
    // At rest, with everything compacted, it is all still there.
    let service = Service::start(folder.path());
    let compacted = || service.logged().matches("compacted").count();
    let seen = compacted();
    run.send_large(&service);
    assert!(wait_for(PATIENCE, || (compacted() > seen).then_some(())).is_some(), "no compaction came");
    check(&run, &service);
    println!("{fruitful} kills came after records had been acknowledged in that life");
    assert!(fruitful > KILLS / 6, "the services lived too short");
    report(&run, &mut starts, folder.path());
}

fn work_until_killed(run: &Run, service: Service, delay: Duration, posters: &mut [(Load, Random)]) {
    let client = service.client.clone();
    std::thread::scope(|threads| {
        for (load, random) in posters {
            let client = &client;
            threads.spawn(move || post_until_broken(run, client, load, random));
        }
        threads.spawn(|| export_until_broken(run, &client));
        std::thread::sleep(delay);
        service.kill();
    });
}

/// Sends bodies of all sizes, again and again also ones that were sent before, until the service is gone.
fn post_until_broken(run: &Run, client: &Client, load: &mut Load, random: &mut Random) {
    loop {
        let repeated = if random.below(4) == 0 { run.any_before(random) } else { None };
        let (name, sent) = repeated.unwrap_or_else(|| run.new_body(load, random));
        let headers = [("content-type", "application/x-ndjson")];
        let answer = client.send("POST", "/api/v1/cdr/records", &headers, sent.body.as_bytes());
        let Some(answer) = answer.ok().filter(|answer| answer.end == End::Clean) else { return };
        assert_eq!(answer.status, 200, "{}", answer.text());
        run.note_answer(&name, &sent, &answer.json());
    }
}

impl Run {
    fn new_body(&self, load: &mut Load, random: &mut Random) -> (String, Sent) {
        // The last two are larger than 1 MiB even when they are packed, and thus become objects.
        let (rows, bulk) = match random.below(16) {
            0..=9 => (1, random.below(2) as usize * 30),
            10..=12 => (60, 0),
            13 => (500, 0),
            14 => (700, 1800),
            _ => (3000, 420),
        };
        self.body_of(load, (rows, bulk), &self.days[random.below(3) as usize])
    }

    fn body_of(&self, load: &mut Load, (rows, bulk): (usize, usize), day: &str) -> (String, Sent) {
        let name = format!("body{}", self.next_body.fetch_add(1, Ordering::Relaxed));
        let body = load.ndjson(&name, rows, bulk, day).into();
        let sent = Sent { body, rows: rows as u64, acknowledged: false };
        self.ledger.lock().unwrap().bodies.insert(name.clone(), sent.clone());
        (name, sent)
    }

    /// How many answers gave sequence numbers so far.
    fn answers(&self) -> usize {
        self.ledger.lock().unwrap().sequences.len()
    }

    fn send_large(&self, service: &Service) {
        let (name, sent) = self.body_of(&mut Load::new(0), LARGE, &self.days[0]);
        let answer = service.post_ndjson(sent.body.as_bytes()).expect(200).json();
        self.note_answer(&name, &sent, &answer);
    }

    /// A body that was sent before, acknowledged or not, as a client that is not sure sends it again. The newest ones
    /// may be under way at this moment.
    fn any_before(&self, random: &mut Random) -> Option<(String, Sent)> {
        let ledger = self.ledger.lock().unwrap();
        let at = random.below(ledger.bodies.len().max(1) as u64) as usize;
        let (name, sent) = ledger.bodies.iter().nth(at)?;
        (sent.body.len() <= REPEATED_BYTES).then(|| (name.clone(), sent.clone()))
    }

    /// Judges an answer by what was known when the body was sent, and remembers it.
    fn note_answer(&self, name: &str, sent: &Sent, answer: &serde_json::Value) {
        let number = |name: &str| answer[name].as_u64();
        let duplicates = number("duplicates").unwrap();
        assert_eq!((number("accepted"), number("rejected")), (Some(sent.rows), Some(0)), "{name}: {answer}");
        assert_eq!(number("revisions"), Some(0), "{name}: {answer}");
        let whole_or_nothing = duplicates == 0 || duplicates == sent.rows;
        assert!(whole_or_nothing, "{name}: a part of the body had been kept: {answer}");
        assert!(duplicates == sent.rows || !sent.acknowledged, "{name}: acknowledged, and unknown: {answer}");
        let mut ledger = self.ledger.lock().unwrap();
        ledger.bodies.get_mut(name).unwrap().acknowledged = true;
        if let (Some(first), Some(last)) = (number("first_sequence"), number("last_sequence")) {
            assert_eq!(last - first + 1, sent.rows, "{name}: {answer}");
            let before = ledger.sequences.range(..=last).next_back();
            assert!(before.is_none_or(|(_, before)| *before < first), "{name}: numbers used twice: {answer}");
            ledger.sequences.insert(first, last);
        }
    }
}

/// Exports until the service is gone. What ends cleanly must hold everything acknowledged before it began.
fn export_until_broken(run: &Run, client: &Client) {
    loop {
        let known = run.ledger.lock().unwrap().bodies.clone();
        let path = "/api/v1/cdr/export?from=2000-01-01&to=2100-01-01&columns=account_code,source_key";
        let Ok(answer) = client.send("GET", path, &[], b"") else { return };
        assert_eq!(answer.status, 200, "{}", answer.text());
        if answer.end == End::Broken {
            run.ledger.lock().unwrap().broken_exports += 1;
            return;
        }
        assert_whole(&known, &Table::of(&answer.body));
        run.ledger.lock().unwrap().whole_exports += 1;
    }
}

/// Every acknowledged body is there, each of its records once; every other one is there whole or not at all. Answers
/// the number of records.
fn assert_whole(known: &BTreeMap<String, Sent>, export: &Table) -> u64 {
    let mut found: HashMap<&str, Vec<u64>> = HashMap::new();
    for row in &export.rows {
        let (name, key) = (row[0].as_deref().unwrap(), row[1].as_deref().unwrap());
        let number = key.strip_prefix(name).unwrap().strip_prefix('-').unwrap().parse().unwrap();
        found.entry(name).or_default().push(number);
    }
    for (name, numbers) in &mut found {
        numbers.sort_unstable();
        let wanted = known.get(*name).map_or(numbers.len() as u64, |sent| sent.rows);
        assert!(numbers.iter().copied().eq(0..wanted), "{name}: {} records of {wanted}", numbers.len());
    }
    for (name, sent) in known.iter().filter(|(_, sent)| sent.acknowledged) {
        assert!(found.contains_key(name.as_str()), "{name}: {} acknowledged records are lost", sent.rows);
    }
    export.rows.len() as u64
}

/// Looks at everything while nothing else happens.
fn check(run: &Run, service: &Service) {
    let export = Table::of(&service.export("&columns=account_code,source_key").body);
    let mut known = run.ledger.lock().unwrap().bodies.clone();
    let records = assert_whole(&known, &export);
    // The next number tells how many were given out: no more than there are records.
    let (name, sent) =
        run.new_body(&mut Load::new(0), &mut Random::new(run.next_body.load(Ordering::Relaxed)));
    let answer = service.post_ndjson(sent.body.as_bytes()).expect(200).json();
    assert_eq!(answer["first_sequence"], records + 1, "numbers without a gap: {answer}");
    run.note_answer(&name, &sent, &answer);
    // What was never acknowledged is sent again, as its sender would: then it is there, and once.
    for (name, sent) in known.iter_mut().filter(|(_, sent)| !sent.acknowledged) {
        let answer = service.post_ndjson(sent.body.as_bytes()).expect(200).json();
        run.note_answer(name, sent, &answer);
        sent.acknowledged = true;
    }
    let export = Table::of(&service.export("&columns=account_code,source_key").body);
    assert_whole(&run.ledger.lock().unwrap().bodies, &export);
    let unacknowledged = run.ledger.lock().unwrap().bodies.values().filter(|sent| !sent.acknowledged).count();
    assert_eq!(unacknowledged, 0);
    let answers = run.ledger.lock().unwrap().sequences.values().max().copied();
    assert_eq!(answers, Some(export.rows.len() as u64), "the last number is the number of records");
}

/// Kills the service while a large export is under way: the reader must see that it is not whole.
fn break_an_export(service: Service) {
    let path = "/api/v1/cdr/export?from=2000-01-01&to=2100-01-01&columns=id,extra";
    let mut export = service.client.begin(path).expect("an answer begins");
    export.read_some(64 * 1024);
    service.kill();
    let answer = export.finish();
    assert_eq!((answer.status, answer.end), (200, End::Broken), "{} bytes", answer.body.len());
}

#[allow(clippy::print_stdout, reason = "the figures of a run, for whoever looks")]
fn report(run: &Run, starts: &mut [Duration], folder: &Path) {
    let ledger = run.ledger.lock().unwrap();
    let usual = starts[0];
    starts[1..].sort_unstable();
    let (median, slowest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    let records: u64 = ledger.bodies.values().map(|sent| sent.rows).sum();
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    // Starts that found objects of the journal or the lake which a kill had left half written.
    let torn = log.matches("discarded what an earlier process had begun to write").count();
    let compactions = log.matches("compacted").count();
    println!(
        "{KILLS} kills, {} bodies, {records} records, {compactions} compactions, {torn} starts with torn objects, \
         {} whole and {} broken exports; \
         starts: first {usual:?}, median {median:?}, slowest {slowest:?}",
        ledger.bodies.len(),
        ledger.whole_exports,
        ledger.broken_exports,
    );
    assert!(median < usual + START_PATIENCE, "starts take long after kills");
    let enough = ledger.bodies.len() as u64 > KILLS && torn > 0 && ledger.broken_exports > 0;
    assert!(enough, "too little was under way to learn anything");
}

/// HTTP/1.0 ends a body by closing the connection, which the kernel does for a killed process too: only a reset tells.
#[test]
fn readers_without_chunks_see_the_kill_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.post_ndjson(Load::new(6).ndjson("large", LARGE.0, LARGE.1, &day_ago(1))).expect(200);
    let url = service.client.url();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = "/api/v1/cdr/export?from=2000-01-01&to=2100-01-01&columns=id,extra";
    write!(stream, "GET {path} HTTP/1.0\r\nauthorization: Bearer {TOKEN}\r\n\r\n").unwrap();
    let mut seen = vec![0; 64 * 1024];
    stream.read_exact(&mut seen).unwrap();
    assert!(seen.starts_with(b"HTTP/1.0 200"));
    service.kill();
    let ended = stream.read_to_end(&mut seen).map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset), "{} bytes", seen.len());
}
