//! The kinds of sources, one folder each. Adding one is a folder here and a line in `registry`.

pub mod asterisk_csv;
pub mod csv;
pub mod freeswitch_json;
