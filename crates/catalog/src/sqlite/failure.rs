//! What SQLite's error codes mean to a caller, and after which of them the file can no longer be trusted.
//!
//! Nothing is retried here. Above all no fsync is: after a failed one the operating system may have dropped the
//! pages, and a second that succeeds proves nothing.

use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};

// Result codes, https://www.sqlite.org/rescode.html; an extended code has its primary one in the low byte.
const PERM: u32 = 3;
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const NOMEM: u32 = 7;
const READONLY: u32 = 8;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;
const IOERR_NOMEM: u32 = IOERR | (12 << 8);
/// The shared memory beside the file could not grow: the disk is full.
const IOERR_SHMSIZE: u32 = IOERR | (19 << 8);

/// When a lock or a queue is likely to have gone.
const SOON: Duration = Duration::from_secs(1);

/// What a database error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Full,
    Busy,
    Unreachable,
    Broken,
    Foreign,
    Mistake,
}

fn meaning(code: u32) -> Meaning {
    match code {
        IOERR_SHMSIZE => Meaning::Full,
        IOERR_NOMEM => Meaning::Busy,
        _ => match code & 0xFF {
            FULL => Meaning::Full,
            BUSY | LOCKED | NOMEM => Meaning::Busy,
            PERM | READONLY | CANTOPEN => Meaning::Unreachable,
            IOERR | CORRUPT => Meaning::Broken,
            NOTADB => Meaning::Foreign,
            _ => Meaning::Mistake,
        },
    }
}

fn meaning_of(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Database(database) => {
            database.code().and_then(|code| code.parse().ok()).map_or(Meaning::Mistake, meaning)
        }
        sqlx::Error::PoolTimedOut => Meaning::Busy,
        sqlx::Error::PoolClosed => Meaning::Unreachable,
        sqlx::Error::Io(_) => Meaning::Unreachable,
        _ => Meaning::Mistake,
    }
}

/// After this error of a write, is it unknown what the disk holds?
pub(super) fn leaves_doubt(error: &sqlx::Error) -> bool {
    matches!(meaning_of(error), Meaning::Broken | Meaning::Foreign)
}

/// The fault that a caller gets for a database error.
pub(super) fn fault(doing: &'static str, error: sqlx::Error) -> Fault {
    let fault = match meaning_of(&error) {
        Meaning::Full => Fault::new(
            Code::StorageFull,
            "the disk of the control database is full; free some room, then ask again",
        ),
        Meaning::Busy => {
            Fault::new(Code::Unavailable, "the control database is busy; ask again").with_retry_after(SOON)
        }
        Meaning::Unreachable => Fault::new(
            Code::Unavailable,
            "the control database cannot be opened; check its file and ask again",
        ),
        Meaning::Broken => Fault::new(
            Code::Unavailable,
            "the control database cannot be read or written; check its disk and restart the service",
        ),
        Meaning::Foreign => Fault::new(
            Code::Conflict,
            "the file in the control database's place is not one; move it away or restore a backup",
        ),
        Meaning::Mistake => return Fault::internal(doing).with_source(error),
    };
    fault.with_context(doing).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_they_should() {
        for (code, expected) in [
            (13, Meaning::Full),
            (4874, Meaning::Full),
            (5, Meaning::Busy),
            (517, Meaning::Busy), // BUSY_SNAPSHOT
            (3082, Meaning::Busy),
            (14, Meaning::Unreachable),
            (1032, Meaning::Unreachable), // READONLY_DBMOVED
            (1034, Meaning::Broken),      // IOERR_FSYNC
            (778, Meaning::Broken),       // IOERR_WRITE
            (11, Meaning::Broken),
            (26, Meaning::Foreign),
            (2067, Meaning::Mistake), // CONSTRAINT_UNIQUE
            (1, Meaning::Mistake),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
    }
}
