//! Whom a job may tell of its end: judged when it is ordered, so that whoever orders it hears of it. Pure but for the
//! judge of addresses.
//!
//! Where an address leads is judged again at each call, as only then it is known.

use super::form::CallbackForm;
use crate::faults::invalid;
use crate::users::email_fault;
use tollbook_kit::fault::Detail;
use tollbook_model::export_job::MOST_RECIPIENTS;
use tollbook_model::ports::Callbacks;
use tollbook_model::user::User;

const CALLBACK: &str = "callback_url";
const MAIL: &str = "notify_email";

/// What is wrong with an address to be called by a job of this form's dialect.
pub(super) fn callback_fault(
    callbacks: &dyn Callbacks,
    form: Option<&dyn CallbackForm>,
    url: &str,
) -> Option<Detail> {
    let Some(form) = form else { return Some(invalid(CALLBACK, "cannot be called: leave it out")) };
    if !form.takes_credentials() && (authority(url).contains('@') || url.contains('#')) {
        return Some(invalid(CALLBACK, "must not have a user name, a password or a fragment"));
    }
    let fault = callbacks.judge(url).err()?;
    let reason = fault.details().first().map_or(fault.message(), |detail| &detail.reason);
    Some(invalid(CALLBACK, reason))
}

/// What is wrong with people to be mailed: each must be a user of the tenant who may log in, or of one of these domains.
/// Without domains, no mail is sent at all.
pub(super) fn mail_fault(addresses: &[String], users: &[User], domains: Option<&[String]>) -> Option<Detail> {
    let Some(domains) = domains else {
        return Some(invalid(MAIL, "cannot be mailed: the operator has set no mail server; leave it out"));
    };
    if addresses.len() > MOST_RECIPIENTS {
        return Some(invalid(MAIL, format!("must be {MOST_RECIPIENTS} addresses at most")));
    }
    if let Some(fault) = addresses.iter().find_map(|address| email_fault(address)) {
        return Some(invalid(MAIL, fault.reason));
    }
    let may_have_mail = |address: &String| {
        let address = address.to_lowercase();
        let is_his = |user: &User| {
            user.enabled && user.email.as_ref().is_some_and(|email| email.to_lowercase() == address)
        };
        let listed = |domain: &String| {
            address.rsplit_once('@').is_some_and(|(_, of_address)| of_address == domain.as_str())
        };
        users.iter().any(is_his) || domains.iter().any(listed)
    };
    let reason = "must be the address of a user of the tenant, or in a domain that the operator has allowed";
    (!addresses.iter().all(may_have_mail)).then(|| invalid(MAIL, reason))
}

/// The part of a URL that names user, host and port, in whatever shape the URL is; empty when there is none.
pub(super) fn authority(url: &str) -> &str {
    let behind = url.split_once("://").map_or("", |(_, behind)| behind);
    behind.split(['/', '?', '#']).next().unwrap_or(behind)
}
