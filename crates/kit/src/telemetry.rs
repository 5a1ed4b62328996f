//! Structured logs: one line an event, on standard error.
//!
//! Metrics and tracing exporters are not here.

use crate::fault::Fault;
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// The setting that holds the filter, as faults name it.
const FILTER_SETTING: &str = "log.filter";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Text,
    /// One flat JSON object a line, for collectors.
    Json,
}

/// Starts logging. `filter` is a level such as `info`, or a list such as `info,tollbook_http=debug`; a second call changes
/// nothing.
///
/// # Errors
/// `invalid`, naming the setting, for any other filter.
pub fn start(format: LogFormat, filter: &str) -> Result<(), Fault> {
    let filter = parse(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // That a line cannot be written would be told on standard error, which panics when it is the disk there that is full.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start (several services in one test process) keeps the first subscriber: that is meant.
    let _already_started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => {
            let flat = builder.json().flatten_event(true).with_current_span(false).with_span_list(false);
            flat.try_init()
        }
    };
    Ok(())
}

/// Is this a filter that [`start`] takes?
///
/// # Errors
/// `invalid`, naming the setting, if it is not.
pub fn check_filter(filter: &str) -> Result<(), Fault> {
    parse(filter).map(|_| ())
}

fn parse(filter: &str) -> Result<EnvFilter, Fault> {
    let wrong = |reason: String| {
        Fault::parameter(
            FILTER_SETTING,
            format!("{reason}; write a level, or a list such as info,tollbook_http=debug"),
        )
    };
    // A word alone would be taken for the name of a crate: a misspelt level would silence all others.
    let parts: Vec<&str> = filter.split(',').map(str::trim).collect();
    for part in &parts {
        let is_word = !part.contains(['=', '[', ']', '{', '}']);
        if is_word && (part.is_empty() || part.parse::<LevelFilter>().is_err()) {
            return Err(wrong(format!("{part:?} is no level (error, warn, info, debug, trace, off)")));
        }
    }
    EnvFilter::try_new(parts.join(",")).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    #[test]
    fn misspelt_filters_are_refused_by_name() {
        for good in
            ["info", "WARN", "off", "info,tollbook_http=debug", "warn, sqlx=error", "[request{id=1}]=debug"]
        {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for bad in
            ["", "inof", "info,", "info,tollbook_http", "info,tollbook_http=loud", "tollbook=debug,verbose"]
        {
            let fault = check_filter(bad).unwrap_err();
            assert_eq!(fault.code(), Code::Invalid, "{bad}");
            assert!(fault.message().starts_with("log.filter: "), "{fault}");
        }
    }
}
