//! `cdr_out`: calls to outside (`didww.md` section 8.2).

use super::cells::{
    CallTimes, Extra, amount, code_text, disconnect_code, first_of, integer, number, shows_amounts, text,
    three_decimals,
};
use super::countries;
use std::borrow::Cow;
use tollbook_model::call::CallField;
use tollbook_model::sheet::Sheet;
use tollbook_model::value::Value;

const HEADERS: [&str; 19] = [
    "Date/Time Start (UTC)",
    "Date/Time Connect (UTC)",
    "Date/Time End (UTC)",
    "Status",
    "Source",
    "CLI",
    "Destination Number",
    "Call Duration (sec)",
    "Billing Duration (sec)",
    "Disconnect Code",
    "Disconnect Reason",
    "Voice OUT Trunk",
    "Destination Country",
    "Network",
    "Call Type",
    "Rate (USD)",
    "Charged (USD)",
    "P-Charge-Info",
    "Call ID",
];

const FIELDS: [CallField; 20] = [
    CallField::StartAt,
    CallField::AnswerAt,
    CallField::EndAt,
    CallField::DurationS,
    CallField::Result,
    CallField::CallingParty,
    CallField::Cli,
    CallField::CalledParty,
    CallField::BillingDurationS,
    CallField::SipCode,
    CallField::DisconnectReason,
    CallField::Trunk,
    CallField::Country,
    CallField::Network,
    CallField::CallType,
    CallField::Rate,
    CallField::Charged,
    CallField::Currency,
    CallField::CallId,
    CallField::Extra,
];

/// A row per outbound call.
#[derive(Debug)]
pub(crate) struct OutboundCalls;

impl Sheet for OutboundCalls {
    fn name(&self) -> &'static str {
        "cdr_out"
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
            cli,
            called,
            billed,
            sip_code,
            reason,
            trunk,
            country,
            network,
            call_type,
            rate,
            charged,
            currency,
            call_id,
            extra,
        ] = values
        else {
            return;
        };
        let code = disconnect_code(sip_code, result);
        let times = CallTimes::of([start, answer, end, duration, result]);
        let is_answered = times.is_answered;
        times.push(cells);
        cells.push(number(calling).into());
        cells.push(number(first_of(cli, calling)).into());
        cells.push(number(called).into());
        cells.push(integer(duration).unwrap_or(0).to_string().into());
        let billed = amount(billed).filter(|_| is_answered);
        cells.push(billed.map_or(Cow::Borrowed(""), |seconds| seconds.to_string().into()));
        cells.push(code_text(code));
        cells.push(if reason.is_null() { words(code) } else { text(reason) }.into());
        cells.push(text(trunk).into());
        cells.push(countries::name(text(country)).unwrap_or(text(country)).into());
        cells.push(text(network).into());
        cells.push(text(call_type).into());
        push_amounts(cells, is_answered, rate, charged, currency);
        cells.push(Extra::of(extra).text("p_charge_info").into());
        cells.push(text(call_id).into());
    }
}

/// What a minute costs and what was charged. A call that was not answered cost nothing.
fn push_amounts(
    cells: &mut Vec<Cow<'_, str>>,
    is_answered: bool,
    rate: &Value<'_>,
    charged: &Value<'_>,
    currency: &Value<'_>,
) {
    if !shows_amounts(currency) {
        cells.extend([const { Cow::Borrowed("") }; 2]);
        return;
    }
    if !is_answered {
        cells.extend(["".into(), "0".into()]);
        return;
    }
    cells.push(amount(rate).map_or(Cow::Borrowed(""), |rate| three_decimals(rate.millionths()).into()));
    cells.push(three_decimals(amount(charged).map_or(0, |charged| charged.millionths())).into());
}

/// The words for a code.
fn words(code: Option<i64>) -> &'static str {
    match code {
        Some(200) => "Normal call clearing",
        Some(486) => "Busy here",
        Some(480) => "Temporarily Unavailable",
        Some(487) => "Request Terminated",
        _ => "",
    }
}
