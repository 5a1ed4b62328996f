//! `tollbook ingest`, `source` and `config` against a running service: what they print, and how they end.

use crate::native::gzip;
use crate::road::recorded;
use crate::service::{Service, TOKEN, tollbook};
use crate::table::Table;
use std::path::Path;
use std::process::Output;

fn run(service: &Service, token: &str, arguments: &[&str], paths: &[&Path]) -> Output {
    let mut command = tollbook();
    command.args(&arguments[..1]).args(["--server", &service.client.url(), "--token", token]);
    command.args(&arguments[1..]).args(paths).output().expect("the binary runs")
}

fn ingest(service: &Service, arguments: &[&str], paths: &[&Path]) -> (Option<i32>, String, String) {
    let output = run(service, TOKEN, &[&["ingest", "--pbx-alias", "bench"], arguments].concat(), paths);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The last row of the table that `ingest` prints.
fn in_all(printed: &str) -> Vec<u64> {
    let row = printed.lines().find(|line| line.ends_with("in all")).unwrap_or_else(|| panic!("{printed}"));
    row.split_whitespace().take(4).map(|cell| cell.parse().unwrap()).collect()
}

#[test]
fn files_and_folders_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let definition = folder.path().join("bench.toml");
    let settings = "kind = \"asterisk-csv\"\nzone = \"UTC\"\ntrunks = [\"trunk-a\"]\nextension_pattern = \"^1[0-9]{2}$\"\n";
    std::fs::write(&definition, settings).unwrap();
    let put = run(&service, TOKEN, &["source", "put", "bench", "--file"], &[&definition]);
    assert!(put.status.success(), "{put:?}");
    let listed = run(&service, TOKEN, &["source", "list"], &[]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("asterisk-csv"), "{listed:?}");

    let (code, printed, _) = ingest(&service, &[], &[&recorded("Master.csv")]);
    assert_eq!((code, in_all(&printed)), (Some(0), vec![1736, 0, 0, 0]));

    let files = folder.path().join("files");
    std::fs::create_dir_all(files.join("older")).unwrap();
    std::fs::copy(recorded("Master.csv"), files.join("Master.csv")).unwrap();
    std::fs::copy(recorded("Master_scenarios.csv"), files.join("older/Master.csv.1")).unwrap();
    let packed = gzip(&std::fs::read(recorded("account-tenant-b.csv")).unwrap());
    std::fs::write(files.join("older/Master.csv.2.gz"), packed).unwrap();
    let (code, printed, _) = ingest(&service, &[], &[&files]);
    assert_eq!((code, in_all(&printed)), (Some(0), vec![1736 + 30 + 328, 1736 + 328, 0, 0]));
    assert_eq!(Table::of(&service.export("").body).rows.len(), 1736 + 30);
}

#[test]
fn a_profile_reads_the_files_of_a_pbx_that_nobody_knows() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let profile = folder.path().join("bench.toml");
    let settings = r#"
        kind = "csv"
        separator = ";"
        zone = "Europe/Berlin"
        time_format = "%d.%m.%Y %H:%M:%S"
        key = ["No"]
        [fields]
        start_at = "Begin"
        duration_s = { column = "Talk", unit = "hms" }
        calling_party = "From"
        called_party = "To"
        direction = { column = "Way", words = { IN = "inbound", OUT = "outbound", "*" = "internal" } }
        result = { column = "State", words = { OK = "answered", "*" = "" } }
    "#;
    std::fs::write(&profile, settings).unwrap();
    let put = run(&service, TOKEN, &["source", "put", "bench", "--file"], &[&profile]);
    assert!(put.status.success(), "{put:?}");
    let file = folder.path().join("calls.csv");
    let text = "No;Begin;Talk;From;To;Way;State;Note\r\n\
                1;05.07.2026 14:30:00;01:02:03;101;0049303333;OUT;OK;\"a;b\"\r\n\
                2;05.11.2026 23:30:00;00:00:00;102;101;LOCAL;GONE;\r\n";
    std::fs::write(&file, text).unwrap();
    let (code, printed, complaint) = ingest(&service, &[], &[&file]);
    assert_eq!((code, in_all(&printed)), (Some(0), vec![2, 0, 0, 0]), "{printed}{complaint}");
    let query = "&columns=source_key,start_at,duration_s,direction,calling_party,called_party,result,extra";
    let export = service.export(query).text().to_owned();
    let rows: Vec<&str> = export.lines().skip(1).collect();
    let wanted = [
        "1,2026-07-05T12:30:00.000Z,3723,outbound,101,+49303333,answered,",
        "2,2026-11-05T22:30:00.000Z,0,internal,102,101,,",
    ];
    assert!(rows.len() == 2 && rows[0].starts_with(wanted[0]) && rows[1].starts_with(wanted[1]), "{export}");
    assert!(rows[0].contains("a;b"), "what has no field stays in extra: {export}");
}

