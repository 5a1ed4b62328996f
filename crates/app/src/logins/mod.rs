//! Logins: the built-in identity provider. People log in with a name and a password, programs with an API token, and get
//! short-lived access tokens.
//!
//! Forms, realms and the words of the protocol are `http`'s. What an access token is good for is decided at each use,
//! in [`identity`](crate::identity).

mod one_time;
mod password;
mod throttle;

pub(crate) use one_time::{KEY_BYTES as ONE_TIME_KEY_BYTES, otpauth_uri};
pub(crate) use password::PasswordHashing;

use crate::Ports;
use crate::credentials::{
    ACCESS_TOKEN_LIFE, AccessTokens, REFRESH_TOKEN, RememberedIdentities, ServedTenants, hash_of, is_token,
    make,
};
use crate::signing_keys::SigningKeyRing;
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
use tollbook_model::ports::{AuditLog, KeyPurpose, Sessions, Tokens, Users};
use tollbook_model::tenant::TenantName;
use tollbook_model::user::{
    LiveSession, NewSession, Session, SessionHolder, User, UserCredentials, is_username,
};
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
    tenants: ServedTenants,
    sessions: Arc<dyn Sessions>,
    audit_log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    ids: IdSource,
    keys: Arc<SigningKeyRing>,
    access_tokens: AccessTokens,
    passwords: Arc<PasswordHashing>,
    throttle: LoginThrottle,
    remembered: RememberedIdentities,
}

