//! What an export selects: range, filters, columns, and how times are shown.

use crate::dataset::Dataset;
use crate::time_range::TimeRange;
use jiff::tz::TimeZone;

/// A field that exports can be filtered by (`natalia.md` section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilterField {
    /// Exact text.
    PbxAlias,
    /// Exact word.
    Direction,
    /// Exact text.
    Extension,
    /// Exact text.
    Trunk,
    /// Number in normal form, or a pseudonym.
    CallingParty,
    /// Number in normal form.
    CalledParty,
    /// Exact word.
    Result,
    /// Number in normal form: `did`, or `called_party` of an inbound record without one.
    DidNumber,
    /// Exact text; of the audit log.
    Action,
    /// Exact text; of the audit log.
    Actor,
    /// The trunk's id: what the source gave as `extra.trunk_id`, else the one made of its name
    /// ([`TrunkIds`](crate::call::TrunkIds)).
    TrunkId,
    /// Number in normal form, or a pseudonym: `source_number_out`, or `calling_party` of a record without one.
    NumberSent,
    /// Number in normal form, or a pseudonym: `cli`, or `calling_party` of a record without one.
    NumberPresented,
    /// Exact text.
    Country,
}

impl FilterField {
    /// The filters that are parameters of an export (`natalia.md` section 6); the others are for dialects.
    pub const PARAMETERS: [Self; 10] = [
        Self::PbxAlias,
        Self::Direction,
        Self::Extension,
        Self::Trunk,
        Self::CallingParty,
        Self::CalledParty,
        Self::Result,
        Self::DidNumber,
        Self::Action,
        Self::Actor,
    ];

    /// Every filter.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PARAMETERS.into_iter().chain([
            Self::TrunkId,
            Self::NumberSent,
            Self::NumberPresented,
            Self::Country,
        ])
    }

    /// Its name; of most filters also that of the parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::PbxAlias => "pbx_alias",
            Self::Direction => "direction",
            Self::Extension => "extension",
            Self::Trunk => "trunk",
            Self::CallingParty => "calling_party",
            Self::CalledParty => "called_party",
            Self::Result => "result",
            Self::DidNumber => "did_number",
            Self::Action => "action",
            Self::Actor => "actor",
            Self::TrunkId => "trunk_id",
            Self::NumberSent => "number_sent",
            Self::NumberPresented => "number_presented",
            Self::Country => "country",
        }
    }

    /// Are values compared as numbers in normal form?
    pub fn is_number(self) -> bool {
        matches!(self, Self::CalledParty | Self::DidNumber) || self.may_be_pseudonym()
    }

    /// Can what is compared be the pseudonym of a caller?
    pub fn may_be_pseudonym(self) -> bool {
        matches!(self, Self::CallingParty | Self::NumberSent | Self::NumberPresented)
    }

    /// Can the dataset be filtered by it?
    pub fn applies_to(self, dataset: Dataset) -> bool {
        match dataset {
            Dataset::Cdr => !matches!(self, Self::Action | Self::Actor),
            Dataset::Kpis => matches!(self, Self::PbxAlias | Self::Direction),
            Dataset::AuditLog => matches!(self, Self::Action | Self::Actor),
            Dataset::AgentConfiguration => matches!(self, Self::PbxAlias),
        }
    }
}

/// One filter: the record passes if its value is any of `values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The field.
    pub field: FilterField,
    /// Accepted values. For numbers: normal forms, and for `calling_party` also the pseudonyms they stand for;
    /// `app` sees to that.
    pub values: Vec<String>,
}

/// Length of a KPI bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interval {
    /// An hour.
    Hour,
    /// A calendar day.
    #[default]
    Day,
    /// A week from Monday.
    Week,
    /// A calendar month.
    Month,
}

impl Interval {
    /// The word of that interval.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The interval of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Hour, Self::Day, Self::Week, Self::Month].into_iter().find(|interval| interval.name() == name)
    }
}

/// What is exported and how its values are shown. Checked: columns exist and are not repeated.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The dataset.
    pub dataset: Dataset,
    /// Records whose time lies inside.
    pub range: TimeRange,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Positions of the columns in the dataset's schema, in the order of the output.
    pub columns: Vec<usize>,
    /// Zone in which date-times are shown in CSV and JSON.
    pub timezone: TimeZone,
    /// Bucket length, for KPIs.
    pub interval: Interval,
}
