//! Tokens: making, listing and revoking them, and the first one.
//!
//! Whom a token stands for is judged in [`identity`](crate::identity). Of its text only a hash is kept; it is shown once.

pub use crate::credentials::TOKEN_LENGTH;

use crate::Ports;
use crate::credentials::{API_TOKEN, RememberedIdentities, hash_of, is_own_value, make};
use crate::faults::{all_right, invalid};
use crate::rights::Rights;
use crate::tenants::{TenantDirectory, unknown_tenant};
use ipnet::IpNet;
use std::sync::Arc;
use tokio::sync::Mutex;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Detail, Fault};
use tollbook_kit::ids::{IdSource, Randomness};
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Action, Caller, Role};
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::ports::Tokens;
use tollbook_model::tenant::TenantName;
use tollbook_model::token::{TOKEN_NAME_CHARACTERS, TOKEN_NETWORKS, Token, is_api_version};
use uuid::Uuid;

/// Most tokens of one tenant.
pub const MOST_TOKENS: usize = 1000;
/// Name of the one token that the operator, or else the first start, brings in.
const BOOTSTRAP: &str = "bootstrap";
const WRONG_VALUE: &str = "must be 20 to 200 printable ASCII characters without spaces at the ends";

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its name for people, 1 to 100 characters.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// From when on it is no longer taken, in milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Its text, where a known one is to be kept; else one is made.
    pub value: Option<Secret<String>>,
    /// Addresses that it is taken from, 32 networks at most; empty: from anywhere.
    pub networks: Vec<IpNet>,
    /// Which version of a versioned API answers requests with it that name none: a day such as `2026-11-19`.
    pub api_version: Option<String>,
}

/// The tokens of tenants.
pub struct TokenRegister {
    rights: Arc<Rights>,
    tokens: Arc<dyn Tokens>,
    tenants: Arc<TenantDirectory>,
    ids: IdSource,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    remembered: RememberedIdentities,
    /// Held while tokens are counted and one is added.
    adding: Mutex<()>,
}

impl TokenRegister {
    pub(crate) fn new(
        ports: &Ports,
        rights: Arc<Rights>,
        tenants: Arc<TenantDirectory>,
        remembered: RememberedIdentities,
    ) -> Self {
        Self {
            rights,
            tokens: ports.tokens.clone(),
            tenants,
            ids: IdSource::new(ports.clock.clone(), ports.randomness.clone()),
            clock: ports.clock.clone(),
            randomness: ports.randomness.clone(),
            remembered,
            adding: Mutex::new(()),
        }
    }

