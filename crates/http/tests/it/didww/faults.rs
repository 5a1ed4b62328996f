//! What is refused in this dialect, in which order, and in which words (`didww.md` section 6).

use super::*;

fn one(code: &str, detail: &str) -> Vec<(String, String)> {
    vec![(code.to_owned(), detail.to_owned())]
}

const UNKNOWN: &str = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";

/// Requests, their bodies, and what they are told: code and title, and detail. `{id}` is an export that there is.
const FAULTS: [(&str, &str, &str, &str); 23] = [
    ("GET /{unknown}", "", "404 Record not found", "The record identified by {unknown} could not be found."),
    ("GET /a%20b", "", "404 Record not found", "The record identified by a b could not be found."),
    (
        "DELETE /{unknown}",
        "",
        "404 Record not found",
        "The record identified by {unknown} could not be found.",
    ),
    ("GET /x/y", "", "404 Not found", "The requested path does not exist."),
    ("GET /", "", "404 Not found", "The requested path does not exist."),
    ("DELETE ", "", "405 Method not allowed", "DELETE is not allowed here."),
    ("POST /{id}", "", "405 Method not allowed", "POST is not allowed here."),
    ("PROPFIND /{id}", "", "405 Method not allowed", "PROPFIND is not allowed here."),
    ("POST ", "[]", "400 Bad Request", "The document must be a JSON object."),
    ("POST ", "{}", "106 Missing Parameter", "The required parameter, data, is missing."),
    ("POST ", r#"{"data":{"type":"x"}}"#, "101 Invalid resource", "x is not a valid resource."),
    (
        "POST ",
        r#"{"data":{"type":"exports","attributes":{"foo":1}}}"#,
        "105 Param not allowed",
        "foo is not allowed.",
    ),
    (
        "PATCH /{id}",
        r#"{"data":{"type":"exports"}}"#,
        "106 Missing Parameter",
        "The required parameter, data.id, is missing.",
    ),
    (
        "PATCH /{id}",
        r#"{"data":{"type":"exports","id":"x"}}"#,
        "110 Key is not included in URL",
        "The URL does not support the key x",
    ),
    ("GET ?filter[bogus]=1", "", "102 Filter not allowed", "bogus is not allowed."),
    ("GET ?filter%5Bid%5D=1", "", "107 Invalid filter value", "1 is not a valid value for id."),
    ("GET ?sort=x", "", "114 Invalid sort criteria", "x is not a valid sort criteria for exports"),
    ("GET ?fields[exports]=x", "", "104 Invalid field", "x is not a valid field for exports."),
    ("GET /{id}?fields[orders]=x", "", "101 Invalid resource", "orders is not a valid resource."),
    ("GET /{id}?include=x", "", "112 Invalid include", "x is not a valid includable relationship of exports"),
    ("GET ?page[size]=0", "", "118 Invalid page value", "0 is not a valid value for size page parameter."),
    ("GET ?page[size]=1001", "", "118 Invalid page value", "size exceeds maximum page size of 1000."),
    ("GET ?page[x]=1", "", "105 Page parameter not allowed", "x is not an allowed page parameter."),
];

#[tokio::test]
async fn every_fault_has_its_words() {
    let service = service().await;
    let id = id_of(&service.export(json!({})).await).to_string();
    let filled = |text: &str| text.replace("{id}", &id).replace("{unknown}", UNKNOWN);
    for (line, body, words, detail) in FAULTS {
        let line = filled(line).replacen(' ', " /v3/exports", 1);
        let answer = service.v3(&line, body).await;
        let (code, title) = words.split_once(' ').unwrap();
        let status = code.parse().unwrap_or(0).max(400);
        assert_eq!((answer.status, errors(&answer)), (status, one(code, &filled(detail))), "{line} {body}");
        assert_eq!(answer.json()["errors"][0]["title"], title, "{line}");
        assert!(answer.json()["errors"][0].get("source").is_none(), "{line}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{line}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("max-age=0, private, must-revalidate"));
    }
    assert_eq!(service.v3("GET /v3/orders", "").await.status, 404);
    let allow = service.v3("PUT /v3/exports", "").await.header("allow");
    assert_eq!(allow.as_deref(), Some("GET,HEAD,POST"));
    let malformed = errors(&service.v3("POST /v3/exports", "{\"data\":").await);
    assert!(malformed[0].0 == "400" && malformed[0].1.contains("line 1"), "{malformed:?}");
}

#[tokio::test]
async fn every_wrong_attribute_is_named_with_its_place() {
    let service = service().await;
    let filters = |from: &str, to: &str| json!({"filters": {"from": from, "to": to}});
    let old = "must be within the current and 2 previous months";
    for (attributes, name, title) in [
        (json!({"export_type": null}), "export_type", "can't be blank"),
        (json!({"export_type": "sms_in"}), "export_type", "is not included in the list"),
        (json!({"filters": null}), "filters", "can't be blank"),
        (json!({"filters": []}), "filters", "is invalid"),
        (filters("", "2026-04-01 00:00:00"), "filters", "from not valid"),
        (filters("2026-03-01 00:00:00", "x"), "filters", "to not valid"),
        (filters("2026-01-31 23:59:59", "2026-04-01 00:00:00"), "filters", &format!("from {old}")),
        (filters("2026-03-01 00:00:00", "2026-04-21 12:00:00"), "filters", "to must not be in the future"),
        (filters("2026-03-01 00:00:00", "2026-03-01 00:00:00"), "filters", "from must be earlier than to"),
        (json!({"callback_url": "x"}), "callback_url", "is invalid"),
        (json!({"callback_url": "http://app.example.org"}), "callback_url", "is not allowed"),
        (json!({"callback_method": "POST"}), "callback_method", "is not included in the list"),
        (json!({"external_reference_id": 1}), "external_reference_id", "is invalid"),
        (
            json!({"external_reference_id": "x".repeat(101)}),
            "external_reference_id",
            "is too long (maximum is 100 characters)",
        ),
    ] {
        let answer = service.v3("POST /v3/exports", &order(attributes.clone())).await;
        let wanted = json!({"errors": [{"title": title, "detail": format!("{name} - {title}"), "code": "100",
            "status": "422", "source": {"pointer": format!("/data/attributes/{name}")}}]});
        assert_eq!((answer.status, answer.json()), (422, wanted), "{attributes}");
    }
    let nothing = "{\"data\":{\"type\":\"exports\",\"attributes\":{}}}";
    let blank = errors(&service.v3("POST /v3/exports", nothing).await);
    assert_eq!(
        blank.iter().map(|(_, detail)| detail.as_str()).collect::<Vec<_>>(),
        ["export_type - can't be blank", "filters - can't be blank"]
    );
    let all = json!({"export_type": "x", "filters": {}, "callback_url": "http://a.example", "callback_method": "x",
        "external_reference_id": []});
    assert_eq!(errors(&service.v3("POST /v3/exports", &order(all)).await).len(), 6);
    assert_eq!(service.v3("GET /v3/exports", "").await.json()["meta"]["total_records"], 0);
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_contract() {
    let service = service().await;
    let (large, bad) = (" ".repeat(64 * 1024 + 1), order(json!({"external_reference_id": 5})));
    let key = |role: &str| format!("Api-Key: {TOKEN_PREFIX}{role}");
    let html = format!("{}\r\nAccept: text/html", key("analyst"));
    let good = format!("{}\r\nContent-Type: {JSON_API}", key("analyst"));
    let change =
        json!({"data": {"type": "exports", "id": UNKNOWN, "attributes": {"external_reference_id": 5}}});
    let (change, unknown) = (change.to_string(), format!("/v3/exports/{UNKNOWN}"));
    for (line, headers, body, status) in [
        ("PUT /v3/exports?include=x", "Accept: text/html", large.as_str(), 401),
        ("PUT /v3/exports?include=x", &format!("{}\r\nAccept: text/html", key("viewer")), &large, 403),
        ("PUT /v3/exports?include=x", &html, &large, 405),
        ("POST /v3/exports?include=x", &html, &large, 406),
        ("POST /v3/exports?include=x", &key("analyst"), &large, 415),
        ("POST /v3/exports?include=x", &format!("{good}; charset=utf-8"), &large, 415),
        ("POST /v3/exports?include=x", &format!("{good}\r\nContent-Encoding: gzip"), &bad, 415),
        ("POST /v3/exports?include=x", &good, &large, 413),
        ("POST /v3/exports?include=x", &good, "{", 400),
        ("POST /v3/exports", &key("analyst"), "", 400),
        ("POST /v3/exports", &good, &bad, 422),
        (&format!("PATCH {unknown}?include=x"), &good, &change, 400),
        (&format!("PATCH {unknown}"), &good, &change, 404),
        (&format!("GET {unknown}?include=x"), &good, "", 400),
        (&format!("GET {unknown}"), &good, "", 404),
        ("GET /v3/exports", &good, "", 200),
        ("GET /v3/exports", &format!("{}\r\nAccept: application/json", key("analyst")), "", 406),
        ("GET /v3/exports", &format!("{}\r\nAccept: */*", key("auditor")), "", 200),
    ] {
        let answer = service.with(line, headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{line} {headers}: {answer:?}");
    }
    let query = errors(&service.v3("POST /v3/exports?include=x", &bad).await);
    assert_eq!(query[0].0, "112", "the query comes before the attributes");
}

#[tokio::test]
async fn a_tenant_has_a_hundred_unfinished_exports() {
    let service = service().await;
    let body = order(json!({}));
    let made = futures::future::join_all((0..100).map(|_| service.v3("POST /v3/exports", &body))).await;
    assert!(made.iter().all(|answer| answer.status == 201));
    let answer = service.v3("POST /v3/exports", &body).await;
    let wanted = json!({"errors": [{"title": "too many exports in progress",
        "detail": "too many exports in progress", "code": "100", "status": "422", "source": {"pointer": "/data"}}]});
    assert_eq!((answer.status, answer.json()), (422, wanted));
    let (running, ended) = (id_of(&made[0].json()["data"]), id_of(&made[1].json()["data"]));
    service.world.tamper(running, |row| row.job.state = JobState::Running);
    assert_eq!(service.v3("POST /v3/exports", &body).await.status, 422, "one that runs has not ended");
    service.world.tamper(ended, |row| row.job.state = JobState::Failed);
    assert_eq!(service.v3("POST /v3/exports", &body).await.status, 201);
}

#[tokio::test]
async fn a_foreign_export_is_like_none() {
    let (world, app) = app().await;
    let value = "key-of-somebody-elses-tenant";
    let service = start(world, app).await;
    let made = service.as_role("operator", "POST /api/v1/tenants", b"{\"name\":\"acme\"}").await;
    assert_eq!(made.status, 201);
    let token = json!({"name": "theirs", "role": "admin", "value": value}).to_string();
    let made = service.as_role("operator", "POST /api/v1/tenants/acme/tokens", token.as_bytes()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let export = service.completed(json!({})).await;
    let (id, file) = (id_of(&export), path(&export["attributes"]["url"]));
    let theirs = async |line: &str| service.with(line, &format!("Api-Key: {value}"), b"").await;
    for method in ["GET", "DELETE"] {
        assert_eq!(theirs(&format!("{method} /v3/exports/{id}")).await.status, 404);
    }
    let nothing = theirs(&format!("GET {file}")).await;
    assert_eq!((nothing.status, nothing.text()), (404, ""));
    assert_eq!(theirs("GET /v3/exports").await.json()["meta"]["total_records"], 0);
    let native = service.as_admin("POST /api/v1/cdr/export-jobs", b"{\"from\":\"2026-01-01\"}").await;
    let native = id_of(&native.json());
    assert_eq!(service.v3(&format!("GET /v3/exports/{native}"), "").await.status, 404, "of another dialect");
}
