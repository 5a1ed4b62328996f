//! Identities: whom a credential stands for, of which tenants and in which role.
//!
//! What follows from that is decided in [`rights`](crate::rights), and where a credential is found in a request by `http`.
//! Whatever does not hold is refused with the same words, whyever: they teach nothing to whoever guesses.

mod outside;
mod uses;

use crate::credentials::{
    AccessClaims, AccessTokens, HeldSession, RememberedIdentities, ServedTenants, hash_of, is_token, subject,
};
use crate::signing_keys::SigningKeyRing;
use crate::{AuthConfig, Ports};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::access::{Actor, Caller, Role};
use tollbook_model::ports::{Sessions, TokenIssuer, Tokens};
use tollbook_model::tenant::TenantName;
use tollbook_model::token::Token;
use tollbook_model::user::SessionHolder;
use uses::TokenUses;
use uuid::Uuid;

/// Longest JWT of an outside issuer that is looked at, in bytes.
const MOST_JWT_BYTES: usize = 32 << 10;

/// Turns credentials into identities.
pub struct Identities {
    tokens: Arc<dyn Tokens>,
    sessions: Arc<dyn Sessions>,
    tenants: ServedTenants,
    issuer: Option<Arc<dyn TokenIssuer>>,
    auth: AuthConfig,
    clock: Arc<dyn Clock>,
    access_tokens: AccessTokens,
    remembered: RememberedIdentities,
    uses: Arc<TokenUses>,
}

impl Identities {
    pub(crate) fn new(ports: &Ports, keys: &SigningKeyRing, remembered: RememberedIdentities) -> Self {
        let ids = IdSource::new(ports.clock.clone(), ports.randomness.clone());
        Self {
            tokens: ports.tokens.clone(),
            sessions: ports.sessions.clone(),
            tenants: ServedTenants::new(ports, remembered.clone()),
            issuer: ports.issuer.clone(),
            auth: ports.auth.clone(),
            clock: ports.clock.clone(),
            access_tokens: AccessTokens::new(&ports.public_url, keys, ids),
            remembered,
            uses: Arc::new(TokenUses::new(ports.tokens.clone(), ports.clock.clone())),
        }
    }

    /// Starts what notes when tokens were last used.
    pub(crate) fn start_tasks(&self, supervisor: &Supervisor) {
        let (uses, stop) = (self.uses.clone(), supervisor.stop_token());
        supervisor.spawn("token-uses", OnError::Log, async move { uses.write_down(stop).await });
    }

    /// Whom this secret stands for, coming from that address: an API token, else an access token of our own, else one of
    /// the outside issuer.
    ///
    /// What is looked up is remembered for a moment, and forgotten at once when it is changed through this process. Ends
    /// and networks are judged at every use.
    ///
    /// # Errors
    /// `unauthenticated`, with the same words whatever is wrong; `unavailable` or `internal`.
    pub async fn authenticate(&self, secret: &str, from: Option<IpAddr>) -> Result<Identity, Fault> {
        if let Some(token) = self.token(secret).await? {
            return self.holder_of(token, from).await;
        }
        match self.access_tokens.read(secret, self.clock.now_ms()) {
            Some(claims) => self.session(claims, from).await,
            None => self.outside(secret, from).await,
        }
    }

    async fn token(&self, secret: &str) -> Result<Option<Token>, Fault> {
        if !is_token(secret) {
            return Ok(None);
        }
        let hash = hash_of(secret);
        self.remembered.tokens().find(hash, self.tokens.by_hash(hash)).await
    }

    async fn holder_of(&self, token: Token, from: Option<IpAddr>) -> Result<Identity, Fault> {
        if !token.is_usable(self.clock.now_ms(), from) || !self.tenants.serves(&token.tenant).await? {
            return Err(refused());
        }
        self.uses.used(token.id).await;
        Ok(Identity {
            actor: Actor::Token(token.id),
            credential: token.id,
            address: from,
            role: Some(token.role),
            tenants: vec![token.tenant],
            is_token: true,
            api_version: token.api_version,
        })
    }

