//! What a client of the export can rely on: ranges, filters, columns, zones, heads and refusals.

use crate::service::Service;
use crate::table::{Table, lines};
use serde_json::json;
use tempfile::TempDir;

/// Six calls whose starts lie on the edges of days; the keys are letters.
const CALLS: &str = r#"
{"source_key":"a","pbx_alias":"lyon","start_at":"2026-01-04T23:00:00.000Z","duration_s":0,"direction":"internal","calling_party":"203","called_party":"202","extension":"007","result":"busy"}
{"source_key":"b","pbx_alias":"paris-1","start_at":"2026-01-05T09:00:00.000Z","duration_s":61,"direction":"inbound","calling_party":"+44 20 7123 4567","called_party":"+442071234567","trunk":"=1+1","extension":"0101","result":"answered"}
{"source_key":"c","pbx_alias":"lyon","start_at":"2026-01-05T23:30:00.000Z","duration_s":0,"direction":"outbound","calling_party":"201","called_party":"0033140000002","trunk":"trunk-b","result":"no-answer"}
{"source_key":"d","pbx_alias":"lyon","start_at":"2026-01-06T00:00:00.000Z","duration_s":7,"direction":"internal","calling_party":"201","called_party":"202","result":"answered"}
{"source_key":"e","pbx_alias":"lyon","start_at":"2026-01-31T23:59:59.999Z","duration_s":0,"direction":"inbound","calling_party":"anonymous","called_party":"202","did":"+33140000003","result":"abandoned"}
{"source_key":"f","pbx_alias":"paris-1","start_at":"2026-02-01T00:00:00.000Z","duration_s":3,"direction":"internal","calling_party":"+1","called_party":"@SUM(1)"}
"#;

fn service() -> (TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let answer = service.post_ndjson(CALLS).expect(200).json();
    assert_eq!((&answer["accepted"], &answer["last_sequence"]), (&json!(6), &json!(6)), "{answer}");
    (folder, service)
}

/// The keys of the calls that a query exports, in their order.
fn keys(service: &Service, query: &str) -> String {
    let answer = service.client.get(&format!("/api/v1/cdr/export?{query}&columns=source_key"));
    Table::of(&answer.expect(200).body).column("source_key").into_iter().flatten().collect()
}

#[test]
fn ranges_are_half_open_and_days_are_whole() {
    let (_folder, service) = service();
    for (query, wanted) in [
        ("from=2026-01-01&to=2026-01-31", "abcde"),
        ("from=2026-01-05&to=2026-01-05", "bc"),
        ("from=2026-01-05&to=2026-01-06T00:00:00Z", "bc"),
        ("from=2026-01-05T09:00:00Z&to=2026-01-05T09:00:00.001Z", "b"),
        ("from=2026-01-05T09:00:00.001Z&to=2026-01-06", "cd"),
        ("from=2026-01-05T10:00:00%2B01:00&to=2026-01-05T10:00:01%2B01:00", "b"),
        ("tz=Europe/Paris&from=2026-01-05&to=2026-01-05", "ab"),
        ("tz=Europe/Paris&from=2026-01-05T10:00:00&to=2026-01-05T10:00:01", "b"),
        ("from=2026-02-01", "f"),
        ("from=2026-01-01&to=2099-12-31", "abcdef"),
        ("from=2026-03-01&to=2099-12-31", ""),
    ] {
        assert_eq!(keys(&service, query), wanted, "{query}");
    }
}

