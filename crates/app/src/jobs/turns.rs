//! Whose turn it is when a worker is free. Pure: who waits and who works is told by whoever asks.
//!
//! A job is the turn's of the tenant with the fewest jobs at work, then of the one that was served longest ago, and of
//! that tenant the oldest. Large jobs leave a place free for small ones, in the whole and of each tenant.

use std::collections::HashMap;
use tollbook_model::export_job::{Claim, JobState};
use tollbook_model::tenant::TenantName;

/// From so many estimated records on, a job is large.
pub(super) const LARGE_ROWS: u64 = 2_000_000;

/// What a job in line is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Somebody works on it.
    Works,
    /// It could be worked on.
    Waits,
    /// It rests after a failed attempt, or cannot be taken for now.
    Rests,
}

/// A job in line.
#[derive(Debug, Clone)]
pub(super) struct InLine {
    /// The job, as it was seen.
    pub(super) claim: Claim,
    /// Whose.
    pub(super) tenant: TenantName,
    /// Has it left the queue?
    pub(super) state: JobState,
    /// When it was ordered.
    pub(super) created_at_ms: i64,
    /// Would it leave no place for small ones if all were like it?
    pub(super) is_large: bool,
    /// What it is doing.
    pub(super) doing: Doing,
}

/// What bounds the work.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// Jobs that are worked on at once, in the whole.
    pub(super) workers: usize,
    /// Jobs that run at once, per tenant.
    pub(super) running: HashMap<TenantName, usize>,
}

/// Remembers in which order tenants were served.
#[derive(Debug, Default)]
pub(super) struct Turns {
    served: HashMap<TenantName, u64>,
    turn: u64,
}

/// How many jobs of a tenant are out of the queue and at work.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    running: usize,
    at_work: usize,
    large_at_work: usize,
}

impl Turns {
    /// The place in line of the job whose turn it is; none when no worker is free, or nobody may go on.
    pub(super) fn next(&self, line: &[InLine], bounds: &Bounds) -> Option<usize> {
        let (mut counts, mut whole) = (HashMap::<&TenantName, Count>::new(), Count::default());
        for job in line {
            for count in [counts.entry(&job.tenant).or_default(), &mut whole] {
                count.running += usize::from(job.state == JobState::Running);
                count.at_work += usize::from(job.doing == Doing::Works);
                count.large_at_work += usize::from(job.doing == Doing::Works && job.is_large);
            }
        }
        if whole.at_work >= bounds.workers {
            return None;
        }
        let most_running = |tenant: &TenantName| bounds.running.get(tenant).copied().unwrap_or(0);
        let may_go_on = |job: &InLine| {
            let (count, most) = (counts[&job.tenant], most_running(&job.tenant));
            let large_fits =
                whole.large_at_work < but_one(bounds.workers) && count.large_at_work < but_one(most);
            // What rests or lost its worker is out of the queue already: going on with it makes nobody more.
            let fits = job.state == JobState::Running || count.running < most;
            job.doing == Doing::Waits && fits && (large_fits || !job.is_large)
        };
        let candidates = line.iter().enumerate().filter(|(_, job)| may_go_on(job));
        let order = |job: &InLine| {
            let served = self.served.get(&job.tenant).copied().unwrap_or(0);
            (counts[&job.tenant].at_work, served, job.created_at_ms, job.claim.job)
        };
        candidates.min_by_key(|(_, job)| order(job)).map(|(at, _)| at)
    }

    /// Notes that the tenant was served. Of tenants without jobs in line nothing is kept.
    pub(super) fn served(&mut self, tenant: &TenantName, line: &[InLine]) {
        self.turn += 1;
        self.served.insert(tenant.clone(), self.turn);
        if self.served.len() > 2 * line.len() + 64 {
            self.served.retain(|tenant, _| line.iter().any(|job| job.tenant == *tenant));
        }
    }
}

