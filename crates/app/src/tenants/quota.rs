//! Changes of a tenant's quota, and their bounds.

use crate::faults::{invalid, out_of_bounds};
use crate::settings::set;
use tollbook_kit::fault::Detail;
use tollbook_model::tenant::TenantQuota;

const DIRECT_EXPORTS: std::ops::RangeInclusive<u32> = 1..=1000;
const RUNNING_JOBS: std::ops::RangeInclusive<u32> = 1..=1000;
const QUEUED_JOBS: std::ops::RangeInclusive<u32> = 1..=100_000;
/// The greatest number that every reader of JSON takes exactly; 8 PiB.
const MOST_STORED_BYTES: u64 = (1 << 53) - 1;

/// New values of a quota; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct QuotaChange {
    /// Direct exports at once per credential, 1 to 1,000.
    pub direct_exports: Option<u32>,
    /// Jobs that run at once, 1 to 1,000.
    pub running_jobs: Option<u32>,
    /// Jobs that wait, 1 to 100,000.
    pub queued_jobs: Option<u32>,
    /// Bytes of stored records, 0 to 9,007,199,254,740,991, or as many as the disk holds.
    pub stored_bytes: Option<Option<u64>>,
}

impl QuotaChange {
    /// Everything that is wrong with it, named like `quota.running_jobs`; as [`SettingsChange::faults`] for settings.
    ///
    /// [`SettingsChange::faults`]: crate::settings::SettingsChange::faults
    pub fn faults(&self) -> Vec<Detail> {
        let numbers = [
            ("quota.direct_exports", self.direct_exports, DIRECT_EXPORTS),
            ("quota.running_jobs", self.running_jobs, RUNNING_JOBS),
            ("quota.queued_jobs", self.queued_jobs, QUEUED_JOBS),
        ];
        let mut faults: Vec<Detail> = numbers
            .into_iter()
            .filter_map(|(name, value, bounds)| out_of_bounds(name, value, &bounds, "a number"))
            .collect();
        if self.stored_bytes.flatten().is_some_and(|bytes| bytes > MOST_STORED_BYTES) {
            faults.push(invalid("quota.stored_bytes", format!("must be at most {MOST_STORED_BYTES}")));
        }
        faults
    }

    /// Writes the new values over the old ones and says which ones changed.
    pub(crate) fn apply(self, quota: &mut TenantQuota) -> Vec<String> {
        let mut told: Vec<String> = [
            set("quota.direct_exports", &mut quota.direct_exports, self.direct_exports),
            set("quota.running_jobs", &mut quota.running_jobs, self.running_jobs),
            set("quota.queued_jobs", &mut quota.queued_jobs, self.queued_jobs),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let Some(stored_bytes) = self.stored_bytes
            && stored_bytes != quota.stored_bytes
        {
            let bytes = stored_bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
            told.push(format!("quota.stored_bytes now {bytes}"));
            quota.stored_bytes = stored_bytes;
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept_and_changes_told() {
        for (value, wrong) in [(0, 3), (1, 0), (1000, 0), (1001, 2), (100_000, 2), (100_001, 3)] {
            let change = QuotaChange {
                direct_exports: Some(value),
                running_jobs: Some(value),
                queued_jobs: Some(value),
                stored_bytes: Some(Some(0)),
            };
            assert_eq!(change.faults().len(), wrong, "{value}");
        }
        for (bytes, wrong) in [(MOST_STORED_BYTES, 0), (MOST_STORED_BYTES + 1, 1)] {
            let change = QuotaChange { stored_bytes: Some(Some(bytes)), ..QuotaChange::default() };
            assert_eq!(change.faults().len(), wrong, "{bytes}");
        }
        let mut quota = TenantQuota::default();
        let change = QuotaChange {
            direct_exports: Some(8),
            running_jobs: Some(4),
            queued_jobs: None,
            stored_bytes: Some(Some(5)),
        };
        let told = change.clone().apply(&mut quota);
        assert_eq!(told, ["quota.direct_exports from 4 to 8", "quota.stored_bytes now 5"]);
        assert_eq!((quota.direct_exports, quota.stored_bytes), (8, Some(5)));
        assert!(change.apply(&mut quota).is_empty());
        let unlimited = QuotaChange { stored_bytes: Some(None), ..QuotaChange::default() };
        assert_eq!(unlimited.apply(&mut quota), ["quota.stored_bytes now unlimited"]);
    }
}