#[test]
fn filters_of_one_name_add_up_and_different_names_narrow() {
    let (_folder, service) = service();
    let pseudonym = service.export("&columns=calling_party&pbx_alias=paris-1&direction=inbound");
    let pseudonym = Table::of(&pseudonym.body).rows[0][0].clone().unwrap();
    for (query, wanted) in [
        ("direction=inbound&direction=internal&pbx_alias=lyon", "ade"),
        ("pbx_alias=paris-1", "bf"),
        ("pbx_alias=PARIS-1", ""),
        ("result=busy&result=no-answer", "ac"),
        ("extension=007", "a"),
        ("extension=7", ""),
        ("trunk=%3D1%2B1", "b"),
        ("trunk=trunk-b&trunk=trunk-c", "c"),
        ("called_party=33140000002", "c"),
        ("called_party=%2B33%201%2040%2000%2000%2002", "c"),
        ("calling_party=%2B442071234567", "b"),
        ("calling_party=0044(20)7123-4567", "b"),
        (&format!("calling_party={pseudonym}"), "b"),
        ("calling_party=201&calling_party=203", "acd"),
        ("did_number=%2B33140000003", "e"),
        ("did_number=%2B442071234567", "b"),
        ("did_number=202", ""),
        ("direction=inbound&result=busy", ""),
    ] {
        assert_eq!(keys(&service, &format!("from=2026-01-01&to=2026-02-01&{query}")), wanted, "{query}");
    }
}

#[test]
fn columns_zones_and_guards_shape_the_text() {
    let (_folder, service) = service();
    let text = |query: &str| service.export(query).text().to_owned();
    assert!(text("&columns=result,id").starts_with("\u{feff}result,id\n"));
    assert_eq!(
        text("&columns=start_at&tz=Europe/Paris&pbx_alias=lyon&extension=007"),
        "\u{feff}start_at\n2026-01-05T00:00:00.000+01:00\n"
    );
    assert_eq!(
        text("&columns=trunk,called_party&extension=0101"),
        "\u{feff}trunk,called_party\n=1+1,+442071234567\n"
    );
    let guarded =
        service.export("&columns=trunk,called_party,calling_party&formula_guard=1&pbx_alias=paris-1");
    assert_eq!(guarded.header("tollbook-formula-guard"), Some("on"));
    let table = Table::of(&guarded.body);
    assert_eq!(table.column("trunk"), [Some("'=1+1"), None]);
    assert_eq!(table.column("called_party"), [Some("+442071234567"), Some("'@SUM(1)")]);
    assert_eq!(table.column("calling_party")[1], Some("+1"), "a number is never touched");

    let empty = "from=2030-01-01&to=2030-01-02";
    let get =
        |format: &str| service.client.get(&format!("/api/v1/cdr/export?{empty}&format={format}")).expect(200);
    assert_eq!(get("json").text(), "[]\n");
    assert_eq!(get("ndjson").text(), "");
    let header_only = Table::of(&get("csv").body);
    assert_eq!((header_only.header.len(), header_only.rows.len()), (22, 0));
    let ids = lines(&service.export("&format=ndjson").body);
    assert!(
        ids.iter().all(|record| record["id"].as_str().is_some_and(|id| id.as_bytes()[14] == b'8')),
        "UUIDv8"
    );
}

#[test]
fn heads_and_estimates_say_what_is_to_come() {
    let (_folder, service) = service();
    let path = "/api/v1/cdr/export?from=2026-01-01&to=2026-01-31&format=parquet";
    let get = service.client.get(path).expect(200);
    let head = service.client.send("HEAD", path, &[], b"").unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let name = "attachment; filename=\"cdr_2026-01-01_2026-01-31.parquet\"";
    for answer in [&get, &head] {
        assert_eq!(answer.header("content-type"), Some("application/vnd.apache.parquet"));
        assert_eq!(answer.header("content-disposition"), Some(name));
        assert_eq!(answer.header("tollbook-export-id").map(str::len), Some(36));
    }
    assert!(get.body.starts_with(b"PAR1") && get.body.ends_with(b"PAR1"));
    let refused = service.client.send("HEAD", "/api/v1/cdr/export?from=x", &[], b"").unwrap();
    assert_eq!(refused.status, 400);

    let estimate =
        service.client.get("/api/v1/cdr/export/estimate?from=2026-01-01&to=2026-01-31").expect(200);
    let estimate = estimate.json();
    assert_eq!((&estimate["rows"], &estimate["mode"]), (&json!(5), &json!("direct")), "{estimate}");
    let bytes = service.client.get("/api/v1/cdr/export?from=2026-01-01&to=2026-01-31").body.len() as f64;
    let guess = estimate["bytes"].as_f64().unwrap();
    assert!(guess > bytes / 5.0 && guess < bytes * 5.0, "{guess} for {bytes}");
}