/// All places but one, which is for small jobs; one where there is only one.
fn but_one(places: usize) -> usize {
    places.saturating_sub(1).max(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// A line with its turns: jobs begin when it is their turn, and end when a test says so.
    struct Office {
        line: Vec<InLine>,
        bounds: Bounds,
        turns: Turns,
    }

    impl Office {
        fn new(workers: usize) -> Self {
            let bounds = Bounds { workers, running: HashMap::new() };
            Self { line: Vec::new(), bounds, turns: Turns::default() }
        }

        fn order(&mut self, tenant: &str, jobs: usize, is_large: bool) {
            let tenant = TenantName::parse(tenant).unwrap();
            self.bounds.running.entry(tenant.clone()).or_insert(4);
            for _ in 0..jobs {
                let number = self.line.len();
                let claim = Claim { job: Uuid::from_u128(number as u128), generation: 0 };
                let created_at_ms = number as i64;
                let (tenant, state, doing) = (tenant.clone(), JobState::Queued, Doing::Waits);
                self.line.push(InLine { claim, tenant, state, created_at_ms, is_large, doing });
            }
        }

        /// Lets all begin whose turn it is; answers their tenants in order.
        fn begin(&mut self) -> Vec<String> {
            let mut begun = Vec::new();
            while let Some(at) = self.turns.next(&self.line, &self.bounds) {
                let job = &mut self.line[at];
                (job.state, job.doing) = (JobState::Running, Doing::Works);
                let tenant = job.tenant.clone();
                self.turns.served(&tenant, &self.line);
                begun.push(tenant.as_str().to_owned());
            }
            begun
        }

        fn end_oldest(&mut self) {
            let at = self.line.iter().position(|job| job.doing == Doing::Works).unwrap();
            self.line.remove(at);
        }

        fn at_work(&self, is_large: bool) -> usize {
            self.line.iter().filter(|job| job.doing == Doing::Works && job.is_large == is_large).count()
        }
    }

    #[test]
    fn a_hundred_jobs_do_not_starve_a_single_one() {
        let mut office = Office::new(4);
        office.order("many", 100, false);
        assert_eq!(office.begin(), ["many"; 4]);
        office.order("single", 1, false);
        assert!(office.begin().is_empty(), "no worker is free");
        office.end_oldest();
        assert_eq!(office.begin(), ["single"], "the first free worker is his, though 96 are older");
    }

    #[test]
    fn tenants_take_turns_and_each_is_served_in_order() {
        let mut office = Office::new(1);
        for tenant in ["a", "b", "c"] {
            office.order(tenant, 3, false);
        }
        let mut served = Vec::new();
        while !office.line.is_empty() {
            served.extend(office.begin());
            let begun = office.line.iter().find(|job| job.doing == Doing::Works).unwrap();
            let older = office
                .line
                .iter()
                .filter(|job| job.tenant == begun.tenant)
                .min_by_key(|job| job.created_at_ms);
            assert_eq!(older.unwrap().claim, begun.claim, "of one tenant the oldest first");
            office.end_oldest();
        }
        assert_eq!(served, ["a", "b", "c", "a", "b", "c", "a", "b", "c"]);
    }

    #[test]
    fn workers_are_shared_evenly() {
        let mut office = Office::new(6);
        office.order("many", 100, false);
        office.order("some", 100, false);
        office.order("few", 1, false);
        let begun = office.begin();
        let of = |tenant: &str| begun.iter().filter(|begun| *begun == tenant).count();
        assert_eq!((of("many"), of("some"), of("few")), (3, 2, 1));
    }

    #[test]
    fn large_jobs_leave_a_place_for_small_ones() {
        let mut office = Office::new(4);
        office.order("a", 10, true);
        office.order("b", 10, true);
        assert_eq!(office.begin().len(), 3);
        assert_eq!(office.at_work(true), 3);
        office.order("a", 1, false);
        assert_eq!(office.begin(), ["a"], "younger than all the large ones");
        assert_eq!((office.at_work(true), office.at_work(false)), (3, 1));

        let mut office = Office::new(16);
        office.order("a", 10, true);
        office.order("a", 1, false);
        office.begin();
        assert_eq!((office.at_work(true), office.at_work(false)), (3, 1), "of the four of his quota");

        let mut office = Office::new(1);
        office.order("a", 1, true);
        assert_eq!(office.begin(), ["a"], "a single worker takes large ones, too");
    }

    #[test]
    fn quotas_count_what_rests_but_let_it_go_on() {
        let mut office = Office::new(16);
        office.order("a", 6, false);
        assert_eq!(office.begin().len(), 4);
        office.line[0].doing = Doing::Rests;
        assert!(office.begin().is_empty(), "four are out of the queue");
        office.line[0].doing = Doing::Waits;
        assert_eq!(office.begin(), ["a"]);
        assert_eq!(office.line[0].doing, Doing::Works, "the one that rested");
        *office.bounds.running.values_mut().next().unwrap() = 5;
        assert_eq!(office.begin(), ["a"], "a raised quota counts at once");
        *office.bounds.running.values_mut().next().unwrap() = 1;
        office.end_oldest();
        assert!(office.begin().is_empty(), "and so does a lowered one");
        office.bounds.running.clear();
        office.line.iter_mut().for_each(|job| (job.state, job.doing) = (JobState::Queued, Doing::Waits));
        assert!(office.begin().is_empty(), "who has no quota has no turn");
    }

    #[test]
    fn nothing_is_kept_of_tenants_that_are_gone() {
        let mut office = Office::new(1);
        for number in 0..1000 {
            office.order(&format!("tenant{number}"), 1, false);
            assert_eq!(office.begin().len(), 1);
            office.end_oldest();
        }
        assert!(office.turns.served.len() < 100, "{}", office.turns.served.len());
    }
}