    /// May the caller see, make and revoke tokens at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require(caller, Action::ManageTokens).await
    }

    /// Makes a token of the caller's tenant and answers it with its text, which is shown this once.
    ///
    /// # Errors
    /// `forbidden`, also for an operator's token unless an operator asks; `invalid`, naming everything that is wrong;
    /// `conflict` when the value is known or the tenant has [`MOST_TOKENS`]; `storage_full`, `unavailable` or `internal`.
    pub async fn create(&self, caller: &Caller, new: NewToken) -> Result<(Token, Secret<String>), Fault> {
        self.permit(caller).await?;
        self.add(caller, caller.tenant.clone(), new).await
    }

    /// The same for any tenant, by the operator. The tenant's own audit log and the operator's show it.
    ///
    /// # Errors
    /// As [`TokenRegister::create`]; `not_found` for a tenant that does not exist, `conflict` for one whose time is over.
    pub async fn create_for(
        &self,
        caller: &Caller,
        tenant: &str,
        new: NewToken,
    ) -> Result<(Token, Secret<String>), Fault> {
        self.rights.require(caller, Action::ManageTenants).await?;
        let tenant = beneficiary(&self.tenants, tenant, self.clock.now_ms()).await?;
        self.add(caller, tenant, new).await
    }

    /// The tokens of the caller's tenant, oldest first.
    ///
    /// # Errors
    /// `forbidden`, `unavailable` or `internal`.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Token>, Fault> {
        self.permit(caller).await?;
        self.tokens.list(&caller.tenant).await
    }

    /// Ends a token, and the sessions made from it, at once.
    ///
    /// # Errors
    /// `forbidden`, also for an operator's token unless an operator asks; `not_found`, also for one of another tenant;
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn revoke(&self, caller: &Caller, id: Uuid) -> Result<(), Fault> {
        self.permit(caller).await?;
        let token = self.tokens.find(&caller.tenant, id).await?.ok_or_else(unknown_token)?;
        if token.role == Role::Operator {
            self.rights.require(caller, Action::ManageTenants).await?;
        }
        let entry = self.entry(caller, &caller.tenant, "token.revoke", id);
        let (tokens, tenant) = (self.tokens.clone(), caller.tenant.clone());
        let revoked = self.remembered.change(async move { tokens.revoke(&tenant, id, entry).await }).await?;
        if revoked { Ok(()) } else { Err(unknown_token()) }
    }

    /// Sees to it that somebody can get in: takes the operator's own token, or, when there is none at all, makes one
    /// and answers it, to be shown once. For the start of the process.
    ///
    /// There is one such token: an own one replaces the former, given or made, from the next request on.
    ///
    /// # Errors
    /// `invalid` when the operator's token has a wrong form; `storage_full`, `unavailable` or `internal`.
    pub async fn bootstrap(&self, own: Option<&Secret<String>>) -> Result<Option<Secret<String>>, Fault> {
        if let Some(own) = own {
            if !is_own_value(own.reveal()) {
                return Err(Fault::parameter("bootstrap token", WRONG_VALUE));
            }
            self.set_bootstrap(own).await?;
            return Ok(None);
        }
        if self.tokens.count().await? > 0 {
            return Ok(None);
        }
        let made = make(API_TOKEN, &*self.randomness);
        self.set_bootstrap(&made).await?;
        Ok(Some(made))
    }

    async fn set_bootstrap(&self, secret: &Secret<String>) -> Result<(), Fault> {
        let hash = hash_of(secret.reveal());
        // A text that is known keeps its id, and so must the entry that tells of it.
        let known = self.tokens.by_hash(hash).await?;
        let token = Token {
            id: known.map_or_else(|| self.ids.next_id(), |known| known.id),
            tenant: TenantName::default_tenant(),
            role: Role::Operator,
            name: BOOTSTRAP.into(),
            created_at_ms: self.clock.now_ms(),
            expires_at_ms: None,
            last_used_at_ms: None,
            networks: Vec::new(),
            api_version: None,
        };
        let caller = Caller::system(token.tenant.clone());
        let entry = self.entry(&caller, &token.tenant, "token.create", token.id);
        let tokens = self.tokens.clone();
        self.remembered.change(async move { tokens.put_only(hash, token, entry).await }).await
    }

    async fn add(
        &self,
        caller: &Caller,
        tenant: TenantName,
        new: NewToken,
    ) -> Result<(Token, Secret<String>), Fault> {
        if new.role == Role::Operator {
            // Only who is one makes one; others' attempts are logged like every refusal.
            self.rights.require(caller, Action::ManageTenants).await?;
        }
        let now_ms = self.clock.now_ms();
        all_right(faults_of(&new, &tenant, now_ms))?;
        let _alone = self.adding.lock().await;
        if self.tokens.list(&tenant).await?.len() >= MOST_TOKENS {
            let words =
                format!("the tenant has {MOST_TOKENS} tokens; revoke some that are not needed any more");
            return Err(Fault::new(Code::Conflict, words));
        }
        let secret = new.value.unwrap_or_else(|| make(API_TOKEN, &*self.randomness));
        let token = Token {
            id: self.ids.next_id(),
            tenant,
            role: new.role,
            name: new.name,
            created_at_ms: now_ms,
            expires_at_ms: new.expires_at_ms,
            last_used_at_ms: None,
            networks: new.networks,
            api_version: new.api_version,
        };
        let entry = self.entry(caller, &token.tenant, "token.create", token.id);
        let entry = entry.because(&format!("with the role {}", token.role.name()));
        self.tokens.create(hash_of(secret.reveal()), token.clone(), entry).await?;
        Ok((token, secret))
    }

    /// The entry stands in the chain of the tenant whose token it is, whoever acts; the actor's own is told, too.
    fn entry(&self, caller: &Caller, tenant: &TenantName, action: &'static str, id: Uuid) -> AuditEntry {
        let object = Some(AuditObject::new("token", id));
        caller.entry(self.clock.now_ms(), action, object, Outcome::Success).about(tenant)
    }
}

