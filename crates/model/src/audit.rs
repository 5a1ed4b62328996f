//! The audit log: what an entry says, and the hash chain that makes every change of the past visible
//! (`natalia.md` section 14).
//!
//! Where entries are kept, and that one commits together with the change that it tells of, is the catalog's business.

use crate::actor::{Actor, Role};
use crate::canonical;
use crate::tenant::TenantName;
use crate::time_range::instant_text;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Written before the bytes that are hashed.
const DOMAIN: &[u8] = b"tollbook-audit-v1\n";
/// `prev_hash` of a tenant's first entry.
pub const FIRST_PREVIOUS: [u8; 32] = [0; 32];
/// Longest reason in characters.
pub const REASON_CHARACTERS: usize = 500;
/// `typ` of a signed checkpoint.
pub const CHECKPOINT_TYPE: &str = "tollbook-checkpoint+jws";

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused for want of a right or of a valid credential.
    Denied,
    /// It was permitted and failed.
    Error,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Success, Self::Denied, Self::Error];

    /// The word in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }

    /// The outcome of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// What an entry is about, such as type `token` and its id. Never a phone number, never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditObject {
    /// What kind of thing: `token`, `user`, `tenant`, `source`, `export`, `dataset`.
    pub kind: &'static str,
    /// Which one.
    pub id: String,
}

impl AuditObject {
    /// The thing of that kind and id.
    pub fn new(kind: &'static str, id: impl ToString) -> Self {
        Self { kind, id: id.to_string() }
    }
}

/// An entry that has no place in its tenant's chain yet.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// Whose chain.
    pub tenant: TenantName,
    /// The actor's own tenant, where he acted on another one: what is told to its chain is
    /// [`AuditEntry::told_at_home`].
    pub home: Option<TenantName>,
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Who.
    pub actor: Actor,
    /// In which role, if in any.
    pub actor_role: Option<Role>,
    /// From which address, if from any.
    pub ip: Option<IpAddr>,
    /// What was done or attempted, such as `token.create`.
    pub action: &'static str,
    /// What it was done to.
    pub object: Option<AuditObject>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in words: as given by the actor, or why it was refused. At most [`REASON_CHARACTERS`].
    pub reason: Option<String>,
}

impl AuditEntry {
    /// The same entry for the chain of the tenant that was acted on. Where that is not the actor's own, his own is told,
    /// too: it remembers what he did when the other one is erased.
    #[must_use]
    pub fn about(mut self, tenant: &TenantName) -> Self {
        if self.tenant != *tenant {
            self.home = Some(std::mem::replace(&mut self.tenant, tenant.clone()));
        }
        self
    }

    /// What the chain of the actor's own tenant is told, where he acted on another one: its object is that tenant, and
    /// what it was about there is told in the reason.
    pub fn told_at_home(&self) -> Option<Self> {
        let home = self.home.clone()?;
        let mut entry = Self { tenant: home, home: None, ..self.clone() };
        if let Some(thing) = entry.object.replace(AuditObject::new("tenant", &self.tenant))
            && thing.kind != "tenant"
        {
            let thing = format!("{} {}", thing.kind, thing.id);
            return Some(match &self.reason {
                Some(reason) => entry.because(&format!("{thing}, {reason}")),
                None => entry.because(&thing),
            });
        }
        Some(entry)
    }

    /// The same entry with a reason, cut at its bound.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.chars().take(REASON_CHARACTERS).collect());
        self
    }

    /// The record at place `seq` (from 1, without gaps) of its tenant's chain, after the one with this hash.
    pub fn chained(self, seq: u64, previous: [u8; 32]) -> AuditRecord {
        let (object_type, object_id) = match self.object {
            Some(object) => (Some(object.kind.to_owned()), Some(object.id)),
            None => (None, None),
        };
        let mut record = AuditRecord {
            seq,
            at_ms: self.at_ms,
            actor: self.actor.to_string(),
            actor_role: self.actor_role.map(|role| role.name().to_owned()),
            ip: self.ip.map(|ip| ip.to_string()),
            action: self.action.to_owned(),
            object_type,
            object_id,
            outcome: self.outcome,
            reason: self.reason,
            previous,
            hash: [0; 32],
        };
        record.hash = record.computed_hash();
        record
    }
}

/// A record of the dataset `audit-log`, with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place, from 1 without gaps per tenant.
    pub seq: u64,
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Who, such as `token:…`.
    pub actor: String,
    /// In which role.
    pub actor_role: Option<String>,
    /// From which address.
    pub ip: Option<String>,
    /// What.
    pub action: String,
    /// To what kind of thing.
    pub object_type: Option<String>,
    /// To which one.
    pub object_id: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<String>,
    /// Hash of the record before; [`FIRST_PREVIOUS`] for the first.
    pub previous: [u8; 32],
    /// Hash of this record as it was written.
    pub hash: [u8; 32],
}

