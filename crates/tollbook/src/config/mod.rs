//! Settings: the embedded default file, then a file, then the environment, then flags.
//!
//! `raw` merges texts and refuses unknown keys; `checked` says what the values mean.

mod checked;
mod raw;

pub(crate) use checked::{Config, reachable};
pub(crate) use raw::{Layers, effective};
