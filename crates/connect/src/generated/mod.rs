//! Calls that never happened, for demonstrations and benchmarks: deterministic, realistic in shape, and fast to make.
//!
//! Not a source that can be configured. All numbers are from ranges reserved for fiction.

mod ndjson;
mod numbers;
mod random;

pub use ndjson::to_ndjson;

use crate::normalise::outcome::{self, Outcome};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use numbers::Numbers;
use random::Random;
use std::borrow::Cow;
use tollbook_model::call::{CallField, CallRecord, FieldProblem};
use tollbook_model::money::Money;
use tollbook_model::value::Value;

const MINUTES: usize = 24 * 60;
const DAY_MS: i64 = 86_400_000;

/// Calls per hour of the day (UTC) relative to each other: a European office day with a dip at noon.
const LOAD: [u32; 24] =
    [4, 3, 2, 2, 3, 8, 25, 60, 95, 100, 98, 90, 70, 85, 95, 92, 80, 55, 35, 25, 18, 12, 8, 5];

const PBX: [&str; 8] =
    ["berlin-hq", "hamburg-1", "munich-2", "london-1", "leeds-3", "paris-1", "boston-2", "oakland-1"];
const TRUNKS: [&str; 6] =
    ["carrier-a-1", "carrier-a-2", "carrier-b-1", "carrier-b-2", "sbc-backup", "mobile-gw"];

/// How unanswered calls end, with their weight in a thousand, SIP code, Q.850 cause and reason.
const UNANSWERED: [(u32, Outcome, i64, i64, &str); 5] = [
    (430, outcome::NO_ANSWER, 480, 19, "NO_ANSWER"),
    (250, outcome::ABANDONED, 487, 16, "ORIGINATOR_CANCEL"),
    (180, outcome::BUSY, 486, 17, "USER_BUSY"),
    (60, outcome::VOICEMAIL, 200, 16, "NORMAL_CLEARING"),
    (80, outcome::FAILED, 503, 34, "NORMAL_CIRCUIT_CONGESTION"),
];

/// What to generate.
#[derive(Debug, Clone)]
pub struct GeneratedSettings {
    /// The same seed and settings give the same calls.
    pub seed: u64,
    /// First day, in UTC.
    pub first_day: Date,
    /// Days.
    pub days: u32,
    /// Calls on each day.
    pub calls_per_day: u64,
}

/// The calls, in the order of their start.
#[derive(Debug)]
pub struct GeneratedCalls {
    settings: GeneratedSettings,
    first_day_ms: i64,
    /// Share of a day's calls that start before each minute, in units of 2^-32.
    begun_before: Vec<u64>,
    numbers: Numbers,
    random: Random,
    /// Channels that each PBX has counted so far; its call groups are made of them.
    channels: [u64; PBX.len()],
    made: u64,
    minute: usize,
}

/// What one call is made of before it becomes a record.
struct Call<'n> {
    start_ms: i64,
    direction: &'static str,
    calling: &'n str,
    called: &'n str,
    extension: &'n str,
    pbx: usize,
    channel: u64,
    trunk: Option<&'static str>,
}

impl GeneratedCalls {
    /// Calls of these settings, from the first one on.
    pub fn new(settings: GeneratedSettings) -> Self {
        let midnight = settings.first_day.to_zoned(TimeZone::UTC);
        let first_day_ms = midnight.map_or(0, |midnight| midnight.timestamp().as_millisecond()).max(0);
        Self {
            numbers: Numbers::new(),
            random: Random::new(settings.seed),
            settings,
            first_day_ms,
            begun_before: begun_before(),
            channels: [0; PBX.len()],
            made: 0,
            minute: 0,
        }
    }

    /// Calls in all.
    pub fn total(&self) -> u64 {
        u64::from(self.settings.days) * self.settings.calls_per_day
    }

