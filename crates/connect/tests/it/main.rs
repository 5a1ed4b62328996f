//! The room seen from outside: bodies in, records and refused rows out; and its clients against servers of all kinds.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod api_client;
mod asterisk;
mod callbacks;
mod collected;
mod delimited;
mod egress;
mod egress_spellings;
mod freeswitch;
mod hostile;
mod issuer;
mod mail;
mod server;
