//! An ordered stop (SIGTERM): what is under way ends whole, nothing new is taken, and nothing is left to repair.

use crate::client::End;
use crate::load::Load;
use crate::service::{Service, wait_for};
use crate::table::lines;
use std::time::Duration;

#[test]
fn an_export_under_way_ends_whole() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let body = Load::new(5).ndjson("large", 900, 20_000, "2026-11-20");
    service.post_ndjson(body).expect(200);
    let path = "/api/v1/cdr/export?from=2026-11-20&to=2026-11-20&format=ndjson&columns=id,extra";
    let mut export = service.client.begin(path).unwrap();
    export.read_some(64 * 1024);
    service.ask_to_stop();
    let refused = wait_for(Duration::from_secs(10), || service.client.send("GET", "/readyz", &[], b"").err());
    assert!(refused.is_some(), "new requests are still taken");
    let answer = export.finish();
    assert_eq!((answer.status, answer.end), (200, End::Clean), "{} bytes", answer.body.len());
    assert_eq!(lines(&answer.body).len(), 900);
    assert!(service.stop().success());
}
