//! Completeness reports, streamed hour by hour.

use super::streamed;
use crate::breaker::Breaker;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::StatusCode;
use serde::Serialize;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::completeness::{HOUR_MS, HourDigest};
use tollbook_model::dataset::Dataset;
use tollbook_model::export_manifest::MERKLE_ALGORITHM;
use tollbook_model::ports::CompletenessStream;
use tollbook_model::time_range::{TimeRange, instant_text};
use utoipa::ToSchema;

/// What there is of each hour.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletenessReport)]
pub(crate) struct ReportView {
    /// Name of the dataset.
    dataset: &'static str,
    /// Begin of the range.
    #[schema(format = DateTime)]
    from: String,
    /// End of the range, exclusive.
    #[schema(format = DateTime)]
    to: String,
    /// When the records were looked at.
    #[schema(format = DateTime)]
    snapshot_at: String,
    /// Last sequence number that was there then; 0 when the dataset has none.
    watermark: u64,
    /// How digests are made: `rfc6962-sha256`.
    algorithm: &'static str,
    /// The hours that hold records in the range, in their order.
    hours: Vec<HourView>,
    /// Records in all.
    records: u64,
}

/// One hour.
#[derive(Serialize, ToSchema)]
#[schema(as = CompletenessHour)]
pub(crate) struct HourView {
    /// Its start, in UTC.
    #[schema(format = DateTime)]
    hour: String,
    /// Records in it, each id once.
    records: u64,
    /// Least sequence number among them. Only of datasets that have sequence numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    first_sequence: Option<u64>,
    /// Greatest sequence number among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_sequence: Option<u64>,
    /// Root of the RFC 6962 tree over them: over the lines of an export in `ndjson` in UTC without `columns` or filters, in
    /// their order.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
}

impl HourView {
    fn of(digest: &HourDigest) -> Self {
        Self {
            hour: instant_text(digest.hour.saturating_mul(HOUR_MS)),
            records: digest.records,
            first_sequence: digest.sequences.map(|(first, _)| first),
            last_sequence: digest.sequences.map(|(_, last)| last),
            digest: digest.root.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// The head of a report, without making it.
pub(crate) fn head() -> Response {
    // A body of unknown length, so that no Content-Length is made up.
    let none = stream::empty::<Result<Bytes, std::io::Error>>();
    super::unkept(StatusCode::OK, "application/json", Body::from_stream(none))
}

/// What stands behind the hours of a report without any.
const NO_HOURS: &str = r#"],"records":0}"#;

/// A running report. Whatever breaks it off before its end breaks the connection too.
pub(crate) fn report(
    dataset: Dataset,
    range: TimeRange,
    stream: CompletenessStream,
    breaker: Option<Breaker>,
) -> Result<Response, Fault> {
    let CompletenessStream { snapshot_at_ms, watermark, hours } = stream;
    let empty = ReportView {
        dataset: dataset.name(),
        from: instant_text(range.from_ms()),
        to: instant_text(range.to_ms()),
        snapshot_at: instant_text(snapshot_at_ms),
        watermark,
        algorithm: MERKLE_ALGORITHM,
        hours: Vec::new(),
        records: 0,
    };
    let empty = serde_json::to_string(&empty).fault("writing a completeness report")?;
    let opening = empty.strip_suffix(NO_HOURS).ok_or_else(|| Fault::internal("a report ends otherwise"))?;
    let opening = stream::iter([Ok(Bytes::from(opening.to_owned()))]);
    let body = streamed::body(opening.chain(rest(hours)), breaker, format!("completeness of {dataset}"));
    Ok(super::unkept(StatusCode::OK, "application/json", body))
}

/// The hours, a line each, and what is told when they are over.
fn rest(hours: BoxStream<'static, Result<HourDigest, Fault>>) -> BoxStream<'static, Result<Bytes, Fault>> {
    let start = Some((hours, 0u64, 0u64));
    stream::try_unfold(start, |state| async move {
        let Some((mut hours, told, records)) = state else { return Ok(None) };
        let Some(hour) = hours.next().await.transpose()? else {
            let ending = format!("{}],\"records\":{records}}}\n", if told == 0 { "" } else { "\n" });
            return Ok(Some((Bytes::from(ending), None)));
        };
        let mut line = Vec::from(if told == 0 { "\n" } else { ",\n" });
        serde_json::to_writer(&mut line, &HourView::of(&hour)).fault("writing a completeness report")?;
        Ok(Some((Bytes::from(line), Some((hours, told + 1, records + hour.records)))))
    })
    .boxed()
}
