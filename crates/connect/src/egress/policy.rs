//! The egress policy: who may be called on behalf of a tenant, judged by the text of a URL and by every address that
//! its host turns out to have.
//!
//! Both judgements are needed: a text can be refused at once, when it is given to us; what a name resolves to is only
//! known when it is called, and may be another address each time.

use super::addresses::{canonical, is_public};
use super::checked_url::CheckedUrl;
use super::ports::is_for_http;
use super::target::AllowedTarget;
use std::net::IpAddr;
use tollbook_kit::fault::Fault;

const PLAIN_HTTP: &str = "must be https: plain http is only for hosts that the operator has allowed";
const NOT_PUBLIC: &str = "must lead to a public host: ask the operator to allow any other (egress.allow)";
const OURSELVES: &str =
    "must lead to another service than this one: ask the operator to allow it (egress.allow)";
const NO_PORT_OF_HTTP: &str = "must use a port of HTTP: ask the operator to allow its host (egress.allow)";

/// Ends of names that are never public (RFC 6761, RFC 6762, RFC 7686, RFC 8375, ICANN's choice of `internal`, and what
/// systems call themselves).
const PRIVATE_ENDS: [&str; 6] = [".localhost", ".local", ".internal", ".home.arpa", ".localdomain", ".onion"];

/// Whom outgoing calls may reach: public hosts over https at ports of HTTP, but not this service itself; and what the operator
/// has listed, at any port.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Hosts and networks that may be reached though they are not public.
    pub allow: Vec<AllowedTarget>,
    /// Is plain http permitted to those that are listed? To others it never is.
    pub allow_http: bool,
    /// Names and addresses that this service is known by, in lower case and without brackets. The addresses of the machine
    /// are known without being named here.
    pub own_hosts: Vec<String>,
}

impl EgressPolicy {
    /// Judges the text of a URL without resolving its host.
    ///
    /// # Errors
    /// `invalid`, parameter `url`: it is none, could be read in two ways, or leads where nobody may call.
    pub fn judge(&self, url: &str) -> Result<CheckedUrl, Fault> {
        let checked = CheckedUrl::read(url).map_err(|reason| Fault::parameter("url", reason))?;
        if !self.may_lead_somewhere(&checked) {
            return Err(refusal(&checked));
        }
        // A name that is not listed may still turn out to be in a network that is.
        let listed = self.lists_name(&checked)
            || checked.address().map_or(self.lists_networks(), |address| self.lists_address(address));
        if !listed {
            self.judge_unlisted(&checked)?;
        }
        Ok(checked)
    }

    /// Judges an address that is about to be connected to for a URL.
    ///
    /// # Errors
    /// `invalid`, parameter `url`: the address may not be reached for this URL.
    pub fn judge_address(&self, url: &CheckedUrl, address: IpAddr) -> Result<(), Fault> {
        let listed = self.lists(url, address);
        let permitted = if url.is_https() { listed || is_public(address) } else { listed && self.allow_http };
        match permitted {
            false => Err(refusal(url)),
            true if listed => Ok(()),
            true if self.is_own(&canonical(address).to_string()) => Err(Fault::parameter("url", OURSELVES)),
            true => self.judge_unlisted(url),
        }
    }

    /// Judges a connection before anything is sent on it, by the addresses of both its ends: whoever calls an address of his
    /// own machine calls from that address.
    ///
    /// # Errors
    /// `invalid`, parameter `url`: it leads back to this machine, and that is not listed.
    pub(super) fn judge_ends(&self, url: &CheckedUrl, own: IpAddr, peer: IpAddr) -> Result<(), Fault> {
        let ours = canonical(own) == canonical(peer) && !self.lists(url, peer);
        if ours { Err(Fault::parameter("url", OURSELVES)) } else { Ok(()) }
    }

    /// What holds for hosts that are not listed, whatever their addresses.
    fn judge_unlisted(&self, url: &CheckedUrl) -> Result<(), Fault> {
        if self.is_own(url.host().trim_start_matches('[').trim_end_matches(']')) {
            return Err(Fault::parameter("url", OURSELVES));
        }
        if is_for_http(url.port()) { Ok(()) } else { Err(Fault::parameter("url", NO_PORT_OF_HTTP)) }
    }

    fn is_own(&self, host: &str) -> bool {
        self.own_hosts.iter().any(|own| own == host)
    }

    fn lists(&self, url: &CheckedUrl, address: IpAddr) -> bool {
        self.lists_name(url) || self.lists_address(address)
    }

    fn lists_networks(&self) -> bool {
        self.allow.iter().any(|target| matches!(target, AllowedTarget::Network(_)))
    }

