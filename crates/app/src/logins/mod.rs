//! Logins: the built-in identity provider. People log in with a name and a password, programs with an API token, and get
//! short-lived access tokens.
//!
//! Forms, realms and the words of the protocol are `http`'s. What an access token is good for is decided at each use,
//! in [`identity`](crate::identity).

mod access_tokens;
mod one_time;
mod password;
mod throttle;

pub(crate) use access_tokens::{AccessClaims, AccessTokens, subject};
pub(crate) use one_time::{KEY_BYTES as ONE_TIME_KEY_BYTES, otpauth_uri};
pub(crate) use password::PasswordHashing;

use crate::Ports;
use crate::identity::RememberedIdentities;
use crate::signing_keys::SigningKeyRing;
use crate::tokens::{REFRESH_TOKEN, hash_of, is_token, make};
use access_tokens::LIFE;
use one_time::OneTimePasswords;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use throttle::LoginThrottle;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{IdSource, Randomness};
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Actor, Role};
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::ports::{AuditLog, KeyPurpose, Sessions, Tenants, Tokens, Users};
use tollbook_model::tenant::TenantName;
use tollbook_model::user::{LiveSession, Session, SessionHolder, User, UserCredentials, is_username};
use uuid::Uuid;

/// How long a login lasts (`omilia.md` section 2.3): refreshing does not prolong it.
const SESSION_LIFE: Duration = Duration::from_secs(1800);

/// A login with a password.
pub struct PasswordLogin {
    /// The issuer in whose name the access token is made: a URL below the public one.
    pub issuer: String,
    /// The client, as it calls itself.
    pub client: String,
    /// The user's name, in whatever case.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
    /// The one-time password, where the user has a second factor.
    pub otp: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
}

/// What a login gives.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The access token.
    pub access_token: Secret<String>,
    /// How long it is good: 300 s, or what is left of the session.
    pub expires_in: Duration,
    /// The refresh token and how long it is still good: 1800 s from the login.
    pub refresh: Option<(Secret<String>, Duration)>,
    /// The session.
    pub session: Uuid,
}

/// Lets people and programs in.
pub struct Logins {
    users: Arc<dyn Users>,
    tokens: Arc<dyn Tokens>,
    tenants: Arc<dyn Tenants>,
    sessions: Arc<dyn Sessions>,
    audit_log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    ids: IdSource,
    keys: Arc<SigningKeyRing>,
    access_tokens: AccessTokens,
    passwords: Arc<PasswordHashing>,
    one_time: OneTimePasswords,
    throttle: LoginThrottle,
    remembered: RememberedIdentities,
}

/// What became of a name and a password.
enum Judged {
    Good(User, UserCredentials),
    /// The entry says of whom and why, as far as that is known.
    Bad(AuditEntry),
}

impl Logins {
    pub(crate) fn new(
        ports: &Ports,
        keys: Arc<SigningKeyRing>,
        passwords: Arc<PasswordHashing>,
        remembered: RememberedIdentities,
    ) -> Self {
        let ids = IdSource::new(ports.clock.clone(), ports.randomness.clone());
        Self {
            users: ports.users.clone(),
            tokens: ports.tokens.clone(),
            tenants: ports.tenants.clone(),
            sessions: ports.sessions.clone(),
            audit_log: ports.audit_log.clone(),
            clock: ports.clock.clone(),
            randomness: ports.randomness.clone(),
            access_tokens: AccessTokens::new(&ports.public_url, &keys, ids.clone()),
            ids,
            keys,
            passwords,
            one_time: OneTimePasswords::default(),
            throttle: LoginThrottle::new(&ports.clock),
            remembered,
        }
    }

    /// Begins a session for a user. A failure is in the audit log before it is answered, and costs the same whether
    /// there is such a user or not.
    ///
    /// # Errors
    /// `unauthenticated`, with the same words whatever is wrong; `rate_limited`, with the time to wait, after ten
    /// failures in five minutes of that name or from that address; `unavailable` when too many are waiting to be
    /// judged; `storage_full` or `internal`.
    pub async fn log_in(&self, login: PasswordLogin) -> Result<Grant, Fault> {
        let username = login.username.to_lowercase();
        let attempt = self.throttle.begin(&username, login.address).await?;
        match self.judge(&username, &login).await {
            Ok(Judged::Good(user, credentials)) => {
                attempt.does_not_count();
                self.let_in(user, &credentials, &login).await
            }
            Ok(Judged::Bad(entry)) => {
                self.audit_log.append(vec![entry]).await?;
                Err(refused())
            }
            Err(fault) => {
                attempt.does_not_count();
                Err(fault)
            }
        }
    }

