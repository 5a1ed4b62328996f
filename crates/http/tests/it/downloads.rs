//! Files by signed links over the wire: what is sent, what is not, and who is refused.

use crate::connection::Answer;
use crate::shelf::{FILE, FILE_NAME, KEPT_MS, MANIFEST, id_of, ready_job, target};
use crate::{Service, problem, send};
use futures::future::join_all;
use std::time::Duration;
use tollbook_model::export_job::JobState;

async fn get(service: &Service, target: &str, headers: &str) -> Answer {
    service.with(&format!("GET {target}"), if headers.is_empty() { "X: y" } else { headers }, b"").await
}

#[tokio::test]
async fn a_link_is_all_that_is_needed() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let link = target(&job["download_url"]);
    let whole = get(&service, &link, "").await;
    assert_eq!((whole.status, whole.text()), (200, FILE));
    let name = format!("attachment; filename=\"{FILE_NAME}\"");
    let etag = format!("\"{}\"", job["files"][0]["sha256"].as_str().unwrap());
    for (header, wanted) in [
        ("content-type", "text/csv; charset=utf-8"),
        ("content-length", "36"),
        ("content-disposition", &name),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-store"),
        ("etag", &etag),
        ("last-modified", "Mon, 01 Jun 2026 00:00:00 GMT"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(whole.header(header).as_deref(), Some(wanted), "{header}");
    }
    assert_eq!((whole.header("transfer-encoding"), whole.header("ratelimit-limit")), (None, None));
    let entry = service.world.last_entry("default");
    assert_eq!((entry.action.as_str(), entry.actor.as_str()), ("export.download", "link:k1"));
    assert_eq!(entry.ip.as_deref(), Some("127.0.0.1"));

    let before = service.world.audit("default").len();
    let head = service.with(&format!("HEAD {link}"), "Range: bytes=0-1", b"").await;
    assert_eq!((head.status, head.text()), (200, ""));
    for header in ["content-length", "etag", "content-disposition", "accept-ranges", "content-type"] {
        assert_eq!(head.header(header), whole.header(header), "{header}");
    }
    assert_eq!(service.world.audit("default").len(), before, "no byte was sent");
    let manifest = get(&service, &target(&job["manifest_url"]), "").await;
    assert_eq!((manifest.status, manifest.text()), (200, MANIFEST));
    assert_eq!(manifest.header("content-type").as_deref(), Some("application/jose"));
}

/// Each download is an entry in the audit log, so what a link may write there is bounded.
#[tokio::test]
async fn who_reads_one_job_over_and_over_waits_in_the_end() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let (file, manifest) = (target(&job["download_url"]), target(&job["manifest_url"]));
    let other = target(&ready_job(&service).await["download_url"]);
    let before = service.world.audit("default").len();
    // Few at once: whoever is slow with his request on a busy machine is cut off.
    for _ in 0..400 {
        let many = (0..5).map(|_| get(&service, &file, "Range: bytes=0-0"));
        assert!(join_all(many).await.iter().all(|answer| answer.status == 206));
    }
    for link in [&file, &manifest] {
        let answer = get(&service, link, "Range: bytes=0-0").await;
        assert_eq!(problem(&answer), (429, "rate-limited".into()));
        assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    }
    assert_eq!(service.world.audit("default").len(), before + 2000, "all of them, and no more");
    let head = service.with(&format!("HEAD {file}"), "X: y", b"").await;
    assert_eq!(head.status, 200, "no download");
    assert_eq!(get(&service, &other, "").await.status, 200, "of another job");
    service.world.clock.advance(Duration::from_secs(1));
    for at in 0..21 {
        let status = get(&service, &file, "").await.status;
        assert_eq!(status, if at < 20 { 200 } else { 429 }, "{at}");
    }
}

