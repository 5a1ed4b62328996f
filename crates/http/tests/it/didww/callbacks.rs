//! Callbacks: who may order them, and what is to be told when an export ends (`didww.md` section 7).

use super::*;
use std::time::Duration;
use tollbook_kit::fault::Code;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::export_job::ExportJob;

/// Header lines of a request by an analyst's login.
async fn logged_in(service: &Service) -> String {
    let path = "POST /auth/realms/master/protocol/openid-connect/token";
    let form = "Content-Type: application/x-www-form-urlencoded";
    let body = format!("grant_type=client_credentials&client_id=ocp&client_secret={TOKEN_PREFIX}analyst");
    let answer = service.with(path, form, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    format!("Authorization: Bearer {token}\r\nContent-Type: {JSON_API}")
}

#[tokio::test]
async fn a_login_needs_a_secret_to_be_called_back() {
    let service = service().await;
    let header = logged_in(&service).await;
    let post = async |attributes: Value| {
        service.with("POST /v3/exports", &header, order(attributes).as_bytes()).await
    };
    let called = json!({"callback_url": "https://app.example.org/hook"});
    let refused = post(called.clone()).await;
    let detail = "callback_url - needs a callback secret";
    assert_eq!((refused.status, errors(&refused)), (422, vec![("100".into(), detail.into())]));
    assert_eq!(post(json!({"callback_method": "get"})).await.status, 201, "nobody is called");
    let set =
        service.as_admin("PATCH /api/v1/settings", b"{\"callback_secret\":\"cbsecret-of-sixteen\"}").await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(post(called).await.status, 201);
}

/// The keys that are kept with exports for their calls, oldest export first; nothing else that is kept has one.
fn keys_kept(world: &World) -> Vec<Option<String>> {
    let jobs = world.jobs.lock().unwrap();
    let key = |job: &ExportJob| {
        assert!(!job.dialect_note.as_ref().unwrap().reveal().contains(TOKEN_PREFIX));
        job.callback_key.as_ref().map(|key| key.reveal().clone())
    };
    jobs.rows.values().map(|row| key(&row.job)).collect()
}

#[tokio::test]
async fn the_key_of_an_order_is_kept_for_its_call_alone() {
    let (world, app) = app().await;
    let service = start(world.clone(), app).await;
    service.export(json!({"callback_url": "https://app.example.org"})).await;
    service.export(json!({"callback_method": "get"})).await;
    assert_eq!(keys_kept(&world), [Some(format!("{TOKEN_PREFIX}analyst")), None]);
}

/// What is to be told once every export of a service with workers has ended: the drafts of the calls.
async fn told(fails: bool, orders: &[Value]) -> Vec<Value> {
    let (world, app) = app().await;
    let workers = Supervisor::new();
    if fails {
        world.part_faults.lock().unwrap().extend([Code::Gone; 8]);
    }
    app.start_tasks(&workers);
    let service = start(world.clone(), app).await;
    for order in orders {
        service.export(order.clone()).await;
    }
    let ended = async {
        while world.jobs.lock().unwrap().rows.values().any(|row| !row.job.state.has_ended()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("exports end");
    workers.stop(Duration::from_secs(20)).await;
    assert_eq!(keys_kept(&world), vec![None; orders.len()], "only notices have it once exports have ended");
    let drafts = world.told();
    drafts.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["callback"].take()).collect()
}

#[tokio::test]
async fn a_completed_export_is_told_as_it_was_asked_for() {
    let url = "https://user:word@app.example.org/hook?tenant=7#part";
    let orders = [
        json!({"callback_url": url}),
        json!({"callback_url": url, "callback_method": "get"}),
        json!({"callback_method": "post"}),
    ];
    let mut calls = told(false, &orders).await;
    calls.sort_by_key(|call| call["draft"]["method"].to_string());
    let [get, post] = calls.as_slice() else { panic!("two calls: {calls:?}") };
    assert_eq!((&get["dialect"], &get["draft"]["method"]), (&json!("didww"), &json!("GET")));
    let id = get["draft"]["id"].as_str().unwrap();
    let called = get["draft"]["url"].as_str().unwrap();
    let front = format!(
        "https://user:word@app.example.org/hook?tenant=7&id={id}&status=completed&type=exports\
         &url=https%3A%2F%2Fcdr.example.net%3A8443%2Fv3%2Fexports%2F"
    );
    assert!(called.starts_with(&front) && called.ends_with(".csv.gz#part"), "{called}");
    for call in [get, post] {
        let note = call["draft"]["note"].as_str().unwrap();
        assert!(note.contains(&format!("\"{TOKEN_PREFIX}analyst\"")), "what signs the call goes with it");
    }
    assert_eq!((&get["draft"]["body"], &get["draft"]["content_type"]), (&json!(""), &Value::Null));
    let id = post["draft"]["id"].as_str().unwrap();
    assert_eq!((&post["draft"]["method"], &post["draft"]["url"]), (&json!("POST"), &json!(url)));
    assert_eq!(post["draft"]["content_type"], "application/x-www-form-urlencoded");
    let body = post["draft"]["body"].as_str().unwrap();
    assert!(body.starts_with(&format!("id={id}&status=completed&type=exports&url=https%3A%2F%2F")), "{body}");
    assert!(!body.contains("tenant"), "the query of the address is the receiver's own");
}

#[tokio::test]
async fn a_failed_export_is_told_without_an_address() {
    let calls = told(true, &[json!({"callback_url": "https://app.example.org"})]).await;
    let [call] = calls.as_slice() else { panic!("one call: {calls:?}") };
    let id = call["draft"]["id"].as_str().unwrap();
    assert_eq!(call["draft"]["body"], format!("id={id}&status=failed&type=exports"));
}
