//! Settings: the embedded default file, then a file, then the environment, then flags.
//!
//! `raw` merges the layers, `checked` says what the values mean, `show` prints them without what is secret.

mod checked;
mod duration;
mod raw;
mod show;

pub(crate) use checked::{AuthSettings, Config, ListenConfig, TlsConfig};
pub(crate) use duration::duration;
pub(crate) use raw::Layers;

use tollbook_kit::fault::Fault;

/// The settings of all layers, checked.
///
/// # Errors
/// `invalid`, naming every key that is unknown, mistyped or has a wrong value.
pub(crate) fn read(layers: &Layers) -> Result<Config, Fault> {
    Config::check(&raw::merged(layers))
}

/// The settings of all layers as a settings file.
///
/// # Errors
/// As [`read`].
pub(crate) fn shown(layers: &Layers) -> Result<String, Fault> {
    let merged = raw::merged(layers);
    Config::check(&merged)?;
    Ok(show::shown(&merged))
}
