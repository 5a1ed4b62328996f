//! Logins: what lets people and programs in, what keeps them out, and what is told of it.

use crate::fakes::{NOW_MS, World, caller, name};
use crate::tokens::new_token;
use futures::future::join_all;
use std::net::IpAddr;
use std::time::Duration;
use tollbook_app::App;
use tollbook_app::logins::{Grant, PasswordLogin};
use tollbook_app::users::{NewUser, UserChange};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::audit::Outcome;
use tollbook_model::user::MOST_SESSIONS;
use uuid::Uuid;

pub(crate) const ISSUER: &str = "https://cdr.example.net:8443/auth/realms/master";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) fn new_user(username: &str, role: Role) -> NewUser {
    NewUser { username: username.into(), password: Secret::new(PASSWORD.into()), role, email: None }
}

fn attempt(username: &str, password: &str, address: Option<&str>) -> PasswordLogin {
    PasswordLogin {
        issuer: ISSUER.into(),
        client: "ocp".into(),
        username: username.into(),
        password: Secret::new(password.into()),
        otp: None,
        address: address.map(|address| address.parse().unwrap()),
    }
}

pub(crate) async fn log_in(app: &App, username: &str, password: &str) -> Result<Grant, Fault> {
    app.logins.log_in(attempt(username, password, None)).await
}

async fn refresh(app: &App, token: &str) -> Result<Grant, Fault> {
    app.logins.refresh(ISSUER.into(), "ocp".into(), token).await
}

#[tokio::test]
async fn a_login_lasts_half_an_hour_and_is_refreshed_until_it_ends() {
    let world = World::new();
    let app = world.app().await;
    let user = app.users.create(&caller(Role::Admin), new_user("Eve", Role::Analyst)).await.unwrap();
    let grant = log_in(&app, "EVE", PASSWORD).await.unwrap();
    assert_eq!(grant.expires_in, Duration::from_secs(300));
    let (first, left) = grant.refresh.unwrap();
    assert_eq!(left, Duration::from_secs(1800));
    assert!(first.reveal().starts_with("tbr_"));
    let entry = world.last_entry("default");
    assert_eq!((entry.action.as_str(), entry.outcome), ("login", Outcome::Success));
    assert_eq!(entry.actor, format!("user:{}", user.id));
    assert_eq!(entry.object_id, Some(grant.session.to_string()));
    assert_eq!(app.users.find(&caller(Role::Admin), user.id).await.unwrap().last_login_at_ms, Some(NOW_MS));

    world.clock.advance(Duration::from_secs(1000));
    let again = refresh(&app, first.reveal()).await.unwrap();
    assert_eq!((again.session, again.expires_in), (grant.session, Duration::from_secs(300)));
    let (second, left) = again.refresh.unwrap();
    assert_eq!((second.reveal(), left), (first.reveal(), Duration::from_secs(800)));

    world.clock.advance(Duration::from_secs(800));
    assert_eq!(refresh(&app, first.reveal()).await.unwrap_err().code(), Code::Unauthenticated);
    for wrong in ["", "tbr_", "x".repeat(50).as_str(), grant.access_token.reveal()] {
        assert_eq!(refresh(&app, wrong).await.unwrap_err().code(), Code::Unauthenticated, "{wrong}");
    }
}

#[tokio::test]
async fn logging_out_ends_the_refresh_token_and_is_told_once() {
    let world = World::new();
    let app = world.app().await;
    let user = app.users.create(&caller(Role::Admin), new_user("eve", Role::Analyst)).await.unwrap();
    let grant = log_in(&app, "eve", PASSWORD).await.unwrap();
    let (token, _) = grant.refresh.unwrap();
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    app.logins.log_out(token.reveal(), Some(address)).await.unwrap();
    let entry = world.last_entry("default");
    assert_eq!((entry.action.as_str(), entry.ip.as_deref()), ("logout", Some("192.0.2.7")));
    assert_eq!(entry.actor, format!("user:{}", user.id));
    assert_eq!(refresh(&app, token.reveal()).await.unwrap_err().code(), Code::Unauthenticated);
    let entries = world.audit("default").len();
    app.logins.log_out(token.reveal(), None).await.unwrap();
    app.logins.log_out("nonsense", None).await.unwrap();
    assert_eq!(world.audit("default").len(), entries);
}

