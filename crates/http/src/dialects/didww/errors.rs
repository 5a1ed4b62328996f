//! Refusals as JSON:API errors (`didww.md` section 6): the one table of what is wrong, and how it is written. Every value is
//! a text.

use super::paths::is_file;
use crate::exchange::Exchange;
use crate::refusal::{Refusal, Words};
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};
use tollbook_kit::fault::{Code, Detail, Fault};

/// The media type of everything but files.
pub(super) const MEDIA_TYPE: &str = "application/vnd.api+json";
/// What caches may do with everything but files.
pub(super) const REVALIDATE: HeaderValue = HeaderValue::from_static("max-age=0, private, must-revalidate");
/// Exactly this, without a line end: clients compare it.
const TOO_MANY_REQUESTS: &str = r#"{"errors":[{"status":"429","detail":"Too Many Requests"}]}"#;
/// The code of everything that is wrong with an attribute or with the whole resource.
const VALIDATION: &str = "100";

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    status: StatusCode,
    code: &'static str,
    title: String,
    detail: String,
    pointer: Option<String>,
}

impl Broken {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, code, title: title.into(), detail: detail.into(), pointer: None }
    }

    /// A rule of the document or the query.
    fn request(code: &'static str, title: &'static str, detail: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, title, detail)
    }

    /// The body is no JSON object of the right shape.
    pub(super) fn syntax(detail: impl Into<String>) -> Self {
        Self::request("400", "Bad Request", detail.into())
    }

    /// A member of the document that must be there is not.
    pub(super) fn missing_parameter(name: &str) -> Self {
        Self::request("106", "Missing Parameter", format!("The required parameter, {name}, is missing."))
    }

    /// There is no such type of resource.
    pub(super) fn invalid_resource(kind: &str) -> Self {
        Self::request("101", "Invalid resource", format!("{kind} is not a valid resource."))
    }

    /// The document is of another resource than the path.
    pub(super) fn key_not_in_url(id: &str) -> Self {
        Self::request("110", "Key is not included in URL", format!("The URL does not support the key {id}"))
    }

    /// A member that may not be set.
    pub(super) fn param_not_allowed(name: &str) -> Self {
        Self::request("105", "Param not allowed", format!("{name} is not allowed."))
    }

    /// There is no such filter.
    pub(super) fn filter_not_allowed(name: &str) -> Self {
        Self::request("102", "Filter not allowed", format!("{name} is not allowed."))
    }

    /// The filter does not take this value.
    pub(super) fn invalid_filter_value(value: &str, filter: &str) -> Self {
        let detail = format!("{value} is not a valid value for {filter}.");
        Self::request("107", "Invalid filter value", detail)
    }

    /// It cannot be sorted by that.
    pub(super) fn invalid_sort(key: &str) -> Self {
        let detail = format!("{key} is not a valid sort criteria for exports");
        Self::request("114", "Invalid sort criteria", detail)
    }

    /// There is no such attribute.
    pub(super) fn invalid_field(field: &str) -> Self {
        Self::request("104", "Invalid field", format!("{field} is not a valid field for exports."))
    }

    /// The number or the size of a page is none.
    pub(super) fn invalid_page_value(value: &str, parameter: &str) -> Self {
        let detail = format!("{value} is not a valid value for {parameter} page parameter.");
        Self::request("118", "Invalid page value", detail)
    }

    /// Pages are not that large.
    pub(super) fn page_too_large(most: usize) -> Self {
        let detail = format!("size exceeds maximum page size of {most}.");
        Self::request("118", "Invalid page value", detail)
    }

    /// Pages have a number and a size.
    pub(super) fn page_parameter_not_allowed(key: &str) -> Self {
        let detail = format!("{key} is not an allowed page parameter.");
        Self::request("105", "Page parameter not allowed", detail)
    }

    /// Nothing is related to an export.
    pub(super) fn invalid_include(name: &str) -> Self {
        let detail = format!("{name} is not a valid includable relationship of exports");
        Self::request("112", "Invalid include", detail)
    }

    /// An attribute is wrong.
    pub(super) fn attribute(name: &str, message: impl Into<String>) -> Self {
        let title = message.into();
        let detail = format!("{name} - {title}");
        let pointer = Some(format!("/data/attributes/{name}"));
        Self { pointer, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, VALIDATION, title, detail) }
    }

    /// The resource as a whole cannot be.
    pub(super) fn whole(message: &str) -> Self {
        let pointer = Some("/data".to_owned());
        Self { pointer, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, VALIDATION, message, message) }
    }

    fn entry(&self) -> Value {
        let mut entry = Map::new();
        for (name, value) in [
            ("title", &*self.title),
            ("detail", &*self.detail),
            ("code", self.code),
            ("status", self.status.as_str()),
        ] {
            entry.insert(name.into(), value.into());
        }
        if let Some(pointer) = &self.pointer {
            entry.insert("source".into(), json!({ "pointer": pointer }));
        }
        Value::Object(entry)
    }
}

