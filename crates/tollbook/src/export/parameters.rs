//! What is exported, as flags say it: the names and values that the API takes. What they mean is the service's.

use crate::remote::segment;
use clap::Args;
use serde_json::{Map, Value};
use tollbook_model::export::Signing;
use tollbook_model::format::ExportFormat;

/// Heading of the flags of jobs.
const JOBS: &str = "Jobs";

/// Which records, and in which form.
#[derive(Debug, Args)]
pub(crate) struct ParameterFlags {
    /// Start of the range, included: a date (2026-01-31) or a date-time; without an offset it is local in --tz.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the range; a date counts whole, a date-time is excluded. Without it, now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// csv, csv.gz, parquet, json or ndjson.
    #[arg(long, value_name = "F")]
    format: Option<String>,
    /// Columns in their order, such as id,start_at,called_party.
    #[arg(long, value_name = "A,B")]
    columns: Option<String>,
    /// Only records with this value, such as direction=inbound; repeat a name for any of several values.
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = filter)]
    filters: Vec<(String, String)>,
    /// IANA time zone in which days begin and times are shown.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// none, manifest, or records (of json and ndjson).
    #[arg(long, value_name = "KIND")]
    sign: Option<String>,
    /// Buckets of kpis: hour, day, week or month.
    #[arg(long, value_name = "I")]
    interval: Option<String>,
    /// Guard cells of CSV that a spreadsheet would run as formulas.
    #[arg(long)]
    formula_guard: bool,
}

/// What is told of a job besides.
#[derive(Debug, Args)]
pub(crate) struct OrderFlags {
    /// Address that is called when the job has ended.
    #[arg(long, value_name = "URL", help_heading = JOBS)]
    callback_url: Option<String>,
    /// Send mail to this address when the job has ended; repeat it for several.
    #[arg(long, value_name = "ADDRESS", help_heading = JOBS)]
    notify_email: Vec<String>,
    /// A name of your own for the job, told wherever it is.
    #[arg(long, value_name = "TEXT", help_heading = JOBS)]
    reference: Option<String>,
}

impl ParameterFlags {
    /// Does the service make a signed manifest of it?
    pub(crate) fn is_signed(&self) -> bool {
        match &self.sign {
            Some(kind) => kind != Signing::None.name(),
            None => {
                let format = self.format.as_deref().and_then(ExportFormat::from_name);
                format.is_some_and(|format| Signing::default_of(format) != Signing::None)
            }
        }
    }
}

/// Names with their values, in the order of the flags.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of the flags.
    pub(crate) fn of(flags: &ParameterFlags) -> Self {
        let single = [
            ("from", &flags.from),
            ("to", &flags.to),
            ("format", &flags.format),
            ("columns", &flags.columns),
            ("tz", &flags.tz),
            ("sign", &flags.sign),
            ("interval", &flags.interval),
        ];
        let mut parameters = Self::default();
        for (name, value) in single {
            parameters.push(name, value.iter());
        }
        for (name, value) in &flags.filters {
            parameters.push(name, [value]);
        }
        parameters.push("formula_guard", flags.formula_guard.then_some(&"1".to_owned()));
        parameters
    }

    /// The same for an order.
    #[must_use]
    pub(crate) fn with(mut self, order: &OrderFlags) -> Self {
        self.push("callback_url", order.callback_url.iter());
        self.push("notify_email", &order.notify_email);
        self.push("external_reference", order.reference.iter());
        self
    }

    fn push<'v>(&mut self, name: &str, values: impl IntoIterator<Item = &'v String>) {
        self.0.extend(values.into_iter().map(|value| (name.to_owned(), value.clone())));
    }

    /// They as a query, without `?`.
    pub(crate) fn query(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// They as a body: several values of a name are an array.
    pub(crate) fn body(&self) -> Value {
        let mut body = Map::new();
        for (name, value) in &self.0 {
            match body.get_mut(name) {
                None => {
                    body.insert(name.clone(), value.as_str().into());
                }
                Some(Value::Array(values)) => values.push(value.as_str().into()),
                Some(one) => *one = Value::Array(vec![one.take(), value.as_str().into()]),
            }
        }
        Value::Object(body)
    }
}

fn filter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be such as direction=inbound".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        parameters: ParameterFlags,
        #[command(flatten)]
        order: OrderFlags,
    }

    fn parsed(words: &[&str]) -> Line {
        Line::try_parse_from([&["export"], words].concat()).unwrap()
    }

    #[test]
    fn flags_are_the_parameters_of_the_api() {
        let line = parsed(&[
            "--from",
            "2026-01-01",
            "--filter",
            "direction=inbound",
            "--filter",
            "called_party=+44 20=7",
            "--filter",
            "direction=internal",
            "--formula-guard",
            "--columns",
            "id,start_at",
            "--notify-email",
            "a@example.net",
            "--reference",
            "n 1",
        ]);
        let parameters = Parameters::of(&line.parameters);
        assert_eq!(
            parameters.query(),
            "from=2026-01-01&columns=id%2Cstart_at&direction=inbound&called_party=%2B44%2020%3D7&direction=internal\
             &formula_guard=1"
        );
        let order = json!({
            "from": "2026-01-01", "columns": "id,start_at", "direction": ["inbound", "internal"],
            "called_party": "+44 20=7", "formula_guard": "1", "notify_email": "a@example.net",
            "external_reference": "n 1",
        });
        assert_eq!(parameters.with(&line.order).body(), order);
        let nothing = Parameters::of(&parsed(&[]).parameters);
        assert_eq!((nothing.query(), nothing.body()), (String::new(), json!({})));
    }

    #[test]
    fn json_is_signed_unless_it_shall_not_be() {
        for (words, signed) in [
            (&[][..], false),
            (&["--format", "csv"], false),
            (&["--format", "ndjson"], true),
            (&["--format", "json", "--sign", "none"], false),
            (&["--format", "parquet", "--sign", "manifest"], true),
        ] {
            assert_eq!(parsed(words).parameters.is_signed(), signed, "{words:?}");
        }
    }

    #[test]
    fn a_filter_has_a_name() {
        assert_eq!(filter("trunk="), Ok(("trunk".into(), String::new())));
        for wrong in ["", "=x", "trunk"] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }
}
