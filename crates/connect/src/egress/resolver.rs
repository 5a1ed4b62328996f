//! Asking for the addresses of a host name. Handed in, so that tests choose the answers.
//!
//! Answers are judged by whoever asked; nothing is remembered here.

use async_trait::async_trait;
use std::fmt;
use std::io;
use std::net::IpAddr;

/// Finds the addresses of host names.
#[async_trait]
pub trait Resolver: Send + Sync + fmt::Debug {
    /// The addresses of a host name, best first.
    ///
    /// # Errors
    /// The name is unknown, or nobody could be asked.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}
