//! Room for connections: how many there are in all and of one address, and who gives way when there is no more room.
//!
//! A connection waits while no request of it is under way and nothing of an answer is still to be written. When room is
//! short, the one that has waited longest gives way, and before all others those that never sent a whole request: so
//! connections held for their own sake never keep honest ones out, not even from the same address.

use super::running::Running;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tollbook_kit::rate::one_client;
use tollbook_kit::supervise::StopToken;

/// How long one that gives way may take to be gone before a further one is asked.
const LEAVING_PATIENCE: Duration = Duration::from_millis(100);

/// The places of one listener.
pub(super) struct Places {
    most_of_origin: usize,
    room: Arc<Semaphore>,
    table: Mutex<Table>,
}

/// Whose connections are counted together: an IPv4 address, or the 64 bits of IPv6 that one customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Origin(IpAddr);

impl Origin {
    fn of(address: IpAddr) -> Self {
        Self(one_client(address))
    }
}

/// Who gives way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Has sent no whole request yet.
    Newcomer,
    /// Has.
    Known,
}

#[derive(Default)]
struct Table {
    steps: u64,
    held: HashMap<u64, Held>,
    of_origin: HashMap<Origin, usize>,
    /// Connections that wait, by standing and by how long.
    waiting: BTreeMap<(Standing, u64), u64>,
}

struct Held {
    line: Arc<Line>,
    /// None for those whose number is not bounded.
    origin: Option<Origin>,
    waits: Option<(Standing, u64)>,
}

