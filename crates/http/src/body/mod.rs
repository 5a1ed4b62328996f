//! Request bodies: read whole and unpacked, within bounds on size, time and the memory of all bodies together.

mod lent;
mod memory;

use axum::body::Body;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
pub(crate) use lent::lend;
pub(crate) use memory::BodyMemory;
use memory::{Account, GrowingBody, HeldBody};
use std::io::{ErrorKind, Read};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Sleep;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::rate::one_client;
use uuid::Uuid;

/// Bound of bodies with records, packed and unpacked (`natalia.md` section 13).
pub(crate) const RECORD_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Bound of all other bodies (`natalia.md` section 2).
pub(crate) const JSON_BODY_BYTES: usize = 64 * 1024;

/// How long the next piece of a body may take.
const PIECE_PATIENCE: Duration = Duration::from_secs(30);
/// How long a whole body may take: this long, and a second more for each so many bytes that have arrived.
const BODY_PATIENCE: Duration = Duration::from_secs(300);
/// The same for a body of somebody without a credential.
const STRANGERS_PATIENCE: Duration = Duration::from_secs(10);
const BYTES_PER_SECOND: u32 = 64 * 1024;
/// How much is unpacked at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Largest window of a zstd frame, as a power of two: what zstd itself uses up to level 19.
const ZSTD_WINDOW_LOG: u32 = 26;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentCoding {
    /// Not at all.
    Identity,
    /// One or more gzip members.
    Gzip,
    /// One or more zstd frames.
    Zstd,
}

impl ContentCoding {
    /// Reads `Content-Encoding`.
    ///
    /// # Errors
    /// `unsupported_media` for any other coding, or several.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let coding = match (values.next(), values.next()) {
            (None, _) => Some(Self::Identity),
            (Some(value), None) => value.to_str().ok().and_then(Self::named),
            _ => None,
        };
        coding.ok_or_else(|| {
            Fault::new(Code::UnsupportedMedia, "this content encoding is not taken; send gzip, zstd or none")
        })
    }

    fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The body of one request. Holds its share of the memory of all bodies until it is dropped.
pub(crate) struct RequestBody {
    body: Body,
    announced: Option<usize>,
    deadline: Pin<Box<Sleep>>,
    account: Arc<Account>,
    held: Option<HeldBody>,
}

impl RequestBody {
    /// The body of somebody without a credential: it counts for his address, and may not take long.
    pub(crate) fn of_stranger(
        body: Body,
        headers: &HeaderMap,
        memory: &BodyMemory,
        address: Option<IpAddr>,
    ) -> Self {
        let mut body = Self::new(body, headers, memory, address.map_or(Uuid::nil(), stands_for));
        body.deadline = Box::pin(tokio::time::sleep(STRANGERS_PATIENCE));
        body
    }

    /// A body that counts for this holder: the credential of its request.
    pub(crate) fn new(body: Body, headers: &HeaderMap, memory: &BodyMemory, holder: Uuid) -> Self {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let deadline = Box::pin(tokio::time::sleep(BODY_PATIENCE));
        Self { body, announced, deadline, account: memory.account(holder), held: None }
    }

    /// Reads the body whole, as it was sent.
    ///
    /// # Errors
    /// `too_large` above `bound`; `invalid` when the sender broke off or fell silent; `timeout` when it took too long
    /// in all; `unavailable` when the memory of all bodies is used up, `rate_limited` when the holder's share is.
    pub(crate) async fn read(&mut self, bound: usize) -> Result<Bytes, Fault> {
        let whole = self.arrived(bound).await?;
        Ok(self.hold(whole))
    }

    /// Reads the body whole and unpacks it, both within `bound`.
    ///
    /// # Errors
    /// As [`RequestBody::read`]; also `invalid` when it is not packed as announced.
    pub(crate) async fn read_unpacked(
        &mut self,
        coding: ContentCoding,
        bound: usize,
    ) -> Result<Bytes, Fault> {
        let packed = self.arrived(bound).await?;
        if coding == ContentCoding::Identity {
            return Ok(self.hold(packed));
        }
        let account = self.account.clone();
        // Both bodies move there: the work goes on, and holds its memory, even when nobody waits for it any more.
        let work = move || unpack(coding, &packed.bytes, bound, &account);
        let unpacked = tokio::task::spawn_blocking(work).await.fault("unpacking a body")??;
        Ok(self.hold(unpacked))
    }

    async fn arrived(&mut self, bound: usize) -> Result<HeldBody, Fault> {
        let announced = self.announced.unwrap_or(0);
        if announced > bound {
            return Err(too_large(bound));
        }
        let mut whole = GrowingBody::new(&self.account, bound);
        whole.reserve(announced)?;
        while let Some(piece) = self.next_piece().await? {
            if !whole.append(&piece)? {
                return Err(too_large(bound));
            }
        }
        Ok(whole.finish())
    }

