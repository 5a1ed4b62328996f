//! Source keys for records that bring neither a key nor an id: made from their content, so that the same body sent
//! again gives the same ids, and counted within the body, so that equal rows stay records of their own.

use std::collections::HashMap;
use tollbook_model::call::CallRecord;
use tollbook_model::tenant::Tenant;
use xxhash_rust::xxh3::xxh3_128;

/// The keys made for one body.
pub(super) struct MissingKeys<'t> {
    tenant: &'t Tenant,
    seen: HashMap<u128, u32>,
    content: Vec<u8>,
}

impl<'t> MissingKeys<'t> {
    pub(super) fn new(tenant: &'t Tenant) -> Self {
        Self { tenant, seen: HashMap::new(), content: Vec::new() }
    }

    /// `h`, 32 hexadecimal digits of the content, `-`, and how often the body has had this content, from 1.
    pub(super) fn next_key(&mut self, record: &CallRecord<'_>) -> String {
        self.content.clear();
        record.push_content(record.extra_text().as_deref(), &mut self.content);
        let digest = xxh3_128(&self.content);
        let occurrence = self.seen.entry(digest).or_insert(0);
        *occurrence += 1;
        format!("h{}-{occurrence}", self.tenant.shown_digest(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::call::CallField;
    use tollbook_model::privacy::PseudonymKey;
    use tollbook_model::tenant::{CallerNumbers, TenantName};

    #[test]
    fn keys_are_counted_hide_the_content_and_survive_a_rotation() {
        let tenant = |caller_numbers, keys: &[u8]| {
            Tenant::new(
                TenantName::default_tenant(),
                (1..).zip(keys).map(|(at, key)| PseudonymKey::new(at, [*key; 32])).collect(),
                0,
            )
            .with_caller_numbers(caller_numbers)
        };
        let mut record = CallRecord::new();
        record.set_text(CallField::CallingParty, "+442071234567").unwrap();
        let keys = |tenant: &Tenant| {
            let mut keys = MissingKeys::new(tenant);
            [keys.next_key(&record), keys.next_key(&record)]
        };
        let hidden = keys(&tenant(CallerNumbers::Pseudonym, &[1]));
        assert_eq!(hidden[0].strip_suffix('1'), hidden[1].strip_suffix('2'), "{hidden:?}");
        assert_eq!(keys(&tenant(CallerNumbers::Pseudonym, &[1, 2])), hidden, "after a rotation");
        assert_ne!(keys(&tenant(CallerNumbers::Pseudonym, &[2])), hidden, "without the key they say nothing");
        assert_ne!(keys(&tenant(CallerNumbers::Plain, &[1])), hidden);
    }
}
