//! Promises of the users port.

use super::sessions::{begin, session};
use super::{Ports, entry, id, tenant};
use tollbook_kit::fault::Code;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::ports::CredentialChange;
use tollbook_model::user::{SessionHolder, User, UserCredentials};

pub(crate) fn user(number: u128, owner: &str, username: &str) -> User {
    User {
        id: id(number),
        tenant: tenant(owner),
        username: username.to_owned(),
        email: None,
        role: Role::Analyst,
        enabled: true,
        has_second_factor: false,
        created_at_ms: 100,
        last_login_at_ms: None,
    }
}

pub(crate) fn credentials() -> UserCredentials {
    let password_hash = Secret::new(String::from("$argon2id$old"));
    UserCredentials { password_hash, second_factor: None, last_step: None }
}

fn told(credentials: &UserCredentials) -> (&str, Option<&[u8]>) {
    let second_factor = credentials.second_factor.as_ref().map(|key| key.reveal().as_slice());
    (credentials.password_hash.reveal(), second_factor)
}

pub(crate) async fn users_come_back_with_their_credentials(ports: Ports) {
    ports.open_tenants().await;
    let zoe = User {
        email: Some(String::from("zoe@example.net")),
        role: Role::Auditor,
        enabled: false,
        has_second_factor: true,
        last_login_at_ms: Some(400),
        ..user(1, "acme", "zoë")
    };
    let with_key =
        UserCredentials { second_factor: Some(Secret::new(vec![0, 159, 146, 150])), ..credentials() };
    assert!(ports.users.by_username("zoë").await.unwrap().is_none());
    ports.users.create(zoe.clone(), with_key, entry("acme", "user.create")).await.unwrap();
    ports.users.create(user(2, "acme", "bob"), credentials(), entry("acme", "user.create")).await.unwrap();
    ports.users.create(user(3, "other", "eve"), credentials(), entry("other", "user.create")).await.unwrap();

    let (found, proof) = ports.users.by_username("zoë").await.unwrap().unwrap();
    assert_eq!((found, told(&proof)), (zoe.clone(), ("$argon2id$old", Some(&[0, 159, 146, 150][..]))));
    let (found, proof) = ports.users.by_username("eve").await.unwrap().unwrap();
    assert_eq!((found, told(&proof)), (user(3, "other", "eve"), ("$argon2id$old", None)));
    assert_eq!(ports.users.find(&tenant("acme"), id(1)).await.unwrap(), Some(zoe.clone()));
    assert_eq!(ports.users.find(&tenant("acme"), id(3)).await.unwrap(), None, "a foreign one is unknown");
    assert_eq!(ports.users.list(&tenant("acme")).await.unwrap(), [user(2, "acme", "bob"), zoe]);
    assert_eq!(ports.users.list(&tenant("nobody")).await.unwrap(), []);
    assert_eq!(ports.actions("acme").await, ["user.create"; 2]);
}

pub(crate) async fn a_name_is_of_one_user_in_the_whole_instance(ports: Ports) {
    ports.open_tenants().await;
    ports.users.create(user(1, "acme", "bob"), credentials(), entry("acme", "user.create")).await.unwrap();
    for owner in ["acme", "other"] {
        let refused = ports.users.create(user(2, owner, "bob"), credentials(), entry(owner, "refused")).await;
        assert_eq!(refused.unwrap_err().code(), Code::Conflict, "{owner}");
    }
    let twice = ports.users.create(user(1, "other", "eve"), credentials(), entry("other", "refused")).await;
    assert!(twice.is_err(), "an id used twice");
    assert_eq!(ports.actions("acme").await, ["user.create"]);
    assert!(ports.chain("other").await.is_empty());
}

