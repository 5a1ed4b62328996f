//! Which end of a leg is inside and which outside. The variable `direction` is relative to the switch: it tells whether
//! the leg's own channel is the caller's (A leg) or the called party's (B leg), and nothing about the business.

use super::Settings;
use super::leg::Leg;
use crate::normalise::direction::{Direction, Side, is_forwarded};
use crate::normalise::numbers::without_scheme;

/// The two ends of a leg and what they decide.
#[derive(Debug)]
pub(super) struct Ends<'l> {
    /// Is the leg's own channel the caller's?
    pub(super) is_a_leg: bool,
    /// The caller's number.
    pub(super) calling: Option<&'l str>,
    /// The number dialled, or reached from outside.
    pub(super) called: Option<&'l str>,
    /// Direction of the call.
    pub(super) direction: Direction,
    /// From outside to outside.
    pub(super) forwarded: bool,
    /// Name of the carrier's line.
    pub(super) trunk: Option<&'l str>,
    /// The inside party.
    pub(super) extension: Option<&'l str>,
}

/// Where the leg's own channel leads.
const GATEWAY: [&str; 2] = ["sip_gateway_name", "sip_gateway"];
/// The registered user of an A leg's own channel.
const CALLING_USER: [&str; 2] = ["user_name", "sip_auth_username"];
/// The user whom a B leg's own channel rings. An A leg may carry the variable too, for the leg that it made.
const CALLED_USER: [&str; 2] = ["dialed_user", "user_name"];

fn user(leg: &Leg, is_a_leg: bool) -> Option<&str> {
    leg.first_of(if is_a_leg { &CALLING_USER } else { &CALLED_USER })
}

impl<'l> Ends<'l> {
    pub(super) fn of(leg: &'l Leg, settings: &Settings) -> Self {
        let is_a_leg = is_a_leg(leg);
        let calling = leg
            .newest_profile("caller_id_number")
            .or_else(|| leg.first_of(&["caller_id_number", "sip_from_user", "sip_from_uri"]));
        let called = leg.oldest_profile("destination_number").or_else(|| {
            leg.first_of(&[
                "destination_number",
                "caller_destination",
                "sip_req_user",
                "sip_to_user",
                "dialed_user",
            ])
        });
        let own = own_side(leg, is_a_leg, settings);
        let by_number = |number: Option<&str>| {
            number.map_or(Side::Unknown, |number| settings.lines.side_of_number(without_scheme(number)))
        };
        let known =
            |side: Side, number: Option<&str>| if side == Side::Unknown { by_number(number) } else { side };
        // The other channel's name shows the profile; only the dialplan's argument shows the gateway.
        let argument = bridged_argument(leg);
        let bridge = argument
            .filter(|argument| argument.contains("gateway/"))
            .or_else(|| leg.first_of(&["bridge_channel", "last_bridge_channel"]))
            .or_else(|| leg.originatee_profile("chan_name"))
            .or(argument);
        let (caller, called_side) = if is_a_leg {
            let caller = known(own, calling);
            (caller, called_side_of_a_leg(bridge, called, caller, settings))
        } else {
            (known(originator_side(leg, settings), calling), known(own, called))
        };
        let (direction, forwarded) = match leg.variable("call_direction") {
            Some("inbound") => (Direction::Inbound, is_forwarded(caller, called_side)),
            Some("outbound") => (Direction::Outbound, false),
            Some("local" | "internal") => (Direction::Internal, false),
            _ => (Direction::between(caller, called_side), is_forwarded(caller, called_side)),
        };
        let mut ends = Self { is_a_leg, calling, called, direction, forwarded, trunk: None, extension: None };
        ends.trunk = ends.trunk_of(leg, bridge);
        ends.extension = ends.extension_of(leg, bridge);
        ends
    }

    /// The gateway or profile of the outside end, when this leg knows it.
    fn trunk_of(&self, leg: &'l Leg, bridge: Option<&'l str>) -> Option<&'l str> {
        let own_is_outside = match self.direction {
            Direction::Internal => return None,
            Direction::Inbound => self.is_a_leg,
            Direction::Outbound => !self.is_a_leg,
        };
        if own_is_outside {
            return leg.first_of(&GATEWAY).or_else(|| leg.variable("sofia_profile_name"));
        }
        let other = if self.is_a_leg { bridge } else { leg.originator_profile("chan_name") };
        other.and_then(|channel| line_of_channel(channel))
    }

    /// Who called, for what went out; who was rung, for everything else.
    fn extension_of(&self, leg: &'l Leg, bridge: Option<&'l str>) -> Option<&'l str> {
        let own_user = || user(leg, true);
        let rung = || {
            if self.is_a_leg {
                leg.variable("dialed_user")
                    .or_else(|| bridge.and_then(user_of_channel))
                    .or_else(|| leg.newest_profile("destination_number").or(self.called))
            } else {
                user(leg, false).or_else(|| leg.newest_profile("destination_number")).or(self.called)
            }
        };
        match self.direction {
            Direction::Outbound if self.is_a_leg => own_user().or(self.calling),
            Direction::Outbound => leg.originator_profile("username").or(self.calling),
            Direction::Inbound if self.forwarded => None,
            Direction::Inbound | Direction::Internal => rung(),
        }
    }
}

