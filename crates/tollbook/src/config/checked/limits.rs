//! How many requests in which time.

use super::reader::Reader;
use tollbook_http::RateConfig;

pub(super) fn read(reader: &mut Reader<'_>) -> RateConfig {
    let group_window = reader.duration("rate_limit.window");
    let group_entry_ttl = reader.duration("rate_limit.entry_ttl");
    // Forgetting a group while its window is open would hand its permits out again.
    if group_entry_ttl <= group_window {
        reader.wrong("rate_limit.entry_ttl", "must be greater than rate_limit.window");
    }
    RateConfig {
        native_per_second: reader.permits("native.rate_limit"),
        native_burst: reader.permits("native.rate_burst"),
        ingest_per_second: reader.permits("native.ingest_rate_limit"),
        public_per_second: reader.permits("native.public_rate_limit"),
        didww_per_second: reader.permits("didww.rate_limit"),
        group_permits: reader.permits("rate_limit.permits"),
        group_window,
        group_entry_ttl,
    }
}