    async fn session(&self, claims: AccessClaims, from: Option<IpAddr>) -> Result<Identity, Fault> {
        let look_up = self.held_session(claims.session);
        let held = self.remembered.sessions().find(claims.session, look_up).await?;
        let (live, token) = held.ok_or_else(refused)?;
        let now_ms = self.clock.now_ms();
        let lives = now_ms < live.session.expires_at_ms && subject(live.session.holder) == claims.subject;
        if !lives || !self.tenants.serves(&live.tenant).await? {
            return Err(refused());
        }
        let api_version = token.as_ref().and_then(|token| token.api_version.clone());
        let (actor, credential) = match (live.session.holder, token) {
            // Limits count by the user or token: logging in or exchanging it again must not begin a new count.
            (SessionHolder::User(id), _) => (Actor::User(id), id),
            (SessionHolder::Token(id), Some(token)) if token.is_usable(now_ms, from) => {
                self.uses.used(id).await;
                (Actor::Token(id), id)
            }
            (SessionHolder::Token(_), _) => return Err(refused()),
        };
        let (role, tenants) = (Some(live.role), vec![live.tenant]);
        Ok(Identity { actor, credential, address: from, role, tenants, is_token: false, api_version })
    }

    async fn held_session(&self, id: Uuid) -> Result<Option<HeldSession>, Fault> {
        let Some(live) = self.sessions.find(id).await? else { return Ok(None) };
        let token = match live.session.holder {
            SessionHolder::Token(token) => self.tokens.find(&live.tenant, token).await?,
            SessionHolder::User(_) => None,
        };
        Ok(Some((live, token)))
    }

    async fn outside(&self, jwt: &str, from: Option<IpAddr>) -> Result<Identity, Fault> {
        let issuer = self.issuer.as_ref().ok_or_else(refused)?;
        // Only what claims to be of that issuer is worth its keys.
        if jwt.len() > MOST_JWT_BYTES || claimed_issuer(jwt).as_deref() != Some(issuer.issuer()) {
            return Err(refused());
        }
        let verified = issuer.verify(jwt).await;
        let claims = verified
            .map_err(|fault| if fault.code() == Code::Unauthenticated { refused() } else { fault })?;
        let subject = claims.get("sub").and_then(Value::as_str).ok_or_else(refused)?;
        let credential = outside::stand_in(issuer.issuer(), subject);
        let mut tenants = Vec::new();
        for name in outside::groups(&claims, &self.auth.group_claims) {
            if self.tenants.serves(&name).await? {
                tenants.push(name);
            }
        }
        Ok(Identity {
            actor: Actor::subject(subject, credential),
            credential,
            address: from,
            role: outside::role(&claims, &self.auth.role_claims),
            tenants,
            is_token: false,
            api_version: None,
        })
    }
}

