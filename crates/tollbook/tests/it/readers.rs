//! Exports and the lake read by programs of others: DuckDB, pandas and Polars must see what the CSV says.
//!
//! Needs `TOLLBOOK_TEST_PYTHON`, a Python with the packages of `readers/requirements.txt`.

use crate::load::{self, Load};
use crate::road::{all_columns, recorded};
use crate::service::{Service, skip};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Calls that use columns which Asterisk has nothing for: numbers, amounts, empty and awkward texts.
const CALLS: &str = r#"
{"source_key":"1","pbx_alias":"p","start_at":"1999-12-31T23:59:59.999Z","duration_s":0,"direction":"internal","mos":4.25,"jitter_ms":0.1,"loss_pct":0,"charged":"0.000001","rate":"-12","currency":"EUR"}
{"source_key":"2","pbx_alias":"p","start_at":"2026-11-21T00:00:00Z","duration_s":9007199254740993,"direction":"outbound","charged":"999999999999.999999","billing_duration_s":"60.5","called_party":"","trunk":"a,\"b\"\nc","extra":{"ä":"x\ny","a":""}}
{"source_key":"3","pbx_alias":"p","start_at":"2026-11-21T00:00:00.001Z","duration_s":1,"direction":"inbound","calling_party":"+493023125001","called_party":"00123","sip_code":200,"q850_cause":16,"attempt":2,"mos":1e-7,"caller_name":"gone"}
"#;

/// The Python to ask, if there is one.
fn python() -> Option<OsString> {
    let python = std::env::var_os("TOLLBOOK_TEST_PYTHON");
    if python.is_none() {
        skip("DuckDB, pandas and Polars are not asked: TOLLBOOK_TEST_PYTHON names no Python that has them");
    }
    python
}

fn read_back(python: &OsString, arguments: &[&Path]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/read_back.py");
    let output = Command::new(python).arg(script).args(arguments).output().expect("Python runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Writes an export in every compared format, and what describes it, into a folder.
fn write_exports(service: &Service, query: &str, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for format in ["csv", "ndjson", "parquet"] {
        let answer = service.export(&format!("{query}&format={format}"));
        std::fs::write(folder.join(format!("calls.{format}")), &answer.body).unwrap();
        std::fs::write(folder.join("export_id"), answer.header("tollbook-export-id").unwrap()).unwrap();
    }
    let schema = service.client.get("/api/v1/schemas/cdr.json").expect(200);
    std::fs::write(folder.join("schema.json"), schema.body).unwrap();
}

#[test]
fn other_readers_see_what_the_csv_says() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    let recording = std::fs::read(recorded("Master.csv")).unwrap();
    service.client.post("/api/v1/sources/bench/records", "text/csv", recording).expect(200);
    service.post_ndjson(CALLS).expect(200);
    let all = format!("&columns={}", all_columns(&service).join(","));
    for compacted in [false, true] {
        if compacted {
            load::compact(&service);
            // On top of the lake also what is not compacted yet, a revision of a compacted call among it.
            service.post_ndjson(CALLS.replace("\"duration_s\":1,", "\"duration_s\":5,")).expect(200);
            service.post_ndjson(Load::new(7).ndjson("late", 200, 0, "2026-11-22")).expect(200);
        }
        for (name, query) in [
            ("default", String::new()),
            ("all", all.clone()),
            ("filtered", format!("{all}&direction=inbound&result=answered")),
            ("reordered", "&columns=called_party,id,start_at,mos,charged&pbx_alias=p".to_owned()),
            ("empty", format!("{all}&pbx_alias=none")),
        ] {
            let exports = folder.path().join(format!("{name}-{compacted}"));
            write_exports(&service, &query, &exports);
            read_back(&python, &[Path::new("exports"), &exports]);
        }
    }
}

#[test]
fn other_readers_read_the_lake_as_it_is() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    let recording = std::fs::read(recorded("Master.csv")).unwrap();
    service.client.post("/api/v1/sources/bench/records", "text/csv", recording).expect(200);
    service.post_ndjson(CALLS).expect(200);
    load::compact(&service);
    let csv = folder.path().join("all.csv");
    let export = service.client.get("/api/v1/cdr/export?from=1990-01-01&to=2100-01-01").expect(200);
    std::fs::write(&csv, export.body).unwrap();
    read_back(&python, &[Path::new("lake"), &folder.path().join("data/lake/cdr"), &csv]);
}
