//! Who calls, and what he may do: the caller, the roles and the one permission table.
//!
//! How a credential becomes a caller is `app`'s; here is only what follows from it.

pub use crate::actor::{Actor, Role};
use crate::audit::{AuditEntry, AuditObject, Outcome};
use crate::dataset::Dataset;
use crate::tenant::TenantName;
use std::net::IpAddr;
use tollbook_kit::fault::{Code, Fault};
use uuid::Uuid;

/// What a use case wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Estimate and export a dataset, directly and by jobs, and fetch the manifests of its exports; for the audit log also
    /// its checkpoints.
    Export(Dataset),
    /// Post records.
    PostRecords,
    /// See and change sources.
    ManageSources,
    /// See, make and revoke tokens of the own tenant.
    ManageTokens,
    /// See and change users of the own tenant.
    ManageUsers,
    /// See and change the settings of the own tenant.
    ManageSettings,
    /// List the exports and subscriptions of event records.
    ListEvents,
    /// Create, see, change and close tenants, and make tokens and users for them.
    ManageTenants,
    /// Cancel and delete exports that somebody else of the own tenant ordered.
    RemoveExports,
    /// See, change and remove the keys that sign links to files.
    ManageLinkKeys,
}

impl Action {
    /// Every action.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Dataset::ALL.into_iter().map(Self::Export).collect();
        all.extend([
            Self::PostRecords,
            Self::ManageSources,
            Self::ManageTokens,
            Self::ManageUsers,
            Self::ManageSettings,
            Self::ListEvents,
            Self::ManageTenants,
            Self::RemoveExports,
            Self::ManageLinkKeys,
        ]);
        all
    }

    /// The word under which a denied attempt is logged.
    pub fn name(self) -> &'static str {
        match self {
            Self::Export(_) => "export",
            Self::PostRecords => "records.post",
            Self::ManageSources => "sources.manage",
            Self::ManageTokens => "tokens.manage",
            Self::ManageUsers => "users.manage",
            Self::ManageSettings => "settings.manage",
            Self::ListEvents => "events.list",
            Self::ManageTenants => "tenants.manage",
            Self::RemoveExports => "exports.remove",
            Self::ManageLinkKeys => "link-keys.manage",
        }
    }

    /// What it is done to, where that is known before anything is looked up.
    pub fn object(self) -> Option<AuditObject> {
        match self {
            Self::Export(dataset) => Some(AuditObject::new("dataset", dataset)),
            _ => None,
        }
    }
}

/// The permission table: may `role` do `action`?
pub fn permitted(role: Role, action: Action) -> bool {
    use Role::{Admin, Analyst, Auditor, Operator, Source, Viewer};
    match action {
        Action::Export(Dataset::Cdr | Dataset::Kpis) => matches!(role, Analyst | Auditor | Admin | Operator),
        Action::Export(Dataset::AuditLog | Dataset::AgentConfiguration) => {
            matches!(role, Auditor | Admin | Operator)
        }
        Action::PostRecords => matches!(role, Source | Admin | Operator),
        Action::ManageSources
        | Action::ManageTokens
        | Action::ManageUsers
        | Action::ManageSettings
        | Action::RemoveExports => matches!(role, Admin | Operator),
        Action::ListEvents => matches!(role, Viewer | Analyst | Auditor | Admin | Operator),
        Action::ManageTenants | Action::ManageLinkKeys => matches!(role, Operator),
    }
}

/// Who calls: the first argument of every use case.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant of the credential.
    pub tenant: TenantName,
    /// The role of the credential.
    pub role: Role,
    /// Who it is.
    pub actor: Actor,
    /// What limits and quotas count by: the token, the user, however often he logs in, or a stand-in for an outside
    /// subject.
    pub credential: Uuid,
    /// The address of the request, if there is one.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The process itself, acting on a tenant with all rights.
    pub fn system(tenant: TenantName) -> Self {
        let (actor, credential) = (Actor::System, Uuid::nil());
        Self { tenant, role: Role::Operator, actor, credential, address: None }
    }

    /// Passes if the caller may do `action`. Use cases ask through `app`'s rights, which also log a refusal.
    ///
    /// # Errors
    /// [`Code::Forbidden`], before anything is looked up.
    pub fn require(&self, action: Action) -> Result<(), Fault> {
        if permitted(self.role, action) {
            return Ok(());
        }
        Err(Fault::new(
            Code::Forbidden,
            format!("the role {} may not do this; use a credential with a role that may", self.role.name()),
        ))
    }

    /// What the audit log of his own tenant says when he has done, or tried, this. For what he does to another tenant,
    /// see [`AuditEntry::about`].
    pub fn entry(
        &self,
        at_ms: i64,
        action: &'static str,
        object: Option<AuditObject>,
        outcome: Outcome,
    ) -> AuditEntry {
        AuditEntry {
            tenant: self.tenant.clone(),
            home: None,
            at_ms,
            actor: self.actor.clone(),
            actor_role: (self.actor != Actor::System).then_some(self.role),
            ip: self.address,
            action,
            object,
            outcome,
            reason: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix of `natalia.md` section 3, written out: one column per role in the order of `Role::ALL`.
    #[test]
    fn the_table_is_the_contracts() {
        let matrix = [
            (Action::Export(Dataset::Cdr), "--yyyy"),
            (Action::Export(Dataset::Kpis), "--yyyy"),
            (Action::Export(Dataset::AuditLog), "---yyy"),
            (Action::Export(Dataset::AgentConfiguration), "---yyy"),
            (Action::PostRecords, "y---yy"),
            (Action::ManageSources, "----yy"),
            (Action::ManageTokens, "----yy"),
            (Action::ManageUsers, "----yy"),
            (Action::ManageSettings, "----yy"),
            (Action::ListEvents, "-yyyyy"),
            (Action::ManageTenants, "-----y"),
            (Action::RemoveExports, "----yy"),
            (Action::ManageLinkKeys, "-----y"),
        ];
        assert_eq!(matrix.map(|(action, _)| action).to_vec().len(), Action::all().len());
        for action in Action::all() {
            let (_, row) = matrix.iter().find(|(known, _)| *known == action).expect("a row per action");
            let told: String =
                Role::ALL.iter().map(|&role| if permitted(role, action) { 'y' } else { '-' }).collect();
            assert_eq!(&told, row, "{action:?}");
        }
    }
}