#[test]
fn what_goes_wrong_shows_in_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    let good = std::fs::read_to_string(recorded("Master.csv")).unwrap();
    let good: Vec<&str> = good.lines().take(10).collect();
    let bad = folder.path().join("bad.csv");
    std::fs::write(&bad, format!("{}\nthis is,no row\n", good.join("\n"))).unwrap();

    let (code, printed, complaint) = ingest(&service, &[], &[&bad, &recorded("account-tenant-b.csv")]);
    assert_eq!((code, in_all(&printed)), (Some(1), vec![328, 0, 0, 0]), "the next file is still sent");
    assert!(
        printed.contains("refused") && complaint.contains("1 files were refused"),
        "{printed}{complaint}"
    );
    let (code, printed, complaint) = ingest(&service, &["--skip-bad-rows"], &[&bad]);
    assert_eq!((code, in_all(&printed)[3]), (Some(1), 1), "{printed}{complaint}");
    assert!(printed.contains("line 11"), "{printed}");

    let (code, _, complaint) = ingest(&service, &[], &[&folder.path().join("none.csv")]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("none.csv"), "{complaint}");
    let (code, ..) = ingest(&service, &[], &[]);
    assert_eq!(code, Some(2), "wrong use");
    for (token, alias, words) in [("tb_test_of_nobody_at_all", "bench", "401"), (TOKEN, "nobody", "404")] {
        let output = run(&service, token, &["ingest", "--pbx-alias", alias], &[&bad]);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(complaint.contains(words) && !complaint.contains(token), "{complaint}");
    }
}

#[test]
fn sources_of_files_are_there_after_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("sources");
    std::fs::create_dir(&sources).unwrap();
    std::fs::write(sources.join("bench.toml"), "kind = \"asterisk-csv\"\nzone = \"UTC\"\n").unwrap();
    for _start in 0..2 {
        let service =
            Service::start_with(folder.path(), &[("TOLLBOOK_SOURCES_DIR", sources.to_str().unwrap())]);
        let source = service.client.get("/api/v1/sources/bench").expect(200).json();
        assert_eq!((&source["kind"], &source["version"]), (&"asterisk-csv".into(), &1.into()), "{source}");
        assert!(service.stop().success());
    }
}

#[test]
fn a_folder_serves_one_process_and_settings_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let data = folder.path().join("data");
    let second = tollbook().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
    let complaint = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(complaint.contains("another process uses the data folder"), "{complaint}");
    let taken = service.client.url().replace("http://", "");
    let other = folder.path().join("other");
    let third = tollbook().args(["serve", "--listen", &taken, "--data"]).arg(&other).output().unwrap();
    assert_eq!(third.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&third.stderr).contains("--listen"));
    assert!(!other.exists(), "nothing is made when the port is taken");

    let wrong = tollbook().args(["config", "show"]).env("TOLLBOOK_LISTN", "x").output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    let shown = tollbook().args(["config", "show", "--listen", "127.0.0.1:1"]).output().unwrap();
    let settings: toml::Table = toml::from_str(&String::from_utf8(shown.stdout).unwrap()).unwrap();
    assert_eq!(settings["listen"].as_str(), Some("127.0.0.1:1"));
}

#[test]
fn the_first_token_is_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    for first in [true, false] {
        let said = crate::service::said_without_own_token(folder.path());
        assert_eq!(said.contains("admin token"), first, "{said}");
    }
}