#[tokio::test]
async fn every_failure_is_answered_alike_and_costs_one_entry() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let eve = app.users.create(&admin, new_user("eve", Role::Analyst)).await.unwrap();
    let disabled = app.users.create(&admin, new_user("adam", Role::Analyst)).await.unwrap();
    let change = UserChange { enabled: Some(false), ..UserChange::default() };
    app.users.change(&admin, disabled.id, change).await.unwrap();
    let factor = app.users.create(&admin, new_user("tom", Role::Analyst)).await.unwrap();
    let change = UserChange { second_factor: Some(true), ..UserChange::default() };
    app.users.change(&admin, factor.id, change).await.unwrap();

    let mut words = Vec::new();
    let long = "x".repeat(60_000);
    for (username, password, id) in [
        ("eve", "wrong password", Some(eve.id)),
        ("eve", "", Some(eve.id)),
        ("eve", &long, Some(eve.id)),
        ("adam", PASSWORD, Some(disabled.id)),
        ("tom", PASSWORD, Some(factor.id)),
        ("+442071234567", PASSWORD, None),
        ("", PASSWORD, None),
        ("two words", PASSWORD, None),
        (&long, PASSWORD, None),
    ] {
        let before = world.audit("default").len();
        let fault = log_in(&app, username, password).await.unwrap_err();
        words.push((fault.code(), fault.message().to_owned(), fault.retry_after()));
        let entries = world.audit("default");
        assert_eq!(entries.len(), before + 1);
        let entry = entries.last().unwrap();
        assert_eq!((entry.action.as_str(), entry.outcome), ("login", Outcome::Denied));
        match id {
            Some(id) => assert_eq!(entry.actor, format!("user:{id}")),
            None => assert_eq!((entry.actor.as_str(), &entry.object_id), ("system", &None)),
        }
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!(words[0].0, Code::Unauthenticated);
    let told = format!("{:?}", world.audit("default"));
    for secret in ["eve", "adam", "442071234567", "two words", PASSWORD] {
        assert!(!told.contains(secret), "{secret} is in the audit log");
    }
}

#[tokio::test]
async fn a_failure_that_cannot_be_logged_is_no_refusal_that_nobody_sees() {
    let world = World::new();
    let app = world.app().await;
    app.users.create(&caller(Role::Admin), new_user("eve", Role::Analyst)).await.unwrap();
    world.disk_is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    for username in ["eve", "nobody"] {
        assert_eq!(log_in(&app, username, "wrong password").await.unwrap_err().code(), Code::StorageFull);
    }
}

