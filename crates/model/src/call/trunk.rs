//! Ids of trunks (`natalia.md` section 4): what the source calls its trunk by, or else an id made of the trunk's name.

use crate::tenant::TenantName;
use serde_json::Value;
use uuid::Uuid;

/// Key of [`Extra`](super::CallField::Extra) under which a source gives the id of a record's trunk.
const TRUNK_ID: &str = "trunk_id";

/// Ids of a tenant's trunks that are known by name only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkIds {
    /// The tenant's id: of version 5 too, as a tenant is known by its name.
    tenant: Uuid,
}

impl TrunkIds {
    /// Those of this tenant.
    pub fn of(tenant: &TenantName) -> Self {
        let name = format!("urn:tollbook:tenant:{tenant}");
        Self { tenant: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()) }
    }

    /// The id of the trunk of that name: a UUID of version 5 in the namespace of the tenant's id.
    pub fn id(self, name: &str) -> Uuid {
        Uuid::new_v5(&self.tenant, name.as_bytes())
    }
}

/// The id that the source gave, read from the text of a record's `extra`.
pub fn given_trunk_id(extra: &str) -> Option<String> {
    // Most records have none, and parsing all of them would cost more than the rest of a filter.
    if !extra.contains(TRUNK_ID) {
        return None;
    }
    match serde_json::from_str::<Value>(extra).ok()?.get_mut(TRUNK_ID)?.take() {
        Value::String(id) => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_ids_of_their_tenant_and_sources_may_give_others() {
        let [one, other] =
            ["acme", "globex"].map(|name| TrunkIds::of(&TenantName::parse(name).expect("a name")));
        assert_eq!(one.id("carrier"), one.id("carrier"));
        assert_ne!(one.id("carrier"), one.id("Carrier"));
        assert_ne!(one.id("carrier"), other.id("carrier"));
        assert_eq!(one.id("carrier").get_version_num(), 5);
        for (extra, id) in [
            (
                r#"{"a":"b","trunk_id":"5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11"}"#,
                Some("5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11"),
            ),
            (r#"{"note":"trunk_id"}"#, None),
            (r#"{"trunk_id":7}"#, None),
            ("{}", None),
            ("not json trunk_id", None),
        ] {
            assert_eq!(given_trunk_id(extra).as_deref(), id, "{extra}");
        }
    }
}
