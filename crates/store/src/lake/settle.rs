//! Which of several records with one id counts, and what the others were.
//!
//! The same rule serves everybody who meets repetitions: compaction, and exports of what is not compacted.

/// One stored record of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its sequence number.
    pub sequence: u64,
    /// Digest of its content.
    pub digest: u64,
    /// Its revision number as stored.
    pub revision: i64,
}

/// Repetitions found and settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SettledCounts {
    /// Records dropped because the next one has the same content.
    pub duplicates: u64,
    /// Records dropped because the next one has other content.
    pub revisions: u64,
}

impl std::ops::AddAssign for SettledCounts {
    fn add_assign(&mut self, other: Self) {
        self.duplicates += other.duplicates;
        self.revisions += other.revisions;
    }
}

/// Settles versions of one id, given by rising sequence: the last one counts. Answers its true revision number, which
/// may be higher than stored where ingest did not know of the earlier versions; none when there is no version.
/// Versions that an earlier settling dropped are known only by the number they left behind: where ingest knew nothing
/// and compaction met the versions bit by bit, the number may stay below the count of all changes. The
/// record that counts is the right one all the same.
pub fn settle(versions: &[Version], counts: &mut SettledCounts) -> Option<i64> {
    let (first, later) = versions.split_first()?;
    let (mut digest, mut number) = (first.digest, first.revision);
    for version in later {
        if version.digest == digest {
            counts.duplicates += 1;
        } else {
            counts.revisions += 1;
            number += 1;
        }
        digest = version.digest;
        number = number.max(version.revision);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_counts_and_numbers_are_mended() {
        let version = |digest, revision| Version { sequence: 0, digest, revision };
        for (versions, number, duplicates, revisions) in [
            (vec![version(1, 0)], 0, 0, 0),
            (vec![version(1, 0), version(1, 0)], 0, 1, 0),
            (vec![version(1, 0), version(2, 1)], 1, 0, 1),
            (vec![version(1, 0), version(2, 0)], 1, 0, 1),
            (vec![version(1, 0), version(2, 0), version(2, 0), version(1, 0)], 2, 1, 2),
            (vec![version(1, 4), version(2, 9)], 9, 0, 1),
        ] {
            let mut counts = SettledCounts::default();
            assert_eq!(settle(&versions, &mut counts), Some(number), "{versions:?}");
            assert_eq!(counts, SettledCounts { duplicates, revisions }, "{versions:?}");
        }
    }
}
