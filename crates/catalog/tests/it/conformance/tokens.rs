//! Promises of the tokens port.

use super::sessions::{begin, session};
use super::{Ports, entry, id, tenant, token};
use tollbook_kit::fault::Code;
use tollbook_model::access::Role;
use tollbook_model::token::Token;
use tollbook_model::user::SessionHolder;

pub(crate) async fn a_token_is_found_by_its_hash_alone(ports: Ports) {
    ports.open_tenants().await;
    let of_role = |at: usize, role| Token {
        role,
        created_at_ms: 500 - at as i64,
        expires_at_ms: at.is_multiple_of(2).then_some(900),
        last_used_at_ms: at.is_multiple_of(3).then_some(600),
        networks: ["192.0.2.0/24", "2001:db8::/32"][..at % 3].iter().map(|n| n.parse().unwrap()).collect(),
        ..token(at as u128, "acme", "nightly export")
    };
    assert_eq!(ports.tokens.count().await.unwrap(), 0);
    for (at, role) in Role::ALL.into_iter().enumerate() {
        let token = of_role(at, role);
        ports.tokens.create([at as u8; 32], token, entry("acme", "token.create")).await.unwrap();
    }
    for (at, role) in Role::ALL.into_iter().enumerate() {
        assert_eq!(ports.tokens.by_hash([at as u8; 32]).await.unwrap(), Some(of_role(at, role)));
        assert_eq!(
            ports.tokens.find(&tenant("acme"), id(at as u128)).await.unwrap(),
            Some(of_role(at, role))
        );
        assert_eq!(ports.tokens.find(&tenant("other"), id(at as u128)).await.unwrap(), None);
    }
    assert_eq!(ports.tokens.by_hash([99; 32]).await.unwrap(), None);
    assert_eq!(ports.tokens.count().await.unwrap(), Role::ALL.len() as u64);
    let listed = ports.tokens.list(&tenant("acme")).await.unwrap();
    let newest_first: Vec<_> =
        Role::ALL.into_iter().enumerate().map(|(at, role)| of_role(at, role)).collect();
    assert!(listed.iter().eq(newest_first.iter().rev()), "{listed:?}");
    assert_eq!(ports.tokens.list(&tenant("other")).await.unwrap(), []);
    assert_eq!(ports.actions("acme").await, ["token.create"; Role::ALL.len()]);
}

pub(crate) async fn a_known_value_is_refused(ports: Ports) {
    ports.open_tenants().await;
    let create = async |hash, token, action| ports.tokens.create(hash, token, entry("acme", action)).await;
    create([1; 32], token(1, "acme", "first"), "token.create").await.unwrap();
    let refused = create([1; 32], token(2, "globex", "theirs"), "refused").await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert_eq!(ports.tokens.by_hash([1; 32]).await.unwrap(), Some(token(1, "acme", "first")));
    assert!(create([2; 32], token(1, "globex", "theirs"), "refused").await.is_err(), "an id used twice");
    assert_eq!(ports.tokens.by_hash([2; 32]).await.unwrap(), None);
    assert_eq!(ports.actions("acme").await, ["token.create"]);
}

pub(crate) async fn a_token_can_replace_all_others_of_its_name(ports: Ports) {
    ports.open_tenants().await;
    for (number, of, name) in
        [(1, "acme", "first"), (2, "acme", "first"), (3, "acme", "other"), (4, "globex", "first")]
    {
        let token = token(number, of, name);
        ports.tokens.create([number as u8; 32], token, entry(of, "token.create")).await.unwrap();
    }
    let of_first = SessionHolder::Token(id(1));
    ports.sessions.open(begin(session(50, of_first), None), entry("acme", "login")).await.unwrap();
    let known = async |at: u8| ports.tokens.by_hash([at; 32]).await.unwrap().map(|token| token.id);
    let put_only = async |at: u8, token| {
        ports.tokens.put_only([at; 32], token, entry("acme", "token.put_only")).await.unwrap();
    };

    put_only(5, token(5, "acme", "first")).await;
    assert_eq!((known(1).await, known(2).await), (None, None), "a new value leaves none of the former");
    assert_eq!((known(3).await, known(4).await, known(5).await), (Some(id(3)), Some(id(4)), Some(id(5))));
    assert_eq!(ports.sessions.find(id(50)).await.unwrap(), None, "nor their sessions");

    let stronger = Token { role: Role::Operator, expires_at_ms: Some(7), ..token(6, "acme", "first") };
    put_only(5, stronger.clone()).await;
    assert_eq!(
        ports.tokens.by_hash([5; 32]).await.unwrap(),
        Some(Token { id: id(5), ..stronger }),
        "the same value keeps its id"
    );
    assert_eq!(ports.tokens.count().await.unwrap(), 3);

    put_only(3, token(7, "acme", "first")).await;
    let renamed = token(3, "acme", "first");
    assert_eq!(ports.tokens.by_hash([3; 32]).await.unwrap(), Some(renamed), "one that had another name");
    assert_eq!(known(5).await, None);
}

