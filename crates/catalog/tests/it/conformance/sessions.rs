//! Promises of the sessions port.

use super::users::{credentials, user};
use super::{Ports, entry, id, tenant, token};
use tokio::task::JoinSet;
use tollbook_kit::fault::Code;
use tollbook_model::access::Role;
use tollbook_model::ports::CredentialChange;
use tollbook_model::user::{
    LiveSession, MOST_SESSIONS, NewSession, Session, SessionHolder, User, UserCredentials,
};

pub(crate) fn session(number: u128, holder: SessionHolder) -> Session {
    Session { id: id(number), holder, created_at_ms: 200, expires_at_ms: 1_800 }
}

/// A session to be begun without a one-time password.
pub(crate) fn begin(session: Session, refresh_hash: Option<[u8; 32]>) -> NewSession {
    NewSession { session, refresh_hash, step: None }
}

pub(crate) async fn a_session_shows_what_its_holder_is_now(ports: Ports) {
    ports.open_tenants().await;
    let bob = user(1, "acme", "bob");
    ports.users.create(bob.clone(), credentials(), entry("acme", "user.create")).await.unwrap();
    ports.tokens.create([2; 32], token(2, "other", "key"), entry("other", "token.create")).await.unwrap();
    let of_bob = session(10, SessionHolder::User(id(1)));
    let of_key = session(11, SessionHolder::Token(id(2)));
    assert_eq!(ports.sessions.find(id(10)).await.unwrap(), None);
    ports.sessions.open(begin(of_bob.clone(), Some([7; 32])), entry("acme", "login")).await.unwrap();
    ports.sessions.open(begin(of_key.clone(), None), entry("other", "login")).await.unwrap();

    let live = |session: &Session, owner, name: &str| LiveSession {
        session: session.clone(),
        tenant: tenant(owner),
        role: Role::Analyst,
        name: name.to_owned(),
    };
    assert_eq!(ports.sessions.find(id(10)).await.unwrap(), Some(live(&of_bob, "acme", "bob")));
    assert_eq!(ports.sessions.by_refresh([7; 32]).await.unwrap(), Some(live(&of_bob, "acme", "bob")));
    assert_eq!(ports.sessions.by_refresh([8; 32]).await.unwrap(), None);
    assert_eq!(ports.sessions.find(id(11)).await.unwrap(), Some(live(&of_key, "other", "key")));
    let now = ports.users.find(&tenant("acme"), id(1)).await.unwrap().unwrap();
    assert_eq!(now, User { last_login_at_ms: Some(200), ..bob }, "the login is noted");
    assert_eq!(ports.tokens.find(&tenant("other"), id(2)).await.unwrap(), Some(token(2, "other", "key")));

    let again = ports
        .sessions
        .open(begin(session(12, SessionHolder::User(id(1))), Some([7; 32])), entry("acme", "x"));
    assert!(again.await.is_err(), "a refresh token is of one session");
    assert_eq!(ports.actions("acme").await, ["user.create", "login"]);
}

pub(crate) async fn nobody_begins_a_session_who_may_not(ports: Ports) {
    ports.open_tenants().await;
    let disabled = User { enabled: false, ..user(1, "acme", "bob") };
    ports.users.create(disabled, credentials(), entry("acme", "user.create")).await.unwrap();
    for holder in [SessionHolder::User(id(1)), SessionHolder::User(id(2)), SessionHolder::Token(id(1))] {
        let refused = ports.sessions.open(begin(session(10, holder), None), entry("acme", "refused")).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound, "{holder:?}");
        assert_eq!(ports.sessions.find(id(10)).await.unwrap(), None);
    }
    let seen = ports.users.find(&tenant("acme"), id(1)).await.unwrap().unwrap();
    assert_eq!(seen.last_login_at_ms, None, "no login is noted");
    let enabled = user(1, "acme", "bob");
    ports.users.change(enabled, CredentialChange::default(), entry("acme", "user.change")).await.unwrap();
    ports
        .sessions
        .open(begin(session(10, SessionHolder::User(id(1))), None), entry("acme", "login"))
        .await
        .unwrap();
    assert_eq!(ports.actions("acme").await, ["user.create", "user.change", "login"]);
}

pub(crate) async fn a_session_ends_once(ports: Ports) {
    ports.open_tenants().await;
    ports.users.create(user(1, "acme", "bob"), credentials(), entry("acme", "user.create")).await.unwrap();
    for number in [10, 11] {
        let of_bob = session(number, SessionHolder::User(id(1)));
        ports.sessions.open(begin(of_bob, Some([number as u8; 32])), entry("acme", "login")).await.unwrap();
    }
    assert!(ports.sessions.close(id(10), entry("acme", "logout")).await.unwrap());
    assert!(!ports.sessions.close(id(10), entry("acme", "nothing")).await.unwrap());
    assert_eq!(ports.sessions.by_refresh([10; 32]).await.unwrap(), None);
    assert!(ports.sessions.by_refresh([11; 32]).await.unwrap().is_some());
    assert_eq!(ports.actions("acme").await, ["user.create", "login", "login", "logout"]);
}

