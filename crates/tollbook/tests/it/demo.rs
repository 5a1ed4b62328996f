//! `tollbook demo` as a newcomer meets it: what it prints is there, and the printed commands work as they stand.

use crate::service::{TOKEN, skip, tollbook, wait_for};
use crate::table::{Table, lines};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Bound of the whole tour with an unoptimised binary.
const PATIENCE: Duration = Duration::from_secs(120);
/// The recorded file and the generated day.
const RECORDS: usize = 1736 + 20_000;

struct Demo {
    process: Child,
    said: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Already dead is fine.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// Runs the demonstration until it serves, with a token of its own unless one is handed in.
fn demo(folder: &Path, token: Option<&str>) -> Demo {
    let said = folder.join("said");
    let mut command = tollbook();
    command.current_dir(folder).args(["demo", "--listen", "127.0.0.1:0"]);
    command.envs(token.map(|token| ("TOLLBOOK_BOOTSTRAP_TOKEN", token)));
    command.stdout(File::create(&said).unwrap()).stderr(File::create(folder.join("log")).unwrap());
    let process = command.stdin(Stdio::null()).spawn().expect("the binary starts");
    let mut demo = Demo { process, said: String::new() };
    let serving = wait_for(PATIENCE, || {
        demo.said = std::fs::read_to_string(&said).unwrap();
        let ended = demo.process.try_wait().unwrap();
        assert!(ended.is_none(), "{}{}", demo.said, std::fs::read_to_string(folder.join("log")).unwrap());
        demo.said.contains("Ctrl-C stops it").then_some(())
    });
    assert!(serving.is_some(), "{}", demo.said);
    demo
}

#[test]
fn the_demonstration_shows_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let first = demo(folder.path(), None);
    check_files(&first.said, folder.path());
    check_commands(&first.said);
    assert!(first.said.contains("1736 records taken, 0 of them known"), "{}", first.said);
    drop(first);
    let again = demo(folder.path(), Some(TOKEN));
    assert!(
        !again.said.contains(TOKEN) && again.said.contains("$TOLLBOOK_BOOTSTRAP_TOKEN"),
        "{}",
        again.said
    );
    assert!(again.said.contains("1736 records taken, 1736 of them known"), "{}", again.said);
    assert!(again.said.contains("20000 records taken, 20000 of them known"), "{}", again.said);
    check_files(&again.said, folder.path());
}

/// Lines such as `  21736 rows   4912345 bytes  /path/calls.csv`.
fn check_files(said: &str, folder: &Path) {
    let mut seen = Vec::new();
    for line in said.lines().filter(|line| line.contains(" rows ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [rows, "rows", bytes, "bytes", file] = words[..] else { panic!("{line}") };
        let content = std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(
            (rows, bytes),
            (RECORDS.to_string().as_str(), content.len().to_string().as_str()),
            "{line}"
        );
        if file.ends_with(".csv") {
            assert_eq!(Table::of(&content).rows.len(), RECORDS);
        } else {
            assert!(content.starts_with(b"PAR1") && content.ends_with(b"PAR1"), "{file}");
        }
        seen.push(file.rsplit_once('.').unwrap().1.to_owned());
    }
    assert_eq!(seen, ["csv", "parquet"]);
}

fn check_commands(said: &str) {
    let commands: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(commands.len(), 5, "{said}");
    if !Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return skip("there is no curl to run the printed commands with");
    }
    let answers: Vec<Vec<u8>> = commands.iter().map(|command| output_of(command)).collect();
    let calls = lines(&answers[0]);
    assert!(
        calls.len() > 100 && calls.iter().all(|c| c["direction"] == "inbound" && c["result"] == "answered")
    );
    let kpis = Table::of(&answers[1]);
    let sum: usize = kpis.column("calls").iter().map(|cell| cell.unwrap().parse::<usize>().unwrap()).sum();
    // The range ends at midnights of Berlin, so that the first hour of the generated day may lie outside.
    assert!(sum > 20_000 && sum <= RECORDS, "{sum}");
    let estimate: serde_json::Value = serde_json::from_slice(&answers[2]).unwrap();
    let rows = estimate["rows"].as_u64().unwrap();
    assert!(rows > 20_000 && rows < 25_000, "{estimate}");
    let [ordered, listed] = [&answers[3], &answers[4]].map(|answer| -> serde_json::Value {
        serde_json::from_slice(answer)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(answer)))
    });
    assert_eq!((&ordered["status"], &ordered["format"]), (&"queued".into(), &"parquet".into()), "{ordered}");
    let jobs = listed["items"].as_array().expect("jobs");
    assert!(jobs.iter().any(|job| job["id"] == ordered["id"]), "{listed}");
}

fn output_of(command: &str) -> Vec<u8> {
    let output =
        Command::new("sh").args(["-c", &command.replacen("curl", "curl -sS --fail", 1)]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let plain = Command::new("sh").args(["-c", command]).stderr(Stdio::null()).output().unwrap();
    assert!(plain.status.success(), "{command}");
    plain.stdout
}
