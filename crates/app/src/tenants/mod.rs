//! Tenants: finding them, and what the operator does with them.
//!
//! What becomes of a closed tenant's records is the store's business.

mod directory;
mod quota;
mod tenancy;

pub use directory::{MOST_TENANTS, TenantDirectory};
pub(crate) use directory::{time_to_export_is_over, unknown_tenant};
pub use quota::QuotaChange;
pub use tenancy::Tenancy;