    /// Can any address that its host may have be permitted? Plain http to a name must be listed by that name, except
    /// for names that are known in a private network alone: those may turn out to be in a network that is listed.
    fn may_lead_somewhere(&self, url: &CheckedUrl) -> bool {
        if let Some(address) = url.address() {
            return self.judge_address(url, address).is_ok();
        }
        let is_private = url.name().is_none_or(is_private_name);
        let found_when_resolved = if is_private { self.lists_networks() } else { url.is_https() };
        (self.lists_name(url) || found_when_resolved) && (url.is_https() || self.allow_http)
    }

    fn lists_name(&self, url: &CheckedUrl) -> bool {
        let listed = |name| {
            self.allow.iter().any(|target| matches!(target, AllowedTarget::Host(host) if host == name))
        };
        url.name().is_some_and(listed)
    }

    fn lists_address(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.allow
            .iter()
            .any(|target| matches!(target, AllowedTarget::Network(network) if network.contains(&address)))
    }
}

fn refusal(url: &CheckedUrl) -> Fault {
    Fault::parameter("url", if url.is_https() { NOT_PUBLIC } else { PLAIN_HTTP })
}

/// Is it a name that no public server has?
fn is_private_name(name: &str) -> bool {
    !name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], allow_http: bool) -> EgressPolicy {
        let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        EgressPolicy { allow, allow_http, own_hosts: Vec::new() }
    }

    #[track_caller]
    fn assert_judged(policy: &EgressPolicy, urls: &[&str], wanted: bool) {
        for url in urls {
            let judged = policy.judge(url);
            assert_eq!(judged.is_ok(), wanted, "{url}: {judged:?}");
        }
    }

    #[test]
    fn by_default_only_https_to_public_hosts() {
        let policy = EgressPolicy::default();
        let fine = ["https://hooks.example.com/x", "https://hooks.example.com:8443/", "https://8.8.8.8/"];
        assert_judged(&policy, &fine, true);
        assert_judged(&policy, &["https://[2606:4700::1]/", "https://local.example.com/"], true);
        assert_judged(&policy, &["http://hooks.example.com/", "http://8.8.8.8/", "HTTP://8.8.8.8/"], false);
        let private_names = ["https://localhost/", "https://LOCALHOST:8443/", "https://a.localhost/"];
        assert_judged(&policy, &private_names, false);
        let more_names = ["https://intranet/", "https://printer.local/", "https://metadata.google.internal/"];
        assert_judged(&policy, &more_names, false);
        let addresses =
            ["https://127.0.0.1/", "https://10.0.0.1/", "https://192.168.1.1/", "https://0.0.0.0/"];
        assert_judged(&policy, &addresses, false);
        let metadata = ["https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/"];
        assert_judged(&policy, &metadata, false);
        let v6 = [
            "https://[::1]/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[fc00::1]/",
            "https://[ff02::1]/",
        ];
        assert_judged(&policy, &v6, false);
        let carried =
            ["https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[64:ff9b::a00:1]/"];
        assert_judged(&policy, &carried, false);
        assert_judged(&policy, &["https://[2002:7f00:1::]/", "https://[::127.0.0.1]/"], false);
    }

    #[test]
    fn listed_hosts_may_be_private_and_nothing_else_becomes_so() {
        let policy = policy(&["keycloak.lan", "localhost"], false);
        let fine = ["https://KEYCLOAK.lan/realms", "https://keycloak.lan:8443/", "https://localhost/"];
        assert_judged(&policy, &fine, true);
        let others =
            ["https://sub.localhost/", "https://127.0.0.1/", "http://keycloak.lan/", "https://other/"];
        assert_judged(&policy, &others, false);
        let url = policy.judge("https://keycloak.lan/").unwrap();
        assert!(policy.judge_address(&url, "10.1.2.3".parse().unwrap()).is_ok());
        let other = policy.judge("https://other.keycloak.lan/").unwrap();
        assert!(policy.judge_address(&other, "10.1.2.3".parse().unwrap()).is_err());
        assert!(policy.judge_address(&other, "8.8.8.8".parse().unwrap()).is_ok());
    }

    #[test]
    fn listed_networks_hold_for_literals_and_for_resolved_addresses() {
        let policy = policy(&["10.20.0.0/16", "fd12::/16"], false);
        let fine =
            ["https://10.20.1.2/", "https://[::ffff:10.20.1.2]/", "https://[fd12::1]/", "https://intranet/"];
        assert_judged(&policy, &fine, true);
        let others = ["https://10.21.0.1/", "https://[fd13::1]/", "http://10.20.1.2/", "https://127.0.0.1/"];
        assert_judged(&policy, &others, false);
        let url = policy.judge("https://any.example/").unwrap();
        for (address, wanted) in [
            ("10.20.255.255", true),
            ("::ffff:10.20.0.1", true),
            ("fd12::7", true),
            ("8.8.8.8", true),
            ("10.21.0.0", false),
            ("::ffff:10.21.0.1", false),
            ("64:ff9b::10.20.0.1", false),
            ("fd13::7", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(policy.judge_address(&url, address.parse().unwrap()).is_ok(), wanted, "{address}");
        }
    }

    #[test]
    fn plain_http_needs_the_permission_and_a_listed_target() {
        let policy = policy(&["keycloak.lan", "127.0.0.0/8"], true);
        let fine = [
            "http://keycloak.lan/",
            "http://127.0.0.1:9000/",
            "http://localhost:9000/",
            "http://a.internal/",
        ];
        assert_judged(&policy, &fine, true);
        let others = ["http://hooks.example.com/", "http://8.8.8.8/", "http://10.0.0.1/", "http://[::1]/"];
        assert_judged(&policy, &others, false);
        let url = policy.judge("http://localhost:9000/").unwrap();
        assert!(policy.judge_address(&url, "127.0.0.1".parse().unwrap()).is_ok());
        assert!(policy.judge_address(&url, "8.8.8.8".parse().unwrap()).is_err());
        assert!(EgressPolicy::default().judge_address(&url, "127.0.0.1".parse().unwrap()).is_err());
    }

    #[test]
    fn hosts_that_are_not_listed_are_called_at_ports_of_http() {
        let policy = policy(&["keycloak.lan", "10.20.0.0/16"], false);
        assert_judged(&policy, &["https://hooks.example.com:8443/", "https://8.8.8.8:444/"], true);
        assert_judged(&policy, &["https://keycloak.lan:22/", "https://10.20.0.1:25/"], true);
        assert_judged(&policy, &["https://8.8.8.8:22/", "https://[2606:4700::1]:25/"], false);
        let by_default = EgressPolicy::default();
        assert_judged(
            &by_default,
            &["https://hooks.example.com:25/", "https://hooks.example.com:6379/"],
            false,
        );
        // With listed networks only its address tells whether a name is listed.
        let url = policy.judge("https://hooks.example.com:25/").unwrap();
        assert!(policy.judge_address(&url, "10.20.0.1".parse().unwrap()).is_ok());
        assert!(policy.judge_address(&url, "8.8.8.8".parse().unwrap()).is_err());
    }

    #[test]
    fn the_service_does_not_call_itself_unless_it_is_listed() {
        let own_hosts = ["cdr.example.net", "8.8.4.4", "2001:4860:4860::8844"].map(str::to_owned).to_vec();
        let policy = EgressPolicy { own_hosts: own_hosts.clone(), ..EgressPolicy::default() };
        let ours = [
            "https://cdr.example.net/",
            "https://CDR.Example.NET:8443/api",
            "https://8.8.4.4/",
            "https://[::ffff:8.8.4.4]/",
            "https://[2001:4860:4860:0::8844]:9000/",
        ];
        assert_judged(&policy, &ours, false);
        assert_judged(&policy, &["https://sub.cdr.example.net/", "https://8.8.8.8/"], true);
        let url = policy.judge("https://other.example.net/").unwrap();
        for (address, wanted) in [("8.8.8.8", true), ("8.8.4.4", false), ("::ffff:8.8.4.4", false)] {
            assert_eq!(policy.judge_address(&url, address.parse().unwrap()).is_ok(), wanted, "{address}");
        }
        let [one, other]: [IpAddr; 2] = ["8.8.8.8", "9.9.9.9"].map(|text| text.parse().unwrap());
        assert!(policy.judge_ends(&url, one, other).is_ok());
        assert!(policy.judge_ends(&url, one, one).is_err(), "whoever answers is this machine");
        assert!(policy.judge_ends(&url, one, "::ffff:8.8.8.8".parse().unwrap()).is_err());

        let allow = vec!["cdr.example.net".parse().unwrap(), "8.8.4.0/24".parse().unwrap()];
        let listed = EgressPolicy { allow, own_hosts, ..EgressPolicy::default() };
        assert_judged(&listed, &ours[..4], true);
        assert!(listed.judge_ends(&url, "8.8.4.9".parse().unwrap(), "8.8.4.9".parse().unwrap()).is_ok());
    }

    #[test]
    fn refusals_say_what_to_do_and_repeat_nothing() {
        let fault = EgressPolicy::default().judge("https://10.0.0.1/secret").unwrap_err();
        assert_eq!(fault.details()[0].name, "url");
        assert_eq!(fault.details()[0].reason, NOT_PUBLIC);
        let fault = EgressPolicy::default().judge("http://hooks.example.com/secret").unwrap_err();
        assert_eq!(fault.details()[0].reason, PLAIN_HTTP);
    }
}
