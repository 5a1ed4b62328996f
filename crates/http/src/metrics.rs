//! What is measured of this room, as Prometheus reads it. Every label is of a closed set: routes by their templates,
//! methods by their names, never what a caller made up.
//!
//! Other rooms measure themselves through the same recorder. Where the numbers are read is `ops`'.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use http::Method;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault, ResultExt};

/// Writes down all numbers, in the text format of Prometheus. Must be called now and then: it also clears away what the
/// histograms have gathered.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

const REQUESTS: &str = "tollbook_http_requests_total";
const REQUEST_SECONDS: &str = "tollbook_http_request_seconds";
const IN_FLIGHT: &str = "tollbook_http_requests_in_flight";
const REFUSALS: &str = "tollbook_http_refusals_total";
const RATE_LIMITED: &str = "tollbook_http_rate_limited_total";
const CONNECTIONS: &str = "tollbook_http_connections";
const TURNED_AWAY: &str = "tollbook_http_connections_turned_away_total";
const RECEIVED: &str = "tollbook_http_received_bytes_total";
const SENT: &str = "tollbook_http_sent_bytes_total";
const HANDSHAKE_FAILURES: &str = "tollbook_tls_handshake_failures_total";
const BUILD: &str = "tollbook_build_info";

/// Bounds of the histograms' buckets, in seconds: from a lookup to an export of minutes.
const SECONDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Begins to measure, for the whole process; before, and without it, numbers go nowhere. Names that end in `_seconds`
/// become histograms.
///
/// # Errors
/// `internal` when measuring has begun already.
pub fn install() -> Result<Render, Fault> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .fault("choosing the buckets of histograms")?
        .install_recorder()
        .fault("beginning to measure")?;
    describe();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(Arc::new(move || handle.render()))
}

fn describe() {
    describe_counter!(
        REQUESTS,
        "requests, once their answers have ended; status none: gone before there was one"
    );
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "time from a request's head to its answer's last byte"
    );
    describe_gauge!(IN_FLIGHT, "requests under way");
    describe_counter!(REFUSALS, "refused requests by the code of the fault");
    describe_counter!(RATE_LIMITED, "requests refused because there were too many in too short a time");
    describe_gauge!(CONNECTIONS, "open connections");
    describe_counter!(
        TURNED_AWAY,
        "connections closed at once because their address had too many requests under way"
    );
    describe_counter!(RECEIVED, Unit::Bytes, "bytes received on the wire");
    describe_counter!(SENT, Unit::Bytes, "bytes sent on the wire");
    describe_counter!(HANDSHAKE_FAILURES, "TLS handshakes that failed");
    describe_gauge!(BUILD, "always 1; the label says which build this is");
}

/// The numbers of connections. Made once for a listener: looking them up each time would cost.
#[derive(Clone)]
pub(crate) struct ConnectionNumbers {
    /// Requests under way.
    pub(crate) in_flight: ::metrics::Gauge,
    /// Open connections.
    pub(crate) connections: ::metrics::Gauge,
    /// Bytes on the wire, inward.
    pub(crate) received: ::metrics::Counter,
    /// Bytes on the wire, outward.
    pub(crate) sent: ::metrics::Counter,
    /// Connections without a place.
    pub(crate) turned_away: ::metrics::Counter,
}

impl ConnectionNumbers {
    /// The numbers, as the recorder of the process keeps them.
    pub(crate) fn of_process() -> Self {
        Self {
            in_flight: gauge!(IN_FLIGHT),
            connections: gauge!(CONNECTIONS),
            received: counter!(RECEIVED),
            sent: counter!(SENT),
            turned_away: counter!(TURNED_AWAY),
        }
    }

    /// Numbers that nobody keeps, for the listener by which the others are read.
    pub(crate) fn of_nobody() -> Self {
        let (gauge, counter) = (::metrics::Gauge::noop(), ::metrics::Counter::noop());
        Self {
            in_flight: gauge.clone(),
            connections: gauge,
            received: counter.clone(),
            sent: counter.clone(),
            turned_away: counter,
        }
    }
}

/// A request whose answer has ended.
pub(crate) struct Answered<'a> {
    /// Name of the dialect.
    pub(crate) dialect: &'static str,
    /// Template of the route.
    pub(crate) route: &'a str,
    /// As [`method`] names it.
    pub(crate) method: &'static str,
    /// Zero when there was no answer.
    pub(crate) status: u16,
    /// To the last byte of the answer.
    pub(crate) took: Duration,
}

/// Counts and times a request.
pub(crate) fn answered(request: &Answered<'_>) {
    let Answered { dialect, route, method, status, took } = *request;
    let route: Arc<str> = route.into();
    let status = if status == 0 { "none".to_owned() } else { status.to_string() };
    let labels = [
        ::metrics::Label::from_static_parts("dialect", dialect),
        ::metrics::Label::new("route", route.clone()),
        ::metrics::Label::from_static_parts("method", method),
        ::metrics::Label::new("status", status),
    ];
    counter!(REQUESTS, labels.iter()).increment(1);
    histogram!(REQUEST_SECONDS, "route" => route).record(took.as_secs_f64());
}

/// Counts a refusal.
pub(crate) fn refused(dialect: &'static str, code: Code) {
    counter!(REFUSALS, "dialect" => dialect, "code" => code.name()).increment(1);
    if code == Code::RateLimited {
        counter!(RATE_LIMITED, "dialect" => dialect).increment(1);
    }
}

/// Counts a TLS handshake that failed.
pub(crate) fn handshake_failed(reason: &'static str) {
    counter!(HANDSHAKE_FAILURES, "reason" => reason).increment(1);
}

/// The name of a method; "other" for all that are not in RFC 9110 and 5789, as callers can make up any number of them.
pub(crate) fn method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .unwrap()
            .build_recorder();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            describe();
            let request = Answered {
                dialect: "native",
                route: "/api/v1/sources/{pbx_alias}",
                method: method(&Method::from_bytes(b"MADE-UP").unwrap()),
                status: 405,
                took: Duration::from_millis(20),
            };
            answered(&request);
            answered(&Answered { status: 0, method: method(&Method::PUT), ..request });
            refused("didww", Code::RateLimited);
            refused("native", Code::Forbidden);
            handshake_failed("plain_text");
            ConnectionNumbers::of_process().sent.increment(7);
        });
        let text = handle.render();
        for line in [
            "tollbook_http_requests_total{dialect=\"native\",route=\"/api/v1/sources/{pbx_alias}\",method=\"other\",status=\"405\"} 1",
            "tollbook_http_requests_total{dialect=\"native\",route=\"/api/v1/sources/{pbx_alias}\",method=\"PUT\",status=\"none\"} 1",
            "tollbook_http_request_seconds_bucket{route=\"/api/v1/sources/{pbx_alias}\",le=\"0.025\"} 2",
            "tollbook_http_request_seconds_bucket{route=\"/api/v1/sources/{pbx_alias}\",le=\"0.01\"} 0",
            "tollbook_http_refusals_total{dialect=\"didww\",code=\"rate_limited\"} 1",
            "tollbook_http_rate_limited_total{dialect=\"didww\"} 1",
            "tollbook_http_refusals_total{dialect=\"native\",code=\"forbidden\"} 1",
            "tollbook_tls_handshake_failures_total{reason=\"plain_text\"} 1",
            "tollbook_http_sent_bytes_total 7",
            "# TYPE tollbook_http_request_seconds histogram",
        ] {
            assert!(text.contains(line), "{line}\nnot in\n{text}");
        }
    }
}
