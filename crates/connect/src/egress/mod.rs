//! The one way out for calls whose address somebody else chose: callbacks, deliveries, an issuer and its keys.
//!
//! `policy` judges texts and addresses, `addresses` knows which are public, `ports` which are not HTTP's, `client`
//! connects to nothing else. What is sent, how often and what an answer means is the caller's business.

mod addresses;
mod checked_url;
mod client;
mod policy;
mod ports;
mod resolver;
mod target;

pub use checked_url::CheckedUrl;
pub use client::{EgressClient, EgressReply};
pub use policy::EgressPolicy;
pub use resolver::{Resolver, SystemResolver};
pub use target::{AllowedTarget, NotATarget};