pub(crate) async fn sessions_that_are_over_are_forgotten(ports: Ports) {
    ports.open_tenants().await;
    ports.users.create(user(1, "acme", "bob"), credentials(), entry("acme", "user.create")).await.unwrap();
    for number in 0..20u128 {
        let ending = Session {
            expires_at_ms: 1_000 + number as i64,
            ..session(100 + number, SessionHolder::User(id(1)))
        };
        ports.sessions.open(begin(ending, None), entry("acme", "login")).await.unwrap();
    }
    assert_eq!(ports.sessions.forget_expired(1_005).await.unwrap(), 5);
    assert_eq!(ports.sessions.forget_expired(1_005).await.unwrap(), 0);
    assert_eq!(ports.sessions.find(id(104)).await.unwrap(), None);
    assert!(ports.sessions.find(id(105)).await.unwrap().is_some(), "over, but not before then");
    assert_eq!(ports.sessions.forget_expired(i64::MAX).await.unwrap(), 15);
    assert_eq!(ports.chain("acme").await.len(), 21, "the end of time is no act of anybody");
}

pub(crate) async fn one_session_more_ends_the_oldest(ports: Ports) {
    ports.open_tenants().await;
    ports.users.create(user(1, "acme", "bob"), credentials(), entry("acme", "user.create")).await.unwrap();
    ports.tokens.create([1; 32], token(1, "acme", "key"), entry("acme", "token.create")).await.unwrap();
    let most = MOST_SESSIONS as u128;
    for (first, holder) in [(1_000, SessionHolder::User(id(1))), (2_000, SessionHolder::Token(id(1)))] {
        for number in 0..=most {
            // The oldest is the one that began first, whatever its id.
            let number = (number + 1) % (most + 1);
            let later = Session { created_at_ms: number as i64, ..session(first + number, holder) };
            let ended = ports.sessions.open(begin(later, None), entry("acme", "login")).await.unwrap();
            assert_eq!(ended, u64::from(number == 0), "{number}");
        }
        assert!(ports.sessions.find(id(first)).await.unwrap().is_some(), "the new one");
        assert!(ports.sessions.find(id(first + 1)).await.unwrap().is_none(), "the oldest");
        assert!(ports.sessions.find(id(first + 2)).await.unwrap().is_some());
    }
    assert!(ports.sessions.find(id(1_002)).await.unwrap().is_some(), "another holder's sessions live");
}

pub(crate) async fn a_one_time_password_lets_in_once(ports: Ports) {
    ports.open_tenants().await;
    let key = || Some(tollbook_kit::secret::Secret::new(vec![1; 20]));
    let with_key = UserCredentials { second_factor: key(), ..credentials() };
    ports.users.create(user(1, "acme", "bob"), with_key, entry("acme", "user.create")).await.unwrap();
    let open = async |number: u128, step| {
        let new = NewSession { step, ..begin(session(number, SessionHolder::User(id(1))), None) };
        ports.sessions.open(new, entry("acme", "login")).await.map_err(|fault| fault.code())
    };
    let last_step = async || ports.users.by_username("bob").await.unwrap().unwrap().1.last_step;
    assert_eq!(last_step().await, None);
    let mut side_by_side = JoinSet::new();
    for number in 1..=8 {
        let new = begin(session(number, SessionHolder::User(id(1))), None);
        let sessions = ports.sessions.clone();
        let new = NewSession { step: Some(50), ..new };
        side_by_side.spawn(async move { sessions.open(new, entry("acme", "login")).await.is_ok() });
    }
    let outcomes = side_by_side.join_all().await;
    assert_eq!(outcomes.iter().filter(|let_in| **let_in).count(), 1, "{outcomes:?}");
    for (at, step, taken, last) in [
        (11, Some(50), false, 50),
        (12, Some(49), false, 50),
        (13, Some(51), true, 51),
        (14, None, true, 51),
        (15, Some(51), false, 51),
    ] {
        let wanted = if taken { Ok(0) } else { Err(Code::NotFound) };
        assert_eq!((open(at, step).await, last_step().await), (wanted, Some(last)), "{at}");
    }
    let new_key = CredentialChange { second_factor: Some(key()), ..CredentialChange::default() };
    ports.users.change(user(1, "acme", "bob"), new_key, entry("acme", "user.change")).await.unwrap();
    assert_eq!(last_step().await, None, "codes of another key were never used");
}