    /// Makes the next `most` calls, or as many as are left, and answers how many that were. The records carry an own
    /// id and no source key, and their callers are in clear.
    pub fn fill(&mut self, most: u64, take: &mut dyn FnMut(&CallRecord<'_>)) -> u64 {
        let count = most.min(self.total() - self.made);
        for _ in 0..count {
            let start_ms = self.next_start();
            let (call, random) = next_call(&self.numbers, &mut self.channels, &mut self.random, start_ms);
            // Every value is made within its field's bounds; a test reads a day of them.
            let record = record_of(&call, random).expect("generated values fit their fields");
            take(&record);
        }
        count
    }

    /// The next start: the day's calls are spread over its minutes by load, in rising order.
    fn next_start(&mut self) -> i64 {
        let per_day = self.settings.calls_per_day;
        let (day, at) = (self.made / per_day, self.made % per_day);
        if at == 0 {
            self.minute = 0;
        }
        self.made += 1;
        let jitter = u128::from(self.random.next() >> 32);
        let share = ((u128::from(at) << 32) + jitter) / u128::from(per_day);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        while self.minute + 1 < MINUTES && self.begun_before[self.minute + 1] <= share {
            self.minute += 1;
        }
        let (from, to) = (self.begun_before[self.minute], self.begun_before[self.minute + 1]);
        let within = (share - from) * 60_000 / (to - from).max(1);
        let minute_ms = i64::try_from(self.minute as u64 * 60_000 + within.min(59_999)).unwrap_or(0);
        self.first_day_ms + i64::try_from(day).unwrap_or(0) * DAY_MS + minute_ms
    }
}

/// The cumulated load, a little smoothed between the hours; one entry more than minutes.
fn begun_before() -> Vec<u64> {
    let load = |minute: usize| {
        let (hour, into) = (minute / 60, (minute % 60) as u64);
        u64::from(LOAD[hour]) * (60 - into) + u64::from(LOAD[(hour + 1) % 24]) * into
    };
    let total: u64 = (0..MINUTES).map(load).sum();
    let mut sum = 0;
    let mut shares = vec![0];
    for minute in 0..MINUTES {
        sum += load(minute);
        shares.push(u64::try_from((u128::from(sum) << 32) / u128::from(total)).unwrap_or(u64::MAX));
    }
    shares
}

fn next_call<'n, 'r>(
    numbers: &'n Numbers,
    channels: &mut [u64; PBX.len()],
    random: &'r mut Random,
    start_ms: i64,
) -> (Call<'n>, &'r mut Random) {
    let pbx = random.skewed(PBX.len());
    let extension = numbers.extension(pbx, random.skewed(numbers::EXTENSIONS_PER_PBX));
    let external = numbers.external(random.skewed(numbers::EXTERNAL));
    let (direction, calling, called, trunk) = match random.below(100) {
        0..=47 => {
            let did = numbers.did(pbx, random.skewed(numbers::DIDS_PER_PBX));
            ("inbound", external, did, Some(random.pick(&TRUNKS)))
        }
        48..=83 => ("outbound", extension, external, Some(random.pick(&TRUNKS))),
        _ => {
            let other = numbers.extension(pbx, random.below(numbers::EXTENSIONS_PER_PBX as u64) as usize);
            ("internal", other, extension, None)
        }
    };
    // A call has a channel for each end, and now and then one more.
    channels[pbx] += 2 + random.below(5) / 4;
    let channel = channels[pbx];
    (Call { start_ms, direction, calling, called, extension, pbx, channel, trunk }, random)
}

fn record_of<'n>(call: &Call<'n>, random: &mut Random) -> Result<CallRecord<'n>, FieldProblem> {
    let mut record = CallRecord::new();
    let inbound = call.direction == "inbound";
    record.set(CallField::Id, Value::Uuid(random.id(call.start_ms)))?;
    record.set_text(CallField::PbxAlias, PBX[call.pbx])?;
    record.set(CallField::StartAt, Value::Instant(call.start_ms))?;
    record.set_text(CallField::Direction, call.direction)?;
    record.set_text(CallField::CallingParty, call.calling)?;
    record.set_text(CallField::CalledParty, call.called)?;
    record.set_text(CallField::Extension, call.extension)?;
    if let Some(trunk) = call.trunk {
        record.set_text(CallField::Trunk, trunk)?;
    }
    if inbound {
        record.set_text(CallField::Did, call.called)?;
    }
    put_outcome(&mut record, call, random)?;
    record.set_text(
        CallField::CallGroup,
        format!("{}-{}.{}", PBX[call.pbx], call.start_ms / 1000, call.channel),
    )?;
    let carrier = HOSTS[call.pbx];
    if let Some(host) = carrier {
        let call_id = format!("{:016x}{:016x}@{host}", random.next(), random.next());
        record.set_text(CallField::CallId, call_id)?;
    }
    record.set_text(CallField::SourceType, "generated")?;
    record.set_text(CallField::TimeQuality, "exact")?;
    record.set_text(CallField::Codec, random.pick(&["PCMA", "PCMA", "PCMU", "opus", "G722"]))?;
    if carrier.is_some() && call.direction == "outbound" {
        let charged = Money::from_millionths(i64::try_from(random.below(40_000) * 25).unwrap_or(0));
        if let Some(charged) = charged {
            record.set(CallField::Charged, Value::Money(charged))?;
            record.set(CallField::Currency, Value::Text(Cow::Borrowed("EUR")))?;
        }
    }
    Ok(record)
}

