//! The states of an export and the one table of what may follow what (`natalia.md` section 1).

/// Where an export job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Accepted; no worker has looked at it yet.
    Queued,
    /// A worker has begun. It stays so while one that died is replaced.
    Running,
    /// Its files are complete and durable.
    Ready,
    /// Given up.
    Failed,
    /// Ended by a user before it was ready.
    Cancelled,
    /// It was ready; its files are removed.
    Expired,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Ready, Self::Failed, Self::Cancelled, Self::Expired];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The states that may follow.
    pub fn followers(self) -> &'static [Self] {
        match self {
            Self::Queued => &[Self::Running, Self::Failed, Self::Cancelled],
            Self::Running => &[Self::Ready, Self::Failed, Self::Cancelled],
            Self::Ready => &[Self::Expired],
            Self::Failed | Self::Cancelled | Self::Expired => &[],
        }
    }

    /// The states that this one may follow: what an update of the table must find.
    pub fn leaders(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |state| state.followers().contains(&self))
    }

    /// Is there nothing more to be done? Ready counts as an end.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_contracts_and_never_goes_back() {
        use JobState::{Cancelled, Expired, Failed, Queued, Ready, Running};
        let allowed = [
            (Queued, Running),
            (Queued, Cancelled),
            (Queued, Failed),
            (Running, Ready),
            (Running, Cancelled),
            (Running, Failed),
            (Ready, Expired),
        ];
        for from in JobState::ALL {
            for to in JobState::ALL {
                let may = allowed.contains(&(from, to));
                assert_eq!(from.followers().contains(&to), may, "{from:?} to {to:?}");
                assert_eq!(to.leaders().any(|leader| leader == from), may, "{from:?} to {to:?}");
            }
            assert_eq!(JobState::from_name(from.name()), Some(from));
        }
        assert_eq!(JobState::ALL.map(JobState::has_ended), [false, false, true, true, true, true]);
    }
}