fn is_a_leg(leg: &Leg) -> bool {
    match leg.variable("direction") {
        Some("inbound") => true,
        Some("outbound") => false,
        _ => {
            leg.first_of(&["originator", "originating_leg_uuid"]).is_none()
                && leg.originator_profile("uuid").is_none()
        }
    }
}

/// The side on which the leg's own channel ends: lines that lead outside first, then what only a device of ours has.
fn own_side(leg: &Leg, is_a_leg: bool, settings: &Settings) -> Side {
    let names = [leg.first_of(&GATEWAY), leg.variable("sofia_profile_name"), user(leg, is_a_leg)];
    let is_gateway = leg.first_of(&GATEWAY).is_some();
    if is_gateway || names.into_iter().flatten().any(|name| settings.lines.is_trunk(name)) {
        return Side::Outside;
    }
    if user(leg, is_a_leg).is_some() || leg.variable("sip_authorized") == Some("true") {
        return Side::Inside;
    }
    let context = leg.oldest_profile("context").or_else(|| leg.first_of(&["context", "user_context"]));
    if is_a_leg && context == Some("public") {
        return Side::Outside;
    }
    let domain = leg.first_of(&["domain_name", "sip_from_host"]);
    if domain
        .is_some_and(|domain| settings.internal_domains.iter().any(|own| own.eq_ignore_ascii_case(domain)))
    {
        return Side::Inside;
    }
    Side::Unknown
}

/// The side of the caller as a B leg shows it: the profile of the leg that made it.
fn originator_side(leg: &Leg, settings: &Settings) -> Side {
    let line = leg.originator_profile("chan_name").and_then(line_of_channel);
    if line.is_some_and(|line| settings.lines.is_trunk(line))
        || leg.originator_profile("context") == Some("public")
    {
        return Side::Outside;
    }
    if leg.originator_profile("username").is_some_and(|user| settings.lines.is_extension(user)) {
        return Side::Inside;
    }
    Side::Unknown
}

/// Where an A leg was bridged to, else the number that was dialled; one reached from outside is our own.
fn called_side_of_a_leg(
    bridge: Option<&str>,
    called: Option<&str>,
    caller: Side,
    settings: &Settings,
) -> Side {
    if let Some(channel) = bridge {
        if channel.contains("gateway/")
            || line_of_channel(channel).is_some_and(|line| settings.lines.is_trunk(line))
        {
            return Side::Outside;
        }
        if channel.contains("user/") {
            return Side::Inside;
        }
        if let Some(user) = user_of_channel(channel) {
            return settings.lines.side_of_number(user);
        }
    }
    match (caller, called) {
        (Side::Outside, _) => Side::Inside,
        (_, Some(number)) => settings.lines.side_of_number(without_scheme(number)),
        _ => Side::Unknown,
    }
}

/// What the dialplan bridged to, when that was the last thing it did.
fn bridged_argument(leg: &Leg) -> Option<&str> {
    leg.variable("last_arg").filter(|_| leg.variable("last_app") == Some("bridge"))
}

/// The gateway or profile in `sofia/gateway/carrier/+49…` or `sofia/external/+49…@host`; options in `{}` and `[]` may
/// stand before it.
fn line_of_channel(channel: &str) -> Option<&str> {
    let mut parts = endpoint(channel)?.split('/');
    match parts.next()? {
        "gateway" => parts.next(),
        profile => Some(profile),
    }
}

/// The user in `sofia/internal/101@host` or `user/101@domain`.
fn user_of_channel(channel: &str) -> Option<&str> {
    let last = match channel.find("user/") {
        Some(at) => &channel[at + "user/".len()..],
        None => endpoint(channel)?.rsplit('/').next()?,
    };
    let user = without_scheme(last).split(['@', ',', '|', ':', ';']).next()?;
    (!user.is_empty()).then_some(user)
}

fn endpoint(channel: &str) -> Option<&str> {
    channel.split_once("sofia/").map(|(_, endpoint)| endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_name_their_line_and_user() {
        for (channel, line, user) in [
            ("sofia/gateway/carrier/+493023125000", Some("carrier"), Some("+493023125000")),
            (
                "[leg_timeout=30]sofia/external/+493023125000@203.0.113.1",
                Some("external"),
                Some("+493023125000"),
            ),
            ("sofia/internal/101@10.0.0.1:5060", Some("internal"), Some("101")),
            ("user/101@pbx.example", None, Some("101")),
            ("loopback/101", None, None),
        ] {
            assert_eq!(line_of_channel(channel), line, "{channel}");
            assert_eq!(user_of_channel(channel), user, "{channel}");
        }
    }
}
