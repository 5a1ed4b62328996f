//! Who calls, and what he may do: the caller, the roles and the one permission table.
//!
//! Tokens and their hashes are the catalog's; here is only what follows from them.

use crate::dataset::Dataset;
use crate::tenant::TenantName;
use tollbook_kit::fault::{Code, Fault};
use uuid::Uuid;

/// The role of a credential (`natalia.md` section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Looks at dashboards.
    Viewer,
    /// Exports call records and KPIs.
    Analyst,
    /// Everything within the tenant.
    Admin,
    /// Exports everything, changes nothing.
    Auditor,
    /// A PBX: posts records and nothing else.
    Source,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Analyst, Self::Admin, Self::Auditor, Self::Source];

    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Source => "source",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What a use case wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Estimate and export a dataset.
    Export(Dataset),
    /// Post records.
    PostRecords,
    /// See and change sources.
    ManageSources,
}

/// The permission table: may `role` do `action`?
pub fn permitted(role: Role, action: Action) -> bool {
    match action {
        Action::Export(Dataset::Cdr | Dataset::Kpis) => {
            matches!(role, Role::Analyst | Role::Admin | Role::Auditor)
        }
        Action::Export(Dataset::AgentConfiguration) => matches!(role, Role::Admin | Role::Auditor),
        Action::PostRecords => matches!(role, Role::Admin | Role::Source),
        Action::ManageSources => matches!(role, Role::Admin),
    }
}

/// Who calls: the first argument of every use case.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant of the credential.
    pub tenant: TenantName,
    /// The role of the credential.
    pub role: Role,
    /// The token, for limits and the audit log.
    pub token: Uuid,
}

impl Caller {
    /// Passes if the caller may do `action`.
    ///
    /// # Errors
    /// [`Code::Forbidden`], before anything is looked up.
    pub fn require(&self, action: Action) -> Result<(), Fault> {
        if permitted(self.role, action) {
            return Ok(());
        }
        Err(Fault::new(
            Code::Forbidden,
            format!("the role {} may not do this; use a token with a role that may", self.role.name()),
        ))
    }
}