impl AuditRecord {
    /// The hash that this content should have.
    pub fn computed_hash(&self) -> [u8; 32] {
        let mut members = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value.into());
            }
        };
        put("at", Some(&instant_text(self.at_ms)));
        put("actor", Some(&self.actor));
        put("actor_role", self.actor_role.as_deref());
        put("ip", self.ip.as_deref());
        put("action", Some(&self.action));
        put("object_type", self.object_type.as_deref());
        put("object_id", self.object_id.as_deref());
        put("outcome", Some(self.outcome.name()));
        put("reason", self.reason.as_deref());
        put("prev_hash", Some(&hex::encode(self.previous)));
        members.insert("seq".into(), self.seq.into());
        hash_of(&members).expect("made of texts and one integer")
    }
}

/// The hash of a record given as JSON without its member `hash`, `at` being in UTC; none when it holds a number that
/// is no integer.
pub fn hash_of(members: &Map<String, Value>) -> Option<[u8; 32]> {
    let text = canonical::object(members)?;
    let mut digest = Sha256::new();
    digest.update(DOMAIN);
    digest.update(text.as_bytes());
    Some(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_vector_of_the_contract() {
        let record = json!({
            "action": "export.create", "actor": "token:42", "actor_role": "admin", "at": "2026-01-05T09:00:00.000Z",
            "object_id": "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", "object_type": "export_job",
            "outcome": "success", "prev_hash": "0".repeat(64), "seq": 1,
        });
        let vector = "f6c5ee67433f14536b6bdf0d24989e28f68b0e85a83b31dc3a15c04d12a00f2c";
        assert_eq!(hex::encode(hash_of(record.as_object().unwrap()).unwrap()), vector);

        let record = AuditRecord {
            seq: 1,
            at_ms: 1_767_603_600_000,
            actor: "token:42".into(),
            actor_role: Some("admin".into()),
            ip: None,
            action: "export.create".into(),
            object_type: Some("export_job".into()),
            object_id: Some("0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01".into()),
            outcome: Outcome::Success,
            reason: None,
            previous: FIRST_PREVIOUS,
            hash: FIRST_PREVIOUS,
        };
        assert_eq!(hex::encode(record.computed_hash()), vector);
    }

    #[test]
    fn what_is_done_to_another_tenant_is_told_at_home_with_its_name() {
        let acme = TenantName::parse("acme").unwrap();
        let entry = |kind, id: &str| AuditEntry { object: Some(AuditObject::new(kind, id)), ..entry() };
        assert!(entry("token", "7").about(&TenantName::default_tenant()).told_at_home().is_none());
        let about = entry("token", "7").because("with the role admin").about(&acme);
        assert_eq!((&about.tenant, about.object.as_ref().unwrap().kind), (&acme, "token"));
        let told = about.told_at_home().unwrap();
        assert_eq!((told.tenant, told.home), (TenantName::default_tenant(), None));
        assert_eq!(told.object, Some(AuditObject::new("tenant", "acme")));
        assert_eq!(told.reason.as_deref(), Some("token 7, with the role admin"));
        let told = entry("tenant", "acme").because("why").about(&acme).told_at_home().unwrap();
        assert_eq!(
            (told.object, told.reason.as_deref()),
            (Some(AuditObject::new("tenant", "acme")), Some("why"))
        );
    }

    fn entry() -> AuditEntry {
        AuditEntry {
            tenant: TenantName::default_tenant(),
            home: None,
            at_ms: 5,
            actor: Actor::System,
            actor_role: Some(Role::Admin),
            ip: Some([127, 0, 0, 1].into()),
            action: "token.create",
            object: Some(AuditObject::new("token", 7)),
            outcome: Outcome::Denied,
            reason: None,
        }
    }

    #[test]
    fn every_member_counts() {
        let record = entry().because(&"é".repeat(600)).chained(3, [1; 32]);
        assert_eq!(record.reason.as_ref().unwrap().chars().count(), REASON_CHARACTERS);
        assert_eq!(record.hash, record.computed_hash());
        let changes: [fn(&mut AuditRecord); 11] = [
            |record| record.seq += 1,
            |record| record.at_ms += 1,
            |record| record.actor.push('x'),
            |record| record.actor_role = None,
            |record| record.ip = Some("127.0.0.2".into()),
            |record| record.action.push('x'),
            |record| record.object_type = None,
            |record| record.object_id = Some("8".into()),
            |record| record.outcome = Outcome::Success,
            |record| record.reason = None,
            |record| record.previous[31] ^= 1,
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut changed = record.clone();
            change(&mut changed);
            assert_ne!(changed.computed_hash(), record.hash, "member {at}");
        }
    }
}
