//! The schema of the resource (`didww.md` section 4.1): its type, its attributes, and the words of its status.
//!
//! Which of them an answer shows, and with which values, is told elsewhere.

/// The type of the resource.
pub(super) const TYPE: &str = "exports";
/// Its attributes, in their order.
pub(super) const ATTRIBUTES: [&str; 8] = [
    "export_type",
    "status",
    "url",
    "filters",
    "callback_url",
    "callback_method",
    "external_reference_id",
    "created_at",
];

/// Where an export is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Processing,
    Completed,
    Failed,
}

impl Status {
    /// Every status.
    pub(super) const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Completed, Self::Failed];

    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}
