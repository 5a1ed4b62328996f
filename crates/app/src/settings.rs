//! Settings of the caller's own tenant: showing and changing them.
//!
//! What they mean is known to those who obey them. Quotas are not here: only the operator changes those.

use crate::faults::{all_right, invalid, out_of_bounds};
use crate::rights::Rights;
use crate::tenants::TenantDirectory;
use std::sync::Arc;
use tollbook_kit::fault::{Detail, Fault};
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Action, Caller};
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantSettings};

/// Months for which the audit log may be kept.
const AUDIT_MONTHS: std::ops::RangeInclusive<u32> = 1..=1200;
/// Seconds for which files of exports may be kept.
const FILE_RETENTION_S: std::ops::RangeInclusive<u32> = 3600..=30 * 86_400;
/// Length of a callback secret in bytes.
const CALLBACK_SECRET_BYTES: std::ops::RangeInclusive<usize> = 8..=128;

/// The settings of tenants, as their admins see them.
pub struct Settings {
    rights: Arc<Rights>,
    tenants: Arc<TenantDirectory>,
}

impl Settings {
    pub(crate) fn new(rights: Arc<Rights>, tenants: Arc<TenantDirectory>) -> Self {
        Self { rights, tenants }
    }

    /// May the caller see and change settings at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require(caller, Action::ManageSettings).await
    }

    /// The caller's tenant with its settings.
    ///
    /// # Errors
    /// `forbidden`, `unavailable` or `internal`.
    pub async fn show(&self, caller: &Caller) -> Result<Arc<Tenant>, Fault> {
        self.permit(caller).await?;
        self.tenants.of(caller).await
    }

    /// Changes settings of the caller's tenant and answers it as it is then. What changes nothing is not logged.
    ///
    /// # Errors
    /// `forbidden`; `invalid`, naming everything that is wrong; `conflict` when the tenant is closed; `storage_full`,
    /// `unavailable` or `internal`.
    pub async fn change(&self, caller: &Caller, change: SettingsChange) -> Result<Tenant, Fault> {
        self.permit(caller).await?;
        all_right(change.faults())?;
        self.tenants
            .change(
                caller,
                &caller.tenant,
                "settings.change",
                |tenant| Ok(change.apply(&mut tenant.settings)),
            )
            .await
    }
}

/// New values of settings; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct SettingsChange {
    /// Policy for callers' numbers; counts for records that arrive from then on.
    pub caller_numbers: Option<CallerNumbers>,
    /// A secret of 8 to 128 printable ASCII characters, or none any more.
    pub callback_secret: Option<Option<Secret<String>>>,
    /// Days for which call records are kept, 1 to 36,500. Fewer days delete older records for good.
    pub cdr_days: Option<u32>,
    /// Days for which event records are kept, 1 to 36,500.
    pub event_days: Option<u32>,
    /// Months for which the audit log is kept, 1 to 1,200.
    pub audit_months: Option<u32>,
    /// Seconds for which files of exports are kept, an hour to 30 days.
    pub file_retention_s: Option<u32>,
}

impl SettingsChange {
    /// Everything that is wrong with it, under the names that changes of settings have. Protocols ask for it to name all
    /// faults of a request in one answer.
    pub fn faults(&self) -> Vec<Detail> {
        let days = 1..=TenantSettings::MOST_DAYS;
        let numbers = [
            ("retention.cdr_days", self.cdr_days, days.clone(), "a number of days"),
            ("retention.event_days", self.event_days, days, "a number of days"),
            ("retention.audit_months", self.audit_months, AUDIT_MONTHS, "a number of months"),
        ];
        let mut faults: Vec<Detail> = numbers
            .into_iter()
            .filter_map(|(name, value, bounds, what)| out_of_bounds(name, value, &bounds, what))
            .collect();
        if self.file_retention_s.is_some_and(|seconds| !FILE_RETENTION_S.contains(&seconds)) {
            faults.push(invalid("native.file_retention", "must be from 1h to 30d"));
        }
        if let Some(Some(secret)) = &self.callback_secret
            && !is_callback_secret(secret.reveal())
        {
            faults.push(invalid("callback_secret", "must be 8 to 128 printable ASCII characters"));
        }
        faults
    }

