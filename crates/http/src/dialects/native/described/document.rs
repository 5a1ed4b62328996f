//! The document of this dialect.

use super::super::errors::ProblemView;
use super::super::requests::ingest;
use super::super::routes;
use super::exports;
use crate::downloads;
use crate::openapi::{Document, Words};
use crate::public::Public;
use crate::published;
use axum::response::Response;
use http::HeaderMap;
use serde_json::json;
use std::sync::LazyLock;
use tollbook_app::datasets::SchemaView;

const INTRODUCTION: &str = "\
Self-hosted exports of call detail records.

**Credentials.** An API token or a JWT as `Authorization: Bearer`, never in a query or a cookie. A credential has one \
tenant and one role; a JWT that is good for several tenants names one in `Tollbook-Tenant`. An object of another tenant \
is answered exactly like one that does not exist. `x-tollbook-action` names the right that an operation asks for, \
`x-tollbook-roles` the roles that have it (by dataset, where the path names one).

**Order of checks.** Path 404, method 405, credential 401, rate 429, role 403, size and type of the body 413 and 415, \
syntax 400, parameters 400 (all faults in one answer), look-up 404, state 409, 410 and 422.

**Errors** are problem documents (RFC 9457). Besides what is listed, every path answers 405 with `Allow` to methods that \
it does not have. `GET` operations answer `HEAD` too. A parameter that an operation does not have is refused with 400, \
except where nobody needs a credential.

**Rates.** 20 requests a second per credential, 40 at once after a rest; bodies of records have a rate of their own of \
2000 a second; without a credential, 20 a second per address. All are configurable.";

static DOCUMENT: LazyLock<SchemaView> = LazyLock::new(|| {
    let words = Words {
        title: "Tollbook: native API",
        description: INTRODUCTION,
        tags: &[
            ("exports", "Records out, at once."),
            ("export jobs", "Records out, made in the background and fetched by signed links."),
            ("link keys", "The keys that sign links to files; they are the operator's."),
            ("records", "Records in."),
            ("sources", "PBXs and files that send records."),
            ("tokens", "API tokens of the own tenant."),
            ("users", "Users of the own tenant."),
            ("settings", "Settings of the own tenant."),
            ("tenants", "What the operator of the instance does with tenants."),
            ("audit log", "Proof of who did what. Its entries are exported as the dataset `audit-log`."),
            ("schemas", "What is published for everybody."),
        ],
        security_schemes: json!({
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API token, or a JWT access token."},
            "basic": {
                "type": "http", "scheme": "basic",
                "description": "For switches that can send nothing else: the API token as password, with any user name.",
            },
        }),
    };
    let described = routes::routes().merge(downloads::routes()).into_described();
    let document = Document::new(words, described)
        .with_schema::<ProblemView<'_>>()
        .with_named(ingest::SENT_RECORD, ingest::sent_record());
    exports::records().fold(document, |document, (name, schema)| document.with_named(name, schema)).publish()
});

pub(in super::super) async fn document(_: Public, headers: HeaderMap) -> Response {
    published::tagged(&DOCUMENT, &headers)
}
