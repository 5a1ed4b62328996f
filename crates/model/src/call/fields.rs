//! The field catalogue of call records, version 1: order, types, bounds and meaning of every column.

use crate::schema::{DIRECTIONS, Field, FieldKind, Variety};

/// Words of `result`.
pub const RESULTS: [&str; 4] = ["answered", "no-answer", "busy", "abandoned"];
/// Words of `disposition`.
pub const DISPOSITIONS: [&str; 8] =
    ["answered", "no-answer", "busy", "abandoned", "failed", "voicemail", "forwarded", "unknown"];
/// Words of `time_quality`.
pub const TIME_QUALITIES: [&str; 4] = ["exact", "assumed_zone", "ambiguous", "inferred"];
const INITIATORS: [&str; 3] = ["caller", "callee", "system"];

const SECONDS: FieldKind = FieldKind::Integer { min: 0, max: i64::MAX };

macro_rules! call_fields {
    ($($variant:ident $name:literal $kind:expr, $need:ident, $variety:ident, $meaning:literal;)*) => {
        /// A field of the call record; its number is its position in [`CALL_FIELDS`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum CallField {
            $(#[doc = $meaning] $variant,)*
        }

        impl CallField {
            /// Every field in column order.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The field of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        /// The catalogue, in column order.
        pub static CALL_FIELDS: [Field; CallField::COUNT] = [
            $(Field {
                name: $name,
                kind: $kind,
                required: need!($need required),
                exported_by_default: need!($need exported),
                variety: Variety::$variety,
                meaning: $meaning,
            },)*
        ];
    };
}

macro_rules! need {
    (required required) => {
        true
    };
    ($other:ident required) => {
        false
    };
    (named exported) => {
        false
    };
    ($other:ident exported) => {
        true
    };
}

// `required`: every record has it. `default`: exported unless columns are named. `named`: only when named.
call_fields! {
    Id "id" FieldKind::Uuid, required, High, "id of the record, made from its source key and start";
    PbxAlias "pbx_alias" FieldKind::Text, required, Low, "configured name of the source";
    StartAt "start_at" FieldKind::Instant, required, High, "first signal of the call; ranges apply to it";
    DurationS "duration_s" SECONDS, required, Low, "connected seconds, 0 when unanswered";
    Direction "direction" FieldKind::Word(&DIRECTIONS), required, Low, "seen from the organisation that owns the PBX";
    CallingParty "calling_party" FieldKind::Text, default, High, "caller; a pseudonym for external callers unless the tenant keeps numbers in clear";
    CalledParty "called_party" FieldKind::Text, default, Low, "number dialled, or number reached from outside";
    Trunk "trunk" FieldKind::Text, default, Low, "carrier side of the call";
    Extension "extension" FieldKind::Text, default, Low, "inside party";
    Result "result" FieldKind::Word(&RESULTS), default, Low, "outcome; absent when none of the four fits";
    CallingLast4 "calling_last4" FieldKind::LastFour, default, Low, "last four digits of a pseudonymised caller";
    Disposition "disposition" FieldKind::Word(&DISPOSITIONS), default, Low, "outcome in more words than result";
    AnswerAt "answer_at" FieldKind::Instant, default, High, "when the call was answered";
    EndAt "end_at" FieldKind::Instant, default, High, "when the call ended";
    RingS "ring_s" SECONDS, default, Low, "seconds of ringing";
    TotalS "total_s" SECONDS, default, Low, "seconds from start to end";
    HoldS "hold_s" SECONDS, default, Low, "seconds on hold";
    SipCode "sip_code" FieldKind::Integer { min: 100, max: 699 }, default, Low, "final SIP response code";
    Q850Cause "q850_cause" FieldKind::Integer { min: 0, max: 127 }, default, Low, "cause of the release after ITU-T Q.850";
    DisconnectInitiator "disconnect_initiator" FieldKind::Word(&INITIATORS), default, Low, "who ended the call";
    CallGroup "call_group" FieldKind::Text, default, High, "joins the records of one call";
    CallId "call_id" FieldKind::Text, default, High, "SIP Call-ID or the source's public id";
    DurationMs "duration_ms" SECONDS, named, High, "connected milliseconds, where the source counts them";
    RingMs "ring_ms" SECONDS, named, High, "milliseconds of ringing, where the source counts them";
    DisconnectReason "disconnect_reason" FieldKind::Text, named, Low, "the source's words for the release";
    Leg "leg" FieldKind::Text, named, Low, "a, b, or number of the segment";
    CallerName "caller_name" FieldKind::Text, named, Low, "display name of the caller";
    CalledName "called_name" FieldKind::Text, named, Low, "display name of the called party";
    DialledNumber "dialled_number" FieldKind::Text, named, Low, "number before translation";
    Did "did" FieldKind::Text, named, Low, "direct inward dialling number";
    SourceNumberOut "source_number_out" FieldKind::Text, named, High, "number sent onwards";
    Cli "cli" FieldKind::Text, named, Low, "number presented";
    AccountCode "account_code" FieldKind::Text, named, Low, "account code of the source";
    TenantHint "tenant_hint" FieldKind::Text, named, Low, "what in the record points to a tenant";
    Codec "codec" FieldKind::Text, named, Low, "audio codec";
    Mos "mos" FieldKind::Number, named, High, "mean opinion score";
    JitterMs "jitter_ms" FieldKind::Number, named, High, "jitter in milliseconds";
    LossPct "loss_pct" FieldKind::Number, named, High, "packet loss in percent";
    Attempt "attempt" FieldKind::Integer { min: 0, max: i64::MAX }, named, Low, "number of the routing attempt";
    Country "country" FieldKind::Text, named, Low, "destination country";
    Network "network" FieldKind::Text, named, Low, "destination network";
    CallType "call_type" FieldKind::Text, named, Low, "kind of destination";
    BillingDurationS "billing_duration_s" FieldKind::Money, named, Low, "billed seconds, passed through";
    Rate "rate" FieldKind::Money, named, Low, "price per unit, passed through";
    Charged "charged" FieldKind::Money, named, Low, "amount charged, passed through";
    Currency "currency" FieldKind::Text, named, Low, "currency of the amounts";
    RecordingRef "recording_ref" FieldKind::Text, named, High, "where the recording is";
    SourceType "source_type" FieldKind::Text, named, Low, "connector that read the record";
    SourceId "source_id" FieldKind::Text, named, Low, "source that the key belongs to";
    SourceKey "source_key" FieldKind::Text, named, High, "the source's own key of the record";
    SourceSeq "source_seq" FieldKind::Text, named, High, "the source's own counter";
    TimeQuality "time_quality" FieldKind::Word(&TIME_QUALITIES), named, Low, "how sure the time zone is";
    ReceivedAt "received_at" FieldKind::Instant, named, High, "when the record was taken in";
    Revision "revision" FieldKind::Integer { min: 0, max: i64::MAX }, named, Low, "0, or how often the record was revised";
    Extra "extra" FieldKind::StringMap, named, High, "every field of the source that has no place above";
}

impl CallField {
    /// The catalogue entry.
    pub fn definition(self) -> &'static Field {
        &CALL_FIELDS[self as usize]
    }

    /// The field's name.
    pub fn name(self) -> &'static str {
        self.definition().name
    }
}
