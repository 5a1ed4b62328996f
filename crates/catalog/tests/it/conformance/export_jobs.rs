//! Promises of the export jobs port about taking orders and showing jobs. Also the jobs that other promises work on.

use super::{NOW_MS, Ports, entry, id, tenant};
use std::collections::HashSet;
use tokio::task::JoinSet;
use tollbook_kit::fault::Code;
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::dataset::Dataset;
use tollbook_model::export_job::{
    Claim, ExportJob, FileKeeping, JobContacts, JobOrder, JobOwner, JobProgress, JobState, Lease,
};
use tollbook_model::ports::{IDEMPOTENCY_KEPT_MS, IdempotencyKey, JobFilter, Ordered};
use uuid::Uuid;

/// More than any test orders.
const MANY: u32 = 1_000;

/// How long a lease of these tests holds.
pub(crate) const LEASE_MS: i64 = 60_000;

pub(crate) fn job(number: u128, owner: &str) -> ExportJob {
    ExportJob {
        id: id(number),
        tenant: tenant(owner),
        dialect: String::from("native"),
        order: order_of("cdr"),
        owner: JobOwner { credential: id(7), actor: String::from("user:7"), role: Role::Analyst },
        external_reference: None,
        contacts: JobContacts::default(),
        keeping: FileKeeping::TenantSetting,
        dialect_note: None,
        callback_key: None,
        state: JobState::Queued,
        created_at_ms: NOW_MS,
        started_at_ms: None,
        finished_at_ms: None,
        snapshot: None,
        expires_at_ms: None,
        attempt: 0,
        progress: JobProgress { rows_estimated: 1_000, ..JobProgress::default() },
        queue_position: None,
        files: Vec::new(),
        manifest: None,
        error: None,
    }
}

pub(crate) fn order_of(dataset: &str) -> JobOrder {
    JobOrder::from_text(&format!(
        r#"{{"dataset":"{dataset}","range":[0,86400000],"from":"1970-01-01","tz":"Europe/Berlin","columns":[],
        "filters":[["called_party",["+44 20 planted-filter"]]],"columns_named":false,"interval":"day",
        "format":"csv","formula_guard":true,"sign":"none"}}"#
    ))
    .unwrap()
}

/// A job that has a value everywhere.
pub(crate) fn rich_job(number: u128, owner: &str) -> ExportJob {
    ExportJob {
        external_reference: Some(String::from("année 1")),
        contacts: JobContacts {
            callback_url: Some(String::from("https://eve:planted-password@example.net/")),
            notify_email: vec![String::from("planted-mail@example.net"), String::from("b@example.net")],
        },
        keeping: FileKeeping::CalendarMonth,
        dialect_note: Some(Secret::new(String::from("planted-note"))),
        callback_key: Some(Secret::new(String::from("planted-callback-key"))),
        dialect: String::from("other"),
        ..job(number, owner)
    }
}

pub(crate) fn key(word: &str, request: u8) -> IdempotencyKey {
    IdempotencyKey {
        credential: id(7),
        path: String::from("/api/v1/cdr/export-jobs"),
        key: word.to_owned(),
        request: [request; 32],
    }
}

pub(crate) fn lease(owner: u128, since_ms: i64) -> Lease {
    Lease { owner: id(owner), holds: Pending { since_ms, wait_ms: LEASE_MS } }
}

impl Ports {
    /// Takes this order without a bound and without a key.
    pub(crate) async fn take(&self, job: ExportJob) {
        let entry = entry(job.tenant.as_str(), "export.create");
        assert!(matches!(self.export_jobs.order(job, MANY, None, entry).await.unwrap(), Ordered::New));
    }

    /// Takes an order of tenant `acme`, and claims it.
    pub(crate) async fn take_and_claim(&self, number: u128) -> Claim {
        self.take(job(number, "acme")).await;
        self.claim(Claim { job: id(number), generation: 0 }).await
    }

    /// Claims a job that is free as seen.
    pub(crate) async fn claim(&self, seen: Claim) -> Claim {
        let claimed = self.export_jobs.claim(seen, lease(1, NOW_MS), NOW_MS).await.unwrap();
        claimed.unwrap().0
    }

    pub(crate) async fn job(&self, number: u128) -> ExportJob {
        self.export_jobs.find(id(number)).await.unwrap().unwrap()
    }
}

