//! What a user may be called, may have as a password, a role and an address. Pure.

use crate::faults::invalid;
use tollbook_kit::fault::Detail;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::tenant::TenantName;
use tollbook_model::user::{PASSWORD_BYTES, USERNAME_BYTES, is_username};

/// Longest address of mail, and of its part before the `@`, in bytes (RFC 5321 section 4.5.3.1).
const EMAIL_BYTES: usize = 254;
const LOCAL_PART_BYTES: usize = 64;

/// What is wrong with a name, which is in lower case already.
pub(super) fn username_fault(username: &str) -> Option<Detail> {
    let reason = || format!("must be 1 to {USERNAME_BYTES} bytes without white space and control characters");
    (!is_username(username)).then(|| invalid("username", reason()))
}

/// What is wrong with a password.
pub(super) fn password_fault(password: &Secret<String>) -> Option<Detail> {
    let reason = || format!("must be {} to {} bytes long", PASSWORD_BYTES.start(), PASSWORD_BYTES.end());
    (!PASSWORD_BYTES.contains(&password.reveal().len())).then(|| invalid("password", reason()))
}

/// What is wrong with a user of this tenant having this role.
pub(super) fn role_fault(role: Role, tenant: &TenantName) -> Option<Detail> {
    match role {
        Role::Viewer | Role::Analyst | Role::Auditor | Role::Admin => None,
        Role::Operator if *tenant == TenantName::default_tenant() => None,
        Role::Operator => Some(invalid("role", "operator is a role of the tenant default only")),
        Role::Source => Some(invalid(
            "role",
            "source is a role of tokens only; a user is viewer, analyst, auditor or admin",
        )),
    }
}

/// What is wrong with an address of mail. Whether it exists shows when mail is sent to it.
pub(crate) fn email_fault(email: &str) -> Option<Detail> {
    let local = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
        (1..=LOCAL_PART_BYTES).contains(&text.len()) && text.chars().all(allowed)
    };
    let label = |text: &str| {
        let allowed = |c: char| c.is_alphanumeric() || c == '-';
        (1..=63).contains(&text.len())
            && text.chars().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    let fits = email.len() <= EMAIL_BYTES
        && email
            .rsplit_once('@')
            .is_some_and(|(before, domain)| local(before) && domain.split('.').all(label));
    (!fits).then(|| invalid("email", "must be an address such as name@example.net"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_mail() {
        for email in
            ["eve@example.net", "eve.o'neil+cdr@mail.example.co.uk", "root@localhost", "a@münchen.example"]
        {
            assert_eq!(email_fault(email), None, "{email}");
        }
        let long = format!("{}@example.net", "x".repeat(65));
        for email in [
            "",
            "eve",
            "@example.net",
            "eve@",
            "eve@example..net",
            "eve@-example.net",
            "eve@example.net\r\nbcc: x@example.net",
            "eve smith@example.net",
            "<eve@example.net>",
            "eve@a@b",
            "eve,adam@example.net",
            &long,
        ] {
            assert!(email_fault(email).is_some(), "{email:?}");
        }
    }

    #[test]
    fn roles_of_users() {
        let acme = TenantName::parse("acme").expect("a name");
        for role in Role::ALL {
            let own = role_fault(role, &TenantName::default_tenant()).is_none();
            assert_eq!(own, role != Role::Source, "{role:?}");
            let others = role_fault(role, &acme).is_none();
            assert_eq!(others, !matches!(role, Role::Source | Role::Operator), "{role:?}");
        }
    }

    #[test]
    fn lengths_of_passwords_and_names() {
        for (length, fits) in [(9, false), (10, true), (256, true), (257, false)] {
            assert_eq!(password_fault(&Secret::new("x".repeat(length))).is_none(), fits, "{length}");
        }
        for (length, fits) in [(0, false), (1, true), (128, true), (129, false)] {
            assert_eq!(username_fault(&"x".repeat(length)).is_none(), fits, "{length}");
        }
        assert!(username_fault("a b").is_some() && username_fault("Eve").is_some());
    }
}
