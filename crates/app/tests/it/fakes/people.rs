//! The tables of tokens, users and their sessions.

use super::World;
use async_trait::async_trait;
use std::sync::atomic::Ordering;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::Role;
use tollbook_model::audit::{AuditEntry, AuditObject};
use tollbook_model::ports::*;
use tollbook_model::tenant::TenantName;
use tollbook_model::token::Token;
use tollbook_model::user::{
    LiveSession, MOST_SESSIONS, NewSession, Session, SessionHolder, User, UserCredentials,
};
use uuid::Uuid;

fn taken() -> Fault {
    Fault::new(Code::Conflict, "it is taken")
}

#[async_trait]
impl Tokens for World {
    async fn by_hash(&self, hash: [u8; 32]) -> Result<Option<Token>, Fault> {
        self.token_look_ups.fetch_add(1, Ordering::SeqCst);
        Ok(self.tokens.lock().unwrap().get(&hash).cloned())
    }
    async fn find(&self, tenant: &TenantName, id: Uuid) -> Result<Option<Token>, Fault> {
        let tokens = self.tokens.lock().unwrap();
        Ok(tokens.values().find(|token| token.tenant == *tenant && token.id == id).cloned())
    }
    async fn list(&self, tenant: &TenantName) -> Result<Vec<Token>, Fault> {
        let tokens = self.tokens.lock().unwrap();
        let mut of_tenant: Vec<Token> =
            tokens.values().filter(|token| token.tenant == *tenant).cloned().collect();
        of_tenant.sort_by_key(|token| (token.created_at_ms, token.id));
        Ok(of_tenant)
    }
    async fn create(&self, hash: [u8; 32], token: Token, audit: AuditEntry) -> Result<(), Fault> {
        let mut tokens = self.tokens.lock().unwrap();
        if tokens.contains_key(&hash) {
            return Err(taken());
        }
        self.log(vec![audit])?;
        tokens.insert(hash, token);
        Ok(())
    }
    async fn put_only(&self, hash: [u8; 32], mut token: Token, audit: AuditEntry) -> Result<(), Fault> {
        let mut tokens = self.tokens.lock().unwrap();
        let same = |known: &Token| known.name == token.name && known.role == token.role;
        let alone = tokens.values().filter(|other| other.tenant == token.tenant && other.name == token.name);
        if alone.count() == 1 && tokens.get(&hash).is_some_and(same) {
            return Ok(());
        }
        let former = |known: &[u8; 32], other: &Token| {
            *known != hash && other.tenant == token.tenant && other.name == token.name
        };
        for (_, other) in tokens.iter().filter(|(known, other)| former(known, other)) {
            let object = Some(AuditObject::new("token", other.id));
            self.log(vec![AuditEntry { action: "token.revoke", object, ..audit.clone() }])?;
        }
        self.log(vec![audit])?;
        tokens.retain(|known, other| !former(known, other));
        if let Some(known) = tokens.get(&hash) {
            token.id = known.id;
        }
        tokens.insert(hash, token);
        Ok(())
    }
    async fn revoke(&self, tenant: &TenantName, id: Uuid, audit: AuditEntry) -> Result<bool, Fault> {
        let mut tokens = self.tokens.lock().unwrap();
        let before = tokens.len();
        self.writable()?;
        tokens.retain(|_, token| token.tenant != *tenant || token.id != id);
        let revoked = tokens.len() < before;
        if revoked {
            self.log(vec![audit])?;
            self.end_sessions_of(SessionHolder::Token(id));
        }
        Ok(revoked)
    }
    async fn used(&self, id: Uuid, at_ms: i64) -> Result<(), Fault> {
        self.writable()?;
        for token in self.tokens.lock().unwrap().values_mut().filter(|token| token.id == id) {
            token.last_used_at_ms = Some(at_ms);
        }
        Ok(())
    }
    async fn count(&self) -> Result<u64, Fault> {
        Ok(self.tokens.lock().unwrap().len() as u64)
    }
}