pub(crate) async fn a_job_comes_back_as_it_was_ordered(ports: Ports) {
    ports.open_tenants().await;
    assert!(ports.export_jobs.find(id(1)).await.unwrap().is_none());
    for ordered in [rich_job(1, "acme"), job(2, "other")] {
        let number = ordered.id.as_u128();
        // Whatever it claims to be, it begins at the beginning.
        let boasting = ExportJob { state: JobState::Ready, attempt: 3, ..ordered.clone() };
        ports.take(boasting).await;
        let found = ports.job(number).await;
        let expected = ExportJob { queue_position: Some(1), ..ordered.clone() };
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        assert_eq!(found.order.to_text().unwrap(), ordered.order.to_text().unwrap());
        let secrets = |job: ExportJob| {
            [job.dialect_note, job.callback_key].map(|secret| secret.map(|text| text.reveal().clone()))
        };
        assert_eq!(secrets(found), secrets(ordered));
    }
    assert_eq!(ports.actions("acme").await, ["export.create"]);
}

pub(crate) async fn nobody_orders_for_a_tenant_that_is_not_there(ports: Ports) {
    let refused = ports.export_jobs.order(job(1, "nobody"), MANY, None, entry("nobody", "late")).await;
    assert_eq!(refused.unwrap_err().code(), Code::Conflict);
    assert!(ports.export_jobs.find(id(1)).await.unwrap().is_none());
    assert!(ports.chain("nobody").await.is_empty());
}

pub(crate) async fn a_full_queue_takes_no_order(ports: Ports) {
    ports.open_tenants().await;
    let order = |number, owner: &'static str| {
        let ports = ports.clone();
        async move {
            let audit = entry(owner, "export.create");
            ports.export_jobs.order(job(number, owner), 2, None, audit).await.unwrap()
        }
    };
    for (number, owner, fits) in
        [(1, "acme", true), (2, "acme", true), (3, "acme", false), (4, "other", true), (5, "acme", false)]
    {
        let ordered = order(number, owner).await;
        assert_eq!(matches!(ordered, Ordered::New), fits, "{number}");
        assert_eq!(matches!(ordered, Ordered::QueueIsFull), !fits, "{number}");
        assert_eq!(ports.export_jobs.find(id(number)).await.unwrap().is_some(), fits, "{number}");
    }
    assert_eq!(ports.actions("acme").await, ["export.create"; 2], "what was refused is not told");
    ports.claim(Claim { job: id(1), generation: 0 }).await;
    assert!(matches!(order(6, "acme").await, Ordered::New), "who runs does not wait");
    assert!(matches!(order(7, "acme").await, Ordered::QueueIsFull));
}

pub(crate) async fn a_repeated_request_gets_its_first_job(ports: Ports) {
    ports.open_tenants().await;
    let order = |number, at_ms, most, key| {
        let ports = ports.clone();
        let job = ExportJob { created_at_ms: at_ms, ..job(number, "acme") };
        async move {
            match ports.export_jobs.order(job, most, Some(key), entry("acme", "export.create")).await.unwrap()
            {
                Ordered::New => "new",
                Ordered::Before(before) if before.id == id(1) => "the first",
                Ordered::Before(_) => "another one",
                Ordered::OtherRequest => "other request",
                Ordered::QueueIsFull => "full",
            }
        }
    };
    let elsewhere = IdempotencyKey { path: String::from("/api/v1/kpis/export-jobs"), ..key("a", 1) };
    let somebody = IdempotencyKey { credential: id(8), ..key("a", 1) };
    let end = NOW_MS + IDEMPOTENCY_KEPT_MS;
    for (number, at_ms, most, key, expected) in [
        (1, NOW_MS, MANY, key("a", 1), "new"),
        (2, NOW_MS, MANY, key("a", 1), "the first"),
        (3, NOW_MS, 1, key("a", 1), "the first"),
        (4, NOW_MS, 1, key("a", 2), "other request"),
        (5, NOW_MS, 1, key("b", 1), "full"),
        (6, NOW_MS, MANY, key("A", 1), "new"),
        (7, NOW_MS, MANY, elsewhere, "new"),
        (8, NOW_MS, MANY, somebody, "new"),
        // Within the day, also when the clock was set back.
        (9, end - 1, MANY, key("a", 1), "the first"),
        (10, NOW_MS - 5_000, MANY, key("a", 2), "other request"),
        (11, end, MANY, key("a", 2), "new"),
        (12, end, MANY, key("a", 2), "another one"),
        // The clock had run ahead by more than a day.
        (13, NOW_MS - 1, MANY, key("a", 3), "new"),
    ] {
        assert_eq!(order(number, at_ms, most, key).await, expected, "{number}");
        let is_there = ports.export_jobs.find(id(number)).await.unwrap().is_some();
        assert_eq!(is_there, expected == "new", "{number}");
    }
    assert_eq!(ports.actions("acme").await.len(), 6, "only what was made is told");
}

