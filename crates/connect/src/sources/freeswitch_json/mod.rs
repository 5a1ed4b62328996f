//! `freeswitch-json`: what FreeSWITCH's `mod_json_cdr` posts, and the files it leaves in its error directory
//! (`sources.md` section 2.3). One JSON object is one leg and one record.
//!
//! Legs of a call are not joined. XML records are another module's and another kind's.

mod call;
mod ends;
mod envelope;
mod leg;
mod signals;

use crate::delimited::line_feeds;
use crate::normalise::direction::Lines;
use crate::rows::{RowProblem, Rows};
use crate::settings::SettingsReader;
use leg::Leg;
use serde_json::{Map, Value};
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{Connector, RecordSink, RowReport, SourceBody};
use tollbook_model::source::Source;
use tollbook_model::tenant::Tenant;

/// The connector for `mod_json_cdr`.
///
/// Settings: `trunks` (names of gateways and SIP profiles that lead outside; `external` unless given),
/// `extension_pattern`, `internal_domains` (SIP domains of the organisation).
#[derive(Debug)]
pub struct FreeswitchJson;

/// The settings, read.
#[derive(Debug)]
struct Settings {
    lines: Lines,
    internal_domains: Vec<String>,
}

impl Settings {
    fn read(given: &Map<String, Value>) -> Result<(Self, Map<String, Value>), Fault> {
        let mut reader = SettingsReader::new(given);
        let settings = Self {
            lines: reader.lines(&["external"]),
            internal_domains: reader.texts("internal_domains", &[]),
        };
        Ok((settings, reader.finish()?))
    }
}

impl Connector for FreeswitchJson {
    fn kind(&self) -> &'static str {
        "freeswitch-json"
    }

    fn check(&self, settings: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        Ok(Settings::read(settings)?.1)
    }

    fn read(
        &self,
        source: &Source,
        tenant: &Tenant,
        body: &SourceBody<'_>,
        sink: &mut dyn RecordSink,
    ) -> Result<RowReport, Fault> {
        let (settings, _) = Settings::read(&source.settings)?;
        let announced = envelope::announced_uuid(body.query);
        let mut rows = Rows::new(source, tenant, body.received_at_ms, sink);
        for (line, document) in envelope::open(body.bytes)? {
            match document {
                Ok(json) => read_document(&json, line, announced.as_deref(), &settings, &mut rows),
                Err(problem) => rows.take(line, Err(problem)),
            }
        }
        Ok(rows.finish())
    }
}

/// Reads the legs of one JSON text: one object, several after each other, or an array. Between objects anything that
/// JSON uses there is skipped; after a broken one, reading goes on at the next line that begins an object.
fn read_document(
    json: &[u8],
    first_line: u64,
    announced: Option<&str>,
    settings: &Settings,
    rows: &mut Rows<'_>,
) {
    let is_array = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let (mut at, mut line, mut element) = (0, first_line, 0);
    while let Some(gap) = json[at..].iter().position(|byte| !is_between_objects(*byte, is_array)) {
        line += line_feeds(&json[at..at + gap]);
        at += gap;
        element += 1;
        let place = if is_array { element } else { line };
        let mut stream = serde_json::Deserializer::from_slice(&json[at..]).into_iter::<Leg>();
        let end = match stream.next() {
            Some(Ok(leg)) => {
                rows.take(place, call::record(&leg, announced, settings));
                at + stream.byte_offset()
            }
            Some(Err(error)) => {
                rows.take(place, Err(unreadable(&error)));
                next_object_line(json, at)
            }
            None => json.len(),
        };
        line += line_feeds(&json[at..end]);
        at = end;
    }
}

fn is_between_objects(byte: u8, is_array: bool) -> bool {
    byte.is_ascii_whitespace() || (is_array && matches!(byte, b',' | b'[' | b']'))
}

/// The position of the next line that begins with `{`, after the one at `at`.
fn next_object_line(json: &[u8], at: usize) -> usize {
    json[at..].windows(2).position(|pair| pair == b"\n{").map_or(json.len(), |found| at + found + 1)
}

fn unreadable(error: &serde_json::Error) -> RowProblem {
    use serde_json::error::Category;
    RowProblem::new(match error.classify() {
        Category::Eof => "the JSON text is cut off: send it again when it is complete",
        Category::Data => "must be an object as mod_json_cdr writes it",
        // The parser's own words may quote the text, which may hold a number.
        _ => "is not JSON, or nested deeper than 127 levels",
    })
}
