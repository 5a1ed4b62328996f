//! Users and their login sessions. Passwords are kept as argon2id hashes, refresh tokens as SHA-256.

use crate::access::Role;
use crate::tenant::TenantName;
use tollbook_kit::secret::Secret;
use uuid::Uuid;

/// Longest user name in bytes.
pub const USERNAME_BYTES: usize = 128;
/// Length of a password in bytes, from and to.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 10..=256;
/// Most sessions of one user or token. Beginning one more ends the oldest.
pub const MOST_SESSIONS: usize = 100;

/// A person who can log in: of one tenant, in one role. User names are unique in the whole instance, as a login names
/// no tenant; they are compared in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantName,
    /// Its name at login, in lower case.
    pub username: String,
    /// Where mail for it goes.
    pub email: Option<String>,
    /// Its role.
    pub role: Role,
    /// May it log in?
    pub enabled: bool,
    /// Does its login need a one-time password?
    pub has_second_factor: bool,
    /// When it was made, in milliseconds.
    pub created_at_ms: i64,
    /// When it last logged in, in milliseconds.
    pub last_login_at_ms: Option<i64>,
}

/// May this text name a user? Lower case, 1 to [`USERNAME_BYTES`] bytes, no white space and no control characters.
pub fn is_username(text: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control();
    (1..=USERNAME_BYTES).contains(&text.len()) && text.chars().all(fits) && text == text.to_lowercase()
}

/// What a user proves himself with.
#[derive(Debug, Clone)]
pub struct UserCredentials {
    /// The PHC text of the argon2id hash of the password.
    pub password_hash: Secret<String>,
    /// The key of one-time passwords (RFC 6238), where there is a second factor.
    pub second_factor: Option<Secret<Vec<u8>>>,
    /// The time step of the last one-time password of that key that let him in: this one and earlier ones are used up.
    pub last_step: Option<i64>,
}

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionHolder {
    /// A user who logged in.
    User(Uuid),
    /// A token that was exchanged for a short-lived one.
    Token(Uuid),
}

/// A login: it lives until its end, its logout, or the end of the user or token behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, in the claims of every access token made from it.
    pub id: Uuid,
    /// Whose it is.
    pub holder: SessionHolder,
    /// When it began, in milliseconds.
    pub created_at_ms: i64,
    /// From when on it is over, in milliseconds.
    pub expires_at_ms: i64,
}

/// A session to be begun.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// SHA-256 of its refresh token, if it has one.
    pub refresh_hash: Option<[u8; 32]>,
    /// The time step of the one-time password that was shown for it, if one was.
    pub step: Option<i64>,
}

/// A session with what its user or token is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// The session.
    pub session: Session,
    /// The tenant of its holder.
    pub tenant: TenantName,
    /// The role of its holder.
    pub role: Role,
    /// Name of its holder: the user name, or the token's name.
    pub name: String,
}
