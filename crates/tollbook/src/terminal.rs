//! What people read on standard output. Logs go elsewhere: to standard error.

use std::io::Write;

/// Writes a line. A reader that went away (a closed pipe) is no reason to stop.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads standard output");
    }
}