/// Hosts in SIP Call-IDs (addresses for documentation). Most PBXs do not write the Call-ID, nor what a call cost, into
/// their records unless somebody maps it.
const HOSTS: [Option<&str>; PBX.len()] =
    [None, None, None, None, None, None, Some("203.0.113.20"), Some("203.0.113.21")];

/// Times, counts and codes of a call that was answered (two in three), or was not.
fn put_outcome(
    record: &mut CallRecord<'_>,
    call: &Call<'_>,
    random: &mut Random,
) -> Result<(), FieldProblem> {
    let ring_ms = 800 + random.spread(7_000).min(59_000);
    let answered = random.below(1000) < 680;
    let (outcome, sip, q850, reason) = if answered {
        (outcome::ANSWERED, 200, 16, "NORMAL_CLEARING")
    } else {
        let mut draw = u32::try_from(random.below(1000)).unwrap_or(0);
        let chosen = UNANSWERED.iter().find(|(weight, ..)| {
            let hit = draw < *weight;
            draw = draw.saturating_sub(*weight);
            hit
        });
        let (_, outcome, sip, q850, reason) = chosen.unwrap_or(&UNANSWERED[0]);
        (*outcome, *sip, *q850, *reason)
    };
    let connected = answered || outcome == outcome::VOICEMAIL;
    let talk_ms = if connected { 1_000 + random.spread(150_000).min(4 * 3_600_000) } else { 0 };
    if connected {
        record.set(CallField::AnswerAt, Value::Instant(call.start_ms + ring_ms))?;
    }
    record.set(CallField::EndAt, Value::Instant(call.start_ms + ring_ms + talk_ms))?;
    for (field, count) in [
        (CallField::DurationS, talk_ms / 1000),
        (CallField::RingS, ring_ms / 1000),
        (CallField::TotalS, (ring_ms + talk_ms) / 1000),
        (CallField::SipCode, sip),
        (CallField::Q850Cause, q850),
    ] {
        record.set(field, Value::Integer(count))?;
    }
    if answered {
        let held = random.below(10) == 0;
        let hold = if held { random.spread(20_000).min(talk_ms) / 1000 } else { 0 };
        record.set(CallField::HoldS, Value::Integer(hold))?;
    }
    record.set_text(CallField::Disposition, outcome.disposition)?;
    if let Some(result) = outcome.result {
        record.set_text(CallField::Result, result)?;
    }
    let initiators = match outcome {
        outcome::ANSWERED => ["caller", "callee"],
        outcome::FAILED => ["system", "system"],
        outcome::BUSY => ["callee", "callee"],
        _ => ["caller", "caller"],
    };
    record.set_text(CallField::DisconnectInitiator, random.pick(&initiators))?;
    record.set_text(CallField::DisconnectReason, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashSet};
    use tollbook_model::call::id_time_ms;

    fn calls(seed: u64, days: u32, calls_per_day: u64) -> GeneratedCalls {
        let first_day = jiff::civil::date(2026, 10, 1);
        GeneratedCalls::new(GeneratedSettings { seed, first_day, days, calls_per_day })
    }

    #[test]
    fn the_same_seed_gives_the_same_calls_in_any_portions() {
        let render = |seed, portion| {
            let mut calls = calls(seed, 2, 500);
            let mut lines = Vec::new();
            while calls.fill(portion, &mut |record| to_ndjson(record, &mut lines)) > 0 {}
            lines
        };
        assert_eq!(render(1, 1000), render(1, 7));
        assert_ne!(render(1, 1000), render(2, 1000));
    }

    #[test]
    fn a_month_has_the_shape_of_one() {
        let mut calls = calls(7, 3, 20_000);
        let (mut ids, mut last_start) = (HashSet::new(), 0);
        let mut words: BTreeMap<String, u32> = BTreeMap::new();
        let mut callers: BTreeMap<String, u32> = BTreeMap::new();
        let mut by_hour = [0u32; 24];
        let made = calls.fill(u64::MAX, &mut |record| {
            let Value::Uuid(id) = record.get(CallField::Id) else { panic!("an id") };
            let start = record.instant(CallField::StartAt).expect("a start");
            assert_eq!(id_time_ms(id), Some(start));
            assert!(ids.insert(*id), "ids are unique");
            assert!(start >= last_start, "calls come in the order of their start");
            last_start = start;
            by_hour[(start / 3_600_000 % 24) as usize] += 1;
            for field in [CallField::Direction, CallField::Disposition] {
                *words.entry(record.text(field).expect("a word").to_owned()).or_default() += 1;
            }
            if record.text(CallField::Direction) == Some("inbound") {
                *callers
                    .entry(record.text(CallField::CallingParty).expect("a caller").to_owned())
                    .or_default() += 1;
            }
            let talk = record.integer(CallField::DurationS).expect("a duration");
            assert_eq!(talk > 0, record.instant(CallField::AnswerAt).is_some());
        });
        assert_eq!(made, 60_000);
        let first_day = jiff::Timestamp::from_millisecond(last_start).expect("in range").to_string();
        assert!(first_day.starts_with("2026-10-03T"), "{first_day}");
        assert!(by_hour[9] > 10 * by_hour[2], "days are busier than nights: {by_hour:?}");
        assert_eq!(words.len(), 3 + 6, "{words:?}");
        assert!((38_000..44_000).contains(&words["answered"]), "{words:?}");
        let most = callers.values().max().copied().unwrap_or(0);
        assert!(
            most > 100 && callers.len() > 5_000,
            "few call often, many once: {most} of {}",
            callers.len()
        );
    }

    #[test]
    fn rows_are_as_long_as_real_ones() {
        let (mut bytes, mut exported) = (0, 0);
        calls(1, 1, 5_000).fill(u64::MAX, &mut |record| {
            for field in CallField::ALL.into_iter().filter(|field| field.definition().exported_by_default) {
                exported += 1;
                bytes += 1 + match record.get(field) {
                    Value::Text(text) => text.len(),
                    Value::Integer(number) => number.to_string().len(),
                    Value::Instant(_) => "2026-01-05T09:00:00.000Z".len(),
                    Value::Uuid(_) => 36,
                    _ => 0,
                };
            }
        });
        assert_eq!(exported, 5_000 * 22);
        assert!((225..300).contains(&(bytes / 5_000)), "{} bytes a row of CSV", bytes / 5_000);
    }
}
