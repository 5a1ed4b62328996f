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

    /// Name of the field that ranges of time are about.
    pub fn time_field(self) -> &'static str {
        match self {
            Self::Cdr => "start_at",
            Self::Kpis => "bucket_start",
            Self::AuditLog => "at",
            Self::AgentConfiguration => "updated_at",
        }
    }

    /// Name of the field with the sequence number, where records show theirs.
    pub fn sequence_field(self) -> Option<&'static str> {
        (self == Self::AuditLog).then_some("seq")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{FieldKind, Schema};

    #[test]
    fn every_record_has_its_time_and_whole_ones_show_it() {
        for dataset in Dataset::ALL {
            let schema = Schema::of(dataset);
            let field = |name| schema.fields[schema.position(name).unwrap()];
            let time = field(dataset.time_field());
            assert!(
                time.required && time.exported_by_default && time.kind == FieldKind::Instant,
                "{dataset}"
            );
            if let Some(sequence) = dataset.sequence_field().map(field) {
                assert!(sequence.required && sequence.exported_by_default, "{dataset}");
            }
        }
    }
}
