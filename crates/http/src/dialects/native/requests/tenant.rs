//! Tenants to be made or changed.

use super::members::Members;
use super::settings::{self, settings};
use crate::openapi::parameters::TENANT_NAME;
use crate::openapi::schemas::{meaning, number, object, or_null, text};
use serde_json::{Value, json};
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Fault;
use tollbook_model::tenant::TenantName;

/// Reads a new tenant: its name, and what is not as usual.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn new_tenant(mut given: Members) -> Result<(String, SettingsChange, QuotaChange), Fault> {
    let name = given.required_text("name");
    let (settings, quota) = settings_and_quota(&mut given);
    given.finish()?;
    let name = name.ok_or_else(|| Fault::internal("a tenant passed without its name"))?;
    Ok((name, settings, quota))
}

/// Reads what is to be changed of a tenant.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn change(mut given: Members) -> Result<(SettingsChange, QuotaChange), Fault> {
    let both = settings_and_quota(&mut given);
    given.finish()?;
    Ok(both)
}

fn settings_and_quota(given: &mut Members) -> (SettingsChange, QuotaChange) {
    let settings = given.among("settings", settings).unwrap_or_default();
    let quota = given.within("quota", |quota| QuotaChange {
        direct_exports: quota.number("direct_exports"),
        running_jobs: quota.number("running_jobs"),
        queued_jobs: quota.number("queued_jobs"),
        stored_bytes: quota.number_or_null("stored_bytes"),
    });
    let quota = quota.unwrap_or_default();
    given.judged(quota.faults());
    (settings, quota)
}

/// What documents say of a new tenant.
pub(crate) fn new_tenant_schema() -> Value {
    let name = text(1..=TenantName::MOST_BYTES, TENANT_NAME);
    let name = meaning(name, "Its name; no two may differ in case only.");
    object(json!({"name": name, "settings": settings::schema(), "quota": quota_schema()}), &["name"])
}

/// What documents say of a change of a tenant.
pub(crate) fn change_schema() -> Value {
    object(json!({"settings": settings::schema(), "quota": quota_schema()}), &[])
}

fn quota_schema() -> Value {
    let members = json!({
        "direct_exports": meaning(number(1..=1000), "Direct exports at once per credential."),
        "running_jobs": meaning(number(1..=1000), "Jobs that run at once."),
        "queued_jobs": meaning(number(1..=100_000), "Jobs that wait."),
        "stored_bytes": meaning(
            or_null(number(0..=9_007_199_254_740_991)),
            "Bytes of stored records; null: as many as the disk holds.",
        ),
    });
    object(members, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: Value) -> Members {
        let Value::Object(object) = value else { panic!("an object") };
        Members::of(object)
    }

    #[test]
    fn tenants_are_read_whole() {
        let (name, settings, quota) = new_tenant(members(json!({
            "name": "acme", "settings": {"retention": {"cdr_days": 30}},
            "quota": {"direct_exports": 1, "running_jobs": 2, "queued_jobs": 3, "stored_bytes": null}
        })))
        .unwrap();
        assert_eq!((name.as_str(), settings.cdr_days), ("acme", Some(30)));
        assert_eq!((quota.direct_exports, quota.running_jobs), (Some(1), Some(2)));
        assert_eq!((quota.queued_jobs, quota.stored_bytes), (Some(3), Some(None)));
        let (settings, quota) = change(members(json!({}))).unwrap();
        assert!(settings.cdr_days.is_none() && quota.stored_bytes.is_none());
    }

    #[test]
    fn every_fault_is_named() {
        let wrong = json!({"name": "x", "quota": {"queued_jobs": 1.5, "x": 1}, "settings": {"retention": 1}});
        let fault = change(members(wrong)).unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(names, ["quota.x", "name", "retention", "quota.queued_jobs"]);
        let fault = new_tenant(members(json!({"settings": {"typo": 1}}))).unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(names, ["typo", "name"]);
    }
}