/// A refusal that names every broken rule. They are all of one stage, so the first one's status is everyone's.
pub(super) fn refusal(broken: &[Broken]) -> Refusal {
    refusal_with(broken, None)
}

fn refusal_with(broken: &[Broken], allow: Option<&'static str>) -> Refusal {
    let Some(first) = broken.first() else {
        return Fault::internal("a request was refused for no reason").into();
    };
    Refusal::in_words(Words { status: first.status, document: document(broken), allow })
}

/// Is nothing wrong?
///
/// # Errors
/// A refusal that names everything that is.
pub(super) fn all_right(broken: &[Broken]) -> Result<(), Refusal> {
    if broken.is_empty() { Ok(()) } else { Err(refusal(broken)) }
}

/// There is no such export.
pub(super) fn no_record(id: &str) -> Refusal {
    let detail = format!("The record identified by {id} could not be found.");
    refusal(&[Broken::new(StatusCode::NOT_FOUND, "404", "Record not found", detail)])
}

/// The path is not for this method, but for these.
pub(super) fn no_method(method: &Method, allow: &'static str) -> Refusal {
    let detail = format!("{method} is not allowed here.");
    let broken = Broken::new(StatusCode::METHOD_NOT_ALLOWED, "405", "Method not allowed", detail);
    refusal_with(&[broken], Some(allow))
}

/// The client does not take what is answered here.
pub(super) fn not_acceptable(given: &str) -> Refusal {
    let detail = format!(
        "All requests must use the '{MEDIA_TYPE}' Accept without media type parameters. This request specified '{given}'."
    );
    refusal(&[Broken::new(StatusCode::NOT_ACCEPTABLE, "406", "Not acceptable", detail)])
}

/// The body is of another type than is taken here.
pub(super) fn unsupported_media_type(given: &str) -> Refusal {
    let detail = format!(
        "All requests that create or update must use the '{MEDIA_TYPE}' Content-Type. This request specified '{given}'."
    );
    refusal(&[Broken::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "415", "Unsupported media type", detail)])
}

fn document(broken: &[Broken]) -> String {
    let entries: Vec<Value> = broken.iter().map(Broken::entry).collect();
    json!({ "errors": entries }).to_string()
}

/// The answer to a refused request. Of files it has no body where it would tell nothing.
pub(crate) fn render(refusal: &Refusal, exchange: &Exchange) -> Response {
    let status = refusal.status();
    let tells_nothing = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND);
    let mut response = if tells_nothing && is_file(exchange.path()) {
        Response::new(Body::empty())
    } else {
        let mut response = Response::new(Body::from(text(refusal, status)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, REVALIDATE);
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    refusal.advise(headers);
    response
}

fn text(refusal: &Refusal, status: StatusCode) -> String {
    if let Some(words) = refusal.words() {
        return words.document.clone();
    }
    if refusal.fault().is_some_and(|fault| fault.code() == Code::RateLimited) {
        return TOO_MANY_REQUESTS.to_owned();
    }
    document(&told_of(refusal, status))
}

/// What a refusal of the shared rooms says here, one entry per broken rule.
fn told_of(refusal: &Refusal, status: StatusCode) -> Vec<Broken> {
    let (title, detail) = match status {
        StatusCode::UNAUTHORIZED => ("Unauthorized", "Authorization failed"),
        StatusCode::FORBIDDEN => ("Forbidden", "Not allowed"),
        StatusCode::NOT_FOUND => ("Not found", "The requested path does not exist."),
        StatusCode::INTERNAL_SERVER_ERROR => ("Internal Server Error", "Internal Server Error"),
        StatusCode::BAD_REQUEST if !refusal.details().is_empty() => {
            let told = |Detail { name, reason, .. }: &Detail| Broken::syntax(format!("{name}: {reason}"));
            return refusal.details().iter().map(told).collect();
        }
        other => (other.canonical_reason().unwrap_or("Error"), refusal.message()),
    };
    vec![Broken::new(status, code_of(status), title, detail)]
}

/// The code of what has none of its own: the status.
fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        409 => "409",
        410 => "410",
        412 => "412",
        413 => "413",
        415 => "415",
        416 => "416",
        422 => "422",
        429 => "429",
        503 => "503",
        507 => "507",
        _ => "500",
    }
}