    fn hold(&mut self, body: HeldBody) -> Bytes {
        self.held.insert(body).bytes.clone()
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.deadline.as_mut() => {
                    return Err(Fault::new(Code::Timeout, "the body took too long; send it in parts"));
                }
                frame = tokio::time::timeout(PIECE_PATIENCE, self.body.frame()) => frame,
            };
            match frame {
                Err(_silent) => return Err(Fault::malformed("stopped arriving; send it again")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(Fault::malformed("broke off; send it again").with_source(error));
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        self.allow_time_for(piece.len());
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    fn allow_time_for(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let later = self.deadline.deadline() + Duration::from_secs(1) * bytes / BYTES_PER_SECOND;
        self.deadline.as_mut().reset(later);
    }
}

/// What memory is counted by for a client without a credential. No credential's id is an address.
fn stands_for(address: IpAddr) -> Uuid {
    Uuid::from_u128(match one_client(address) {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    })
}

fn too_large(bound: usize) -> Fault {
    let bound = if bound >= 1024 * 1024 {
        format!("{} MiB", bound / (1024 * 1024))
    } else {
        format!("{} KiB", bound / 1024)
    };
    Fault::new(
        Code::TooLarge,
        format!("the body is larger than {bound}, counted after unpacking; send it in parts"),
    )
}

fn unpack(
    coding: ContentCoding,
    packed: &[u8],
    bound: usize,
    account: &Arc<Account>,
) -> Result<HeldBody, Fault> {
    let wrong =
        |reason: &'static str| move |error: std::io::Error| Fault::malformed(reason).with_source(error);
    let mut unpacked = GrowingBody::new(account, bound);
    match coding {
        ContentCoding::Identity => {
            if !unpacked.append(packed)? {
                return Err(too_large(bound));
            }
            Ok(unpacked.finish())
        }
        ContentCoding::Gzip => {
            let reason = "is not whole gzip; send it again";
            read_bounded(MultiGzDecoder::new(packed), unpacked, wrong(reason))
        }
        ContentCoding::Zstd => {
            let reason = "is not whole zstd with a window of at most 64 MiB; send it again";
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(wrong(reason))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(wrong(reason))?;
            // Its window keeps up to all of what it has unpacked.
            read_bounded(decoder, unpacked.with_as_much_beside(1), wrong(reason))
        }
    }
}

/// Reads to the end, and not a piece further than bound and memory allow: a bomb costs no more than an honest body.
fn read_bounded(
    mut reader: impl Read,
    mut unpacked: GrowingBody,
    wrong: impl Fn(std::io::Error) -> Fault,
) -> Result<HeldBody, Fault> {
    let mut piece = vec![0u8; PIECE_BYTES];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(unpacked.finish()),
            Ok(read) if unpacked.append(&piece[..read])? => {}
            Ok(_) => return Err(too_large(unpacked.bound())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(wrong(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures::StreamExt;
    use std::cell::Cell;
    use std::io::Write;

    const MIB: usize = 1024 * 1024;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(coding: ContentCoding, packed: &[u8], bound: usize) -> Result<Bytes, Fault> {
        unpack(coding, packed, bound, &BodyMemory::default().account(Uuid::nil())).map(|held| held.bytes)
    }

    #[test]
    fn members_and_frames_are_joined() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(&unpacked(ContentCoding::Gzip, &two, 100).unwrap()[..], b"one two");
        let frames =
            [zstd::encode_all(&b"one "[..], 3).unwrap(), zstd::encode_all(&b"two"[..], 3).unwrap()].concat();
        assert_eq!(&unpacked(ContentCoding::Zstd, &frames, 100).unwrap()[..], b"one two");
    }

    #[test]
    fn bounds_hold_to_the_byte_and_damage_is_seen() {
        for coding in [ContentCoding::Gzip, ContentCoding::Zstd] {
            let text = vec![b'x'; 100_000];
            let packed = if coding == ContentCoding::Gzip {
                gzip(&text)
            } else {
                zstd::encode_all(&text[..], 3).unwrap()
            };
            assert_eq!(unpacked(coding, &packed, 100_000).unwrap().len(), 100_000);
            assert_eq!(unpacked(coding, &packed, 99_999).unwrap_err().code(), Code::TooLarge);
            assert_eq!(
                unpacked(coding, &packed[..packed.len() - 3], 200_000).unwrap_err().code(),
                Code::Invalid
            );
            assert_eq!(unpacked(coding, b"not packed at all", 200_000).unwrap_err().code(), Code::Invalid);
        }
    }

    /// Gives without end, and says how much.
    struct Bomb<'a>(&'a Cell<usize>);

    impl Read for Bomb<'_> {
        fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
            self.0.set(self.0.get() + piece.len());
            Ok(piece.len())
        }
    }

    #[test]
    fn a_bomb_unpacks_no_further_than_memory_allows() {
        let memory = BodyMemory::of(4 * MIB);
        for beside in [0, 1] {
            let produced = Cell::new(0);
            let body =
                GrowingBody::new(&memory.account(Uuid::nil()), RECORD_BODY_BYTES).with_as_much_beside(beside);
            let error = read_bounded(Bomb(&produced), body, |_| unreachable!()).map(|_| ()).unwrap_err();
            assert_eq!(error.code(), Code::Unavailable);
            assert!(produced.get() <= 4 * MIB / (1 + beside), "{} bytes", produced.get());
            assert_eq!(memory.free(), 4 * MIB);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_bombs_at_once_hold_no_more_than_the_memory_of_all_bodies() {
        let memory = BodyMemory::of(8 * MIB);
        for (coding, packed) in [
            (ContentCoding::Gzip, gzip(&vec![0; 2 * MIB])),
            (ContentCoding::Zstd, zstd::encode_all(&vec![0; 2 * MIB][..], 3).unwrap()),
        ] {
            let bombs = (0..16).map(|sender| {
                let sender = Uuid::from_u128(sender);
                let mut body =
                    RequestBody::new(Body::from(packed.clone()), &HeaderMap::new(), &memory, sender);
                async move { body.read_unpacked(coding, RECORD_BODY_BYTES).await.map(|bytes| (bytes, body)) }
            });
            let (taken, refused): (Vec<_>, Vec<_>) =
                futures::future::join_all(bombs).await.into_iter().partition(Result::is_ok);
            assert!(taken.len() <= 4, "{} at once", taken.len());
            assert_eq!(memory.free(), 8 * MIB - taken.len() * 2 * MIB, "each is counted until it is dropped");
            for outcome in refused {
                assert_eq!(outcome.map(|_| ()).unwrap_err().code(), Code::Unavailable);
            }
            drop(taken);
            assert_eq!(memory.free(), 8 * MIB);
        }
    }

    #[tokio::test]
    async fn an_announced_length_counts_before_the_first_byte() {
        let memory = BodyMemory::of(8 * MIB);
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, (5 * MIB).into())]);
        let silent = || Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let mut first = RequestBody::new(silent(), &headers, &memory, Uuid::from_u128(1));
        let mut reading = Box::pin(first.read(RECORD_BODY_BYTES));
        assert!(futures::poll!(reading.as_mut()).is_pending());
        assert_eq!(memory.free(), 3 * MIB);
        let mut second = RequestBody::new(silent(), &headers, &memory, Uuid::from_u128(2));
        assert_eq!(second.read(RECORD_BODY_BYTES).await.unwrap_err().code(), Code::Unavailable);
        drop(reading);
        assert_eq!(memory.free(), 8 * MIB);
    }