pub(crate) async fn a_token_that_is_there_already_is_not_touched(ports: Ports) {
    ports.open_tenants().await;
    let own = Token { networks: vec!["192.0.2.0/24".parse().unwrap()], ..token(1, "acme", "own") };
    let put_only = async |token| {
        ports.tokens.put_only([1; 32], token, entry("acme", "token.put_only")).await.unwrap();
        ports.chain("acme").await.len()
    };
    assert_eq!(put_only(own.clone()).await, 1);
    let later = Token { id: id(2), created_at_ms: 900, ..own.clone() };
    assert_eq!(put_only(later).await, 1, "nothing is logged");
    assert_eq!(ports.tokens.by_hash([1; 32]).await.unwrap(), Some(own.clone()));
    assert_eq!(put_only(Token { role: Role::Admin, ..own.clone() }).await, 2);
    assert_eq!(put_only(Token { role: Role::Admin, expires_at_ms: Some(1), ..own.clone() }).await, 3);
    assert_eq!(put_only(own.clone()).await, 4);
    assert_eq!(put_only(Token { networks: Vec::new(), ..own.clone() }).await, 5);
    let newer = Token { api_version: Some("2026-11-19".into()), ..own };
    assert_eq!(put_only(newer).await, 6);
}

pub(crate) async fn a_revoked_token_takes_its_sessions_along(ports: Ports) {
    ports.open_tenants().await;
    let acme = tenant("acme");
    for number in [1, 2] {
        let token = token(number, "acme", "exchange");
        ports.tokens.create([number as u8; 32], token, entry("acme", "token.create")).await.unwrap();
        let holder = SessionHolder::Token(id(number));
        ports.sessions.open(begin(session(number + 10, holder), None), entry("acme", "login")).await.unwrap();
    }
    let revoke = async |owner, action| {
        ports.tokens.revoke(&tenant(owner), id(1), entry("acme", action)).await.unwrap()
    };
    assert!(!revoke("other", "nothing").await, "it is not theirs");
    assert!(ports.sessions.find(id(11)).await.unwrap().is_some());
    assert!(revoke("acme", "token.revoke").await);
    assert_eq!(ports.tokens.by_hash([1; 32]).await.unwrap(), None);
    assert_eq!(ports.sessions.find(id(11)).await.unwrap(), None);
    assert!(ports.sessions.find(id(12)).await.unwrap().is_some(), "the other token's session lives");
    assert!(!revoke("acme", "nothing").await);
    assert_eq!(ports.tokens.list(&acme).await.unwrap(), [token(2, "acme", "exchange")]);
    let told = ports.actions("acme").await;
    assert_eq!(told, ["token.create", "login", "token.create", "login", "token.revoke"]);
}

pub(crate) async fn the_latest_use_stays(ports: Ports) {
    ports.open_tenants().await;
    ports.tokens.used(id(1), 5).await.unwrap();
    ports.tokens.create([1; 32], token(1, "acme", "key"), entry("acme", "token.create")).await.unwrap();
    for (at_ms, expected) in [(50, 50), (40, 50), (60, 60)] {
        ports.tokens.used(id(1), at_ms).await.unwrap();
        let found = ports.tokens.by_hash([1; 32]).await.unwrap().unwrap();
        assert_eq!(found, Token { last_used_at_ms: Some(expected), ..token(1, "acme", "key") });
    }
    assert_eq!(ports.actions("acme").await, ["token.create"], "a use is no change");
}

pub(crate) async fn who_loses_his_place_is_logged(ports: Ports) {
    ports.open_tenants().await;
    for number in [1, 2] {
        let former = token(number, "acme", "bootstrap");
        ports.tokens.create([number as u8; 32], former, entry("acme", "token.create")).await.unwrap();
    }
    let put_only = |number: u128| {
        let told = entry("acme", "token.put_only").because("as the operator wants it");
        ports.tokens.put_only([number as u8; 32], token(number, "acme", "bootstrap"), told)
    };
    put_only(3).await.unwrap();
    let chain = ports.chain("acme").await.split_off(2);
    let told: Vec<_> =
        chain.iter().map(|told| (told.action.as_str(), told.object_id.clone().unwrap())).collect();
    let revoked = |number| ("token.revoke", id(number).to_string());
    assert_eq!(told, [revoked(1), revoked(2), ("token.put_only", id(3).to_string())]);
    assert_eq!((&chain[0].actor, chain[0].at_ms), (&chain[2].actor, chain[2].at_ms));
    put_only(3).await.unwrap();
    assert_eq!(ports.chain("acme").await.len(), 5, "nothing changed");
}