#[test]
fn refusals_name_what_is_wrong() {
    let (_folder, service) = service();
    for (query, kind, names) in [
        ("", "missing-parameter", vec!["from"]),
        ("from=2026-01-01&directon=inbound", "unknown-parameter", vec!["directon"]),
        ("from=2026-01-01&format=xlsx&tz=Mars/Base", "invalid-parameter", vec!["tz", "format"]),
        ("from=2026-01-06&to=2026-01-05", "invalid-parameter", vec!["to"]),
        ("from=2026-01-06T00:00:00Z&to=2026-01-06T00:00:00Z", "invalid-parameter", vec!["to"]),
        ("from=2026-02-30", "invalid-parameter", vec!["from"]),
        ("from=2026-01-01&to=2026-13-01", "invalid-parameter", vec!["to"]),
        ("from=2026-01-01T25:00:00Z", "invalid-parameter", vec!["from"]),
        ("from=", "invalid-parameter", vec!["from"]),
        ("from=2026-01-01&from=2026-01-02", "invalid-parameter", vec!["from"]),
        ("from=2026-01-01&columns=id,foo", "invalid-parameter", vec!["columns"]),
        ("from=2026-01-01&columns=id,id", "invalid-parameter", vec!["columns"]),
        ("from=2026-01-01&direction=sideways", "invalid-parameter", vec!["direction"]),
        ("from=2026-01-01&formula_guard=1&format=json", "invalid-parameter", vec!["formula_guard"]),
        ("from=2026-01-01&interval=day", "unknown-parameter", vec!["interval"]),
        ("from=2026-01-01&schema=v9", "invalid-parameter", vec!["schema"]),
        ("from=2026-01-01&pbx_alias=%FF", "invalid-parameter", vec!["pbx_alias"]),
    ] {
        for path in ["export", "export/estimate"] {
            let answer = service.client.get(&format!("/api/v1/cdr/{path}?{query}"));
            assert_eq!((answer.status, answer.problem().as_str()), (400, kind), "{path}?{query}");
            assert_eq!(answer.wrong_names(), names, "{path}?{query}");
        }
    }
    let missing = service.client.get("/api/v1/dogs/export?from=2026-01-01");
    assert_eq!((missing.status, missing.problem().as_str()), (404, "not-found"));
    let wrong_method = service.client.post("/api/v1/cdr/export", "text/plain", "x");
    assert_eq!((wrong_method.status, wrong_method.problem().as_str()), (405, "method-not-allowed"));
    assert!(
        wrong_method.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("HEAD"))
    );
}

#[test]
fn only_a_known_token_opens_anything_but_schemas() {
    let (_folder, service) = service();
    let anybody = service.client.with_authorization(None);
    for other in [None, Some("Bearer tb_test_0123456789abcdeX"), Some("Bearer"), Some("Basic eDp5")] {
        let client = service.client.with_authorization(other);
        for (method, path) in [
            ("GET", "/api/v1/cdr/export?from=2026-01-01"),
            ("GET", "/api/v1/cdr/export/estimate?from=2026-01-01"),
            ("GET", "/api/v1/agent-configuration/export"),
            ("GET", "/api/v1/sources"),
            ("PUT", "/api/v1/sources/x"),
            ("DELETE", "/api/v1/sources/x"),
            ("POST", "/api/v1/cdr/records"),
            ("POST", "/api/v1/sources/x/records"),
        ] {
            let answer = client.send(method, path, &[], b"{}").unwrap();
            assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"), "{method} {path}");
            assert_eq!(answer.json()["code"], "NAT-API-001");
            assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        }
    }
    for path in ["cdr.json", "cdr/v1.json", "kpis.json", "agent-configuration.json", "cdr.ts", "cdr.py"] {
        let answer = anybody.get(&format!("/api/v1/schemas/{path}")).expect(200);
        assert!(answer.header("etag").is_some() && !answer.body.is_empty(), "{path}");
    }
    let schema = anybody.get("/api/v1/schemas/cdr.json").expect(200).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], json!(["id", "pbx_alias", "start_at", "duration_s", "direction"]));
}
