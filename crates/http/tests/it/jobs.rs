//! Export jobs over the wire.

use crate::connection::Answer;
use crate::fakes::TOKEN_PREFIX;
use crate::shelf::{FILE_NAME, ORDER, id_of, make_ready, order, ready_job};
use crate::{Service, problem};
use serde_json::{Value, json};
use std::time::Duration;

const JOBS: &str = "/api/v1/cdr/export-jobs";

async fn get(service: &Service, path: &str) -> Answer {
    service.as_admin(&format!("GET {path}"), b"").await
}

async fn delete(service: &Service, role: &str, path: &str) -> Answer {
    service.as_role(role, &format!("DELETE {path}"), b"").await
}

#[tokio::test]
async fn an_order_is_answered_with_its_job() {
    let service = Service::start().await;
    let body = "{\"from\":\"2026-01-01\",\"to\":\"2026-01-31\",\"format\":\"parquet\",\"direction\":[\"inbound\"],\
                \"columns\":[\"result\",\"id\"],\"tz\":\"Europe/Paris\",\"external_reference\":\"of mine\"}";
    let form = format!(
        "Authorization: Bearer {TOKEN_PREFIX}admin\r\nContent-Type: application/x-www-form-urlencoded"
    );
    let answer = service.with(&format!("POST {JOBS}"), &form, body.as_bytes()).await;
    let job = answer.json();
    let id = id_of(&job);
    assert_eq!(answer.status, 202);
    let place = format!("{JOBS}/{id}");
    assert_eq!(answer.header("location").as_deref(), Some(place.as_str()));
    assert_eq!(answer.header("retry-after").as_deref(), Some("2"));
    assert_eq!(answer.header("idempotency-replayed"), None);
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    let wanted = json!({
        "id": id, "dataset": "cdr", "dialect": "native", "status": "queued", "format": "parquet",
        "from": "2026-01-01", "to": "2026-01-31", "tz": "Europe/Paris", "filters": {"direction": ["inbound"]},
        "columns": ["result", "id"], "schema": "v1", "sign": "none", "external_reference": "of mine",
        "created_at": "2026-06-01T00:00:00.000Z", "started_at": null, "finished_at": null, "snapshot_at": null,
        "watermark": null, "expires_at": null, "attempt": 0, "queue_position": 1, "callback_url": null,
        "notify_email": [],
        "progress": {"rows_done": 0, "rows_estimated": job["progress"]["rows_estimated"], "percent": 0, "eta_s": null},
        "rows": null, "bytes": null, "files": [], "download_url": null, "download_url_expires_at": null,
        "manifest_url": null, "error": null,
    });
    assert_eq!(answer.text(), format!("{wanted}\n"), "also in the order of the contract");
    let shown = get(&service, &place).await;
    assert_eq!((shown.status, shown.text()), (200, answer.text()));
    assert_eq!(shown.header("retry-after").as_deref(), Some("2"));
    let anywhere = get(&service, &format!("/api/v1/export-jobs/{id}")).await;
    assert_eq!(anywhere.text(), answer.text());
}

#[tokio::test]
async fn a_ready_job_has_files_and_links() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let id = id_of(&job);
    assert_eq!((&job["status"], &job["rows"], &job["bytes"]), (&json!("ready"), &json!(3), &json!(36)));
    let done = json!({"rows_done": 3, "rows_estimated": 3, "percent": 100, "eta_s": 0});
    assert_eq!(job["progress"], done);
    assert_eq!(
        (&job["watermark"], &job["attempt"], &job["queue_position"]),
        (&json!(7), &json!(1), &Value::Null)
    );
    assert_eq!(job["expires_at"], "2026-06-08T00:00:00.000Z");
    assert_eq!(job["download_url_expires_at"], "2026-06-01T01:00:00.000Z");
    let link = job["download_url"].as_str().unwrap();
    let path = format!("https://cdr.example.net:8443/dl/v1/{id}/{FILE_NAME}?exp=1780275600&kid=k1&sig=");
    assert!(link.starts_with(&path), "{link}");
    let file = &job["files"][0];
    assert_eq!((file["download_url"].as_str(), &file["name"]), (Some(link), &json!(FILE_NAME)));
    assert_eq!(file["sha256"].as_str().unwrap().len(), 64);
    assert!(job["manifest_url"].as_str().unwrap().contains("/manifest.jws?"));
    let shown = get(&service, &format!("{JOBS}/{id}")).await;
    assert_eq!(shown.header("retry-after"), None, "it has ended");
    service.world.clock.advance(Duration::from_secs(1));
    let later = get(&service, &format!("{JOBS}/{id}")).await.json();
    assert_ne!(later["download_url"], job["download_url"], "each reading makes new links");

    assert_eq!(delete(&service, "admin", &format!("{JOBS}/{id}")).await.status, 204);
    let expired = get(&service, &format!("{JOBS}/{id}")).await.json();
    assert_eq!((&expired["status"], &expired["progress"]), (&json!("expired"), &done));
    assert_eq!((&expired["download_url"], &expired["manifest_url"]), (&Value::Null, &Value::Null));
    assert_eq!((&expired["files"][0]["download_url"], &expired["rows"]), (&Value::Null, &json!(3)));
}

