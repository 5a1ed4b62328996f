//! Export jobs: how many at once, how long their links work, and how people are told of them by mail.

use super::reader::{Reader, reason_of};
use std::time::Duration;
use tollbook_app::JobsConfig;
use tollbook_connect::mail::{SmtpConfig, SmtpMailer, SmtpSecurity};
use tollbook_kit::secret::Secret;

/// Below a minute, a link would die before a person has clicked it.
const LEAST_LINK_LIFE: Duration = Duration::from_secs(60);

/// Reads what `jobs` says, and which domains may get mail.
pub(super) fn jobs(reader: &mut Reader<'_>) -> JobsConfig {
    JobsConfig {
        workers: reader.count("jobs.workers", 1..=1024),
        link_life: reader.duration_from("jobs.link_life", LEAST_LINK_LIFE),
        mail_domains: reader.list_of("mail.allowed_domains", "must be domains such as example.net", |name| {
            is_domain(name).then(|| name.to_ascii_lowercase())
        }),
    }
}

/// The mail server, where there is one; what is wrong with it is known by whoever talks to it.
pub(super) fn mail(reader: &mut Reader<'_>) -> Option<SmtpConfig> {
    let (server, from) = (reader.text("mail.server"), reader.text("mail.from"));
    let security = security(reader);
    let credentials = credentials(reader);
    if server.is_empty() {
        return None;
    }
    let Some((server, port)) = host_and_port(server) else {
        reader.wrong("mail.server", "must be a host such as mail.example.net, or host and port");
        return None;
    };
    let config = SmtpConfig { server: server.into(), port, security, credentials, from: from.into() };
    if let Err(fault) = SmtpMailer::new(config.clone()) {
        let path = if fault.details().iter().any(|detail| detail.name == "from") {
            "mail.from"
        } else {
            "mail.server"
        };
        reader.wrong(path, reason_of(&fault));
    }
    Some(config)
}

fn security(reader: &mut Reader<'_>) -> SmtpSecurity {
    match reader.text("mail.security") {
        "starttls" => SmtpSecurity::StartTls,
        "tls" => SmtpSecurity::Tls,
        "none" => SmtpSecurity::None,
        _ => {
            reader.wrong("mail.security", "must be starttls, tls or none");
            SmtpSecurity::StartTls
        }
    }
}

fn credentials(reader: &mut Reader<'_>) -> Option<(String, Secret<String>)> {
    let (username, password) = (reader.text("mail.username"), reader.text("mail.password"));
    match (username.is_empty(), password.is_empty()) {
        (true, true) => None,
        (false, true) => {
            reader.wrong("mail.username", "needs its password: set mail.password too");
            None
        }
        (true, false) => {
            reader.wrong("mail.password", "needs its account: set mail.username too");
            None
        }
        (false, false) => Some((username.to_owned(), Secret::new(password.to_owned()))),
    }
}

/// A host, and the port behind it if there is one. An address of IPv6 stands in brackets, so that its colons are none.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let behind_host = text.rfind(']').unwrap_or(0);
    match text[behind_host..].find(':') {
        Some(at) => {
            let (host, port) = text.split_at(behind_host + at);
            let port = port[1..].parse().ok().filter(|port| *port > 0)?;
            Some((host, Some(port)))
        }
        None => Some((text, None)),
    }
}

/// Labels parted by dots.
fn is_domain(text: &str) -> bool {
    let label = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("mail.example.net", "mail.example.net", None),
            ("mail.example.net:2525", "mail.example.net", Some(2525)),
            ("192.0.2.1:25", "192.0.2.1", Some(25)),
            ("[2001:db8::1]", "[2001:db8::1]", None),
            ("[2001:db8::1]:465", "[2001:db8::1]", Some(465)),
        ] {
            assert_eq!(host_and_port(text), Some((host, port)), "{text}");
        }
        for text in ["mail:", "mail:0", "mail:65536", "mail:smtp", "smtp://mail", "2001:db8::1"] {
            assert_eq!(host_and_port(text), None, "{text}");
        }
    }

    #[test]
    fn domains_are_names() {
        for (text, is_one) in [
            ("example.net", true),
            ("localhost", true),
            ("münchen.example", true),
            ("", false),
            ("a..b", false),
            ("-a.example", false),
            ("*.example.net", false),
            ("@example.net", false),
            ("me@example.net", false),
        ] {
            assert_eq!(is_domain(text), is_one, "{text}");
        }
    }
}