#[async_trait]
impl Users for World {
    async fn by_username(&self, username: &str) -> Result<Option<(User, UserCredentials)>, Fault> {
        let users = self.users.lock().unwrap();
        Ok(users.values().find(|(user, _)| user.username == username).cloned())
    }
    async fn find(&self, tenant: &TenantName, id: Uuid) -> Result<Option<User>, Fault> {
        let users = self.users.lock().unwrap();
        Ok(users.get(&id).map(|(user, _)| user.clone()).filter(|user| user.tenant == *tenant))
    }
    async fn list(&self, tenant: &TenantName) -> Result<Vec<User>, Fault> {
        let users = self.users.lock().unwrap();
        let mut of_tenant: Vec<User> =
            users.values().map(|(user, _)| user).filter(|user| user.tenant == *tenant).cloned().collect();
        of_tenant.sort_by(|one, other| one.username.cmp(&other.username));
        Ok(of_tenant)
    }
    async fn create(&self, user: User, credentials: UserCredentials, audit: AuditEntry) -> Result<(), Fault> {
        let mut users = self.users.lock().unwrap();
        if users.values().any(|(known, _)| known.username == user.username) {
            return Err(taken());
        }
        self.log(vec![audit])?;
        users.insert(user.id, (user, credentials));
        Ok(())
    }
    async fn change(&self, user: User, change: CredentialChange, audit: AuditEntry) -> Result<bool, Fault> {
        let mut users = self.users.lock().unwrap();
        let known = users.get_mut(&user.id).filter(|(known, _)| known.tenant == user.tenant);
        let Some((known, credentials)) = known else { return Ok(false) };
        self.log(vec![audit])?;
        if known.role != user.role || known.enabled != user.enabled || !change.is_empty() {
            self.end_sessions_of(SessionHolder::User(user.id));
        }
        if let Some(password_hash) = change.password_hash {
            credentials.password_hash = password_hash;
        }
        if let Some(second_factor) = change.second_factor {
            (credentials.second_factor, credentials.last_step) = (second_factor, None);
        }
        (known.email, known.role, known.enabled) = (user.email, user.role, user.enabled);
        known.has_second_factor = credentials.second_factor.is_some();
        Ok(true)
    }
    async fn remove(&self, tenant: &TenantName, id: Uuid, audit: AuditEntry) -> Result<bool, Fault> {
        let mut users = self.users.lock().unwrap();
        if users.get(&id).is_none_or(|(user, _)| user.tenant != *tenant) {
            return Ok(false);
        }
        self.log(vec![audit])?;
        users.remove(&id);
        self.end_sessions_of(SessionHolder::User(id));
        Ok(true)
    }
}

impl World {
    fn end_sessions_of(&self, holder: SessionHolder) {
        self.sessions.lock().unwrap().retain(|_, (session, _)| session.holder != holder);
    }

    /// The session with what its holder is now; none when the holder is gone.
    fn live(&self, session: Session) -> Option<LiveSession> {
        let (tenant, role, name): (TenantName, Role, String) = match session.holder {
            SessionHolder::User(id) => {
                let users = self.users.lock().unwrap();
                let (user, _) = users.get(&id).filter(|(user, _)| user.enabled)?;
                (user.tenant.clone(), user.role, user.username.clone())
            }
            SessionHolder::Token(id) => {
                let tokens = self.tokens.lock().unwrap();
                let token = tokens.values().find(|token| token.id == id)?;
                (token.tenant.clone(), token.role, token.name.clone())
            }
        };
        Some(LiveSession { session, tenant, role, name })
    }
}

#[async_trait]
impl Sessions for World {
    async fn open(&self, new: NewSession, audit: AuditEntry) -> Result<u64, Fault> {
        let NewSession { session, refresh_hash, step } = new;
        let gone = || Fault::new(Code::NotFound, "whose session it would be is gone");
        self.live(session.clone()).ok_or_else(gone)?;
        if let SessionHolder::User(id) = session.holder
            && let Some((user, credentials)) = self.users.lock().unwrap().get_mut(&id)
        {
            if step.is_some() && step <= credentials.last_step {
                return Err(gone());
            }
            self.log(vec![audit])?;
            credentials.last_step = step.or(credentials.last_step);
            user.last_login_at_ms = Some(session.created_at_ms);
        } else {
            self.log(vec![audit])?;
        }
        let mut sessions = self.sessions.lock().unwrap();
        // Ids rise with time.
        let of_holder =
            sessions.values().map(|(known, _)| known).filter(|known| known.holder == session.holder);
        let ids: Vec<Uuid> = of_holder.map(|known| known.id).collect();
        let ended = (ids.len() + 1).saturating_sub(MOST_SESSIONS);
        sessions.retain(|id, _| !ids[..ended].contains(id));
        sessions.insert(session.id, (session, refresh_hash));
        Ok(ended as u64)
    }
    async fn find(&self, id: Uuid) -> Result<Option<LiveSession>, Fault> {
        let found = self.sessions.lock().unwrap().get(&id).map(|(session, _)| session.clone());
        Ok(found.and_then(|session| self.live(session)))
    }
    async fn by_refresh(&self, hash: [u8; 32]) -> Result<Option<LiveSession>, Fault> {
        let sessions = self.sessions.lock().unwrap();
        let found = sessions.values().find(|(_, refresh_hash)| *refresh_hash == Some(hash));
        let found = found.map(|(session, _)| session.clone());
        drop(sessions);
        Ok(found.and_then(|session| self.live(session)))
    }
    async fn close(&self, id: Uuid, audit: AuditEntry) -> Result<bool, Fault> {
        let closed = self.sessions.lock().unwrap().remove(&id).is_some();
        if closed {
            self.log(vec![audit])?;
        }
        Ok(closed)
    }
    async fn forget_expired(&self, before_ms: i64) -> Result<u64, Fault> {
        self.writable()?;
        let mut sessions = self.sessions.lock().unwrap();
        let before = sessions.len();
        sessions.retain(|_, (session, _)| session.expires_at_ms >= before_ms);
        Ok((before - sessions.len()) as u64)
    }
}
