//! The last step before a record is kept: required fields, identity, pseudonym. The same for every source.

use super::CallField;
use super::record::{CallRecord, FieldProblem};
use crate::privacy;
use crate::tenant::{CallerNumbers, Tenant, TenantName};
use crate::value::Value;
use sha2::{Digest, Sha256};

/// Completes and checks records of one tenant that arrived together.
#[derive(Debug)]
pub struct Admission<'t> {
    tenant: &'t Tenant,
    received_at_ms: i64,
}

impl<'t> Admission<'t> {
    /// Admission of records that arrived at `received_at_ms`.
    pub fn new(tenant: &'t Tenant, received_at_ms: i64) -> Self {
        Self { tenant, received_at_ms }
    }

    /// Checks that required fields are there, sets `id`, `received_at` and `revision`, and replaces an external
    /// caller's number by its pseudonym. The record needs a `source_key` unless it brings its own `id`.
    ///
    /// # Errors
    /// A required field is missing, or an own `id` does not fit its `start_at`.
    pub fn admit(&self, record: &mut CallRecord<'_>) -> Result<(), FieldProblem> {
        for field in [CallField::PbxAlias, CallField::StartAt, CallField::DurationS, CallField::Direction] {
            if record.get(field).is_null() {
                return Err(FieldProblem::new(field, "is required"));
            }
        }
        if record.text(CallField::PbxAlias) == Some("") {
            return Err(FieldProblem::new(CallField::PbxAlias, "must not be empty"));
        }
        self.identify(record)?;
        record.set(CallField::ReceivedAt, Value::Instant(self.received_at_ms))?;
        record.set(CallField::Revision, Value::Integer(0))?;
        if self.tenant.settings.caller_numbers == CallerNumbers::Pseudonym
            && record.text(CallField::Direction) == Some("inbound")
        {
            privacy::pseudonymise(record, self.tenant.newest_key())?;
        }
        Ok(())
    }

    fn identify(&self, record: &mut CallRecord<'_>) -> Result<(), FieldProblem> {
        let start_ms = record.instant(CallField::StartAt).unwrap_or(0);
        if record.get(CallField::SourceId).is_null() {
            let alias = record.text(CallField::PbxAlias).unwrap_or("").to_owned();
            record.set_text(CallField::SourceId, alias)?;
        }
        if let Value::Uuid(own) = record.get(CallField::Id) {
            let own = *own;
            match id_time_ms(&own) {
                Some(ms) if ms == start_ms => return Ok(()),
                Some(_) => {
                    return Err(FieldProblem::new(
                        CallField::Id,
                        "carries another time than start_at: a record keeps its start_at when it is revised",
                    ));
                }
                // An id that carries no time cannot serve as ours: it is the source's key.
                None => {
                    if record.get(CallField::SourceKey).is_null() {
                        record.set_text(CallField::SourceKey, uuid::Uuid::from_bytes(own).to_string())?;
                    }
                }
            }
        }
        let Some(source_key) = record.text(CallField::SourceKey) else {
            return Err(FieldProblem::new(CallField::SourceKey, "is required when there is no id"));
        };
        let source_id = record.text(CallField::SourceId).unwrap_or("");
        let id = derive_id(&self.tenant.name, source_id, source_key, start_ms);
        record.set(CallField::Id, Value::Uuid(id))
    }
}

/// The id of a record: UUID version 8 with 48 bits of start in milliseconds and 74 bits of
/// SHA-256(tenant, source_id, source_key) (`record.md` section 4). The three are parted by NUL bytes.
pub fn derive_id(tenant: &TenantName, source_id: &str, source_key: &str, start_ms: i64) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(tenant.as_str().as_bytes());
    hasher.update([0]);
    hasher.update(source_id.as_bytes());
    hasher.update([0]);
    hasher.update(source_key.as_bytes());
    let digest = hasher.finalize();
    let mut id = [0u8; 16];
    id[..6].copy_from_slice(&start_ms.to_be_bytes()[2..]);
    id[6..].copy_from_slice(&digest[..10]);
    id[6] = 0x80 | (id[6] & 0x0F);
    id[8] = 0x80 | (id[8] & 0x3F);
    id
}

/// The time that an id of version 7 or 8 carries, in milliseconds; none for other versions.
pub fn id_time_ms(id: &[u8; 16]) -> Option<i64> {
    let version = id[6] >> 4;
    if version != 7 && version != 8 {
        return None;
    }
    let mut ms = [0u8; 8];
    ms[2..].copy_from_slice(&id[..6]);
    Some(i64::from_be_bytes(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::PseudonymKey;

    fn tenant() -> Tenant {
        Tenant::new(
            TenantName::default_tenant(),
            vec![PseudonymKey::new(1, std::array::from_fn(|at| at as u8))],
            0,
        )
    }

    fn inbound() -> CallRecord<'static> {
        let mut record = CallRecord::new();
        record.set_text(CallField::PbxAlias, "paris-1").unwrap();
        record.set_text(CallField::Direction, "inbound").unwrap();
        record.set_text(CallField::CallingParty, "+44 20 7123 4567").unwrap();
        record.set_text(CallField::SourceKey, "k1").unwrap();
        record.set(CallField::StartAt, Value::Instant(1_767_603_600_000)).unwrap();
        record.set(CallField::DurationS, Value::Integer(61)).unwrap();
        record
    }

    #[test]
    fn ids_are_version_8_deterministic_and_carry_the_start() {
        let (tenant, mut a, mut b) = (tenant(), inbound(), inbound());
        Admission::new(&tenant, 5).admit(&mut a).unwrap();
        Admission::new(&tenant, 9).admit(&mut b).unwrap();
        assert_eq!(a.get(CallField::Id), b.get(CallField::Id));
        let Value::Uuid(id) = a.get(CallField::Id) else { panic!("an id") };
        assert_eq!(uuid::Uuid::from_bytes(*id).get_version_num(), 8);
        assert_eq!(id_time_ms(id), Some(1_767_603_600_000));
    }

    #[test]
    fn external_callers_become_the_pseudonym_of_the_contract() {
        let (tenant, mut record) = (tenant(), inbound());
        record.set_text(CallField::CallerName, "A. Person").unwrap();
        record.push_extra("clid", "\"A\" <442071234567>");
        record.push_extra("context", "from-trunk");
        Admission::new(&tenant, 5).admit(&mut record).unwrap();
        assert_eq!(record.text(CallField::CallingParty), Some("p1_46811ad46a4377bb53aaa119788081bf"));
        assert_eq!(record.text(CallField::CallingLast4), Some("4567"));
        assert!(record.get(CallField::CallerName).is_null());
        assert_eq!(record.extra().len(), 1, "the caller's digits leave extra too");
        let sealed = record.sealed_calling_party().expect("the original is kept");
        assert_eq!(
            tenant.newest_key().unseal(sealed, "p1_46811ad46a4377bb53aaa119788081bf").as_deref(),
            Some("+44 20 7123 4567")
        );
    }

    #[test]
    fn an_own_id_must_carry_its_start() {
        let (tenant, mut record) = (tenant(), inbound());
        let id = derive_id(&tenant.name, "x", "y", 1_767_603_600_000 + 86_400_000);
        record.set(CallField::Id, Value::Uuid(id)).unwrap();
        assert_eq!(Admission::new(&tenant, 5).admit(&mut record).unwrap_err().field, "id");
    }
}
