//! Lists over the wire (`didww.md` section 4.2).

use super::*;
use std::time::Duration;

/// Three exports, a second apart.
async fn three(service: &Service) -> Vec<String> {
    let mut ids = Vec::new();
    for (kind, reference) in [("cdr_in", "a"), ("cdr_out", "b"), ("cdr_in", "c")] {
        let export = service.export(json!({"export_type": kind, "external_reference_id": reference})).await;
        ids.push(id_of(&export).to_string());
        service.world.clock.advance(Duration::from_secs(1));
    }
    ids
}

/// References of a list, in order, and how many there are in all.
fn references(answer: &Answer) -> (String, u64) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    let exports = document["data"].as_array().unwrap().iter();
    let references = exports.map(|export| export["attributes"]["external_reference_id"].as_str().unwrap());
    (references.collect(), document["meta"]["total_records"].as_u64().unwrap())
}

#[tokio::test]
async fn a_list_is_filtered_and_sorted_in_every_spelling() {
    let service = service().await;
    let ids = three(&service).await;
    make_ready(&service.world, ids[0].parse().unwrap(), 36);
    for (query, wanted, total) in [
        (String::new(), "abc", 3),
        (format!("?filter[id]={},{}", ids[2], ids[0]), "ac", 2),
        (format!("?filter%5Bid%5D={}%2C{}", ids[2], ids[0]), "ac", 2),
        ("?filter[status]=completed&filter[export_type]=cdr_in,cdr_out".into(), "a", 1),
        ("?filter[created_at_gteq]=2026-04-20+12:00:01".into(), "bc", 2),
        ("?filter[created_at_gteq]=2026-04-20%2012%3A00%3A01".into(), "bc", 2),
        ("?filter[created_at_lteq]=2026-04-20T12:00:00Z".into(), "a", 1),
        ("?sort=-created_at".into(), "cba", 3),
        ("?sort=status,-external_reference_id".into(), "acb", 3),
        ("?page[number]=2&page[size]=1".into(), "b", 3),
        ("?page[number]=9".into(), "", 3),
        ("?filter[did_number]=".into(), "abc", 3),
    ] {
        let answer = service.v3(&format!("GET /v3/exports{query}"), "").await;
        assert_eq!(references(&answer), (wanted.to_owned(), total), "{query}");
        assert_eq!(answer.json()["meta"]["api_version"], OLD);
    }
    let head = service.v3("HEAD /v3/exports", "").await;
    assert_eq!((head.status, head.text()), (200, ""));
}

#[tokio::test]
async fn pages_lead_to_each_other() {
    let service = service().await;
    three(&service).await;
    let line =
        "GET /v3/exports?sort=-created_at&page[number]=2&filter[export_type]=cdr_in,cdr_out&page[size]=1";
    let links = service.v3(line, "").await.json()["links"].take();
    let at = |number: usize| {
        let front = "sort=-created_at&filter%5Bexport_type%5D=cdr_in,cdr_out";
        format!("{BASE}/v3/exports?{front}&page%5Bnumber%5D={number}&page%5Bsize%5D=1")
    };
    assert_eq!(links, json!({"first": at(1), "prev": at(1), "next": at(3), "last": at(3)}));
    let mut seen = String::new();
    let mut next = Some(at(1));
    while let Some(link) = next {
        let answer = service.v3(&format!("GET {}", path(&json!(link))), "").await;
        seen += &references(&answer).0;
        next = answer.json()["links"]["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, "cba");
    let empty = service.v3("GET /v3/exports?filter[status]=failed", "").await.json();
    let only = format!("{BASE}/v3/exports?filter%5Bstatus%5D=failed&page%5Bnumber%5D=1&page%5Bsize%5D=50");
    assert_eq!(empty["links"], json!({"first": only, "last": only}));
    assert_eq!(empty["data"], json!([]));
}

#[tokio::test]
async fn fields_are_pruned_on_lists_and_single_reads() {
    let service = service().await;
    let ids = three(&service).await;
    for line in ["GET /v3/exports?".to_owned(), format!("GET /v3/exports/{}?", ids[0])] {
        let pruned = async |query: &str| {
            let mut data = service.v3(&format!("{line}{query}"), "").await.json()["data"].take();
            if data.is_array() { data[0].take() } else { data }
        };
        let some = pruned("fields[exports]=url,status").await;
        let wanted =
            json!({"id": ids[0], "type": "exports", "attributes": {"status": "pending", "url": null}});
        assert_eq!(some.to_string(), wanted.to_string());
        assert_eq!(pruned("fields%5Bexports%5D=").await["attributes"], json!({}));
        assert_eq!(pruned("x=1").await["attributes"].as_object().unwrap().len(), 8);
    }
}

#[tokio::test]
async fn more_exports_than_are_read_at_once_are_all_listed() {
    let service = service().await;
    for at in 0..240 {
        let id = id_of(&service.export(json!({"external_reference_id": "x"})).await);
        service.world.tamper(id, |row| {
            row.job.state = if at % 3 == 0 { JobState::Cancelled } else { JobState::Failed };
            row.job.finished_at_ms = Some(row.job.created_at_ms);
        });
    }
    let list = service.v3("GET /v3/exports?page[size]=1000", "").await;
    assert_eq!(references(&list), ("x".repeat(160), 160));
}

#[tokio::test]
async fn links_name_the_host_of_the_request_where_no_public_address_is_set() {
    let (world, app) = app().await;
    let config = HttpConfig { limits: unlimited(), links_name_the_host: true, ..HttpConfig::default() };
    let service = Service::over(world, app, config, None).await;
    let list = service.v3("GET /v3/exports", "").await.json();
    let first = list["links"]["first"].as_str().unwrap();
    assert!(first.starts_with("https://localhost/v3/exports?"), "{first}");
    let export = service.completed(json!({})).await;
    assert!(export["attributes"]["url"].as_str().unwrap().starts_with("https://localhost/v3/exports/"));
}