    /// A new access token for the session of this refresh token, which stays the same and good to its end.
    ///
    /// # Errors
    /// `unauthenticated`; `unavailable` or `internal`.
    pub async fn refresh(
        &self,
        issuer: String,
        client: String,
        refresh_token: &str,
        _address: Option<IpAddr>,
    ) -> Result<Grant, Fault> {
        let live = self.session_of(refresh_token).await?.ok_or_else(refused)?;
        let now_ms = self.clock.now_ms();
        if left(&live.session, now_ms).is_zero() || !self.serves(&live.tenant).await? {
            return Err(refused());
        }
        let refresh = Some(Secret::new(refresh_token.to_owned()));
        Ok(self.grant(&live, (&issuer, &client), refresh, now_ms))
    }

    /// A short session for whoever holds an API token, without a refresh token.
    ///
    /// # Errors
    /// `unauthenticated`; `storage_full`, `unavailable` or `internal`.
    pub async fn exchange(
        &self,
        issuer: String,
        client: String,
        secret: &str,
        address: Option<IpAddr>,
    ) -> Result<Grant, Fault> {
        let token = if is_token(secret) { self.tokens.by_hash(hash_of(secret)).await? } else { None };
        let token = token.ok_or_else(refused)?;
        if !token.is_usable(self.clock.now_ms(), address) || !self.serves(&token.tenant).await? {
            return Err(refused());
        }
        let session = self.new_session(SessionHolder::Token(token.id), LIFE);
        let live = LiveSession { session, tenant: token.tenant, role: token.role, name: token.name };
        self.open(&live, None, address).await?;
        let opened_at_ms = live.session.created_at_ms;
        Ok(self.grant(&live, (&issuer, &client), None, opened_at_ms))
    }

