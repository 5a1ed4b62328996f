//! Every knob of the store, with defaults that suit one machine. What a knob means is said here and nowhere else.

use std::time::Duration;

/// Different UTC days whose records one submission may hold; more are refused. Each becomes a batch of its own and is
/// read for the recent-id filter, so that a small body over all days there are would cost more than a large one. Nearly
/// three years: whoever loads more than that at once does it in pieces anyway.
pub const MAX_BODY_DAYS: usize = 1000;

/// Different UTC days whose batches compaction takes in one step. Each day is a part to be written, and other tenants
/// wait meanwhile.
pub(crate) const STEP_DAYS: usize = 64;
/// Steps of one tenant and dataset in one round of compaction. The next round begins soon and looks at all again, so
/// that what has become due for others meanwhile does not wait for the end of a large load.
pub(crate) const ROUND_STEPS: usize = 16;

/// Knobs of journal and lake.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Room on the disk below which records are refused (`storage_full`), so that compaction, sweeping and the
    /// control database still have some. 256 MiB.
    pub reserve_bytes: u64,
    /// Encoded batches from this size on, about 2,000 records, are kept as objects, smaller ones in the control database.
    /// 256 KiB: from here on a file of its own costs no more time than writing the bytes twice, to the database's log
    /// and to the database, and the database stays small.
    pub object_from_bytes: usize,
    /// Longest wait for further requests to share a commit with, once requests have been seen to come together.
    /// 2 ms.
    pub gather: Duration,
    /// Records of one commit, about. 100,000.
    pub group_rows: usize,
    /// Memory of records that wait for their commit; further requests wait for room. 256 MiB.
    pub waiting_bytes: usize,
    /// Ids remembered to recognise repetitions, over all tenants and days; some 45 bytes each. 2,000,000.
    pub recent_ids: usize,

    /// Batches are compacted when they hold this many records in all. 65,536.
    pub compact_rows: u64,
    /// Or this many encoded bytes. 8 MiB.
    pub compact_bytes: u64,
    /// Or when the oldest is of this age, so that quiet tenants do not make a file every second. 60 s.
    pub compact_age: Duration,
    /// Or when there are this many, for each costs its readers something. 4096; a run takes twice as many at most.
    pub compact_batches: usize,
    /// Encoded bytes of batches taken in one run; they need about five times as much memory. 16 MiB.
    pub run_bytes: u64,
    /// Records of a part at most. 4,194,304, which is 32 full row groups.
    pub part_rows: usize,
    /// Time after a UTC day's end from which it counts as over. 1 h.
    pub seal_after: Duration,
    /// A day that is over is merged for good when nothing came for it for this long. 10 min.
    pub seal_quiet: Duration,
    /// The same, when what came late is little beside what would have to be rewritten. 6 h.
    pub seal_quiet_late: Duration,

    /// A day past its retention goes once nothing has come for it for this long, so that old records that are loaded
    /// late can be used first. 7 days.
    pub late_grace: Duration,

    /// Time for which doomed parts stay readable for those who learnt of them just before, among them backups. 10 min.
    pub erase_grace: Duration,
    /// The same for doomed batches, whose bytes are in the lake by then and would only fill the control database. 60 s.
    pub batch_erase_grace: Duration,
    /// Age from which an object that no row names is set aside. 1 h; longer than any commit or compaction run lasts.
    pub unnamed_age: Duration,
    /// What was set aside is erased after this. 7 days; somebody must notice that a wrong control database was started.
    pub set_aside_for: Duration,

    /// Least and most time between two rounds of compaction: the bell cannot ring it oftener, and without the bell
    /// it looks by itself. 1 s and 15 s.
    pub compaction_rounds: (Duration, Duration),
    /// Time between two rounds of retention. 1 h.
    pub retention_round: Duration,
    /// Time between two rounds of sweeping doomed objects. 1 min.
    pub sweep_round: Duration,
    /// Time between two searches for objects that no row names. 6 h.
    pub unnamed_round: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        Self {
            reserve_bytes: 256 << 20,
            object_from_bytes: 256 << 10,
            gather: Duration::from_millis(2),
            group_rows: 100_000,
            waiting_bytes: 256 << 20,
            recent_ids: 2_000_000,
            compact_rows: 64 << 10,
            compact_bytes: 8 << 20,
            compact_age: Duration::from_secs(MINUTE),
            compact_batches: 4096,
            run_bytes: 16 << 20,
            part_rows: 4 << 20,
            seal_after: Duration::from_secs(HOUR),
            seal_quiet: Duration::from_secs(10 * MINUTE),
            seal_quiet_late: Duration::from_secs(6 * HOUR),
            late_grace: Duration::from_secs(7 * DAY),
            erase_grace: Duration::from_secs(10 * MINUTE),
            batch_erase_grace: Duration::from_secs(MINUTE),
            unnamed_age: Duration::from_secs(HOUR),
            set_aside_for: Duration::from_secs(7 * DAY),
            compaction_rounds: (Duration::from_secs(1), Duration::from_secs(15)),
            retention_round: Duration::from_secs(HOUR),
            sweep_round: Duration::from_secs(MINUTE),
            unnamed_round: Duration::from_secs(6 * HOUR),
        }
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
