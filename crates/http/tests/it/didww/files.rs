//! Files over the wire (`didww.md` section 8).

use super::*;
use sha2::{Digest, Sha256};

#[tokio::test]
async fn a_file_is_what_it_is_whatever_is_accepted() {
    let service = service().await;
    let export = service.completed(json!({})).await;
    let file = path(&export["attributes"]["url"]);
    let key = format!("Api-Key: {TOKEN_PREFIX}auditor");
    let json_api = format!("{key}\r\nAccept: {JSON_API}\r\nContent-Type: {JSON_API}");
    let name = file.strip_prefix("/v3/exports/").unwrap();
    let etag = format!("\"{}\"", hex::encode(Sha256::digest(FILE)));
    for headers in [
        key.clone(),
        json_api,
        format!("{key}\r\nAccept: text/csv"),
        format!("{key}\r\nAccept: application/json; q=1\r\nAccept-Encoding: gzip, zstd"),
        format!("Authorization: Bearer {TOKEN_PREFIX}auditor"),
    ] {
        let answer = service.with(&format!("GET {file}"), &headers, b"").await;
        assert_eq!((answer.status, answer.text()), (200, FILE), "{headers}");
        for (header, wanted) in [
            ("content-type", Some("application/octet-stream")),
            ("content-disposition", Some(format!("attachment; filename=\"{name}\"").as_str())),
            ("content-length", Some("36")),
            ("etag", Some(&etag)),
            ("last-modified", Some("Mon, 01 Jun 2026 00:00:00 GMT")),
            ("accept-ranges", Some("bytes")),
            ("content-transfer-encoding", Some("binary")),
            ("cache-control", Some("no-cache")),
            ("content-encoding", None),
            ("transfer-encoding", None),
        ] {
            assert_eq!(answer.header(header).as_deref(), wanted, "{header}");
        }
        assert!(answer.header("x-request-id").is_some());
    }
    let entry = service.world.last_entry("default");
    assert_eq!(entry.action, "export.download");
    assert!(entry.actor.starts_with("token:"), "{}", entry.actor);
    let head = service.with(&format!("HEAD {file}"), &key, b"").await;
    assert_eq!((head.status, head.text(), head.header("content-length").as_deref()), (200, "", Some("36")));
}

#[tokio::test]
async fn ranges_and_conditions_are_those_of_all_downloads() {
    let service = service().await;
    let file = path(&service.completed(json!({})).await["attributes"]["url"]);
    let etag = format!("\"{}\"", hex::encode(Sha256::digest(FILE)));
    for (header, status, content_range, body) in [
        ("Range: bytes=10-19".to_owned(), 206, Some("bytes 10-19/36"), "abcdefghij"),
        ("Range: bytes=-2".into(), 206, Some("bytes 34-35/36"), "yz"),
        ("Range: bytes=0-1,4-5".into(), 200, None, FILE),
        (format!("Range: bytes=0-1\r\nIf-Range: {etag}"), 206, Some("bytes 0-1/36"), "01"),
        ("Range: bytes=0-1\r\nIf-Range: \"other\"".into(), 200, None, FILE),
        (format!("If-None-Match: {etag}"), 304, None, ""),
    ] {
        let headers = format!("{}\r\n{header}", headers("analyst"));
        let answer = service.with(&format!("GET {file}"), &headers, b"").await;
        assert_eq!((answer.status, answer.text()), (status, body), "{header}");
        assert_eq!(answer.header("content-range").as_deref(), content_range, "{header}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-cache"));
        assert_eq!(answer.header("content-encoding"), None);
    }
    let headers = format!("{}\r\nRange: bytes=36-", headers("analyst"));
    let outside = service.with(&format!("GET {file}"), &headers, b"").await;
    assert_eq!((outside.status, outside.header("content-range").as_deref()), (416, Some("bytes */36")));
}

#[tokio::test]
async fn what_is_no_file_of_ours_has_no_body() {
    let service = service().await;
    let export = service.completed(json!({})).await;
    let (id, file) = (id_of(&export), path(&export["attributes"]["url"]));
    let pending = id_of(&service.export(json!({})).await);
    let of_pending = {
        make_ready(&service.world, pending, 36);
        let url = service.v3(&format!("GET /v3/exports/{pending}"), "").await.json();
        service.world.tamper(pending, |row| row.job.state = JobState::Running);
        path(&url["data"]["attributes"]["url"])
    };
    for (line, header, status) in [
        (format!("GET {file}"), "X: y".to_owned(), 401),
        (format!("HEAD {file}"), "X: y".to_owned(), 401),
        (format!("GET {file}"), "Api-Key: no-such-token-anywhere".into(), 401),
        (format!("GET /v3/exports/{id}.csv.gz"), headers("analyst"), 404),
        ("GET /v3/exports/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01.csv.gz".into(), headers("analyst"), 404),
        ("GET /v3/exports/x.csv.gz".into(), headers("analyst"), 404),
        (
            format!(
                "GET {}",
                file.to_uppercase().replace("/V3/EXPORTS", "/v3/exports").replace(".CSV.GZ", ".csv.gz")
            ),
            headers("analyst"),
            404,
        ),
        (format!("GET {of_pending}"), headers("analyst"), 404),
    ] {
        let answer = service.with(&line, &header, b"").await;
        assert_eq!((answer.status, answer.text()), (status, ""), "{line}");
        assert_eq!(answer.header("content-type"), None, "{line}");
        assert!(answer.header("x-request-id").is_some());
    }
    let viewer = service.v3_as("viewer", &format!("GET {file}"), "").await;
    assert_eq!((viewer.status, errors(&viewer)[0].1.as_str()), (403, "Not allowed"));
    let method = service.v3(&format!("DELETE {file}"), "").await;
    assert_eq!((method.status, method.header("allow").as_deref()), (405, Some("GET,HEAD")));
    let expiry = service.world.job(id).expires_at_ms.unwrap();
    service.world.clock.set_wall(expiry);
    let expired = service.v3(&format!("GET {file}"), "").await;
    assert_eq!((expired.status, expired.text()), (404, ""));
    assert_eq!(service.v3(&format!("GET /v3/exports/{id}"), "").await.status, 404);
}
