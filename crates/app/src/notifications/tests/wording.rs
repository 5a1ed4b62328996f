//! Who is told what, and who may be named.

use super::*;
use tollbook_model::export_job::JobError;

/// The mails that tell of this event of a job.
fn mails(job: &ExportJob, event: JobEvent) -> Vec<Mail> {
    super::super::mail::compose(&JobNotice {
        job,
        event,
        at_ms: NOW_MS,
        public_url: "https://cdr.example.net",
    })
}

fn only_mail(job: &ExportJob, event: JobEvent) -> Mail {
    let mut mails = mails(job, event);
    assert_eq!(mails.len(), 1);
    mails.remove(0)
}

#[test]
fn a_ready_export_is_told_without_its_data() {
    let id = job().id;
    let mail = only_mail(&mailing(&["eve@ops.example"]), JobEvent::Ready);
    let text = format!(
        "Your export of cdr is ready.\n\n\
         Export:   {id}\n\
         Dataset:  cdr\n\
         Range:    2026-01-04 10:00:00 +01:00 to 2026-01-05 10:00:00 +01:00 (Europe/Paris)\n\
         Rows:     120000\n\
         Size:     3,100,000 bytes\n\
         Kept to:  2026-01-12 09:00:00 +00:00\n\n\
         More of it, with a token of yours:\n\
         tollbook jobs download {id} --server https://cdr.example.net\n\
         https://cdr.example.net/api/v1/export-jobs/{id}\n"
    );
    let expected = Mail {
        id: format!("{id}.ready.0"),
        to: "eve@ops.example".into(),
        subject: "Your export of cdr is ready".into(),
        text,
    };
    assert_eq!(mail, expected);
}

#[test]
fn other_ends_are_told_with_their_reason_and_ranges_as_they_were_asked_for() {
    let error = Some(JobError {
        code: "storage-full".into(),
        message: "no room:\r\ntry later".into(),
        retryable: true,
    });
    let mut failed =
        ExportJob { files: Vec::new(), expires_at_ms: None, error, ..mailing(&["a@ops.example"]) };
    (failed.order.from, failed.order.to) = (Some("2026-01-01".into()), Some("2026-01-31".into()));
    let mail = only_mail(&failed, JobEvent::Failed);
    assert_eq!(mail.subject, "Your export of cdr has failed");
    assert!(mail.text.contains("\nRange:    2026-01-01 to 2026-01-31 (Europe/Paris)\n"), "{}", mail.text);
    assert!(mail.text.contains("\nReason:   no room:  try later (storage-full)\n"), "{}", mail.text);
    assert!(!mail.text.contains("Rows") && !mail.text.contains("a reference"), "{}", mail.text);

    failed.order.from = Some("x".repeat(41));
    failed.order.to = Some("<script>".into());
    let cancelled = only_mail(&failed, JobEvent::Cancelled);
    assert_eq!(cancelled.subject, "Your export of cdr was cancelled");
    assert!(
        cancelled.text.contains("\nRange:    2026-01-04 10:00:00 +01:00 to 2026-01-05"),
        "{}",
        cancelled.text
    );

    (failed.order.from, failed.order.to) = (None, None);
    failed.order.query.selection.range = TimeRange::all();
    assert!(only_mail(&failed, JobEvent::Cancelled).text.contains("\nRange:    everything\n"));
}

#[test]
fn everybody_is_told_once() {
    let people = ["eve@ops.example", "Eve@OPS.example", "adam@ops.example"];
    let mails = mails(&mailing(&people), JobEvent::Ready);
    let told: Vec<_> =
        mails.iter().map(|mail| (mail.to.as_str(), mail.id.rsplit('.').next().unwrap())).collect();
    assert_eq!(told, [("eve@ops.example", "0"), ("adam@ops.example", "1")]);
    let outside = Outside::new();
    let both = ExportJob {
        contacts: JobContacts { notify_email: vec!["a@ops.example".into()], ..calling(HOST).contacts },
        ..job()
    };
    assert_eq!(outside.keep(&both, JobEvent::Cancelled).len(), 2, "a call and a mail");
    assert!(outside.keep(&job(), JobEvent::Ready).is_empty(), "who names nobody tells nobody");
}

