//! What is taken as a credential: the outside issuer, and where its tokens say groups and roles.

use super::reader::{Reader, reason_of};
use tollbook_app::AuthConfig;
use tollbook_connect::egress::EgressPolicy;
use tollbook_connect::issuer::IssuerConfig;

/// What is taken as a credential.
#[derive(Debug, Clone)]
pub(crate) struct AuthSettings {
    /// The outside issuer, where there is one.
    pub(crate) issuer: Option<IssuerConfig>,
    /// Where tokens say groups and roles.
    pub(crate) claims: AuthConfig,
    /// May API tokens be exchanged for short-lived ones?
    pub(crate) client_credentials: bool,
}

impl AuthSettings {
    /// Reads them. An issuer that `egress` will never reach is refused: else the first login would notice.
    pub(super) fn read(reader: &mut Reader<'_>, egress: &EgressPolicy) -> Self {
        let url = reader.text("auth.issuer");
        if !url.is_empty()
            && let Err(fault) = egress.judge(url)
        {
            reader.wrong("auth.issuer", reason_of(&fault));
        }
        let audience = reader.list_of("auth.audience", "must be names", |name| Some(name.to_owned()));
        let claims = AuthConfig {
            group_claims: claims(reader, "auth.group_claims"),
            role_claims: claims(reader, "auth.role_claims"),
        };
        // Tokens name their issuer letter by letter, a slash at the end included: it is kept as it stands.
        let issuer = (!url.is_empty()).then(|| IssuerConfig { issuer: url.to_owned(), audience });
        Self { issuer, claims, client_credentials: reader.flag("auth.client_credentials") }
    }
}

/// Paths of claims, with dots between names.
fn claims(reader: &mut Reader<'_>, path: &str) -> Vec<String> {
    reader.list_of(path, "must be names of claims, with dots into objects", |claim| {
        claim.split('.').all(|name| !name.is_empty()).then(|| claim.to_owned())
    })
}
