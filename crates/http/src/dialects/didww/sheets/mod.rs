//! The columns of files in this dialect (`didww.md` section 8): `cdr_in` and `cdr_out`.
//!
//! Which records go into a file is said by the export; here is only what a record looks like there.

mod cells;
mod countries;
mod inbound;
mod outbound;
#[cfg(test)]
mod tests;

pub(crate) use inbound::InboundCalls;
pub(crate) use outbound::OutboundCalls;

/// The English name of the country that an ISO code stands for.
pub(super) fn country_name(code: &str) -> Option<&'static str> {
    countries::name(code)
}