/// The issuer that a JWT claims, which nothing has proved yet.
fn claimed_issuer(jwt: &str) -> Option<String> {
    let mut parts = jwt.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

/// Whom a credential stands for.
#[derive(Debug, Clone)]
pub struct Identity {
    actor: Actor,
    credential: Uuid,
    address: Option<IpAddr>,
    role: Option<Role>,
    /// Those that exist. One, unless an outside issuer speaks of several groups, or of none that is a tenant.
    tenants: Vec<TenantName>,
    is_token: bool,
    api_version: Option<String>,
}

impl Identity {
    /// The caller of the named tenant; of the only one, when none is named.
    ///
    /// # Errors
    /// `forbidden` when none is named and there are several, and when the credential is not good for that tenant.
    pub fn caller(&self, named_tenant: Option<&str>) -> Result<Caller, Fault> {
        let tenant = match (named_tenant, self.tenants.as_slice()) {
            (Some(name), tenants) => tenants.iter().find(|tenant| tenant.as_str() == name),
            (None, [only]) => Some(only),
            (None, []) => None,
            (None, _) => {
                return Err(Fault::new(
                    Code::Forbidden,
                    "the credential is good for several tenants; name one in the header Tollbook-Tenant",
                ));
            }
        };
        self.caller_of(
            tenant,
            "the credential gives no role in this tenant; ask whoever administers it for one",
        )
    }

    /// The caller of the tenant that is named like this group.
    ///
    /// # Errors
    /// `forbidden`, always with the same words: whether such a group exists is not told.
    pub fn caller_of_group(&self, group: &str) -> Result<Caller, Fault> {
        let tenant = self.tenants.iter().find(|tenant| tenant.as_str() == group);
        self.caller_of(tenant, "the credential is not good for this group; use one that is")
    }

    /// What limits count by: the token, the user, or a stand-in for an outside subject.
    pub fn credential(&self) -> Uuid {
        self.credential
    }

    /// Was the credential the text of an API token, and not of a login?
    pub fn is_token(&self) -> bool {
        self.is_token
    }

    /// Which version of a versioned API answers its requests that name none, where its token says so.
    pub fn api_version(&self) -> Option<&str> {
        self.api_version.as_deref()
    }

    /// Who it is.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Its role, where it has one.
    pub(crate) fn role(&self) -> Option<Role> {
        self.role
    }

    /// The address that it came from.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The tenant whose audit log tells what it tried; the first, where it has several.
    pub(crate) fn own_tenant(&self) -> Option<&TenantName> {
        self.tenants.first()
    }

    fn caller_of(&self, tenant: Option<&TenantName>, otherwise: &'static str) -> Result<Caller, Fault> {
        let (Some(tenant), Some(role)) = (tenant, self.role) else {
            return Err(Fault::new(Code::Forbidden, otherwise));
        };
        Ok(Caller {
            tenant: tenant.clone(),
            role,
            actor: self.actor.clone(),
            credential: self.credential,
            address: self.address,
        })
    }
}

/// What is said of every credential that does not hold.
pub(crate) fn refused() -> Fault {
    Fault::new(Code::Unauthenticated, "the credential is unknown, expired or revoked; send a valid one")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;

    fn identity(role: Option<Role>, tenants: &[&str]) -> Identity {
        Identity {
            actor: Actor::Token(Uuid::nil()),
            credential: Uuid::from_u128(5),
            address: None,
            role,
            tenants: tenants.iter().map(|name| TenantName::parse(name).unwrap()).collect(),
            is_token: false,
            api_version: None,
        }
    }

    fn tenant_of(caller: Result<Caller, Fault>) -> Option<String> {
        match caller {
            Ok(caller) => Some(caller.tenant.to_string()),
            Err(fault) => {
                assert_eq!(fault.code(), Code::Forbidden);
                None
            }
        }
    }

    #[test]
    fn a_caller_has_the_only_tenant_or_names_one_of_his() {
        let viewer = Some(Role::Viewer);
        for (role, tenants, named, wanted) in [
            (viewer, &["a"][..], None, Some("a")),
            (viewer, &["a"], Some("a"), Some("a")),
            (viewer, &["a"], Some("A"), None),
            (viewer, &["a"], Some("b"), None),
            (viewer, &["a", "b"], Some("b"), Some("b")),
            (viewer, &["a", "b"], None, None),
            (viewer, &["a", "b"], Some(""), None),
            (viewer, &[], None, None),
            (viewer, &[], Some("a"), None),
            (None, &["a"], None, None),
        ] {
            let caller = identity(role, tenants).caller(named);
            assert_eq!(tenant_of(caller).as_deref(), wanted, "{role:?} {tenants:?} {named:?}");
        }
        let several = identity(viewer, &["a", "b"]).caller(None).unwrap_err();
        assert!(several.message().contains("Tollbook-Tenant"));
        assert_eq!(identity(viewer, &["a"]).caller(None).unwrap().credential, Uuid::from_u128(5));
    }

    #[test]
    fn a_group_is_refused_with_the_same_words_whyever() {
        let viewer = identity(Some(Role::Viewer), &["a", "b"]);
        assert_eq!(tenant_of(viewer.caller_of_group("b")).as_deref(), Some("b"));
        let mut words: Vec<String> = ["c", "B", "", "a b", "é", &"x".repeat(200)]
            .iter()
            .map(|group| viewer.caller_of_group(group).unwrap_err().message().to_owned())
            .collect();
        words.push(identity(None, &["a"]).caller_of_group("a").unwrap_err().message().to_owned());
        words.dedup();
        assert_eq!(words.len(), 1);
    }

    #[test]
    fn only_what_has_three_parts_claims_an_issuer() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"iss":"https://id.example"}"#);
        assert_eq!(claimed_issuer(&format!("h.{payload}.s")).as_deref(), Some("https://id.example"));
        let other = URL_SAFE_NO_PAD.encode(r#"{"iss":["https://id.example"]}"#);
        let texts = [
            "".into(),
            payload.clone(),
            format!("h.{payload}"),
            format!("h.{payload}.s.t"),
            format!("h.{other}.s"),
            "h.!.s".into(),
        ];
        for text in texts {
            assert_eq!(claimed_issuer(&text), None, "{text}");
        }
    }
}