    /// Ends the session of this refresh token, and with it its access tokens. What is no such token needs no end.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn log_out(&self, refresh_token: &str, address: Option<IpAddr>) -> Result<(), Fault> {
        let Some(live) = self.session_of(refresh_token).await? else { return Ok(()) };
        let _forget = self.remembered.forget_when_done();
        self.sessions.close(live.session.id, self.entry(&live, "logout", address)).await.map(drop)
    }

    /// The public keys of our access tokens, as a JWK Set.
    pub fn published_keys(&self) -> Value {
        self.keys.published(&[KeyPurpose::AccessToken])
    }

    /// Everything about a password login that takes a look: the password first, always; the rest only when it is right,
    /// so that nothing else shows in how long it took.
    async fn judge(&self, username: &str, login: &PasswordLogin) -> Result<Judged, Fault> {
        let known = if is_username(username) { self.users.by_username(username).await? } else { None };
        let hash = known.as_ref().map(|(_, credentials)| credentials.password_hash.clone());
        let right = self.passwords.verify(login.password.clone(), hash).await?;
        let Some((user, credentials)) = known else {
            let nobody = AuditEntry {
                tenant: TenantName::default_tenant(),
                at_ms: self.clock.now_ms(),
                actor: Actor::System,
                actor_role: None,
                ip: login.address,
                action: "login",
                object: None,
                outcome: Outcome::Denied,
                reason: None,
            };
            return Ok(Judged::Bad(nobody.because("there is no user of that name")));
        };
        let wrong =
            if right { self.hindrance(&user, &credentials, login).await? } else { Some("wrong password") };
        Ok(match wrong {
            None => Judged::Good(user, credentials),
            Some(reason) => Judged::Bad(self.failure(&user, login.address).because(reason)),
        })
    }

    /// What else keeps a user out whose password is right.
    async fn hindrance(
        &self,
        user: &User,
        credentials: &UserCredentials,
        login: &PasswordLogin,
    ) -> Result<Option<&'static str>, Fault> {
        if !user.enabled {
            return Ok(Some("the user is disabled"));
        }
        if !self.serves(&user.tenant).await? {
            return Ok(Some("the tenant is closed"));
        }
        let Some(key) = &credentials.second_factor else { return Ok(None) };
        let code = login.otp.as_deref().unwrap_or_default();
        let taken = self.one_time.take(user.id, key, code, self.clock.now_ms());
        Ok((!taken).then_some("wrong, missing or used one-time password"))
    }

    async fn let_in(
        &self,
        user: User,
        judged: &UserCredentials,
        login: &PasswordLogin,
    ) -> Result<Grant, Fault> {
        let session = self.new_session(SessionHolder::User(user.id), SESSION_LIFE);
        let live = LiveSession { session, tenant: user.tenant, role: user.role, name: user.username };
        let refresh = make(REFRESH_TOKEN, &*self.randomness);
        self.open(&live, Some(&refresh), login.address).await?;
        // A change of his credentials ends the sessions that it finds. One that came while the old password was judged
        // found none: so the end of this one is ours.
        let now = self.users.by_username(&live.name).await?.map(|(_, credentials)| credentials);
        if !now.is_some_and(|now| same(&now, judged)) {
            let entry = self.entry(&live, "logout", login.address);
            self.sessions
                .close(live.session.id, entry.because("the credentials have just been changed"))
                .await?;
            return Err(refused());
        }
        let opened_at_ms = live.session.created_at_ms;
        Ok(self.grant(&live, (&login.issuer, &login.client), Some(refresh), opened_at_ms))
    }

    async fn open(
        &self,
        live: &LiveSession,
        refresh: Option<&Secret<String>>,
        address: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let refresh_hash = refresh.map(|refresh| hash_of(refresh.reveal()));
        let entry = self.entry(live, "login", address);
        let opened = self.sessions.open(live.session.clone(), refresh_hash, entry).await;
        // The user or token is gone since it was looked up.
        opened.map_err(|fault| if fault.code() == Code::NotFound { refused() } else { fault })
    }

    fn new_session(&self, holder: SessionHolder, life: Duration) -> Session {
        let created_at_ms = self.clock.now_ms();
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        Session { id: self.ids.next_id(), holder, created_at_ms, expires_at_ms: created_at_ms + life_ms }
    }

    /// What a client gets at that moment. For a session just opened that is its beginning: writing it down takes a
    /// while, and clients are promised whole lives.
    fn grant(
        &self,
        live: &LiveSession,
        (issuer, client): (&str, &str),
        refresh: Option<Secret<String>>,
        at_ms: i64,
    ) -> Grant {
        let left = left(&live.session, at_ms);
        let expires_in = left.min(LIFE);
        Grant {
            access_token: self.access_tokens.make(live, issuer, client, at_ms, expires_in),
            expires_in,
            refresh: refresh.map(|refresh| (refresh, left)),
            session: live.session.id,
        }
    }

    /// The session whose refresh token this is, over or not.
    async fn session_of(&self, refresh_token: &str) -> Result<Option<LiveSession>, Fault> {
        if !is_token(refresh_token) {
            return Ok(None);
        }
        self.sessions.by_refresh(hash_of(refresh_token)).await
    }

    /// Is there such a tenant whose time is not over?
    async fn serves(&self, name: &TenantName) -> Result<bool, Fault> {
        let tenant = self.tenants.find(name).await?;
        Ok(tenant.is_some_and(|tenant| !tenant.is_over(self.clock.now_ms())))
    }

    /// The entry of something that was done with a session.
    fn entry(&self, live: &LiveSession, action: &'static str, address: Option<IpAddr>) -> AuditEntry {
        let actor = match live.session.holder {
            SessionHolder::User(id) => Actor::User(id),
            SessionHolder::Token(id) => Actor::Token(id),
        };
        let session = AuditObject::new("session", live.session.id);
        self.told(live.tenant.clone(), actor, live.role, address, (action, session, Outcome::Success))
    }

    /// The entry of a failed login of a user.
    fn failure(&self, user: &User, address: Option<IpAddr>) -> AuditEntry {
        let what = ("login", AuditObject::new("user", user.id), Outcome::Denied);
        self.told(user.tenant.clone(), Actor::User(user.id), user.role, address, what)
    }

    fn told(
        &self,
        tenant: TenantName,
        actor: Actor,
        role: Role,
        ip: Option<IpAddr>,
        (action, object, outcome): (&'static str, AuditObject, Outcome),
    ) -> AuditEntry {
        AuditEntry {
            tenant,
            at_ms: self.clock.now_ms(),
            actor,
            actor_role: Some(role),
            ip,
            action,
            object: Some(object),
            outcome,
            reason: None,
        }
    }
}

/// How much of a session is left at that moment.
fn left(session: &Session, at_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(session.expires_at_ms.saturating_sub(at_ms)).unwrap_or(0))
}

fn same(one: &UserCredentials, other: &UserCredentials) -> bool {
    one.password_hash == other.password_hash && one.second_factor == other.second_factor
}

/// What is said of every login that fails.
fn refused() -> Fault {
    Fault::new(
        Code::Unauthenticated,
        "the login is not valid; check user name, password and one-time password, or log in again",
    )
}