fn user(email: &str, of: &str, enabled: bool) -> User {
    User {
        id: Uuid::nil(),
        tenant: tenant(of),
        username: "eve".into(),
        email: Some(email.into()),
        role: Role::Viewer,
        enabled,
        has_second_factor: false,
        created_at_ms: 0,
        last_login_at_ms: None,
    }
}

/// What is wrong with contacts, by the names of the parameters.
async fn wrong(notices: &Notices, dialect: &str, url: Option<&str>, people: &[&str]) -> Vec<String> {
    let notify_email = people.iter().map(|address| (*address).to_owned()).collect();
    let contacts = JobContacts { callback_url: url.map(str::to_owned), notify_email };
    let faults = notices.check(&tenant("acme"), dialect, &contacts).await.unwrap();
    faults.into_iter().map(|fault| fault.name).collect()
}

#[tokio::test]
async fn mail_goes_to_users_and_to_domains_that_are_listed() {
    let outside = Outside::new();
    outside.users.lock().unwrap().extend([
        user("Eve@Acme.example", "acme", true),
        user("gone@acme.example", "acme", false),
        user("other@other.example", "other", true),
    ]);
    let notices = outside.notices();
    for people in
        [&["eve@acme.example"][..], &["EVE@acme.EXAMPLE", "anybody@ops.example", "x@OPS.EXAMPLE"], &[]]
    {
        assert!(wrong(&notices, "spread", None, people).await.is_empty(), "{people:?}");
    }
    for people in [
        &["adam@acme.example"][..],
        &["gone@acme.example"],
        &["other@other.example"],
        &["eve@acme.example", "adam@acme.example"],
        &["x@sub.ops.example"],
        &["x@notops.example"],
        &["x@evil.example@ops.example"],
        &["x@ops.example\r\nbcc: y@evil.example"],
        &["ops.example"],
        &[""],
        &[
            "a@ops.example",
            "b@ops.example",
            "c@ops.example",
            "d@ops.example",
            "e@ops.example",
            "f@ops.example",
        ],
    ] {
        assert_eq!(wrong(&notices, "spread", None, people).await, ["notify_email"], "{people:?}");
    }
    let ports = NoticePorts { mailer: None, ..outside.ports() };
    let ids = IdSource::new(ports.clock.clone(), ports.randomness.clone());
    let without_server = Notices::new(ports, ids, NoticeSettings::default());
    assert_eq!(wrong(&without_server, "spread", None, &["eve@acme.example"]).await, ["notify_email"]);
}

#[tokio::test]
async fn addresses_are_judged_as_their_dialect_wants() {
    let notices = Outside::new().notices();
    let cases: [(&str, &str, &[&str]); 8] = [
        ("spread", "https://hooks.example/a@b?c=@", &[]),
        ("spread", "http://hooks.example/", &["callback_url"]),
        ("spread", "https://eve:hush@hooks.example/", &["callback_url"]),
        ("spread", "https://hooks.example/#part", &["callback_url"]),
        ("spread", "https://hooks.example\\@evil.example/", &["callback_url"]),
        ("exact", "https://eve:hush@hooks.example/#part", &[]),
        ("exact", "ftp://eve:hush@hooks.example/", &["callback_url"]),
        ("silent", "https://hooks.example/", &["callback_url"]),
    ];
    for (dialect, url, names) in cases {
        assert_eq!(wrong(&notices, dialect, Some(url), &[]).await, names, "{dialect} {url}");
    }
    assert_eq!(wrong(&notices, "spread", Some("x"), &["x"]).await, ["callback_url", "notify_email"]);
}