impl Places {
    /// So many places, and so many for one address.
    pub(super) fn new(most: usize, most_of_origin: usize) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { most_of_origin, room, table: Mutex::default() })
    }

    /// A place for a connection from `peer`, as soon as there is one; none when too many requests of the same address
    /// are under way. `is_proxy` is one behind which are many.
    pub(super) async fn take(self: &Arc<Self>, peer: SocketAddr, is_proxy: bool) -> Option<Place> {
        let origin = (!is_proxy).then(|| Origin::of(peer.ip()));
        if let Some(origin) = origin
            && !self.table().make_room_of(origin, self.most_of_origin)
        {
            return None;
        }
        let room = self.any_room().await?;
        let line = self.table().enter(self, peer, origin);
        Some(Place { line, _room: room })
    }

    async fn any_room(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(room) = self.room.clone().try_acquire_owned() {
                return Some(room);
            }
            self.table().send_away_longest_waiting(|_| true);
            let freed = tokio::time::timeout(LEAVING_PATIENCE, self.room.clone().acquire_owned());
            if let Ok(room) = freed.await {
                return room.ok();
            }
        }
    }

    /// All requests under way, and whose they are.
    pub(super) fn running(&self) -> Vec<(SocketAddr, Arc<Running>)> {
        let lines: Vec<Arc<Line>> = self.table().held.values().map(|held| held.line.clone()).collect();
        let of_line = |line: Arc<Line>| {
            let running = line.doing().running.clone();
            running.into_iter().map(move |running| (line.peer, running))
        };
        lines.into_iter().flat_map(of_line).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Is there room for one more of this origin, perhaps because another of it gives way?
    fn make_room_of(&mut self, origin: Origin, most: usize) -> bool {
        self.of_origin.get(&origin).is_none_or(|&count| count < most)
            || self.send_away_longest_waiting(|held| held.origin == Some(origin))
    }

    fn send_away_longest_waiting(&mut self, which: impl Fn(&Held) -> bool) -> bool {
        let may_leave = |held: &Held| which(held) && !held.line.is_writing();
        let found = self.waiting.values().copied().find(|id| self.held.get(id).is_some_and(may_leave));
        let Some(held) = found.and_then(|id| self.remove(id)) else { return false };
        held.line.leave.cancel();
        true
    }

    fn enter(&mut self, places: &Arc<Places>, peer: SocketAddr, origin: Option<Origin>) -> Arc<Line> {
        self.steps += 1;
        let id = self.steps;
        let doing = Mutex::new(Doing { running: Vec::new(), idle_since: Instant::now() });
        let (leave, writes) = (StopToken::new(), AtomicBool::new(false));
        let line = Arc::new(Line { id, peer, places: places.clone(), leave, writes, doing });
        if let Some(origin) = origin {
            *self.of_origin.entry(origin).or_default() += 1;
        }
        self.held.insert(id, Held { line: line.clone(), origin, waits: None });
        self.waits(id, Standing::Newcomer);
        line
    }

    fn waits(&mut self, id: u64, standing: Standing) {
        self.steps += 1;
        if let Some(held) = self.held.get_mut(&id) {
            let rank = (standing, self.steps);
            held.waits = Some(rank);
            self.waiting.insert(rank, id);
        }
    }

    fn busy(&mut self, id: u64) {
        if let Some(rank) = self.held.get_mut(&id).and_then(|held| held.waits.take()) {
            self.waiting.remove(&rank);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Held> {
        self.busy(id);
        let held = self.held.remove(&id)?;
        if let Some(origin) = held.origin
            && let Some(count) = self.of_origin.get_mut(&origin)
        {
            *count -= 1;
            if *count == 0 {
                self.of_origin.remove(&origin);
            }
        }
        Some(held)
    }
}

/// The place of one connection, free again when this is dropped.
pub(super) struct Place {
    pub(super) line: Arc<Line>,
    _room: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.places.table().remove(self.line.id);
    }
}

/// What a connection and its requests know of each other.
pub(super) struct Line {
    id: u64,
    /// The other end.
    pub(super) peer: SocketAddr,
    places: Arc<Places>,
    /// Cancelled when the connection has to give way.
    pub(super) leave: StopToken,
    /// Was something written that may not be on the wire yet? Layers below keep some of it.
    writes: AtomicBool,
    doing: Mutex<Doing>,
}

struct Doing {
    running: Vec<Arc<Running>>,
    idle_since: Instant,
}

impl Line {
    /// A request has arrived.
    pub(super) fn begin(&self, running: Arc<Running>) {
        let mut doing = self.doing();
        if doing.running.is_empty() {
            self.places.table().busy(self.id);
        }
        doing.running.push(running);
    }

    /// Its answer has ended, in one way or another.
    pub(super) fn end(&self, ended: &Arc<Running>) {
        let mut doing = self.doing();
        doing.running.retain(|running| !Arc::ptr_eq(running, ended));
        if doing.running.is_empty() {
            doing.idle_since = Instant::now();
            self.places.table().waits(self.id, Standing::Known);
        }
    }

    /// Something was written.
    pub(super) fn wrote(&self) {
        self.writes.store(true, Ordering::Release);
    }

    /// Everything written is on the wire.
    pub(super) fn flushed(&self) {
        self.writes.store(false, Ordering::Release);
    }

    fn is_writing(&self) -> bool {
        self.writes.load(Ordering::Acquire)
    }

    /// For how long has no request been under way? Zero while one is.
    pub(super) fn idle_for(&self) -> Duration {
        let doing = self.doing();
        if doing.running.is_empty() { doing.idle_since.elapsed() } else { Duration::ZERO }
    }

    /// Is there an answer whose reader has taken nothing of it for too long?
    pub(super) fn is_stalled(&self) -> bool {
        self.doing().running.iter().any(|running| running.is_stalled())
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        // Before the lock of the table, never after it.
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Version};

    const PATIENCE: Duration = Duration::from_secs(1);

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    fn running() -> Arc<Running> {
        Running::new(&Method::GET, "/", Version::HTTP_11, PATIENCE)
    }

    fn is_sent_away(place: &Place) -> bool {
        place.line.leave.is_cancelled()
    }

    #[tokio::test]
    async fn of_one_address_newcomers_give_way_first_and_busy_ones_never() {
        let places = Places::new(100, 3);
        let (a, b) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let known = places.take(a, false).await.unwrap();
        let request = running();
        known.line.begin(request.clone());
        let older = places.take(a, false).await.unwrap();
        let newer = places.take(a, false).await.unwrap();
        let other = places.take(b, false).await.unwrap();
        known.line.end(&request);

        let fourth = places.take(a, false).await.unwrap();
        assert!(is_sent_away(&older) && !is_sent_away(&newer) && !is_sent_away(&known));
        drop(older);
        for place in [&newer, &fourth] {
            place.line.begin(running());
        }
        let fifth = places.take(a, false).await.unwrap();
        assert!(is_sent_away(&known), "nobody else waits");
        drop(known);
        fifth.line.begin(running());
        assert!(places.take(a, false).await.is_none(), "three requests of it are under way");
        assert!(places.take(a, true).await.is_some(), "behind a proxy are many");
        assert!(!is_sent_away(&other));
        assert_eq!(places.running().len(), 3);

        drop((newer, fourth, fifth, other));
        let table = places.table();
        assert!(table.held.is_empty() && table.of_origin.is_empty() && table.waiting.is_empty());
    }

    #[tokio::test]
    async fn in_a_full_house_the_longest_waiting_gives_way() {
        let places = Places::new(2, 2);
        let first = places.take(peer("192.0.2.1"), false).await.unwrap();
        let busy = places.take(peer("192.0.2.2"), false).await.unwrap();
        busy.line.begin(running());
        let leaves = first.line.leave.clone();
        let (third, ()) = tokio::join!(places.take(peer("192.0.2.3"), false), async move {
            leaves.cancelled().await;
            drop(first);
        });
        let third = third.unwrap();
        third.line.begin(running());
        let full = tokio::time::timeout(LEAVING_PATIENCE * 3, places.take(peer("192.0.2.4"), false)).await;
        assert!(full.is_err(), "all are busy");
        assert!(!is_sent_away(&third) && !is_sent_away(&busy));
    }

    #[tokio::test]
    async fn who_still_takes_an_answer_does_not_give_way() {
        let places = Places::new(100, 2);
        let a = peer("192.0.2.1");
        let slow = places.take(a, false).await.unwrap();
        let request = running();
        slow.line.begin(request.clone());
        slow.line.wrote();
        slow.line.end(&request);
        let newer = places.take(a, false).await.unwrap();
        newer.line.begin(running());
        assert!(places.take(a, false).await.is_none(), "the others take their answers");
        slow.line.flushed();
        assert!(places.take(a, false).await.is_some());
        assert!(is_sent_away(&slow));
    }

    #[test]
    fn an_ipv6_customer_is_one_origin() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let of = |address: &str| Origin::of(address.parse().unwrap());
            assert_eq!(of(one) == of(other), same, "{one} {other}");
        }
    }
}
