//! The trunks of a tenant, which callers name in filters.
//!
//! All records are looked at for it, so it takes the place of an estimate. It shows no records, so it is not in the audit
//! log.

use super::{ESTIMATES, Exports};
use tollbook_kit::fault::Fault;
use tollbook_model::access::Caller;
use tollbook_model::call::Trunk;
use tollbook_model::dataset::Dataset;

impl Exports {
    /// The trunks that call records of the caller's tenant name, by name and id; of more than
    /// [`LISTED_TRUNKS`](tollbook_model::call::LISTED_TRUNKS) the first ones.
    ///
    /// # Errors
    /// `forbidden`; `gone` when the tenant's time to export is over; `too_many` when the credential has as many estimates
    /// under way as it may; `unavailable` or `internal`.
    pub async fn trunks(&self, caller: &Caller) -> Result<Vec<Trunk>, Fault> {
        self.permit(caller, Dataset::Cdr).await?;
        let tenant = self.tenants.exportable(caller).await?;
        let _place = self.estimate_places.take(caller.credential, ESTIMATES)?;
        self.desk.data_plane.trunks(&tenant.name).await
    }
}
