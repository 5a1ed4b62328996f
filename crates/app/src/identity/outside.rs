//! What the claims of an outside identity provider mean here: tenants and a role (`omilia.md` section 2.2).
//!
//! The claims were verified before. Whether a tenant of such a name exists is looked up after.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tollbook_model::access::Role;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Most groups of one subject that are looked at.
pub(super) const MOST_GROUPS: usize = 64;

/// Role words in claims and the roles they give: the words of the vendor's platform, and our own. Two roles never follow
/// from claims: whoever administers an identity provider must not become the operator of this instance by it, and a PBX
/// does not log in.
const ROLE_WORDS: [(&str, Role); 9] = [
    ("Owner", Role::Admin),
    ("OrgAdmin", Role::Admin),
    ("admin", Role::Admin),
    ("auditor", Role::Auditor),
    ("analyst", Role::Analyst),
    ("Viewer", Role::Viewer),
    ("Developer", Role::Viewer),
    ("Maintainer", Role::Viewer),
    ("viewer", Role::Viewer),
];

/// The tenants that the claims at these dotted paths could mean, each once, of at most [`MOST_GROUPS`] groups.
///
/// Of a group like `/customers/acme` the last segment counts, so one leading slash never matters. A whole value with a
/// slash inside cannot be a tenant's name.
pub(super) fn groups(claims: &Map<String, Value>, paths: &[String]) -> Vec<TenantName> {
    let mut names: Vec<TenantName> = Vec::new();
    let words = paths.iter().flat_map(|path| words(claims, path));
    for word in words.take(MOST_GROUPS) {
        let last = word.rsplit('/').next().unwrap_or(word);
        if let Some(name) = TenantName::parse(last)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// The highest role that the claims at these dotted paths give.
pub(super) fn role(claims: &Map<String, Value>, paths: &[String]) -> Option<Role> {
    let words = paths.iter().flat_map(|path| words(claims, path));
    words.filter_map(|word| ROLE_WORDS.iter().find(|(known, _)| *known == word).map(|(_, role)| *role)).max()
}

/// What stands for a subject where an id is needed: the same in every process and for good. It does not show the subject,
/// but is no secret of it: whoever has a guess, such as each number of a range, can check it.
pub(super) fn stand_in(issuer: &str, subject: &str) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(issuer);
    digest.update(b"\n");
    digest.update(subject);
    let digest: [u8; 32] = digest.finalize().into();
    let (first, _) = digest.split_first_chunk::<16>().expect("a digest has 32 bytes");
    uuid::Builder::from_custom_bytes(*first).into_uuid()
}

/// The words of a claim: the texts of an array, or of a text with commas between them.
fn words<'c>(claims: &'c Map<String, Value>, path: &str) -> Vec<&'c str> {
    match at_path(claims, path) {
        Some(Value::String(text)) => text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect(),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The claim at a dotted path. A name that holds dots itself, such as a URL, is found too, being tried as a whole first.
fn at_path<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at_path(claims.get(first)?.as_object()?, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn groups_of(claims: &Value) -> String {
        let found = groups(claims.as_object().expect("claims"), &paths(&["groups", "allowed_groups"]));
        found.iter().map(TenantName::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn groups_are_arrays_or_comma_texts_and_their_last_segment_counts() {
        for (claims, wanted) in [
            (json!({"groups": ["acme", "/acme", "/customers/acme", "Acme"]}), "acme Acme"),
            (json!({"groups": "acme, /other ,,x/y"}), "acme other y"),
            (json!({"groups": ["a"], "allowed_groups": "b"}), "a b"),
            (json!({"groups": ["acme/", "a b", "", "é", 7, null, ["x"], {"y": 1}]}), ""),
            (json!({"groups": {"acme": true}}), ""),
            (json!({"groups": true, "roles": ["acme"]}), ""),
            (json!({}), ""),
        ] {
            assert_eq!(groups_of(&claims), wanted, "{claims}");
        }
        let many: Vec<String> = (0..1000).map(|at| format!("g{at}")).collect();
        assert_eq!(
            groups_of(&json!({"groups": many, "allowed_groups": "late"})).split(' ').count(),
            MOST_GROUPS
        );
    }

    #[test]
    fn the_highest_role_wins_and_two_never_follow() {
        let role_of = |words: Value| {
            let claims = json!({"realm_access": {"roles": words}});
            role(claims.as_object().expect("claims"), &paths(&["realm_access.roles", "roles"]))
        };
        for (word, wanted) in [
            ("Owner", Role::Admin),
            ("OrgAdmin", Role::Admin),
            ("admin", Role::Admin),
            ("auditor", Role::Auditor),
            ("analyst", Role::Analyst),
            ("Viewer", Role::Viewer),
            ("Developer", Role::Viewer),
            ("Maintainer", Role::Viewer),
            ("viewer", Role::Viewer),
        ] {
            assert_eq!(role_of(json!([word])), Some(wanted), "{word}");
            assert_eq!(role_of(json!(["viewer", "nothing", word])), Some(wanted.max(Role::Viewer)), "{word}");
        }
        for word in
            ["operator", "Operator", "source", "owner", "Admin", "ADMIN", "admin ", "", "offline_access"]
        {
            assert_eq!(role_of(json!([word])), None, "{word}");
        }
        assert_eq!(role_of(json!("viewer,auditor")), Some(Role::Auditor));
        assert_eq!(role_of(json!({"admin": true})), None);
    }

    #[test]
    fn paths_may_lead_inside_or_be_names_with_dots() {
        let claims =
            json!({"a": {"b": {"c": "acme"}}, "https://x.example/groups": ["dotted"], "a.b": "whole"});
        let claims = claims.as_object().expect("claims");
        for (path, wanted) in [
            ("a.b.c", Some("acme")),
            ("https://x.example/groups", Some("dotted")),
            ("a.b", Some("whole")),
            ("a.c", None),
            ("a", None),
            ("a.b.c.d", None),
        ] {
            assert_eq!(words(claims, path).first().copied(), wanted, "{path}");
        }
    }

    #[test]
    fn a_subject_has_one_stand_in_per_issuer() {
        let one = stand_in("https://a", "b");
        assert_eq!(one, stand_in("https://a", "b"));
        assert_eq!(one.get_version_num(), 8);
        assert_ne!(one, stand_in("https://c", "b"));
        assert_ne!(one, stand_in("https://a", "c"));
    }
}
