//! The datasets: what kinds of records a tenant has.

use std::fmt;

/// A kind of records. Its name is the same in paths, file names, folders and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dataset {
    /// Call detail records.
    Cdr,
    /// Counts and sums of calls per time bucket.
    Kpis,
    /// Who did what: the hash chain of the tenant's audit log.
    AuditLog,
    /// The configured sources of records.
    AgentConfiguration,
}

impl Dataset {
    /// Every dataset that this version keeps.
    pub const ALL: [Self; 4] = [Self::Cdr, Self::Kpis, Self::AuditLog, Self::AgentConfiguration];

    /// The dataset's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cdr => "cdr",
            Self::Kpis => "kpis",
            Self::AuditLog => "audit-log",
            Self::AgentConfiguration => "agent-configuration",
        }
    }

    /// The dataset of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.name() == name)
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
