//! Connectors seen from outside: bodies in, records and refused rows out.

mod asterisk;
mod collected;
mod delimited;
mod freeswitch;
mod hostile;