pub(crate) async fn a_key_goes_with_its_job(ports: Ports) {
    ports.open_tenants().await;
    let order = |number| {
        let audit = entry("acme", "act");
        ports.export_jobs.order(job(number, "acme"), MANY, Some(key("a", 1)), audit)
    };
    assert!(matches!(order(1).await.unwrap(), Ordered::New));
    let acme = tenant("acme");
    assert!(ports.export_jobs.cancel(&acme, id(1), NOW_MS, vec![], entry("acme", "act")).await.unwrap());
    assert!(matches!(order(2).await.unwrap(), Ordered::Before(_)), "it has ended, but is there");
    let before =
        async |request, at_ms| ports.export_jobs.ordered_before(&key("a", request), at_ms).await.unwrap();
    assert!(matches!(before(1, NOW_MS).await, Some(Ordered::Before(job)) if job.id == id(1)));
    assert!(matches!(before(2, NOW_MS).await, Some(Ordered::OtherRequest)));
    assert!(before(1, NOW_MS + 2 * IDEMPOTENCY_KEPT_MS).await.is_none(), "forgotten by then");
    assert!(ports.export_jobs.ordered_before(&key("b", 1), NOW_MS).await.unwrap().is_none());
    let cancelled = [JobState::Cancelled];
    assert!(ports.export_jobs.remove(&acme, id(1), &cancelled, entry("acme", "act")).await.unwrap());
    assert!(before(1, NOW_MS).await.is_none());
    assert!(matches!(order(2).await.unwrap(), Ordered::New));
}

pub(crate) async fn requests_at_once_make_one_job(ports: Ports) {
    ports.open_tenants().await;
    let mut callers = JoinSet::new();
    for number in 1..=16 {
        let ports = ports.clone();
        callers.spawn(async move {
            let audit = entry("acme", "export.create");
            let ordered = ports.export_jobs.order(job(number, "acme"), MANY, Some(key("a", 1)), audit).await;
            match ordered.unwrap() {
                Ordered::New => (true, id(number)),
                Ordered::Before(before) => (false, before.id),
                other => panic!("{other:?}"),
            }
        });
    }
    let answers = callers.join_all().await;
    assert_eq!(answers.iter().filter(|(is_new, _)| *is_new).count(), 1);
    assert_eq!(answers.iter().map(|(_, id)| id).collect::<HashSet<_>>().len(), 1, "all have the same job");
    assert_eq!(ports.export_jobs.in_line().await.unwrap().len(), 1);
    assert_eq!(ports.actions("acme").await, ["export.create"]);
}

fn everything_of(owner: &str) -> JobFilter {
    JobFilter {
        tenant: tenant(owner),
        datasets: Dataset::ALL.to_vec(),
        states: Vec::new(),
        dialects: Vec::new(),
        created_from_ms: i64::MIN,
        created_to_ms: i64::MAX,
        behind: None,
        limit: 1_000,
    }
}

async fn listed(ports: &Ports, filter: JobFilter) -> Vec<u128> {
    let jobs = ports.export_jobs.list(&filter).await.unwrap();
    jobs.iter().map(|job| job.id.as_u128()).collect()
}

