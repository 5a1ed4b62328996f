//! Tenants: finding them, and what the operator does with them.
//!
//! What becomes of a closed tenant's records is the store's business.

mod directory;
mod quota;
mod tenancy;

pub(crate) use directory::unknown_tenant;
pub use directory::{MOST_TENANTS, TenantDirectory};
pub use quota::QuotaChange;
pub use tenancy::Tenancy;
