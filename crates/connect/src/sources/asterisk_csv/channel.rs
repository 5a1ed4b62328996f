//! Channel names: technology, peer, and for `Local` channels the number they stand for.

/// A channel's name in parts, such as `SIP/trunk-a-in-00000037` or `Local/103@from-internal-00000003;2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channel<'c> {
    /// The name without the counter at its end: `SIP/trunk-a-in`.
    pub(super) device: &'c str,
    /// The device or line: `trunk-a-in`; empty for a `Local` channel, which is no device.
    pub(super) peer: &'c str,
    /// The number that a `Local` channel dials.
    pub(super) local_number: Option<&'c str>,
}

impl<'c> Channel<'c> {
    /// Takes a name apart; none for an empty one.
    pub(super) fn parse(name: &'c str) -> Option<Self> {
        if name.is_empty() {
            return None;
        }
        let without_half = name.rsplit_once(';').map_or(name, |(head, _)| head);
        let device = match without_half.rsplit_once('-') {
            Some((head, counter)) if is_counter(counter) => head,
            _ => without_half,
        };
        let (technology, rest) = device.split_once('/').unwrap_or(("", device));
        if technology.eq_ignore_ascii_case("Local") {
            let number = rest.split('@').next().unwrap_or(rest);
            return Some(Self { device, peer: "", local_number: Some(number) });
        }
        // `DAHDI/i1/4930…` names the span first and what it dials second.
        let peer = rest.split('/').next().unwrap_or(rest);
        Some(Self { device, peer, local_number: None })
    }
}

/// The counter that Asterisk puts behind a channel's name: hexadecimal, at most eight digits.
fn is_counter(text: &str) -> bool {
    !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The number that the arguments of a dialling application send to `peer`: `SIP/trunk-a/+4420…,6` and
/// `PJSIP/+4420…@trunk-a,30` both dial it through `trunk-a`.
pub(super) fn number_dialled_through<'d>(lastdata: &'d str, peer: &str) -> Option<&'d str> {
    let targets = lastdata.split([',', '|']).next()?;
    for target in targets.split('&') {
        let mut parts = target.splitn(3, '/').skip(1);
        let (second, third) = (parts.next().unwrap_or(""), parts.next());
        if let Some(number) = third
            && second == peer
        {
            return Some(number);
        }
        if let Some((number, through)) = second.split_once('@')
            && through == peer
        {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart() {
        for (name, device, peer, local) in [
            ("SIP/trunk-a-in-00000037", "SIP/trunk-a-in", "trunk-a-in", None),
            ("SIP/101-0000002e", "SIP/101", "101", None),
            ("PJSIP/alice-00000001", "PJSIP/alice", "alice", None),
            ("Local/103@from-internal-00000003;2", "Local/103@from-internal", "", Some("103")),
            ("DAHDI/i1/493023125000-1a", "DAHDI/i1/493023125000", "i1", None),
            ("DAHDI/1-1", "DAHDI/1", "1", None),
            ("IAX2/branch", "IAX2/branch", "branch", None),
            ("odd", "odd", "odd", None),
        ] {
            let channel = Channel::parse(name).expect("a channel");
            assert_eq!((channel.device, channel.peer, channel.local_number), (device, peer, local), "{name}");
        }
        assert_eq!(Channel::parse(""), None);
    }

    #[test]
    fn arguments_show_what_was_dialled_through_a_peer() {
        for (lastdata, peer, number) in [
            ("SIP/trunk-a/+14155550180,6", "trunk-a", Some("+14155550180")),
            ("SIP/101&SIP/trunk-b/0044207946,6", "trunk-b", Some("0044207946")),
            ("PJSIP/+14155550180@trunk-a,30,r", "trunk-a", Some("+14155550180")),
            ("SIP/101,5", "101", None),
            ("SIP/trunk-a/1,6", "trunk", None),
            ("", "", None),
        ] {
            assert_eq!(number_dialled_through(lastdata, peer), number, "{lastdata}");
        }
    }
}