/// The tenant of that name, which an operator makes a first credential for.
///
/// # Errors
/// `not_found` when there is none, `conflict` when its time is over; `unavailable` or `internal`.
pub(crate) async fn beneficiary(
    tenants: &TenantDirectory,
    name: &str,
    now_ms: i64,
) -> Result<TenantName, Fault> {
    let name = TenantName::parse(name).ok_or_else(unknown_tenant)?;
    if tenants.find(&name).await?.is_over(now_ms) {
        return Err(Fault::new(Code::Conflict, "the tenant is closed; nobody can be let in any more"));
    }
    Ok(name)
}

/// Everything that is wrong with a token to be made.
fn faults_of(new: &NewToken, tenant: &TenantName, now_ms: i64) -> Vec<Detail> {
    let mut faults = Vec::new();
    let fits = (1..=TOKEN_NAME_CHARACTERS).contains(&new.name.chars().count());
    if !fits || new.name.chars().any(char::is_control) {
        let reason = format!("must be 1 to {TOKEN_NAME_CHARACTERS} characters without control characters");
        faults.push(invalid("name", reason));
    } else if new.name == BOOTSTRAP {
        faults.push(invalid("name", "is reserved for the first token; choose another one"));
    }
    if new.role == Role::Operator && *tenant != TenantName::default_tenant() {
        faults.push(invalid("role", "operator is a role of the tenant default only"));
    }
    if new.expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= now_ms) {
        faults.push(invalid("expires_at", "must lie in the future"));
    }
    if new.value.as_ref().is_some_and(|value| !is_own_value(value.reveal())) {
        faults.push(invalid("value", WRONG_VALUE));
    }
    if new.networks.len() > TOKEN_NETWORKS {
        faults.push(invalid("networks", format!("must be at most {TOKEN_NETWORKS}")));
    }
    if new.api_version.as_ref().is_some_and(|version| !is_api_version(version)) {
        faults.push(invalid("api_version", "must be a day such as 2026-11-19"));
    }
    faults
}

fn unknown_token() -> Fault {
    Fault::new(Code::NotFound, "no such token; GET /api/v1/tokens lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut NewToken)) -> Vec<String> {
        let mut new = NewToken {
            name: "nightly export".into(),
            role: Role::Analyst,
            expires_at_ms: Some(11),
            value: None,
            networks: Vec::new(),
            api_version: None,
        };
        change(&mut new);
        let acme = TenantName::parse("acme").expect("a name");
        faults_of(&new, &acme, 10).into_iter().map(|fault| fault.name).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        assert!(wrong(|_| {}).is_empty());
        for name in ["", "a\nb", "bootstrap", &"ä".repeat(101)] {
            assert_eq!(wrong(|new| new.name = name.into()), ["name"], "{name}");
        }
        assert!(wrong(|new| new.name = "ä".repeat(100)).is_empty());
        for value in ["short", " twenty characters  ", "zwanzig Zeichen: äöü"] {
            assert_eq!(wrong(|new| new.value = Some(Secret::new(value.into()))), ["value"], "{value}");
        }
        assert!(wrong(|new| new.value = Some(Secret::new("k".repeat(20)))).is_empty());
        let network: IpNet = "192.0.2.0/24".parse().expect("a network");
        assert!(wrong(|new| new.networks = vec![network; TOKEN_NETWORKS]).is_empty());
        let all = wrong(|new| {
            *new = NewToken {
                name: String::new(),
                role: Role::Operator,
                expires_at_ms: Some(10),
                value: Some(Secret::new(String::new())),
                networks: vec![network; TOKEN_NETWORKS + 1],
                api_version: Some("latest".into()),
            };
        });
        assert_eq!(all, ["name", "role", "expires_at", "value", "networks", "api_version"]);
    }
}