    #[tokio::test]
    async fn a_body_that_trickles_for_ever_is_refused_and_a_slow_one_is_not() {
        let memory = BodyMemory::default();
        let trickle = |bytes: usize, pieces: usize| {
            let pieces = futures::stream::iter(0..pieces).then(move |_| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes]))
            });
            let mut body =
                RequestBody::new(Body::from_stream(pieces), &HeaderMap::new(), &memory, Uuid::nil());
            let start = tokio::time::Instant::now();
            assert!(body.deadline.deadline() > start + BODY_PATIENCE - Duration::from_secs(1));
            body.deadline.as_mut().reset(start + Duration::from_millis(60));
            body
        };
        let endless = async { trickle(1, usize::MAX).read(RECORD_BODY_BYTES).await };
        let ended = tokio::time::timeout(Duration::from_secs(10), endless).await.unwrap();
        assert_eq!(ended.unwrap_err().code(), Code::Timeout);
        // It takes twice the time, but earns more with each piece.
        assert_eq!(trickle(MIB, 6).read(RECORD_BODY_BYTES).await.unwrap().len(), 6 * MIB);
    }

    #[tokio::test]
    async fn strangers_count_by_address_and_may_not_take_long() {
        let holder = |address: &str| stands_for(address.parse().unwrap());
        assert_eq!(holder("192.0.2.1"), holder("::ffff:192.0.2.1"));
        assert_eq!(holder("2001:db8::1"), holder("2001:db8::2"), "one customer's network");
        assert_ne!(holder("192.0.2.1"), holder("192.0.2.2"));

        let memory = BodyMemory::of(MIB);
        let stranger = |address: &str| {
            let (body, address) = (Body::from(vec![b'x'; 10]), address.parse().ok());
            RequestBody::of_stranger(body, &HeaderMap::new(), &memory, address)
        };
        let left = stranger("192.0.2.1").deadline.deadline() - tokio::time::Instant::now();
        assert!(left <= STRANGERS_PATIENCE, "{left:?}");
        // A quarter of the memory is four units, of which each body takes one.
        let mut bodies: Vec<RequestBody> = (0..5).map(|_| stranger("192.0.2.1")).collect();
        let mut refused = 0;
        for body in &mut bodies {
            refused += usize::from(body.read(JSON_BODY_BYTES).await.is_err());
        }
        assert_eq!(refused, 1);
        assert!(stranger("192.0.2.2").read(JSON_BODY_BYTES).await.is_ok(), "others are not shut out");
    }
}
