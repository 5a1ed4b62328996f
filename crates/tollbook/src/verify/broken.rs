//! Where and why a log is not whole.

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// Its place in the chain, if it says one.
    pub(super) seq: Option<u64>,
    /// In words.
    pub(super) what: String,
}
