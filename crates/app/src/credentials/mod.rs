//! What logins, tokens and identities have in common: the texts of tokens, the access tokens, and what is remembered of
//! look-ups.
//!
//! Nothing is decided here: who is let in is judged in [`logins`](crate::logins), and whom a credential stands for in
//! [`identity`](crate::identity).

mod access_tokens;
mod memory;
mod served;
mod text;

pub(crate) use access_tokens::{AccessClaims, AccessTokens, LIFE as ACCESS_TOKEN_LIFE, subject};
pub(crate) use memory::{HeldSession, RememberedIdentities};
pub(crate) use served::ServedTenants;
pub use text::TOKEN_LENGTH;
pub(crate) use text::{API_TOKEN, REFRESH_TOKEN, hash_of, is_own_value, is_token, make};
