//! `cdr_in`: calls from outside (`didww.md` section 8.1).

use super::cells::{
    CallTimes, Extra, amount, code_text, disconnect_code, first_of, integer, number, shows_amounts, text,
    three_decimals,
};
use std::borrow::Cow;
use tollbook_model::call::CallField;
use tollbook_model::sheet::Sheet;
use tollbook_model::value::Value;

const HEADERS: [&str; 22] = [
    "Date/Time Start (UTC)",
    "Date/Time Connect (UTC)",
    "Date/Time End (UTC)",
    "Status",
    "Source",
    "Source Name",
    "Destination DID",
    "Duration (sec)",
    "Attempt",
    "Disconnect Code",
    "Response",
    "Disconnect Initiator",
    "Voice IN Trunk",
    "Destination",
    "Trunk Group",
    "Capacity Group",
    "Toll-free (USD)",
    "PSTN (USD)",
    "Metered (USD)",
    "CNAM IN (USD)",
    "Total (USD)",
    "Call ID",
];

const FIELDS: [CallField; 18] = [
    CallField::StartAt,
    CallField::AnswerAt,
    CallField::EndAt,
    CallField::DurationS,
    CallField::Result,
    CallField::CallingParty,
    CallField::CallerName,
    CallField::Did,
    CallField::CalledParty,
    CallField::Attempt,
    CallField::SipCode,
    CallField::DisconnectReason,
    CallField::DisconnectInitiator,
    CallField::Trunk,
    CallField::Charged,
    CallField::Currency,
    CallField::CallId,
    CallField::Extra,
];

/// Amounts that a source may give, in the order of their columns.
const AMOUNTS: [&str; 4] = ["toll_free", "pstn", "metered", "cnam_in"];

/// A row per inbound call.
#[derive(Debug)]
pub(crate) struct InboundCalls;

impl Sheet for InboundCalls {
    fn name(&self) -> &'static str {
        "cdr_in"
    }

    fn headers(&self) -> &[&'static str] {
        &HEADERS
    }

    fn fields(&self) -> &[CallField] {
        &FIELDS
    }

    fn row<'record>(&self, values: &'record [Value<'record>], cells: &mut Vec<Cow<'record, str>>) {
        let [
            start,
            answer,
            end,
            duration,
            result,
            calling,
            caller_name,
            did,
            called,
            attempt,
            sip_code,
            reason,
            initiator,
            trunk,
            charged,
            currency,
            call_id,
            extra,
        ] = values
        else {
            return;
        };
        let extra = Extra::of(extra);
        let code = disconnect_code(sip_code, result);
        CallTimes::of([start, answer, end, duration, result]).push(cells);
        cells.push(number(calling).into());
        cells.push(text(caller_name).into());
        cells.push(number(first_of(did, called)).into());
        cells.push(integer(duration).unwrap_or(0).to_string().into());
        cells.push(integer(attempt).unwrap_or(1).to_string().into());
        cells.push(code_text(code));
        cells.push(if reason.is_null() { response(code) } else { text(reason) }.into());
        cells.push(party(text(initiator)).into());
        cells.push(text(trunk).into());
        cells
            .extend(["destination_uri", "trunk_group", "capacity_group"].map(|name| extra.text(name).into()));
        push_amounts(cells, &extra, charged, currency);
        cells.push(text(call_id).into());
    }
}

/// Four amounts of the source, and their sum unless the source says what was charged.
fn push_amounts(cells: &mut Vec<Cow<'_, str>>, extra: &Extra, charged: &Value<'_>, currency: &Value<'_>) {
    if !shows_amounts(currency) {
        cells.extend([const { Cow::Borrowed("") }; AMOUNTS.len() + 1]);
        return;
    }
    let amounts = AMOUNTS.map(|name| extra.millionths(name));
    let total = amount(charged).map_or_else(|| amounts.iter().sum(), |charged| charged.millionths());
    cells.extend(amounts.map(|millionths| three_decimals(millionths).into()));
    cells.push(three_decimals(total).into());
}

/// The words for a code.
fn response(code: Option<i64>) -> &'static str {
    match code {
        Some(200) => "Bye",
        Some(486) => "Busy Here",
        Some(480) => "Temporarily Unavailable",
        Some(487) => "Request Terminated",
        _ => "",
    }
}

fn party(initiator: &str) -> &'static str {
    match initiator {
        "caller" => "Origination",
        "callee" => "Destination",
        _ => "",
    }
}
