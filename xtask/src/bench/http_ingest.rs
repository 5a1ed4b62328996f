//! Records in, over HTTP: one client with large batches, then many clients with single records.

use super::Trouble;
use super::figures::{grouped, percentile};
use super::month::{self, BATCH};
use super::options::{Options, bench_folder};
use super::service::{Service, TOKEN};
use super::wire::Connection;
use bytes::Bytes;
use serde::Serialize;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tollbook_connect::generated::to_ndjson;
use tollbook_kit::clock::{Clock, SystemClock};

/// Clients that send single records at the same time.
const CLIENTS: usize = 64;
/// Records of the batches, all days together.
const BATCHED: u64 = 2_000_000;
const BATCHED_QUICKLY: u64 = 250_000;
/// Records that are rendered ahead for the single senders; they stop when they run out.
const SINGLES: u64 = 400_000;
const SINGLE_TIME: Duration = Duration::from_secs(10);

/// What came in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ingest {
    /// Records in batches, and their bytes and seconds.
    pub(crate) batched_records: u64,
    /// Bytes of NDJSON.
    pub(crate) batched_bytes: u64,
    /// From the first request to the last answer.
    pub(crate) batched_seconds: f64,
    /// Times of the batches' answers in seconds: the middle one and the 99th in a hundred.
    pub(crate) batch_p50_seconds: f64,
    /// See above.
    pub(crate) batch_p99_seconds: f64,
    /// Single records that were acknowledged, and in which time.
    pub(crate) single_records: u64,
    /// Seconds.
    pub(crate) single_seconds: f64,
    /// Answers that asked to come again later.
    pub(crate) single_refused: u64,
    /// Times of the answers to single records.
    pub(crate) single_p50_seconds: f64,
    /// See above.
    pub(crate) single_p99_seconds: f64,
    /// The slowest.
    pub(crate) single_max_seconds: f64,
    /// Most memory of the server.
    pub(crate) server_peak_rss_bytes: u64,
}

/// Starts a service on an empty folder and sends.
pub(crate) async fn measure(options: &Options) -> Result<Ingest, Trouble> {
    let folder = tempfile::tempdir_in(bench_folder())?;
    let service = Service::start(options, folder.path()).await?;
    let batched = if options.quick { BATCHED_QUICKLY } else { BATCHED };
    let (bodies, singles) = bodies(batched);
    let clock = SystemClock::new();

    let batched_bytes = bodies.iter().map(|body| body.len() as u64).sum();
    let start = clock.monotonic();
    let mut times = Connection::with(service.address, TOKEN, async |connection| {
        send_batches(connection, bodies, &clock).await
    })
    .await?;
    let batched_seconds = (clock.monotonic() - start).as_secs_f64();
    println!("  batches: {} records/s", grouped(batched as f64 / batched_seconds));
    times.sort_by(f64::total_cmp);

    let single = send_singles(service.address, singles, &clock).await?;
    println!(
        "  single records: {}/s, p99 {:.1} ms",
        grouped(single.times.len() as f64 / single.seconds),
        percentile(&single.times, 0.99).unwrap_or(0.0) * 1e3
    );
    let at = |times: &[f64], part| percentile(times, part).ok_or("nothing was acknowledged");
    Ok(Ingest {
        batched_records: batched,
        batched_bytes,
        batched_seconds,
        batch_p50_seconds: at(&times, 0.5)?,
        batch_p99_seconds: at(&times, 0.99)?,
        single_records: single.times.len() as u64,
        single_seconds: single.seconds,
        single_refused: single.refused,
        single_p50_seconds: at(&single.times, 0.5)?,
        single_p99_seconds: at(&single.times, 0.99)?,
        single_max_seconds: at(&single.times, 1.0)?,
        server_peak_rss_bytes: service.memory()?.peak,
    })
}

/// Bodies of batches and of single records, rendered before any clock runs. Callers are in clear.
fn bodies(batched: u64) -> (Vec<Bytes>, Vec<Bytes>) {
    let mut calls = month::calls(batched + SINGLES + 30, 30);
    let mut left = batched;
    let mut batches = Vec::new();
    while left > 0 {
        let mut body = Vec::new();
        left -= calls.fill(left.min(BATCH), &mut |call| to_ndjson(call, &mut body));
        batches.push(Bytes::from(body));
    }
    let mut singles = Vec::new();
    calls.fill(SINGLES, &mut |call| {
        let mut body = Vec::new();
        to_ndjson(call, &mut body);
        singles.push(Bytes::from(body));
    });
    (batches, singles)
}

async fn send_batches(
    mut connection: Connection,
    bodies: Vec<Bytes>,
    clock: &SystemClock,
) -> Result<Vec<f64>, Trouble> {
    let mut times = Vec::with_capacity(bodies.len());
    for body in bodies {
        let start = clock.monotonic();
        let (status, answer) = connection.post_records(body).await?;
        if status != 200 {
            return Err(format!("a batch was answered {status}: {}", String::from_utf8_lossy(&answer)).into());
        }
        times.push((clock.monotonic() - start).as_secs_f64());
    }
    Ok(times)
}

struct Singles {
    times: Vec<f64>,
    seconds: f64,
    refused: u64,
}

async fn send_singles(
    address: SocketAddr,
    bodies: Vec<Bytes>,
    clock: &SystemClock,
) -> Result<Singles, Trouble> {
    let waiting = RefCell::new(bodies);
    let until = clock.monotonic() + SINGLE_TIME;
    let client = async |mut connection: Connection| {
        let (mut times, mut refused) = (Vec::new(), 0u64);
        while clock.monotonic() < until {
            let Some(body) = waiting.borrow_mut().pop() else { break };
            let start = clock.monotonic();
            let (status, answer) = connection.post_records(body).await?;
            match status {
                200 => times.push((clock.monotonic() - start).as_secs_f64()),
                429 | 503 => refused += 1,
                _ => {
                    let text = String::from_utf8_lossy(&answer).into_owned();
                    return Err(format!("a record was answered {status}: {text}").into());
                }
            }
        }
        Ok((times, refused))
    };
    let start = clock.monotonic();
    let clients = (0..CLIENTS).map(|_| Connection::with(address, TOKEN, &client));
    let outcomes = futures::future::try_join_all(clients).await?;
    let seconds = (clock.monotonic() - start).as_secs_f64();
    let refused = outcomes.iter().map(|(_, refused)| refused).sum();
    let mut times: Vec<f64> = outcomes.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_by(f64::total_cmp);
    Ok(Singles { times, seconds, refused })
}
