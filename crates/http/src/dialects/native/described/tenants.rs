//! What the operator does with tenants.

use super::super::requests::tenant::{change_schema, new_tenant_schema};
use super::super::responses::tenant::TenantView;
use super::{tokens, users};
use crate::openapi::{Operation, parameters};
use serde_json::json;
use tollbook_model::access::Action;

const TAG: &str = "tenants";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs(Action::ManageTenants, TAG, id, summary)
}

pub(in super::super) fn list() -> Operation {
    operation("listTenants", "List tenants").answers_list::<TenantView>("All tenants, by name.")
}

pub(in super::super) fn create() -> Operation {
    let example = json!({"name": "acme_bank", "settings": {"retention": {"cdr_days": 90}}, "quota": {"queued_jobs": 10}});
    operation("createTenant", "Make a tenant")
        .saying("What is not given is as usual. Its first credential is made by the operator too.")
        .takes_json("NewTenant", new_tenant_schema(), &example)
        .refuses(&[409])
        .answers_json::<TenantView>(201, "The tenant.")
}

pub(in super::super) fn show() -> Operation {
    operation("getTenant", "Get a tenant")
        .with(parameters::tenant())
        .answers_json::<TenantView>(200, "The tenant.")
}

pub(in super::super) fn change() -> Operation {
    operation("changeTenant", "Change a tenant")
        .saying("What is not given stays.")
        .with(parameters::tenant())
        .takes_json("TenantChange", change_schema(), &json!({"quota": {"queued_jobs": 10}}))
        .refuses(&[409])
        .answers_json::<TenantView>(200, "The tenant as it is now.")
}

pub(in super::super) fn close() -> Operation {
    operation("closeTenant", "Close a tenant")
        .saying("Nothing goes in from now on; exports work for 30 days, then all its data is deleted. No way back.")
        .with(parameters::tenant())
        .refuses(&[409])
        .answers_json::<TenantView>(200, "The tenant, closing.")
}

pub(in super::super) fn create_token() -> Operation {
    let operation = operation("createTokenOfTenant", "Make a token for a tenant");
    tokens::taking(operation.with(parameters::tenant()))
}

pub(in super::super) fn create_user() -> Operation {
    let operation = operation("createUserOfTenant", "Make a user for a tenant");
    users::taking(operation.with(parameters::tenant()))
}
