//! Source keys for records that bring neither a key nor an id: made from their content, so that the same body sent
//! again gives the same ids, and counted within the body, so that equal rows stay records of their own.

use std::collections::HashMap;
use tollbook_model::call::CallRecord;
use tollbook_model::tenant::{CallerNumbers, Tenant};
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
        format!("h{}-{occurrence}", shown_digest(self.tenant, digest))
    }
}

/// The digest as the key shows it. Keys can be exported, and a caller's number is a short secret: whoever knows the
/// rest of a record could try all numbers against a bare digest, so a tenant with pseudonyms gets it keyed.
fn shown_digest(tenant: &Tenant, digest: u128) -> String {
    let bare = format!("{digest:032x}");
    match tenant.caller_numbers {
        CallerNumbers::Plain => bare,
        CallerNumbers::Pseudonym => {
            let keyed = tenant.newest_key().pseudonym(&bare);
            keyed.rsplit('_').next().map_or(bare, str::to_owned)
        }
    }
}