    /// Writes the new values over the old ones and says which ones changed; a secret is named, never told.
    pub(crate) fn apply(self, settings: &mut TenantSettings) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(caller_numbers) = self.caller_numbers
            && caller_numbers != settings.caller_numbers
        {
            let word = match caller_numbers {
                CallerNumbers::Pseudonym => "pseudonym",
                CallerNumbers::Plain => "plain",
            };
            told.push(format!("caller_numbers now {word}"));
            settings.caller_numbers = caller_numbers;
        }
        if let Some(callback_secret) = self.callback_secret
            && callback_secret != settings.callback_secret
        {
            let what = if callback_secret.is_some() { "set" } else { "removed" };
            told.push(format!("callback_secret {what}"));
            settings.callback_secret = callback_secret;
        }
        told.extend(set("retention.cdr_days", &mut settings.cdr_days, self.cdr_days));
        told.extend(set("retention.event_days", &mut settings.event_days, self.event_days));
        told.extend(set("retention.audit_months", &mut settings.audit_months, self.audit_months));
        let file_retention =
            set("native.file_retention", &mut settings.file_retention_s, self.file_retention_s);
        told.extend(file_retention.map(|told| format!("{told} seconds")));
        told
    }
}

/// Sets a value that is given and differs, and says so.
pub(crate) fn set(name: &str, value: &mut u32, given: Option<u32>) -> Option<String> {
    let given = given.filter(|given| given != value)?;
    let former = std::mem::replace(value, given);
    Some(format!("{name} from {former} to {given}"))
}

fn is_callback_secret(text: &str) -> bool {
    CALLBACK_SECRET_BYTES.contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7E).contains(&byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;

    fn secret(text: &str) -> Option<Option<Secret<String>>> {
        Some(Some(Secret::new(text.to_owned())))
    }

    #[test]
    fn every_bound_is_kept_and_every_fault_named_at_once() {
        let days = |cdr_days| SettingsChange { cdr_days: Some(cdr_days), ..SettingsChange::default() };
        for (cdr_days, fits) in [(0, false), (1, true), (36_500, true), (36_501, false)] {
            assert_eq!(days(cdr_days).faults().is_empty(), fits, "{cdr_days} days");
        }
        for (months, fits) in [(0, false), (1, true), (1200, true), (1201, false)] {
            let change = SettingsChange { audit_months: Some(months), ..SettingsChange::default() };
            assert_eq!(change.faults().is_empty(), fits, "{months} months");
        }
        for (seconds, fits) in [(3599, false), (3600, true), (2_592_000, true), (2_592_001, false)] {
            let change = SettingsChange { file_retention_s: Some(seconds), ..SettingsChange::default() };
            assert_eq!(change.faults().is_empty(), fits, "{seconds} seconds");
        }
        for (text, fits) in [
            ("1234567", false),
            ("12345678", true),
            (&"x".repeat(129), false),
            ("pässword1", false),
            ("12345678\n", false),
        ] {
            let change = SettingsChange { callback_secret: secret(text), ..SettingsChange::default() };
            assert_eq!(change.faults().is_empty(), fits, "{text:?}");
        }
        let all_wrong = SettingsChange {
            caller_numbers: None,
            callback_secret: secret("short"),
            cdr_days: Some(0),
            event_days: Some(0),
            audit_months: Some(0),
            file_retention_s: Some(0),
        };
        let fault = all_right(all_wrong.faults()).unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "retention.cdr_days",
                "retention.event_days",
                "retention.audit_months",
                "native.file_retention",
                "callback_secret"
            ]
        );
    }

    #[test]
    fn what_changed_is_told_without_the_secret() {
        let mut settings = TenantSettings::default();
        let change = SettingsChange {
            caller_numbers: Some(CallerNumbers::Plain),
            callback_secret: secret("hush-hush"),
            cdr_days: Some(30),
            event_days: Some(60),
            audit_months: None,
            file_retention_s: Some(3600),
        };
        let told = change.clone().apply(&mut settings).join("; ");
        assert_eq!(
            told,
            "caller_numbers now plain; callback_secret set; retention.cdr_days from 400 to 30; \
             native.file_retention from 604800 to 3600 seconds"
        );
        assert_eq!(
            settings.callback_secret.as_ref().map(|secret| secret.reveal().as_str()),
            Some("hush-hush")
        );
        assert!(change.apply(&mut settings).is_empty(), "the second time nothing changes");
        let none = SettingsChange { callback_secret: Some(None), ..SettingsChange::default() };
        assert_eq!(none.apply(&mut settings), ["callback_secret removed"]);
    }
}