#[tokio::test]
async fn only_kpis_have_an_interval() {
    let service = Service::start().await;
    let line = "POST /api/v1/kpis/export-jobs";
    let job = service
        .as_admin(line, b"{\"from\":\"2026-01-01\",\"interval\":\"week\",\"format\":\"json\"}")
        .await
        .json();
    assert_eq!(
        (&job["interval"], &job["sign"], &job["to"]),
        (&json!("week"), &json!("manifest"), &Value::Null)
    );
    let keys: Vec<_> = job.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys[9..13], ["columns", "interval", "schema", "sign"]);
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_contract() {
    let service = Service::start().await;
    let unknown = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";
    let of_cdr = id_of(&order(&service, "admin", ORDER).await.json());
    for (role, line, body, status, kind) in [
        ("none", "POST /api/v1/dog/export-jobs".to_owned(), "", 404, "not-found"),
        ("none", "PUT /api/v1/dog/export-jobs".to_owned(), "", 404, "not-found"),
        ("none", format!("PUT /api/v1/dog/export-jobs/{unknown}"), "", 404, "not-found"),
        ("none", format!("PUT {JOBS}"), "", 405, "method-not-allowed"),
        ("none", format!("POST {JOBS}/{unknown}"), "", 405, "method-not-allowed"),
        ("none", "POST /api/v1/export-jobs".to_owned(), "", 405, "method-not-allowed"),
        ("none", format!("POST {JOBS}?x=1"), "{", 401, "unauthorized"),
        ("viewer", format!("POST {JOBS}"), "{", 403, "forbidden"),
        ("viewer", format!("GET {JOBS}/{unknown}"), "", 403, "forbidden"),
        ("viewer", format!("DELETE /api/v1/export-jobs/{unknown}"), "", 403, "forbidden"),
        ("viewer", "GET /api/v1/export-jobs?x=1".to_owned(), "", 403, "forbidden"),
        ("analyst", "GET /api/v1/audit-log/export-jobs".to_owned(), "", 403, "forbidden"),
        ("analyst", format!("POST {JOBS}"), "{", 400, "malformed-body"),
        ("analyst", format!("POST {JOBS}"), "[]", 400, "malformed-body"),
        ("analyst", format!("POST {JOBS}?x=1"), ORDER, 400, "unknown-parameter"),
        ("analyst", format!("POST {JOBS}"), "{}", 400, "missing-parameter"),
        (
            "analyst",
            format!("POST {JOBS}"),
            "{\"from\":\"2026-01-01\",\"form\":\"csv\"}",
            400,
            "unknown-parameter",
        ),
        ("analyst", format!("POST {JOBS}"), "{\"from\":20260101}", 400, "invalid-parameter"),
        ("analyst", format!("GET {JOBS}?limit=0"), "", 400, "invalid-parameter"),
        ("analyst", format!("GET {JOBS}?cursor=x"), "", 400, "invalid-parameter"),
        ("analyst", format!("GET {JOBS}/{unknown}?x=1"), "", 400, "unknown-parameter"),
        ("analyst", format!("GET {JOBS}/{unknown}"), "", 404, "not-found"),
        ("analyst", format!("GET {JOBS}/x"), "", 404, "not-found"),
        ("analyst", format!("DELETE {JOBS}/x"), "", 404, "not-found"),
        ("analyst", format!("GET /api/v1/kpis/export-jobs/{of_cdr}"), "", 404, "not-found"),
        ("analyst", format!("DELETE /api/v1/kpis/export-jobs/{of_cdr}"), "", 404, "not-found"),
        ("analyst", format!("DELETE {JOBS}/{of_cdr}"), "", 403, "forbidden"),
    ] {
        let answer = service.as_role(role, &line, body.as_bytes()).await;
        assert_eq!(problem(&answer), (status, kind.to_owned()), "{role} {line}");
    }
    let several =
        order(&service, "admin", "{\"form\":\"x\",\"tz\":\"Mars/Base\",\"external_reference\":5}").await;
    assert_eq!(
        several.json()["errors"].as_array().unwrap().len(),
        4,
        "all faults in one answer: {several:?}"
    );
    let queued = get(&service, &format!("{JOBS}/{of_cdr}")).await.json();
    assert_eq!(queued["status"], "queued", "nobody touched it");
}