pub(crate) async fn a_change_ends_sessions_unless_it_is_of_mail_alone(ports: Ports) {
    ports.open_tenants().await;
    let bob = user(1, "acme", "bob");
    ports.users.create(bob.clone(), credentials(), entry("acme", "user.create")).await.unwrap();
    ports.users.create(user(2, "acme", "eve"), credentials(), entry("acme", "user.create")).await.unwrap();
    ports
        .sessions
        .open(begin(session(20, SessionHolder::User(id(2))), None), entry("acme", "login"))
        .await
        .unwrap();
    let none = CredentialChange::default();
    let password =
        CredentialChange { password_hash: Some(Secret::new(String::from("$new"))), ..none.clone() };
    let second_factor = CredentialChange { second_factor: Some(None), ..none.clone() };
    let with_mail = User { email: Some(String::from("bob@example.net")), ..bob.clone() };
    let auditor = User { role: Role::Auditor, ..with_mail.clone() };
    for (at, what, change, credentials, lives) in [
        (1, "mail", &with_mail, none.clone(), true),
        (2, "nothing", &with_mail, none.clone(), true),
        (3, "role", &auditor, none.clone(), false),
        (4, "password", &auditor, password, false),
        (5, "second factor", &auditor, second_factor, false),
        (6, "enabled", &User { enabled: false, ..auditor.clone() }, none.clone(), false),
    ] {
        let holder = SessionHolder::User(id(1));
        ports.sessions.open(begin(session(100 + at, holder), None), entry("acme", "login")).await.unwrap();
        let last_login_at_ms = Some(session(0, holder).created_at_ms);
        let changed = ports.users.change(change.clone(), credentials, entry("acme", "user.change")).await;
        assert!(changed.unwrap(), "{what}");
        let expected = User { last_login_at_ms, ..change.clone() };
        assert_eq!(ports.users.find(&tenant("acme"), id(1)).await.unwrap(), Some(expected), "{what}");
        assert_eq!(ports.sessions.find(id(100 + at)).await.unwrap().is_some(), lives, "{what}");
    }
    assert!(ports.sessions.find(id(20)).await.unwrap().is_some(), "another user's session lives");
    let foreign = User { tenant: tenant("other"), role: Role::Admin, ..bob.clone() };
    assert!(!ports.users.change(foreign, none, entry("acme", "nothing")).await.unwrap());
    let told = ports.actions("acme").await;
    assert_eq!(told.iter().filter(|action| *action == "user.change").count(), 6);
    assert!(!told.contains(&String::from("nothing")));
}

pub(crate) async fn credentials_change_one_by_one(ports: Ports) {
    ports.open_tenants().await;
    ports.users.create(user(1, "acme", "bob"), credentials(), entry("acme", "user.create")).await.unwrap();
    let change = async |password: Option<&str>, second_factor: Option<Option<&[u8]>>| {
        let credentials = CredentialChange {
            password_hash: password.map(|text| Secret::new(text.to_owned())),
            second_factor: second_factor.map(|key| key.map(|key| Secret::new(key.to_vec()))),
        };
        let renamed = User { username: String::from("robert"), ..user(1, "acme", "bob") };
        ports.users.change(renamed, credentials, entry("acme", "user.change")).await.unwrap();
        let (user, proof) = ports.users.by_username("bob").await.unwrap().expect("the name stays");
        let (password, second_factor) = told(&proof);
        assert_eq!(user.has_second_factor, second_factor.is_some());
        (password.to_owned(), second_factor.map(<[u8]>::to_vec))
    };
    let (old, new) = (String::from("$argon2id$old"), String::from("$argon2id$new"));
    assert_eq!(change(None, None).await, (old.clone(), None));
    assert_eq!(change(None, Some(Some(b"key 1"))).await, (old, Some(b"key 1".to_vec())));
    assert_eq!(change(Some(&new), None).await, (new.clone(), Some(b"key 1".to_vec())));
    assert_eq!(change(None, Some(Some(b"key 2"))).await, (new.clone(), Some(b"key 2".to_vec())));
    assert_eq!(change(None, Some(None)).await, (new, None));
    assert!(ports.users.by_username("robert").await.unwrap().is_none());
}

pub(crate) async fn a_removed_user_takes_his_sessions_along(ports: Ports) {
    ports.open_tenants().await;
    ports.users.create(user(1, "acme", "bob"), credentials(), entry("acme", "user.create")).await.unwrap();
    let holder = SessionHolder::User(id(1));
    ports.sessions.open(begin(session(10, holder), None), entry("acme", "login")).await.unwrap();
    let remove =
        async |owner, action| ports.users.remove(&tenant(owner), id(1), entry("acme", action)).await.unwrap();
    assert!(!remove("other", "nothing").await);
    assert!(ports.sessions.find(id(10)).await.unwrap().is_some());
    assert!(remove("acme", "user.delete").await);
    assert!(ports.users.by_username("bob").await.unwrap().is_none());
    assert_eq!(ports.sessions.find(id(10)).await.unwrap(), None);
    assert!(!remove("acme", "nothing").await);
    assert_eq!(ports.actions("acme").await, ["user.create", "login", "user.delete"]);
}