/// What became of a name and a password.
enum Judged {
    /// With the time step of the one-time password, where one was needed.
    Good(User, UserCredentials, Option<i64>),
    /// The entry says of whom and why, as far as that is known.
    Bad(Box<AuditEntry>),
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
            tenants: ServedTenants::new(ports, remembered.clone()),
            sessions: ports.sessions.clone(),
            audit_log: ports.audit_log.clone(),
            clock: ports.clock.clone(),
            randomness: ports.randomness.clone(),
            access_tokens: AccessTokens::new(&ports.public_url, &keys, ids.clone()),
            ids,
            keys,
            passwords,
            throttle: LoginThrottle::new(&ports.clock),
            remembered,
        }
    }

    /// Begins a session for a user. He keeps a hundred: one more ends the oldest. A failure is in the audit log before it is answered, and costs the same whether
    /// there is such a user or not.
    ///
    /// # Errors
    /// `unauthenticated`, with the same words whatever is wrong; `rate_limited`, with the time to wait, after ten
    /// failures in five minutes of that name or from that address; `unavailable` when too many are waiting to be
    /// judged; `storage_full` or `internal`.
    pub async fn log_in(&self, login: PasswordLogin) -> Result<Grant, Fault> {
        let username = login.username.to_lowercase();
        let attempt = self.throttle.begin(&username, login.address).await?;
        let outcome = match self.judge(&username, &login).await {
            Ok(Judged::Good(user, credentials, step)) => self.let_in(user, &credentials, step, &login).await,
            Ok(Judged::Bad(entry)) => Ok(Err(entry)),
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(Err(entry)) => {
                self.audit_log.append(vec![*entry]).await?;
                Err(refused())
            }
            Ok(Ok(grant)) => {
                attempt.does_not_count();
                Ok(grant)
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
    pub async fn refresh(&self, issuer: String, client: String, refresh_token: &str) -> Result<Grant, Fault> {
        let live = self.session_of(refresh_token).await?.ok_or_else(refused)?;
        let now_ms = self.clock.now_ms();
        if left(&live.session, now_ms).is_zero() || !self.tenants.serves(&live.tenant).await? {
            return Err(refused());
        }
        let refresh = Some(Secret::new(refresh_token.to_owned()));
        Ok(self.grant(&live, (&issuer, &client), refresh, now_ms))
    }

    /// A short session for whoever holds an API token, without a refresh token. Of one token a hundred are kept: one more
    /// ends the oldest, and its access token.
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
        if !token.is_usable(self.clock.now_ms(), address) || !self.tenants.serves(&token.tenant).await? {
            return Err(refused());
        }
        let session = self.new_session(SessionHolder::Token(token.id), ACCESS_TOKEN_LIFE);
        let live = LiveSession { session, tenant: token.tenant, role: token.role, name: token.name };
        // The token is gone since it was looked up.
        let opened = self.open(&live, None, None, address).await;
        opened.map_err(|fault| if fault.code() == Code::NotFound { refused() } else { fault })?;
        let opened_at_ms = live.session.created_at_ms;
        Ok(self.grant(&live, (&issuer, &client), None, opened_at_ms))
    }

    /// Ends the session of this refresh token, and with it its access tokens. What is no such token needs no end.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn log_out(&self, refresh_token: &str, address: Option<IpAddr>) -> Result<(), Fault> {
        let Some(live) = self.session_of(refresh_token).await? else { return Ok(()) };
        let (sessions, entry) = (self.sessions.clone(), self.entry(&live, "logout", address));
        self.remembered.change(async move { sessions.close(live.session.id, entry).await.map(drop) }).await
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
                home: None,
                at_ms: self.clock.now_ms(),
                actor: Actor::System,
                actor_role: None,
                ip: login.address,
                action: "login",
                object: None,
                outcome: Outcome::Denied,
                reason: None,
            };
            return Ok(Judged::Bad(Box::new(nobody.because("there is no user of that name"))));
        };
        let step =
            if right { self.look_closer(&user, &credentials, login).await? } else { Err("wrong password") };
        Ok(match step {
            Ok(step) => Judged::Good(user, credentials, step),
            Err(reason) => Judged::Bad(self.failure(&user, login.address, reason)),
        })
    }

    /// The time step of the one-time password of a user whose password is right, where he needs one; else why he is kept
    /// out all the same.
    async fn look_closer(
        &self,
        user: &User,
        credentials: &UserCredentials,
        login: &PasswordLogin,
    ) -> Result<Result<Option<i64>, &'static str>, Fault> {
        if !user.enabled {
            return Ok(Err("the user is disabled"));
        }
        if !self.tenants.serves(&user.tenant).await? {
            return Ok(Err("the tenant is closed"));
        }
        let Some(key) = &credentials.second_factor else { return Ok(Ok(None)) };
        let code = login.otp.as_deref().unwrap_or_default();
        let step = one_time::step_of(key, code, self.clock.now_ms());
        // Taken once, and only after all before it. Of attempts side by side the catalog lets one in.
        let unused = step.filter(|step| credentials.last_step.is_none_or(|last| last < *step));
        Ok(unused.map(Some).ok_or("wrong, missing or used one-time password"))
    }

    /// Begins the session of a user who was judged; else the entry of why that is too late.
    async fn let_in(
        &self,
        user: User,
        judged: &UserCredentials,
        step: Option<i64>,
        login: &PasswordLogin,
    ) -> Result<Result<Grant, Box<AuditEntry>>, Fault> {
        let too_late = "disabled, removed, or let in with the same one-time password, meanwhile";
        let too_late = self.failure(&user, login.address, too_late);
        let session = self.new_session(SessionHolder::User(user.id), SESSION_LIFE);
        let live = LiveSession { session, tenant: user.tenant, role: user.role, name: user.username };
        let refresh = make(REFRESH_TOKEN, &*self.randomness);
        match self.open(&live, Some(&refresh), step, login.address).await {
            Err(fault) if fault.code() == Code::NotFound => return Ok(Err(too_late)),
            opened => opened?,
        }
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
        Ok(Ok(self.grant(&live, (&login.issuer, &login.client), Some(refresh), opened_at_ms)))
    }

    /// Stores a session. `not_found` when its holder is gone since he was looked up, or his one-time password used.
    async fn open(
        &self,
        live: &LiveSession,
        refresh: Option<&Secret<String>>,
        step: Option<i64>,
        address: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let refresh_hash = refresh.map(|refresh| hash_of(refresh.reveal()));
        let new = NewSession { session: live.session.clone(), refresh_hash, step };
        let entry = self.entry(live, "login", address);
        let (sessions, remembered) = (self.sessions.clone(), self.remembered.clone());
        let open = async move {
            let opened = sessions.open(new, entry).await;
            // As a rule nothing ends with it, and a crowd that logs in must not make everything be looked up anew.
            if !matches!(opened, Ok(0)) {
                remembered.forget_sessions();
            }
            opened.map(drop)
        };
        self.remembered.changes().carry(open).await
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
        let expires_in = left.min(ACCESS_TOKEN_LIFE);
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
    fn failure(&self, user: &User, address: Option<IpAddr>, reason: &str) -> Box<AuditEntry> {
        let what = ("login", AuditObject::new("user", user.id), Outcome::Denied);
        let entry = self.told(user.tenant.clone(), Actor::User(user.id), user.role, address, what);
        Box::new(entry.because(reason))
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
            home: None,
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