#[tokio::test]
async fn ranges_and_conditions_are_those_of_http() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let link = target(&job["download_url"]);
    let etag = format!("\"{}\"", job["files"][0]["sha256"].as_str().unwrap());
    let matching = |name: &str| format!("{name}: {etag}");
    for (headers, status, content_range, body) in [
        ("Range: bytes=0-9".to_owned(), 206, Some("bytes 0-9/36"), "0123456789"),
        ("Range: bytes=8-11".to_owned(), 206, Some("bytes 8-11/36"), "89ab"),
        ("Range: bytes=30-".to_owned(), 206, Some("bytes 30-35/36"), "uvwxyz"),
        ("Range: bytes=-3".to_owned(), 206, Some("bytes 33-35/36"), "xyz"),
        ("Range: bytes=0-1000".to_owned(), 206, Some("bytes 0-35/36"), FILE),
        ("Range: bytes=0-1,5-6".to_owned(), 200, None, FILE),
        ("Range: bytes=5-1".to_owned(), 200, None, FILE),
        ("Range: lines=0-1".to_owned(), 200, None, FILE),
        (format!("Range: bytes=0-9\r\n{}", matching("If-Range")), 206, Some("bytes 0-9/36"), "0123456789"),
        ("Range: bytes=0-9\r\nIf-Range: \"x\"".to_owned(), 200, None, FILE),
        ("Range: bytes=0-9\r\nIf-Range: Mon, 01 Jun 2026 00:00:00 GMT".to_owned(), 200, None, FILE),
        (matching("If-Match"), 200, None, FILE),
        (matching("If-None-Match"), 304, None, ""),
        ("If-None-Match: \"x\"".to_owned(), 200, None, FILE),
    ] {
        let answer = get(&service, &link, &headers).await;
        assert_eq!((answer.status, answer.text()), (status, body), "{headers}");
        assert_eq!(answer.header("content-range").as_deref(), content_range, "{headers}");
        assert_eq!(answer.header("etag").as_deref(), Some(etag.as_str()), "{headers}");
        let length = answer.header("content-length");
        assert!(length.is_none_or(|length| length == body.len().to_string()), "{headers}");
    }
    let behind = get(&service, &link, "Range: bytes=36-").await;
    assert_eq!(problem(&behind), (416, "range-not-satisfiable".into()));
    assert_eq!(behind.header("content-range").as_deref(), Some("bytes */36"));
    let other = get(&service, &link, "If-Match: \"x\"").await;
    assert_eq!(problem(&other), (412, "precondition-failed".into()));
    let posted = service.with(&format!("POST {link}"), "X: y", b"").await;
    assert_eq!(posted.status, 405);
    let allow = posted.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
}

#[tokio::test]
async fn the_parts_of_a_file_are_read_as_one() {
    let service = Service::start().await;
    let link = target(&ready_job(&service).await["download_url"]);
    for first in 0..FILE.len() {
        for last in [first, FILE.len() - 1] {
            let part = get(&service, &link, &format!("Range: bytes={first}-{last}")).await;
            assert_eq!((part.status, part.text()), (206, &FILE[first..=last]));
        }
    }
}

/// A link has one spelling; any other text is another link.
#[tokio::test]
async fn no_other_text_is_that_link() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let link = target(&job["download_url"]);
    let (path, query) = link.split_once('?').unwrap();
    let pieces: Vec<&str> = query.split('&').collect();
    let [exp, kid, sig] = pieces[..] else { panic!("three parameters: {query}") };
    let id = id_of(&job).to_string();
    let other_file = path.replace(FILE_NAME, "manifest.jws");
    let mut changed: Vec<String> = [
        format!("{path}?{sig}&{kid}&{exp}"),
        format!("{path}?{exp}&{sig}&{kid}"),
        format!("{path}?{query}&"),
        format!("{path}?&{query}"),
        format!("{path}?{query}&x=1"),
        format!("{path}?{query}&{sig}"),
        format!("{path}?{exp}&{exp}&{kid}&{sig}"),
        format!("{path}?{exp}&{kid}"),
        format!("{path}?{exp}&{sig}"),
        format!("{path}?{kid}&{sig}"),
        format!("{path}?{exp}&{kid}&sig="),
        format!("{path}?{exp}&{kid}&{sig}="),
        format!("{path}?{exp}&{kid}&{sig}%3D"),
        format!("{path}?{exp}&{kid}&{sig}%00"),
        format!("{path}?{exp}&kid=&{sig}"),
        format!("{path}?{exp}&kid=k2&{sig}"),
        format!("{path}?{exp}&kid=%6b1&{sig}"),
        format!("{path}?{exp}.0&{kid}&{sig}"),
        format!("{path}?{}&{kid}&{sig}", exp.replace("exp=", "exp=0")),
        format!("{path}?{}&{kid}&{sig}", exp.replace("exp=", "exp=%2B")),
        format!("{path}?exp=99999999999&{kid}&{sig}"),
        format!("{path}?{}", query.to_uppercase()),
        format!("{path}?{}", query.to_lowercase()),
        format!("{path}?{}", query.replace('&', ";")),
        path.to_owned(),
        format!("{other_file}?{query}"),
        format!("{path}/?{query}"),
        format!("{path}/.?{query}"),
        format!("{path}%00?{query}"),
        format!("{path}%20?{query}"),
    ]
    .into();
    for (from, to) in [
        ("/dl/", "//dl/"),
        ("/dl/", "/dl//"),
        ("/dl/", "/./dl/"),
        ("/dl/", "/dl/./"),
        ("/dl/", "/x/../dl/"),
        ("/dl/", "/dl/%2e/"),
        ("/dl/", "/DL/"),
        ("/dl/", "/%64l/"),
        ("/v1/", "/v2/"),
        ("/v1/", "/v1/./"),
        ("/v1/", "/v1%2F"),
        ("/v1/", "/v1\\"),
        (id.as_str(), &id.to_uppercase()),
        (&id, &id.replace('-', "")),
        (&id, &format!("{{{id}}}")),
        (&id, "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01"),
        (FILE_NAME, "CDR_2026-01-01_2026-01-31.csv"),
        (FILE_NAME, "cdr_2026-01-01_2026-01-31%2Ecsv"),
        (FILE_NAME, "x/../cdr_2026-01-01_2026-01-31.csv"),
        (FILE_NAME, "..%2Fcdr_2026-01-01_2026-01-31.csv"),
        (FILE_NAME, "cdr_2026-01-01_2026-01-31.csv;x=1"),
        (FILE_NAME, ""),
    ] {
        changed.push(link.replacen(from, to, 1));
    }
    // Every character by itself: left out, twice, as another, and encoded.
    for (at, byte) in link.bytes().enumerate() {
        let (before, after) = (&link[..at], &link[at + 1..]);
        let here = char::from(byte);
        let swapped =
            if byte.is_ascii_lowercase() { here.to_ascii_uppercase() } else { here.to_ascii_lowercase() };
        let mut others =
            vec![String::new(), format!("{here}{here}"), format!("%{byte:02X}"), swapped.to_string()];
        others.extend(["A", "0", "-", "_", "%", "+", "~"].map(str::to_owned));
        changed.extend(
            others
                .into_iter()
                .filter(|other| *other != here.to_string())
                .map(|other| format!("{before}{other}{after}")),
        );
    }
    let entries = service.world.audit("default").len();
    for text in changed {
        assert_ne!(text, link);
        for method in ["GET", "HEAD"] {
            let answer = send(service.address, &format!("{method} {text} HTTP/1.1"), b"").await;
            assert!(matches!(answer.status, 400 | 403 | 404), "{method} {text}: {answer:?}");
            assert!(
                answer.header("etag").is_none() && answer.header("content-disposition").is_none(),
                "{text}"
            );
        }
    }
    assert_eq!(service.world.audit("default").len(), entries, "nothing was downloaded");
    let refused = get(&service, path, "").await;
    assert_eq!(problem(&refused), (403, "forbidden".into()));
}

