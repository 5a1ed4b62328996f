//! Tests of the product as a whole: its walls, and the real binary.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod accounts;
mod audit_log;
mod bad_input;
mod client;
mod completeness;
mod contract;
mod credentials;
mod demo;
mod didww;
mod edge;
mod export_cli;
mod forged_tokens;
mod full_disk;
mod fuzz;
mod ingest_command;
mod issuer;
mod jobs;
mod kill;
mod limits;
mod load;
mod login;
mod native;
mod ordered_stop;
mod planted_secrets;
mod readers;
mod rights;
mod road;
mod service;
mod signed_exports;
mod table;
mod verbs;
mod walls;
