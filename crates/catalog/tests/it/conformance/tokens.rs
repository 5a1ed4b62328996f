//! Promises of the tokens port.

use super::{Ports, id, tenant};
use tollbook_model::access::Role;
use tollbook_model::ports::TokenHolder;

pub(crate) async fn a_token_is_found_by_its_hash_alone(ports: Ports) {
    let holder = |number, role| TokenHolder {
        id: id(number),
        tenant: tenant("acme"),
        role,
        name: String::from("nightly export"),
    };
    assert_eq!(ports.tokens.count().await.unwrap(), 0);
    for (at, role) in Role::ALL.into_iter().enumerate() {
        ports.tokens.put([at as u8; 32], holder(at as u128, role)).await.unwrap();
    }
    assert_eq!(ports.tokens.count().await.unwrap(), 5);
    for (at, role) in Role::ALL.into_iter().enumerate() {
        assert_eq!(ports.tokens.holder([at as u8; 32]).await.unwrap(), Some(holder(at as u128, role)));
    }
    assert_eq!(ports.tokens.holder([9; 32]).await.unwrap(), None);
    ports.tokens.put([0; 32], holder(9, Role::Admin)).await.unwrap();
    assert_eq!(ports.tokens.holder([0; 32]).await.unwrap(), Some(holder(9, Role::Admin)));
    assert_eq!(ports.tokens.count().await.unwrap(), 5);
}

pub(crate) async fn a_token_can_replace_all_others_of_its_name(ports: Ports) {
    let holder = |number, of, role, name| TokenHolder {
        id: id(number),
        tenant: tenant(of),
        role,
        name: String::from(name),
    };
    for (number, of, name) in
        [(1, "acme", "first"), (2, "acme", "first"), (3, "acme", "other"), (4, "globex", "first")]
    {
        let holder = holder(number, of, Role::Admin, name);
        ports.tokens.put([number as u8; 32], holder).await.unwrap();
    }
    let known = async |at: u8| ports.tokens.holder([at; 32]).await.unwrap().map(|holder| holder.id);

    ports.tokens.put_only([5; 32], holder(5, "acme", Role::Admin, "first")).await.unwrap();
    assert_eq!((known(1).await, known(2).await), (None, None), "a new value leaves none of the former");
    assert_eq!((known(3).await, known(4).await, known(5).await), (Some(id(3)), Some(id(4)), Some(id(5))));

    ports.tokens.put_only([5; 32], holder(6, "acme", Role::Admin, "first")).await.unwrap();
    assert_eq!(known(5).await, Some(id(5)), "the same value keeps its id");
    assert_eq!(ports.tokens.count().await.unwrap(), 3);

    ports.tokens.put_only([3; 32], holder(7, "acme", Role::Viewer, "first")).await.unwrap();
    let renamed = holder(3, "acme", Role::Viewer, "first");
    assert_eq!(ports.tokens.holder([3; 32]).await.unwrap(), Some(renamed), "one that had another name");
    assert_eq!(known(5).await, None);
}