#[tokio::test]
async fn one_answer_names_everything_that_is_wrong_with_an_order() {
    let service = Service::start().await;
    let names = |answer: &Answer| -> Vec<String> {
        let faults = answer.json()["errors"].as_array().unwrap().clone();
        faults.iter().map(|fault| fault["name"].as_str().unwrap().to_owned()).collect()
    };
    let long = "x".repeat(101);
    let contacts = json!({
        "callback_url": "http://hook.example/", "notify_email": "eve@example.net", "external_reference": long,
    });
    let with = |more: Value| {
        let mut body = contacts.as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        Value::Object(body).to_string()
    };
    let of_contacts = ["callback_url", "notify_email", "external_reference"];
    for (body, of_parameters) in [
        (with(json!({"from": "2026-01-01"})), &[][..]),
        (with(json!({"from": "yesterday", "format": "xls"})), &["from", "format"]),
        (with(json!({"colums": "id"})), &["colums", "from"]),
    ] {
        let answer = order(&service, "admin", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(names(&answer), [of_parameters, &of_contacts].concat(), "{body}");
    }
    let twice = r#"{"from":"2026-01-01","format":"csv","format":"json"}"#;
    let answer = order(&service, "admin", twice).await;
    assert_eq!(
        (problem(&answer), names(&answer)),
        ((400, "invalid-parameter".into()), vec!["format".into()])
    );
    assert!(answer.text().contains("given twice"), "{answer:?}");
    assert!(service.world.jobs.lock().unwrap().rows.is_empty());
}

#[tokio::test]
async fn an_idempotency_key_makes_one_job() {
    let service = Service::start().await;
    let post = async |role: &str, path: &str, key: &str, body: &str| {
        let headers = format!("Authorization: Bearer {TOKEN_PREFIX}{role}\r\nIdempotency-Key: {key}");
        service.with(&format!("POST {path}"), &headers, body.as_bytes()).await
    };
    let first = post("admin", JOBS, "one", ORDER).await;
    let again = post("admin", JOBS, "one", "{ \"to\":\"2026-01-31\",\n \"from\": \"2026-01-01\" }").await;
    assert_eq!((again.status, again.header("idempotency-replayed").as_deref()), (202, Some("true")));
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(again.header("location"), first.header("location"));
    let other = post("admin", JOBS, "one", "{\"from\":\"2026-01-01\",\"format\":\"json\"}").await;
    assert_eq!(problem(&other), (422, "idempotency-key-reused".into()));
    for (role, path, key) in
        [("analyst", JOBS, "one"), ("admin", "/api/v1/kpis/export-jobs", "one"), ("admin", JOBS, "two")]
    {
        let answer = post(role, path, key, ORDER).await;
        assert_eq!(
            (answer.status, answer.header("idempotency-replayed")),
            (202, None),
            "{role} {path} {key}"
        );
        assert_ne!(answer.json()["id"], first.json()["id"]);
    }
    // The same path in another spelling.
    let spelt = post("admin", "/api/v1/%63dr/export-jobs", "one", ORDER).await;
    assert_eq!(spelt.json()["id"], first.json()["id"]);
    let too_long = "k".repeat(256);
    for key in ["", &too_long, "a\r\nIdempotency-Key: b"] {
        let answer = post("admin", JOBS, key, ORDER).await;
        assert_eq!(problem(&answer), (400, "invalid-parameter".into()), "{key:?}");
        assert_eq!(answer.json()["errors"][0]["name"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let service = Service::start().await;
    let mut made = Vec::new();
    for at in 0..5 {
        service.world.clock.advance(Duration::from_millis(u64::from(at > 0)));
        made.push(order(&service, "admin", ORDER).await.json()["id"].clone());
    }
    service.as_admin("POST /api/v1/kpis/export-jobs", ORDER.as_bytes()).await;
    service.as_admin("POST /api/v1/audit-log/export-jobs", ORDER.as_bytes()).await;
    make_ready(&service.world, made[0].as_str().unwrap().parse().unwrap(), 36);
    made.reverse();

    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = get(&service, &format!("{JOBS}?limit=2{cursor}")).await.json();
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        seen.extend(items.iter().map(|job| job["id"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((seen, sizes), (made, vec![2, 2, 1]));
    for (role, query, wanted) in [
        ("admin", "", 7),
        ("analyst", "", 6),
        ("analyst", "?dataset=audit-log", 0),
        ("admin", "?dataset=audit-log&dataset=kpis", 2),
        ("admin", "?status=ready", 1),
        ("admin", "?status=ready&status=queued", 7),
        ("admin", "?dialect=native&dialect=didww", 7),
        ("admin", "?dialect=didww", 0),
        ("admin", "?created_from=2026-06-01&created_to=2026-06-01", 7),
        ("admin", "?created_from=2026-06-02", 0),
        ("admin", "?created_to=2026-06-01T00:00:00.001Z", 1),
    ] {
        let page = service.as_role(role, &format!("GET /api/v1/export-jobs{query}"), b"").await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), wanted, "{role} {query}");
        assert_eq!(page["next_cursor"], Value::Null);
    }
    for (query, wanted) in [("?dataset=cdr", 5), ("?dataset=kpis", 0)] {
        let page = get(&service, &format!("{JOBS}{query}")).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), wanted, "{query}");
    }
}

#[tokio::test]
async fn a_job_is_cancelled_by_its_owner_or_an_admin() {
    let service = Service::start().await;
    for (owner, remover, status) in
        [("analyst", "analyst", 204), ("auditor", "analyst", 403), ("analyst", "admin", 204)]
    {
        for base in [JOBS, "/api/v1/export-jobs"] {
            let place = format!("{base}/{}", id_of(&order(&service, owner, ORDER).await.json()));
            let answer = delete(&service, remover, &place).await;
            assert_eq!(answer.status, status, "{owner} {remover}");
            let job = get(&service, &place).await.json();
            let state = if status == 204 { "cancelled" } else { "queued" };
            assert_eq!((&job["status"], &job["download_url"]), (&json!(state), &Value::Null));
            if status == 204 {
                assert_eq!(answer.body.len(), 0);
                assert_eq!(delete(&service, remover, &place).await.status, 204, "again");
            }
        }
    }
}

#[tokio::test]
async fn keys_of_links_are_the_operators() {
    let service = Service::start().await;
    let keys = async |role: &str, line: &str| service.as_role(role, line, b"").await;
    for line in ["GET /api/v1/link-keys", "POST /api/v1/link-keys", "DELETE /api/v1/link-keys/k1"] {
        assert_eq!(problem(&keys("admin", line).await), (403, "forbidden".into()), "{line}");
        let with_parameter = keys("operator", &format!("{line}?x=1")).await;
        assert_eq!(problem(&with_parameter), (400, "unknown-parameter".into()), "{line}");
    }
    let list = keys("operator", "GET /api/v1/link-keys").await;
    let wanted =
        "{\"items\":[{\"kid\":\"k1\",\"created_at\":\"2026-06-01T00:00:00.000Z\",\"signs\":true}]}\n";
    assert_eq!(list.text(), wanted);
    let signing = keys("operator", "DELETE /api/v1/link-keys/k1").await;
    assert_eq!(problem(&signing), (409, "conflict".into()));
    service.world.clock.advance(Duration::from_secs(1));
    let made = keys("operator", "POST /api/v1/link-keys").await;
    assert_eq!((made.status, &made.json()["kid"], &made.json()["signs"]), (201, &json!("k2"), &json!(true)));
    let list = keys("operator", "GET /api/v1/link-keys").await.json();
    let signs: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|key| (&key["kid"], &key["signs"])).collect();
    assert_eq!(signs, [(&json!("k2"), &json!(true)), (&json!("k1"), &json!(false))]);
    assert_eq!(keys("operator", "DELETE /api/v1/link-keys/k1").await.status, 204);
    assert_eq!(problem(&keys("operator", "DELETE /api/v1/link-keys/k1").await), (404, "not-found".into()));
}
