//! Work in parallel, output in order, memory bounded: one source that is asked under a lock, some workers, one
//! emitter.
//!
//! A worker takes a place in the window before it asks the source, and the emitter gives the place back when the
//! result has left. The oldest unfinished piece of work therefore always has a place, and nothing can block for ever.

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::StopToken;

/// How much runs at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Width {
    /// Worker threads.
    pub(crate) workers: usize,
    /// Pieces of work between source and emitter.
    pub(crate) window: usize,
}

/// Chunks that may wait for a slow reader.
const CHUNKS_AHEAD: usize = 1;

/// Yields pieces of work in the order of the output; none at the end.
pub(crate) type Source<J> = Box<dyn FnMut() -> Result<Option<J>, Fault> + Send>;

/// Turns results, in order, into what the reader gets: bytes, mostly.
pub(crate) trait Emitter: Send + 'static {
    /// What workers hand over.
    type Result: Send + 'static;
    /// What the reader gets.
    type Item: Send + 'static;
    /// What comes before the first result.
    fn open(&mut self, outlet: &Outlet<Self::Item>) -> Result<(), Fault>;
    /// What the next result becomes.
    fn emit(&mut self, result: Self::Result, outlet: &Outlet<Self::Item>) -> Result<(), Fault>;
    /// What comes after the last.
    fn close(self, outlet: &Outlet<Self::Item>) -> Result<(), Fault>;
}

/// Where the emitter's items go.
pub(crate) struct Outlet<I = Bytes>(tokio::sync::mpsc::Sender<Result<I, Fault>>);

impl<I> Outlet<I> {
    /// Hands an item on, waiting while the reader is slow.
    ///
    /// # Errors
    /// The reader is gone; nobody will see the fault.
    pub(crate) fn hand_on(&self, item: I) -> Result<(), Fault> {
        self.0.blocking_send(Ok(item)).map_err(|_| reader_is_gone())
    }
}

impl Outlet {
    /// Hands bytes on, if there are any.
    ///
    /// # Errors
    /// As [`Outlet::hand_on`].
    pub(crate) fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Fault> {
        let bytes = bytes.into();
        if bytes.is_empty() { Ok(()) } else { self.hand_on(bytes) }
    }
}

/// Starts the work; the stream ends it when dropped.
pub(crate) fn run<J, E, W>(
    runtime: &tokio::runtime::Handle,
    width: Width,
    source: Source<J>,
    work: W,
    emitter: E,
) -> BoxStream<'static, Result<E::Item, Fault>>
where
    J: Send + 'static,
    E: Emitter,
    W: Fn(J) -> Result<E::Result, Fault> + Send + Sync + 'static,
{
    let (chunks, reader) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
    let (results, ordered) = mpsc::channel();
    let window = Arc::new(Window::new(width.window.max(1)));
    let queue = Arc::new(Mutex::new(Numbered { source, next: 0, ended: false }));
    let work = Arc::new(work);
    for _ in 0..width.workers.max(1) {
        let (window, queue, work, results) =
            (Arc::clone(&window), Arc::clone(&queue), Arc::clone(&work), results.clone());
        runtime.spawn_blocking(move || {
            while window.enter() {
                let Some((number, job)) = lock(&queue).take() else { break };
                let result = job.and_then(|job| guarded(|| work(job)));
                if results.send((number, result)).is_err() {
                    break;
                }
            }
        });
    }
    drop(results);
    let closing = Arc::clone(&window);
    runtime.spawn_blocking(move || {
        let outlet = Outlet(chunks);
        let outcome = guarded(|| emit_all(emitter, &ordered, &window, &outlet));
        window.close();
        if let Err(fault) = outcome {
            // A reader that is gone does not hear of the fault, and need not.
            let _gone = outlet.0.blocking_send(Err(fault));
        }
    });
    let stop = CloseOnDrop(closing);
    futures::stream::unfold((reader, stop), |(mut reader, stop)| async move {
        reader.recv().await.map(|chunk| (chunk, (reader, stop)))
    })
    .boxed()
}

/// The same chunks; dropping them cancels `stop`, so that a source that waits for others need not wait any longer.
pub(crate) fn stopping<I: 'static>(
    chunks: BoxStream<'static, Result<I, Fault>>,
    stop: StopToken,
) -> BoxStream<'static, Result<I, Fault>> {
    let held = stop.drop_guard();
    chunks
        .map(move |chunk| {
            let _held = &held;
            chunk
        })
        .boxed()
}

