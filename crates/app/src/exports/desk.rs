//! From a query to what the data plane takes: the one road of direct exports, estimates and jobs.
//!
//! Rights, quotas and the audit log are the business of whoever asks; so is what becomes of the bytes.

use super::manifests::Manifests;
use super::{audit_rows, given, numbers};
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Estimate, ExportQuery, ExportRequest};
use tollbook_model::ports::{AuditLog, DataPlane, ExportRows, Sources};
use tollbook_model::schema::Schema;
use tollbook_model::sheet::Sheet;
use tollbook_model::tenant::Tenant;
use uuid::Uuid;

/// Prepares exports.
pub(crate) struct ExportDesk {
    pub(crate) data_plane: Arc<dyn DataPlane>,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) audit_log: Arc<dyn AuditLog>,
    pub(crate) manifests: Arc<Manifests>,
    /// The sheets that queries name.
    pub(crate) sheets: Vec<Arc<dyn Sheet>>,
    /// Schema ids begin with it.
    pub(crate) public_url: String,
}

impl ExportDesk {
    /// `$id` of the dataset's schema.
    pub(crate) fn schema_id(&self, dataset: Dataset) -> String {
        Schema::of(dataset).id(&self.public_url)
    }

    /// The request as the data plane takes it: numbers in filters in the forms that are stored, and of a sheet the fields
    /// that it needs.
    ///
    /// # Errors
    /// `internal` when the query names a sheet that nobody knows.
    pub(crate) fn request(
        &self,
        tenant: &Tenant,
        query: ExportQuery,
        id: Uuid,
    ) -> Result<ExportRequest, Fault> {
        let mut selection = query.selection;
        numbers::normalise(&mut selection.filters, &tenant.pseudonym_keys);
        let sheet = query.sheet.map(|name| self.sheet(&name)).transpose()?;
        if let Some(sheet) = &sheet {
            selection.columns = sheet.fields().iter().map(|&field| field as usize).collect();
        }
        Ok(ExportRequest {
            id,
            tenant: tenant.name.clone(),
            schema_id: self.schema_id(selection.dataset),
            selection,
            format: query.format,
            formula_guard: query.formula_guard,
            sheet,
            proof: self.manifests.proof(query.signing),
        })
    }

    fn sheet(&self, name: &str) -> Result<Arc<dyn Sheet>, Fault> {
        let known = self.sheets.iter().find(|sheet| sheet.name() == name).cloned();
        known.ok_or_else(|| Fault::internal("an export is of a sheet that no dialect has"))
    }

    /// The rows of a request as they are now, and of the audit log the last entry that is seen.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub(crate) async fn rows_now(&self, request: &ExportRequest) -> Result<(ExportRows, Option<u64>), Fault> {
        match request.selection.dataset {
            Dataset::Cdr | Dataset::Kpis => Ok((ExportRows::Stored, None)),
            Dataset::AgentConfiguration | Dataset::AuditLog => {
                let end = self.end_of_given(request).await?;
                let rows = self.given_rows(request, end).await?;
                Ok((rows, (request.selection.dataset == Dataset::AuditLog).then_some(end)))
            }
        }
    }

    /// The last entry of the audit log, for an export of it; of what has no sequence 0.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub(crate) async fn end_of_given(&self, request: &ExportRequest) -> Result<u64, Fault> {
        match request.selection.dataset {
            Dataset::AuditLog => audit_rows::chain_end(&*self.audit_log, &request.tenant).await,
            _ => Ok(0),
        }
    }

    /// The rows that the data plane is not to look for itself: of the audit log up to that entry.
    ///
    /// # Errors
    /// `unavailable` or `internal`, also for a dataset whose rows are in journal and lake.
    pub(crate) async fn given_rows(
        &self,
        request: &ExportRequest,
        up_to_seq: u64,
    ) -> Result<ExportRows, Fault> {
        match request.selection.dataset {
            Dataset::AgentConfiguration => {
                let sources = self.sources.list(&request.tenant).await?;
                Ok(ExportRows::Given(given::source_rows(sources, &request.selection)))
            }
            Dataset::AuditLog => {
                let audit_log = self.audit_log.clone();
                audit_rows::audit_rows(audit_log, &request.tenant, &request.selection, up_to_seq).await
            }
            dataset => Err(Fault::internal(format!("the rows of {dataset} are not handed over"))),
        }
    }

    /// What the query would yield about.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub(crate) async fn estimate(
        &self,
        tenant: &Tenant,
        query: ExportQuery,
        id: Uuid,
    ) -> Result<Estimate, Fault> {
        let request = self.request(tenant, query, id)?;
        let (rows, _) = self.rows_now(&request).await?;
        self.data_plane.estimate(&request, rows).await
    }
}
