//! The OpenAPI document of this dialect, and where it is served.

use super::{errors, realms, routes};
use crate::openapi::{Document, Methods, Operation, Routes, Words, answers};
use crate::public::Public;
use crate::published;
use axum::response::Response;
use http::HeaderMap;
use serde_json::json;
use std::sync::LazyLock;
use tollbook_app::datasets::SchemaView;

const INTRODUCTION: &str = "\
The dialect of Omilia's Exports API: so far the realms where its clients log in. The operations below \
`/exports-api/v1/groups/{group}` follow; behind credential, group and rate every path there is unknown yet.

Credentials of these operations are a JWT as `Authorization: Bearer`, from the realms here or from the configured \
identity provider, or an API token as `X-OCP-PERSONAL-ACCESS-TOKEN` (or as Bearer). With both headers the Bearer counts.

Besides what is listed, every path answers 405 with `Allow` to methods that it does not have, and every answer has an \
`X-Request-Id`.";

static DOCUMENT: LazyLock<SchemaView> = LazyLock::new(|| {
    let words = Words {
        title: "Tollbook: login of the Omilia dialect",
        description: INTRODUCTION,
        tags: &[
            ("login", "Realms: logging in, staying logged in, logging out."),
            ("document", "This document."),
        ],
        security_schemes: json!({
            "bearer": {
                "type": "http", "scheme": "bearer",
                "description": "A JWT from the realms or from the configured identity provider, or an API token.",
            },
            "personalAccessToken": {
                "type": "apiKey", "in": "header", "name": "X-OCP-PERSONAL-ACCESS-TOKEN",
                "description": "An API token, good for the group that it belongs to.",
            },
        }),
    };
    Document::new(words, routes::routes().into_described())
        .with_schema::<realms::OAuthErrorView<'_>>()
        .with_schema::<errors::ErrorView<'_>>()
        .publish()
});

pub(super) fn own_routes() -> Routes {
    let operation = Operation::public("document", "getDocument", "Get this document")
        .with(crate::openapi::parameters::if_none_match())
        .answers(
            200,
            answers::tagged("The document.", json!({"application/json": {"schema": {"type": "object"}}})),
        )
        .answers(304, answers::unchanged());
    Routes::new().at("/exports-api/v1/openapi.json", Methods::new().get(document, operation))
}

async fn document(_: Public, headers: HeaderMap) -> Response {
    published::tagged(&DOCUMENT, &headers)
}