fn emit_all<E: Emitter>(
    mut emitter: E,
    results: &mpsc::Receiver<(u64, Result<E::Result, Fault>)>,
    window: &Window,
    outlet: &Outlet<E::Item>,
) -> Result<(), Fault> {
    emitter.open(outlet)?;
    let mut early = BTreeMap::new();
    let mut next = 0;
    while let Ok((number, result)) = results.recv() {
        early.insert(number, result);
        while let Some(result) = early.remove(&next) {
            window.check_open()?;
            emitter.emit(result?, outlet)?;
            next += 1;
            window.leave();
        }
    }
    // Workers also end when the reader is gone: then what came out is not whole.
    window.check_open()?;
    if !early.is_empty() {
        return Err(Fault::internal("a piece of an export was lost"));
    }
    emitter.close(outlet)
}

struct Numbered<J> {
    source: Source<J>,
    next: u64,
    ended: bool,
}

impl<J> Numbered<J> {
    fn take(&mut self) -> Option<(u64, Result<J, Fault>)> {
        if self.ended {
            return None;
        }
        let source = &mut self.source;
        let job = match guarded(source) {
            Ok(Some(job)) => Ok(job),
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Err(fault) => {
                self.ended = true;
                Err(fault)
            }
        };
        let number = self.next;
        self.next += 1;
        Some((number, job))
    }
}

/// A panic in one piece of work must end the export, not leave the others waiting for its result.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fault::internal("a worker of an export panicked")))
}

/// Ends the work; nobody sees it.
fn reader_is_gone() -> Fault {
    Fault::internal("the reader of an export went away")
}

struct Window {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Window {
    fn new(places: usize) -> Self {
        Self { state: Mutex::new((places, false)), changed: Condvar::new() }
    }

    /// Takes a place, waiting for one; false when the work is over.
    fn enter(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.1 {
                return false;
            }
            if state.0 > 0 {
                state.0 -= 1;
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Is anybody still there who wants what comes?
    fn check_open(&self) -> Result<(), Fault> {
        if lock(&self.state).1 { Err(reader_is_gone()) } else { Ok(()) }
    }

    fn leave(&self) {
        lock(&self.state).0 += 1;
        self.changed.notify_one();
    }

    fn close(&self) {
        lock(&self.state).1 = true;
        self.changed.notify_all();
    }
}

struct CloseOnDrop(Arc<Window>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers;

    impl Emitter for Numbers {
        type Result = u64;
        type Item = Bytes;
        fn open(&mut self, outlet: &Outlet) -> Result<(), Fault> {
            outlet.send("(")
        }
        fn emit(&mut self, result: u64, outlet: &Outlet) -> Result<(), Fault> {
            outlet.send(format!("{result} "))
        }
        fn close(self, outlet: &Outlet) -> Result<(), Fault> {
            outlet.send(")")
        }
    }

    fn count_to(end: u64) -> Source<u64> {
        let mut next = 0;
        Box::new(move || {
            next += 1;
            Ok((next <= end).then_some(next))
        })
    }

    async fn text(stream: BoxStream<'static, Result<Bytes, Fault>>) -> (String, Option<Fault>) {
        let mut text = String::new();
        let mut stream = stream;
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Err(fault) => return (text, Some(fault)),
            }
        }
        (text, None)
    }

    #[tokio::test]
    async fn results_leave_in_order_whatever_the_workers_do() {
        let width = Width { workers: 4, window: 5 };
        let work = |number: u64| {
            // Uneven work: later pieces often finish first.
            let spin = (number * 7919) % 13 * 2000;
            std::hint::black_box((0..spin).sum::<u64>());
            Ok(number)
        };
        let stream = run(&tokio::runtime::Handle::current(), width, count_to(500), work, Numbers);
        let wanted: String = (1..=500).map(|number| format!("{number} ")).collect();
        let (text, fault) = text(stream).await;
        assert_eq!(text, format!("({wanted})"));
        assert!(fault.is_none());
    }

    #[tokio::test]
    async fn a_fault_or_a_panic_ends_the_stream_with_a_fault() {
        for panics in [false, true] {
            let work = move |number: u64| match number {
                20 if panics => panic!("a bug"),
                20 => Err(Fault::internal("broken")),
                _ => Ok(number),
            };
            let width = Width { workers: 3, window: 4 };
            let stream = run(&tokio::runtime::Handle::current(), width, count_to(500), work, Numbers);
            let (text, fault) = text(stream).await;
            assert!(fault.is_some());
            assert!(text.ends_with("18 19 "), "what came before the fault is whole: {text}");
        }
    }

    #[tokio::test]
    async fn dropping_the_stream_stops_the_source() {
        let asked = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let source: Source<u64> =
            Box::new(move || Ok(Some(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst))));
        let width = Width { workers: 2, window: 4 };
        let mut stream = run(&tokio::runtime::Handle::current(), width, source, Ok, Numbers);
        stream.next().await.unwrap().unwrap();
        drop(stream);
        // The window closes at once: at most what is inside it is still asked for.
        let bound = asked.load(std::sync::atomic::Ordering::SeqCst) + 4;
        tokio::task::yield_now().await;
        assert!(asked.load(std::sync::atomic::Ordering::SeqCst) <= bound);
    }
}
