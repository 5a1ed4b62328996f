//! Who acts and in which role, as permissions and the audit log name them.
//!
//! What a role may do is in [`access`](crate::access).

use std::fmt;
use uuid::Uuid;

/// The role of a credential (`natalia.md` section 3). The order is that of power among people's roles, so that of
/// several roles the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A PBX: posts records and nothing else.
    Source,
    /// Looks at dashboards.
    Viewer,
    /// Exports call records and KPIs.
    Analyst,
    /// Exports everything, changes nothing.
    Auditor,
    /// Everything within the tenant.
    Admin,
    /// The operator of the instance: an admin of his own tenant who also creates, changes and closes tenants. Never
    /// follows from the claims of an identity provider.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Source, Self::Viewer, Self::Analyst, Self::Auditor, Self::Admin, Self::Operator];

    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Who acts, as the audit log names him.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Whoever holds this token.
    Token(Uuid),
    /// A user of ours.
    User(Uuid),
    /// A subject of the outside identity provider, in a form that [`Actor::subject`] made.
    Subject(String),
    /// Whoever holds a signed link that this key signed.
    Link(String),
    /// The process itself, as for what stands in files.
    System,
}

impl Actor {
    /// Longest subject that is shown as it is.
    const SUBJECT_BYTES: usize = 128;
    /// With so many digits a text could be a phone number, however they are parted.
    const SHORTEST_NUMBER: usize = 7;

    /// A subject of the outside identity provider. One that could be a phone number, or is long or unprintable, is
    /// named by `stand_in` instead: numbers never appear in the audit log.
    pub fn subject(subject: &str, stand_in: Uuid) -> Self {
        let printable = subject.bytes().all(|byte| byte.is_ascii_graphic());
        let is_uuid = Uuid::parse_str(subject).is_ok();
        let digits = subject.bytes().filter(u8::is_ascii_digit).count();
        let shown =
            printable && subject.len() <= Self::SUBJECT_BYTES && (is_uuid || digits < Self::SHORTEST_NUMBER);
        Self::Subject(if shown && !subject.is_empty() { subject.to_owned() } else { stand_in.to_string() })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Subject(name) => write!(f, "subject:{name}"),
            Self::Link(kid) => write!(f, "link:{kid}"),
            Self::System => f.write_str("system"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_look_like_numbers_are_not_named() {
        let stand_in = Uuid::from_u128(7);
        let shown = |subject: &str| Actor::subject(subject, stand_in).to_string();
        for subject in ["alice", "alice@example.net", "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", "a123456"] {
            assert_eq!(shown(subject), format!("subject:{subject}"));
        }
        for subject in [
            "+442071234567",
            "tel:44-20-7123.4567",
            "44_2071_234_567",
            "u1:2:3:4:5:6:7",
            "a b",
            "é",
            "",
            "1234567",
            &"x".repeat(129),
        ] {
            assert_eq!(shown(subject), format!("subject:{stand_in}"), "{subject}");
        }
    }
}