#[tokio::test]
async fn of_sixty_four_attempts_side_by_side_ten_are_judged() {
    let world = World::new();
    let app = world.app().await;
    app.users.create(&caller(Role::Admin), new_user("eve", Role::Analyst)).await.unwrap();
    for (of, username, address) in [("a name", "eve", None), ("an address", "", Some("192.0.2.1"))] {
        let before = world.audit("default").len();
        let attempts = (0..64).map(|at| {
            let username = if username.is_empty() { format!("name{at}") } else { username.to_owned() };
            let login = attempt(&username, "wrong password", address);
            app.logins.log_in(login)
        });
        let mut codes = Vec::new();
        for outcome in join_all(attempts).await {
            let fault = outcome.unwrap_err();
            if fault.code() == Code::RateLimited {
                assert_eq!(fault.retry_after(), Some(Duration::from_secs(300)), "{of}");
            }
            codes.push(fault.code());
        }
        let judged = codes.iter().filter(|code| **code == Code::Unauthenticated).count();
        let refused = codes.iter().filter(|code| **code == Code::RateLimited).count();
        assert_eq!((judged, refused), (10, 54), "{of}");
        assert_eq!(world.audit("default").len() - before, 10, "{of}");
    }
    assert_eq!(
        log_in(&app, "eve", PASSWORD).await.unwrap_err().code(),
        Code::RateLimited,
        "the right one too"
    );
    world.clock.advance(Duration::from_secs(300));
    let crowd = join_all((0..64).map(|_| log_in(&app, "eve", PASSWORD))).await;
    assert!(crowd.iter().all(Result::is_ok), "what succeeds does not count, side by side or not");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_used_once() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let user = app.users.create(&admin, new_user("eve", Role::Analyst)).await.unwrap();
    let on = UserChange { second_factor: Some(true), ..UserChange::default() };
    let changed = app.users.change(&admin, user.id, on).await.unwrap();
    assert!(changed.user.has_second_factor);
    assert!(changed.otpauth_uri.unwrap().reveal().starts_with("otpauth://totp/Tollbook:eve?secret="));
    // The key of appendix B of RFC 6238, whose code at second 1111111111 is 14050471.
    let rfc_key = Secret::new(b"12345678901234567890".to_vec());
    world.users.lock().unwrap().get_mut(&user.id).unwrap().1.second_factor = Some(rfc_key);
    world.clock.set_wall(1_111_111_111_000);
    let with_code = async |password: &str, otp: Option<&str>| {
        let login = PasswordLogin { otp: otp.map(str::to_owned), ..attempt("eve", password, None) };
        app.logins.log_in(login).await.is_ok()
    };
    assert!(!with_code(PASSWORD, None).await);
    assert!(!with_code(PASSWORD, Some("000000")).await);
    assert!(!with_code("wrong password", Some("050471")).await);
    assert!(with_code(PASSWORD, Some("050471")).await, "a wrong password does not use a code up");
    assert!(!with_code(PASSWORD, Some("050471")).await, "used");
    let restarted = world.app().await;
    let entries = world.audit("default").len();
    let login = PasswordLogin { otp: Some("050471".into()), ..attempt("eve", PASSWORD, None) };
    assert_eq!(restarted.logins.log_in(login).await.unwrap_err().code(), Code::Unauthenticated, "for good");
    assert_eq!(world.audit("default").len(), entries + 1);
    assert_eq!(world.last_entry("default").outcome, Outcome::Denied);
    let off = UserChange { second_factor: Some(false), ..UserChange::default() };
    let changed = app.users.change(&admin, user.id, off).await.unwrap();
    assert!(!changed.user.has_second_factor && changed.otpauth_uri.is_none());
    assert!(with_code(PASSWORD, None).await);
}

#[tokio::test]
async fn a_token_is_exchanged_for_a_short_session() {
    let world = World::new();
    let app = world.app().await;
    let mut new = new_token(Role::Analyst);
    new.networks = vec!["192.0.2.0/24".parse().unwrap()];
    let (token, secret) = app.tokens.create(&caller(Role::Admin), new).await.unwrap();
    let (near, far): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.3.1".parse().unwrap());
    let exchange = async |secret: &str, address| {
        app.logins.exchange(ISSUER.into(), "ocp".into(), secret, Some(address)).await
    };
    let grant = exchange(secret.reveal(), near).await.unwrap();
    assert!(grant.refresh.is_none());
    assert_eq!(grant.expires_in, Duration::from_secs(300));
    let access = grant.access_token.reveal();
    let identity = app.identities.authenticate(access, Some(near)).await.unwrap();
    assert_eq!(identity.credential(), token.id, "limits count by the token");
    assert!(app.identities.authenticate(access, Some(far)).await.is_err(), "bound like its token");
    for (wrong, address) in [(secret.reveal().as_str(), far), ("x", near), (access, near)] {
        assert_eq!(exchange(wrong, address).await.unwrap_err().code(), Code::Unauthenticated);
    }
    let entry = world.last_entry("default");
    assert_eq!((entry.action.as_str(), entry.actor), ("login", format!("token:{}", token.id)));
}