#[tokio::test]
async fn links_end_with_their_time_and_with_their_files() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let (id, link) = (id_of(&job), target(&job["download_url"]));
    service.world.clock.advance(Duration::from_secs(3599));
    assert_eq!(get(&service, &link, "").await.status, 200);
    let newer = service.as_admin(&format!("GET /api/v1/export-jobs/{id}"), b"").await.json();
    let newer = target(&newer["download_url"]);
    service.world.clock.advance(Duration::from_secs(1));
    assert_eq!(problem(&get(&service, &link, "").await), (410, "gone".into()));
    assert_eq!(get(&service, &newer, "").await.status, 200);
    let deleted = service.as_admin(&format!("DELETE /api/v1/export-jobs/{id}"), b"").await;
    assert_eq!(deleted.status, 204);
    assert_eq!(problem(&get(&service, &newer, "").await), (410, "gone".into()));

    let job = ready_job(&service).await;
    let link = target(&job["download_url"]);
    service.world.tamper(id_of(&job), |row| row.job.state = JobState::Expired);
    assert_eq!(problem(&get(&service, &link, "").await), (410, "gone".into()));
    let kept = Duration::from_millis(u64::try_from(KEPT_MS).unwrap());
    service.world.clock.advance(kept);
    assert_eq!(get(&service, &link, "").await.status, 410);
}

#[tokio::test]
async fn links_outlive_a_change_of_keys_but_not_the_removal_of_theirs() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let link = target(&job["download_url"]);
    service.world.clock.advance(Duration::from_secs(1));
    assert_eq!(service.as_role("operator", "POST /api/v1/link-keys", b"").await.status, 201);
    assert_eq!(get(&service, &link, "").await.status, 200);
    let newer = service.as_admin(&format!("GET /api/v1/export-jobs/{}", id_of(&job)), b"").await.json();
    let newer = target(&newer["download_url"]);
    assert!(newer.contains("&kid=k2&"), "{newer}");
    assert_eq!(service.as_role("operator", "DELETE /api/v1/link-keys/k1", b"").await.status, 204);
    assert_eq!(problem(&get(&service, &link, "").await), (403, "forbidden".into()));
    assert_eq!(get(&service, &newer, "").await.status, 200);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_never_sent_as_if_it_were_whole() {
    let service = Service::start().await;
    let job = ready_job(&service).await;
    let (id, link) = (id_of(&job), target(&job["download_url"]));
    // What is kept of the file is no longer as long as it was.
    service.world.tamper(id, |row| row.parts[1].bytes -= 1);
    assert_eq!(problem(&get(&service, &link, "").await), (410, "gone".into()));
    service.world.tamper(id, |row| row.parts[1].bytes += 1);
    service.world.disk_is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(problem(&get(&service, &link, "").await), (507, "storage-full".into()));
    assert_eq!(service.with(&format!("HEAD {link}"), "X: y", b"").await.status, 200, "nothing to log");
}

#[tokio::test]
async fn downloads_count_against_no_rate_of_requests() {
    let service = Service::with_config(tollbook_http::HttpConfig::default()).await;
    let link = target(&ready_job(&service).await["download_url"]);
    for _ in 0..100 {
        assert_eq!(get(&service, &link, "Range: bytes=0-0").await.status, 206);
    }
    assert_eq!(get(&service, "/dl/v1/x/y?exp=1&kid=k1&sig=x", "").await.status, 403);
}
