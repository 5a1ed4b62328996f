//! `name=value` words as the members of a body, for the settings and quotas of a tenant.
//!
//! Names and forms are looked at here, so that a typo is told at once; bounds are the service's.

use serde_json::{Map, Value, json};
use tollbook_kit::fault::{Detail, Fault, InvalidKind};

/// How a value is read.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Number,
    /// A number, or the word `none`.
    NumberOrNone,
}

/// Settings of a tenant, by path.
const SETTINGS: [(&str, Form); 5] = [
    ("caller_numbers", Form::Text),
    ("retention.cdr_days", Form::Number),
    ("retention.event_days", Form::Number),
    ("retention.audit_months", Form::Number),
    ("native.file_retention", Form::Text),
];
/// Quotas of a tenant, by path.
const QUOTA: [(&str, Form); 4] = [
    ("quota.direct_exports", Form::Number),
    ("quota.running_jobs", Form::Number),
    ("quota.queued_jobs", Form::Number),
    ("quota.stored_bytes", Form::NumberOrNone),
];

/// The body that changes these settings.
///
/// # Errors
/// `invalid`, naming every word that is none.
pub(super) fn settings(words: &[String]) -> Result<Value, Fault> {
    read(words, &SETTINGS)
}

/// The body that changes these settings and quotas of a tenant.
///
/// # Errors
/// As [`settings`].
pub(super) fn settings_and_quota(words: &[String]) -> Result<Value, Fault> {
    let known: Vec<_> = SETTINGS.into_iter().chain(QUOTA).collect();
    let mut all = read(words, &known)?;
    let quota = all.as_object_mut().and_then(|members| members.remove("quota"));
    Ok(json!({"settings": all, "quota": quota.unwrap_or_else(|| json!({}))}))
}

fn read(words: &[String], known: &[(&str, Form)]) -> Result<Value, Fault> {
    let mut body = Map::new();
    let mut wrong = Vec::new();
    for word in words {
        let (path, text) = word.split_once('=').unwrap_or((word, ""));
        match value_of(path, text, known) {
            Ok(value) => {
                let (folder, name) = path.split_once('.').unwrap_or(("", path));
                let within = if folder.is_empty() { Some(&mut body) } else { inner(&mut body, folder) };
                if within.is_some_and(|members| members.insert(name.into(), value).is_some()) {
                    wrong.push(detail(path, "is given twice"));
                }
            }
            Err(reason) => wrong.push(detail(path, reason)),
        }
    }
    if wrong.is_empty() { Ok(Value::Object(body)) } else { Err(Fault::from_details(wrong)) }
}

fn inner<'b>(body: &'b mut Map<String, Value>, folder: &str) -> Option<&'b mut Map<String, Value>> {
    body.entry(folder).or_insert_with(|| json!({})).as_object_mut()
}

fn value_of(path: &str, text: &str, known: &[(&str, Form)]) -> Result<Value, String> {
    let Some((_, form)) = known.iter().find(|(name, _)| *name == path) else {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        return Err(format!("is none of {}", names.join(", ")));
    };
    let number = || text.parse::<u64>().ok().map(Value::from);
    match form {
        Form::Text if text.is_empty() => Err(format!("needs a value: {path}=VALUE")),
        Form::Text => Ok(Value::from(text)),
        Form::NumberOrNone if text == "none" => Ok(Value::Null),
        Form::NumberOrNone => number().ok_or_else(|| format!("needs a number or none: {path}=NUMBER")),
        Form::Number => number().ok_or_else(|| format!("needs a number: {path}=NUMBER")),
    }
}

fn detail(name: &str, reason: impl Into<String>) -> Detail {
    Detail { name: name.into(), reason: reason.into(), kind: InvalidKind::InvalidParameter }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn words_become_bodies() {
        let given = words(&["caller_numbers=plain", "retention.cdr_days=30", "retention.audit_months=24"]);
        let wanted = json!({"caller_numbers": "plain", "retention": {"cdr_days": 30, "audit_months": 24}});
        assert_eq!(settings(&given).unwrap(), wanted);
        let given = words(&["native.file_retention=36h", "quota.running_jobs=8", "quota.stored_bytes=none"]);
        let wanted = json!({
            "settings": {"native": {"file_retention": "36h"}},
            "quota": {"running_jobs": 8, "stored_bytes": null},
        });
        assert_eq!(settings_and_quota(&given).unwrap(), wanted);
        assert_eq!(settings_and_quota(&[]).unwrap(), json!({"settings": {}, "quota": {}}));
    }

    #[test]
    fn every_wrong_word_is_named() {
        let given = words(&[
            "cdr_days=30",
            "retention.cdr_days=many",
            "caller_numbers",
            "quota.running_jobs=8",
            "callback_secret=hunter22",
            "retention.audit_months=2",
            "retention.audit_months=3",
        ]);
        let fault = settings(&given).unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "cdr_days",
                "retention.cdr_days",
                "caller_numbers",
                "quota.running_jobs",
                "callback_secret",
                "retention.audit_months"
            ]
        );
        assert!(!fault.log_text().contains("hunter22"));
    }
}
