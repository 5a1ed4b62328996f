//! Users: people who can log in, made and changed by the admins of their tenant.
//!
//! How a login goes is in [`logins`](crate::logins). Passwords are never shown, and the key of one-time passwords once.

mod checks;

use crate::Ports;
use crate::credentials::RememberedIdentities;
use crate::faults::all_right;
use crate::logins::{ONE_TIME_KEY_BYTES, PasswordHashing, otpauth_uri};
use crate::rights::Rights;
use crate::tenants::TenantDirectory;
use crate::tokens::beneficiary;
pub(crate) use checks::email_fault;
use checks::{password_fault, role_fault, username_fault};
use std::sync::Arc;
use tokio::sync::Mutex;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{IdSource, Randomness};
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Action, Caller, Role};
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::ports::{CredentialChange, Users};
use tollbook_model::tenant::TenantName;
use tollbook_model::user::{User, UserCredentials};
use uuid::Uuid;

/// Most users of one tenant.
pub const MOST_USERS: usize = 10_000;

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its name at login; kept in lower case.
    pub username: String,
    /// Its password, 10 to 256 bytes.
    pub password: Secret<String>,
    /// Its role.
    pub role: Role,
    /// Where mail for it goes.
    pub email: Option<String>,
}

/// New values of a user; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Another password.
    pub password: Option<Secret<String>>,
    /// Another role.
    pub role: Option<Role>,
    /// Another address of mail, or none any more.
    pub email: Option<Option<String>>,
    /// May it log in?
    pub enabled: Option<bool>,
    /// True: a second factor with a new key, whether there was one or not. False: none any more.
    pub second_factor: Option<bool>,
}

/// A user after a change.
#[derive(Debug, Clone)]
pub struct ChangedUser {
    /// The user.
    pub user: User,
    /// What an authenticator app is set up with; only when a second factor was switched on, and only this once.
    pub otpauth_uri: Option<Secret<String>>,
}

/// The users of tenants.
pub struct UserRegister {
    rights: Arc<Rights>,
    users: Arc<dyn Users>,
    tenants: Arc<TenantDirectory>,
    passwords: Arc<PasswordHashing>,
    ids: IdSource,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    remembered: RememberedIdentities,
    /// Held while users are counted and one is added, and from reading a user until its change is stored.
    changing: Arc<Mutex<()>>,
}

impl UserRegister {
    pub(crate) fn new(
        ports: &Ports,
        rights: Arc<Rights>,
        tenants: Arc<TenantDirectory>,
        passwords: Arc<PasswordHashing>,
        remembered: RememberedIdentities,
    ) -> Self {
        Self {
            rights,
            users: ports.users.clone(),
            tenants,
            passwords,
            ids: IdSource::new(ports.clock.clone(), ports.randomness.clone()),
            clock: ports.clock.clone(),
            randomness: ports.randomness.clone(),
            remembered,
            changing: Arc::default(),
        }
    }