pub(crate) async fn jobs_are_listed_as_asked_for(ports: Ports) {
    ports.open_tenants().await;
    let at = |created_at_ms, job| ExportJob { created_at_ms, ..job };
    let kpis = ExportJob { order: order_of("kpis"), ..job(3, "acme") };
    ports.take(at(10, job(1, "acme"))).await;
    ports.take(at(20, rich_job(2, "acme"))).await;
    ports.take(at(30, kpis)).await;
    ports.take(at(40, job(4, "acme"))).await;
    ports.take(at(20, job(5, "other"))).await;
    ports.claim(Claim { job: id(1), generation: 0 }).await;
    let acme = tenant("acme");
    assert!(ports.export_jobs.cancel(&acme, id(4), 50, vec![], entry("acme", "act")).await.unwrap());

    let all = || everything_of("acme");
    for (what, filter, expected) in [
        ("all, newest first", all(), vec![4, 3, 2, 1]),
        ("of another tenant", everything_of("other"), vec![5]),
        ("of one that has none", everything_of("globex"), vec![]),
        ("of no dataset", JobFilter { datasets: vec![], ..all() }, vec![]),
        ("of one dataset", JobFilter { datasets: vec![Dataset::Kpis], ..all() }, vec![3]),
        ("in one state", JobFilter { states: vec![JobState::Queued], ..all() }, vec![3, 2]),
        (
            "in some states",
            JobFilter { states: vec![JobState::Running, JobState::Cancelled], ..all() },
            vec![4, 1],
        ),
        ("of a dialect", JobFilter { dialects: vec![String::from("other")], ..all() }, vec![2]),
        ("of no such dialect", JobFilter { dialects: vec![String::from("'")], ..all() }, vec![]),
        ("from then", JobFilter { created_from_ms: 20, ..all() }, vec![4, 3, 2]),
        ("until then", JobFilter { created_to_ms: 20, ..all() }, vec![1]),
        ("the first", JobFilter { limit: 2, ..all() }, vec![4, 3]),
        ("behind the second", JobFilter { behind: Some((30, id(3))), ..all() }, vec![2, 1]),
        (
            "behind one that is too new",
            JobFilter { behind: Some((35, id(9))), created_to_ms: 30, ..all() },
            vec![2, 1],
        ),
    ] {
        assert_eq!(listed(&ports, filter).await, expected, "{what}");
    }
    let [job] = &ports.export_jobs.list(&everything_of("other")).await.unwrap()[..] else { panic!("one") };
    assert_eq!(format!("{job:?}"), format!("{:?}", ports.job(5).await), "whole, as when looked for");
}

pub(crate) async fn pages_of_jobs_leave_none_out(ports: Ports) {
    ports.open_tenants().await;
    for number in 1..=40u128 {
        // Many of the same millisecond, and ids in another order than times.
        let created_at_ms = (number as i64 * 7) % 5;
        ports.take(ExportJob { created_at_ms, ..job(number, "acme") }).await;
    }
    for limit in [1, 3, 40] {
        let (mut seen, mut behind): (Vec<(i64, Uuid)>, _) = (Vec::new(), None);
        loop {
            let filter = JobFilter { behind, limit, ..everything_of("acme") };
            let page = ports.export_jobs.list(&filter).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            behind = Some((last.created_at_ms, last.id));
            seen.extend(page.iter().map(|job| (job.created_at_ms, job.id)));
        }
        assert_eq!(seen.len(), 40, "pages of {limit}");
        assert!(seen.is_sorted_by(|before, after| before > after), "pages of {limit}");
    }
}

pub(crate) async fn the_place_in_the_queue_is_told(ports: Ports) {
    ports.open_tenants().await;
    for number in [3, 1, 2] {
        ports.take(ExportJob { created_at_ms: 50, ..job(number, "acme") }).await;
    }
    ports.take(ExportJob { created_at_ms: 40, ..job(4, "acme") }).await;
    ports.take(ExportJob { created_at_ms: 10, ..job(5, "other") }).await;
    let positions = async || {
        let listed = ports.export_jobs.list(&everything_of("acme")).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|job| (job.id.as_u128(), job.queue_position)).collect();
        for (number, position) in &listed {
            assert_eq!(ports.job(*number).await.queue_position, *position);
        }
        listed
    };
    assert_eq!(positions().await, [(3, Some(4)), (2, Some(3)), (1, Some(2)), (4, Some(1))]);
    ports.claim(Claim { job: id(4), generation: 0 }).await;
    let acme = tenant("acme");
    assert!(ports.export_jobs.cancel(&acme, id(2), 60, vec![], entry("acme", "act")).await.unwrap());
    assert_eq!(positions().await, [(3, Some(2)), (2, None), (1, Some(1)), (4, None)]);
}

pub(crate) async fn a_new_name_changes_nothing_else(ports: Ports) {
    ports.open_tenants().await;
    ports.take(rich_job(1, "acme")).await;
    let before = ports.job(1).await;
    let rename = |owner, number, name: Option<&str>| {
        let (owner, name) = (tenant(owner), name.map(str::to_owned));
        let ports = ports.clone();
        async move {
            let act = entry("acme", "export.rename");
            ports.export_jobs.rename(&owner, id(number), name, act).await.unwrap()
        }
    };
    for name in [Some("nightly"), None] {
        assert!(rename("acme", 1, name).await);
        let expected = ExportJob { external_reference: name.map(str::to_owned), ..before.clone() };
        assert_eq!(format!("{:?}", ports.job(1).await), format!("{expected:?}"));
    }
    assert!(!rename("other", 1, Some("stolen")).await);
    assert!(!rename("acme", 2, Some("nothing")).await);
    assert_eq!(ports.job(1).await.external_reference, None);
    assert_eq!(ports.actions("acme").await, ["export.create", "export.rename", "export.rename"]);
}
