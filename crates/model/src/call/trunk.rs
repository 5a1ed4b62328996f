//! Trunks (`natalia.md` section 4): each has the id by which the source calls it, or else one made of its name.

use crate::tenant::TenantName;
use serde_json::Value;
use uuid::Uuid;

/// Key of [`Extra`](super::CallField::Extra) under which a source gives the id of a record's trunk.
const TRUNK_ID: &str = "trunk_id";

/// Most trunks of a tenant that are listed.
pub const LISTED_TRUNKS: usize = 10_000;

/// A trunk, as records name it. In the order of names, then ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trunk {
    /// Its name; the id, where the source gave nothing else.
    pub name: String,
    /// Its id: what the source gave, else a UUID made of the name.
    pub id: String,
}

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

    /// The trunk of a record with that name and [given](given_trunk_id) id, if it has any.
    pub fn trunk(self, name: Option<&str>, given: Option<String>) -> Option<Trunk> {
        let id = given.or_else(|| name.map(|name| self.id(name).to_string()))?;
        Some(Trunk { name: name.unwrap_or(&id).to_owned(), id })
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

    #[test]
    fn a_trunk_is_made_of_what_there_is() {
        let ids = TrunkIds::of(&TenantName::default_tenant());
        let trunk = |name, given: Option<&str>| {
            ids.trunk(name, given.map(str::to_owned)).map(|trunk| (trunk.name, trunk.id))
        };
        let both = Some(("carrier".into(), "t-1".into()));
        assert_eq!(trunk(Some("carrier"), Some("t-1")), both);
        assert_eq!(trunk(Some("carrier"), None), Some(("carrier".into(), ids.id("carrier").to_string())));
        assert_eq!(trunk(None, Some("t-1")), Some(("t-1".into(), "t-1".into())));
        assert_eq!(trunk(None, None), None);
    }
}