#[tokio::test]
async fn who_vanishes_while_his_password_is_judged_is_refused() {
    let world = World::new();
    let app = world.app().await;
    let user = app.users.create(&caller(Role::Admin), new_user("eve", Role::Analyst)).await.unwrap();
    let login = log_in(&app, "eve", PASSWORD);
    let mut login = std::pin::pin!(login);
    assert!(futures::poll!(&mut login).is_pending(), "the hash is being made");
    let remove = world.users.lock().unwrap().remove(&user.id);
    assert!(remove.is_some());
    assert_eq!(login.await.unwrap_err().code(), Code::Unauthenticated);
    assert!(world.sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_old_password_lets_nobody_in_that_was_changed_while_it_was_judged() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let user = app.users.create(&admin, new_user("eve", Role::Analyst)).await.unwrap();
    let mut login = std::pin::pin!(log_in(&app, "eve", PASSWORD));
    assert!(futures::poll!(&mut login).is_pending(), "the hash is being made");
    let password = Some(Secret::new("another password".into()));
    app.users.change(&admin, user.id, UserChange { password, ..UserChange::default() }).await.unwrap();
    assert_eq!(login.await.unwrap_err().code(), Code::Unauthenticated);
    assert!(world.sessions.lock().unwrap().is_empty());
    assert_eq!(world.last_entry("default").action, "logout");
}

#[tokio::test]
async fn the_published_key_verifies_what_was_granted() {
    let world = World::new();
    let app = world.app().await;
    app.users.create(&caller(Role::Admin), new_user("eve", Role::Analyst)).await.unwrap();
    let grant = log_in(&app, "eve", PASSWORD).await.unwrap();
    let keys = tollbook_model::jws::JwsKeys::from_jwks(&app.logins.published_keys()).unwrap();
    let payload = keys.verify(grant.access_token.reveal(), "JWT").unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["groups"], serde_json::json!([name("default").as_str()]));
    assert_eq!(claims["sid"].as_str().and_then(|sid| Uuid::parse_str(sid).ok()), Some(grant.session));
    assert!(!app.logins.published_keys().to_string().contains("\"d\""), "no secret part");
}

#[tokio::test]
async fn of_logins_side_by_side_with_one_code_one_is_let_in_and_the_others_count() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let user = app.users.create(&admin, new_user("eve", Role::Analyst)).await.unwrap();
    let rfc_key = Secret::new(b"12345678901234567890".to_vec());
    world.users.lock().unwrap().get_mut(&user.id).unwrap().1.second_factor = Some(rfc_key);
    world.clock.set_wall(1_111_111_111_000);
    let before = world.audit("default").len();
    let login = || PasswordLogin { otp: Some("050471".into()), ..attempt("eve", PASSWORD, None) };
    let outcomes = join_all((0..5).map(|_| app.logins.log_in(login()))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let told = world.audit("default").split_off(before);
    let denied = told.iter().filter(|entry| entry.outcome == Outcome::Denied).count();
    assert_eq!((told.len(), denied), (5, 4));
    for _ in 4..10 {
        assert_eq!(log_in(&app, "eve", "wrong password").await.unwrap_err().code(), Code::Unauthenticated);
    }
    assert_eq!(log_in(&app, "eve", "wrong password").await.unwrap_err().code(), Code::RateLimited);
}

#[tokio::test]
async fn one_session_more_than_a_hundred_ends_the_oldest_at_once() {
    let world = World::new();
    let app = world.app().await;
    let (_, secret) = app.tokens.create(&caller(Role::Admin), new_token(Role::Analyst)).await.unwrap();
    let exchange = async || {
        world.clock.advance(Duration::from_millis(1));
        app.logins.exchange(ISSUER.into(), "ocp".into(), secret.reveal(), None).await.unwrap()
    };
    let first = exchange().await;
    let second = exchange().await;
    for _ in 2..MOST_SESSIONS {
        exchange().await;
    }
    let taken =
        async |grant: &Grant| app.identities.authenticate(grant.access_token.reveal(), None).await.is_ok();
    assert!(taken(&first).await && taken(&second).await);
    let last = exchange().await;
    assert!(!taken(&first).await, "though it was looked up just before");
    assert!(taken(&second).await && taken(&last).await);
}
