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