    /// May the caller see and change users at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require(caller, Action::ManageUsers).await
    }

    /// Makes a user of the caller's tenant.
    ///
    /// # Errors
    /// `forbidden`, also for an operator unless an operator asks; `invalid`, naming everything that is wrong; `conflict`
    /// when the name is taken, in whatever tenant, or the tenant has [`MOST_USERS`]; `unavailable`, also when too many
    /// passwords are waiting to be hashed; `storage_full` or `internal`.
    pub async fn create(&self, caller: &Caller, new: NewUser) -> Result<User, Fault> {
        self.permit(caller).await?;
        self.add(caller, caller.tenant.clone(), new).await
    }

    /// The same for any tenant, by the operator. The tenant's own audit log and the operator's show it.
    ///
    /// # Errors
    /// As [`UserRegister::create`]; `not_found` for a tenant that does not exist, `conflict` for one whose time is over.
    pub async fn create_for(&self, caller: &Caller, tenant: &str, new: NewUser) -> Result<User, Fault> {
        self.rights.require(caller, Action::ManageTenants).await?;
        let tenant = beneficiary(&self.tenants, tenant, self.clock.now_ms()).await?;
        self.add(caller, tenant, new).await
    }

    /// The user of that id in the caller's tenant.
    ///
    /// # Errors
    /// `forbidden`; `not_found`, also for one of another tenant; `unavailable` or `internal`.
    pub async fn find(&self, caller: &Caller, id: Uuid) -> Result<User, Fault> {
        self.permit(caller).await?;
        self.users.find(&caller.tenant, id).await?.ok_or_else(unknown_user)
    }

    /// The users of the caller's tenant, by name.
    ///
    /// # Errors
    /// `forbidden`, `unavailable` or `internal`.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<User>, Fault> {
        self.permit(caller).await?;
        self.users.list(&caller.tenant).await
    }

    /// Changes a user. Another role, password or second factor, and being disabled, end his sessions at once. What
    /// changes nothing is not logged.
    ///
    /// # Errors
    /// `forbidden`, also when the user is or shall be an operator unless an operator asks; `invalid`, naming everything
    /// that is wrong; `not_found`, also for a user of another tenant; `unavailable`, `storage_full` or `internal`.
    pub async fn change(&self, caller: &Caller, id: Uuid, change: UserChange) -> Result<ChangedUser, Fault> {
        self.permit(caller).await?;
        if let Some(role) = change.role {
            self.permit_role(caller, role).await?;
        }
        let tenant = &caller.tenant;
        let faults = [
            change.password.as_ref().and_then(password_fault),
            change.role.and_then(|role| role_fault(role, tenant)),
            change.email.as_ref().and_then(|email| email_fault(email.as_deref()?)),
        ];
        all_right(faults.into_iter().flatten().collect())?;
        let mut change = change;
        let password_hash = match change.password.take() {
            // Only a user who is there is worth a hash.
            Some(password) if self.users.find(tenant, id).await?.is_some() => {
                Some(self.passwords.hash(password).await?)
            }
            Some(_) => return Err(unknown_user()),
            None => None,
        };
        let alone = self.changing.clone().lock_owned().await;
        let mut user = self.users.find(tenant, id).await?.ok_or_else(unknown_user)?;
        self.permit_role(caller, user.role).await?;
        change.role = change.role.filter(|role| *role != user.role);
        change.email = change.email.filter(|email| *email != user.email);
        change.enabled = change.enabled.filter(|enabled| *enabled != user.enabled);
        change.second_factor = change.second_factor.filter(|on| *on || user.has_second_factor);
        let told = told(&change, password_hash.is_some());
        if told.is_empty() {
            return Ok(ChangedUser { user, otpauth_uri: None });
        }
        let key = change.second_factor.map(|on| on.then(|| self.new_key()));
        user.role = change.role.unwrap_or(user.role);
        user.email = change.email.unwrap_or(user.email);
        user.enabled = change.enabled.unwrap_or(user.enabled);
        user.has_second_factor = change.second_factor.unwrap_or(user.has_second_factor);
        let otpauth_uri = key.as_ref().and_then(|key| Some(otpauth_uri(&user.username, key.as_ref()?)));
        let credentials = CredentialChange { password_hash, second_factor: key };
        let entry = self.entry(caller, tenant, "user.change", id).because(&told.join(", "));
        let (users, new) = (self.users.clone(), user.clone());
        let store = async move {
            let _alone = alone;
            users.change(new, credentials, entry).await
        };
        if self.remembered.change(store).await? {
            Ok(ChangedUser { user, otpauth_uri })
        } else {
            Err(unknown_user())
        }
    }

    /// Removes a user and ends his sessions at once.
    ///
    /// # Errors
    /// `forbidden`, also for an operator unless an operator asks; `not_found`, also for a user of another tenant;
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn remove(&self, caller: &Caller, id: Uuid) -> Result<(), Fault> {
        let user = self.find(caller, id).await?;
        self.permit_role(caller, user.role).await?;
        let entry = self.entry(caller, &caller.tenant, "user.delete", id);
        let (users, tenant) = (self.users.clone(), caller.tenant.clone());
        let removed = self.remembered.change(async move { users.remove(&tenant, id, entry).await }).await?;
        if removed { Ok(()) } else { Err(unknown_user()) }
    }

    async fn add(&self, caller: &Caller, tenant: TenantName, new: NewUser) -> Result<User, Fault> {
        self.permit_role(caller, new.role).await?;
        let username = new.username.to_lowercase();
        let faults = [
            username_fault(&username),
            password_fault(&new.password),
            role_fault(new.role, &tenant),
            new.email.as_deref().and_then(email_fault),
        ];
        all_right(faults.into_iter().flatten().collect())?;
        let password_hash = self.passwords.hash(new.password).await?;
        let _alone = self.changing.lock().await;
        if self.users.list(&tenant).await?.len() >= MOST_USERS {
            let words =
                format!("the tenant has {MOST_USERS} users; remove some that are not needed any more");
            return Err(Fault::new(Code::Conflict, words));
        }
        let user = User {
            id: self.ids.next_id(),
            tenant,
            username,
            email: new.email,
            role: new.role,
            enabled: true,
            has_second_factor: false,
            created_at_ms: self.clock.now_ms(),
            last_login_at_ms: None,
        };
        let entry = self.entry(caller, &user.tenant, "user.create", user.id);
        let entry = entry.because(&format!("with the role {}", user.role.name()));
        let credentials = UserCredentials { password_hash, second_factor: None, last_step: None };
        self.users.create(user.clone(), credentials, entry).await?;
        Ok(user)
    }

    /// Operators are made and changed by operators only: else an admin beside them could become one by a new password.
    async fn permit_role(&self, caller: &Caller, role: Role) -> Result<(), Fault> {
        match role {
            Role::Operator => self.rights.require(caller, Action::ManageTenants).await,
            _ => Ok(()),
        }
    }

    fn new_key(&self) -> Secret<Vec<u8>> {
        let mut key = vec![0u8; ONE_TIME_KEY_BYTES];
        self.randomness.fill(&mut key);
        Secret::new(key)
    }

    /// The entry stands in the chain of the tenant whose user it is, whoever acts; the actor's own is told, too.
    fn entry(&self, caller: &Caller, tenant: &TenantName, action: &'static str, id: Uuid) -> AuditEntry {
        let object = Some(AuditObject::new("user", id));
        caller.entry(self.clock.now_ms(), action, object, Outcome::Success).about(tenant)
    }
}

/// What the audit log says of a change: which fields, and of their values only what names nobody.
fn told(change: &UserChange, new_password: bool) -> Vec<String> {
    let role = change.role.map(|role| format!("role now {}", role.name()));
    let enabled = change.enabled.map(|on| (if on { "enabled" } else { "disabled" }).to_owned());
    let factor = change.second_factor.map(|on| format!("second factor {}", if on { "on" } else { "off" }));
    let password = new_password.then(|| "new password".to_owned());
    let email = change.email.as_ref().map(|_| "new email".to_owned());
    [password, role, email, enabled, factor].into_iter().flatten().collect()
}

fn unknown_user() -> Fault {
    Fault::new(Code::NotFound, "no such user; GET /api/v1/users lists them")
}
