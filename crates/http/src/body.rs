//! Request bodies: read whole and unpacked, within bounds on size, time and the memory of all bodies together.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollbook_kit::fault::{Code, Fault, ResultExt};

/// Bound of bodies with records, packed and unpacked (`natalia.md` section 13).
pub(crate) const RECORD_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Bound of all other bodies (`natalia.md` section 2).
pub(crate) const JSON_BODY_BYTES: usize = 64 * 1024;

/// Memory that the bodies of all requests may hold together.
const ALL_BODIES_BYTES: usize = 512 * 1024 * 1024;
const MEMORY_UNIT: usize = 64 * 1024;
/// How long the next piece of a body may take.
const PIECE_PATIENCE: Duration = Duration::from_secs(30);
/// How long and how much of a refused body is still taken off the wire, so that its sender sees the answer.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);
const DISCARD_BYTES: usize = 256 * 1024 * 1024;
/// Largest window of a zstd frame, as a power of two: what zstd itself uses up to level 19.
const ZSTD_WINDOW_LOG: u32 = 26;

/// The memory that all bodies share.
#[derive(Debug, Clone)]
pub(crate) struct BodyMemory(Arc<Semaphore>);

impl Default for BodyMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BODIES_BYTES / MEMORY_UNIT)))
    }
}

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
    waits_for_continue: bool,
    ended: bool,
    memory: BodyMemory,
    held: Option<OwnedSemaphorePermit>,
    held_bytes: usize,
}

impl RequestBody {
    pub(crate) fn new(body: Body, headers: &HeaderMap, memory: &BodyMemory) -> Self {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let waits_for_continue = headers.contains_key(EXPECT);
        let memory = memory.clone();
        Self { body, announced, waits_for_continue, ended: false, memory, held: None, held_bytes: 0 }
    }

    /// Reads the body whole, as it was sent.
    ///
    /// # Errors
    /// `too_large` above `bound`; `invalid` when the sender broke off or fell silent; `unavailable` when the memory of
    /// all bodies is used up.
    pub(crate) async fn read(&mut self, bound: usize) -> Result<Bytes, Fault> {
        let announced = self.announced.unwrap_or(0);
        if announced > bound {
            return Err(too_large(bound));
        }
        let mut whole = BytesMut::new();
        // From here on a waiting sender has been told to go on.
        self.waits_for_continue = false;
        while let Some(piece) = self.next_piece().await? {
            if whole.len() + piece.len() > bound {
                return Err(too_large(bound));
            }
            self.hold(piece.len())?;
            if whole.is_empty() {
                whole.reserve(announced.max(piece.len()));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
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
        let packed = self.read(bound).await?;
        if coding == ContentCoding::Identity {
            return Ok(packed);
        }
        let work = move || unpack(coding, &packed, bound);
        let unpacked = tokio::task::spawn_blocking(work).await.fault("unpacking a body")??;
        self.hold(unpacked.len())?;
        Ok(unpacked)
    }

    /// Takes the rest of a refused body off the wire, within bounds: a sender that is cut off while still sending
    /// would see a broken connection instead of the answer.
    pub(crate) async fn discard(&mut self) {
        if self.waits_for_continue || self.ended {
            return;
        }
        let rest = async {
            let mut taken = 0;
            while let Ok(Some(piece)) = self.next_piece().await {
                taken += piece.len();
                if taken > DISCARD_BYTES {
                    break;
                }
            }
        };
        // Whether it ended or time ran out: the answer is sent now.
        let _in_time = tokio::time::timeout(DISCARD_PATIENCE, rest).await;
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let Ok(frame) = tokio::time::timeout(PIECE_PATIENCE, self.body.frame()).await else {
                self.ended = true;
                return Err(Fault::malformed("stopped arriving; send it again"));
            };
            match frame {
                None => {
                    self.ended = true;
                    return Ok(None);
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Err(Fault::malformed("broke off; send it again").with_source(error));
                }
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        let before = self.held_bytes.div_ceil(MEMORY_UNIT);
        self.held_bytes += bytes;
        let units = u32::try_from(self.held_bytes.div_ceil(MEMORY_UNIT) - before).unwrap_or(u32::MAX);
        if units == 0 {
            return Ok(());
        }
        let permit = self.memory.0.clone().try_acquire_many_owned(units).map_err(|_| {
            Fault::new(Code::Unavailable, "too many large bodies at once; send it again later")
                .with_retry_after(Duration::from_secs(1))
        })?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        Ok(())
    }
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

fn unpack(coding: ContentCoding, packed: &[u8], bound: usize) -> Result<Bytes, Fault> {
    let wrong =
        |reason: &'static str| move |error: std::io::Error| Fault::malformed(reason).with_source(error);
    match coding {
        ContentCoding::Identity => Ok(Bytes::copy_from_slice(packed)),
        ContentCoding::Gzip => {
            let reason = "is not whole gzip; send it again";
            read_bounded(MultiGzDecoder::new(packed), packed.len(), bound, wrong(reason))
        }
        ContentCoding::Zstd => {
            let reason = "is not whole zstd with a window of at most 64 MiB; send it again";
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(wrong(reason))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(wrong(reason))?;
            read_bounded(decoder, packed.len(), bound, wrong(reason))
        }
    }
}

/// Reads to the end, and not a byte further than the bound: a bomb costs no more than an honest body.
fn read_bounded(
    mut reader: impl Read,
    packed_bytes: usize,
    bound: usize,
    wrong: impl Fn(std::io::Error) -> Fault,
) -> Result<Bytes, Fault> {
    let mut unpacked = Vec::with_capacity((packed_bytes * 4).min(bound) + 1);
    let mut piece = vec![0u8; 64 * 1024];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(unpacked.into()),
            Ok(read) if unpacked.len() + read > bound => return Err(too_large(bound)),
            Ok(read) => unpacked.extend_from_slice(&piece[..read]),
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
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_and_frames_are_joined() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(&unpack(ContentCoding::Gzip, &two, 100).unwrap()[..], b"one two");
        let frames =
            [zstd::encode_all(&b"one "[..], 3).unwrap(), zstd::encode_all(&b"two"[..], 3).unwrap()].concat();
        assert_eq!(&unpack(ContentCoding::Zstd, &frames, 100).unwrap()[..], b"one two");
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
            assert_eq!(unpack(coding, &packed, 100_000).unwrap().len(), 100_000);
            assert_eq!(unpack(coding, &packed, 99_999).unwrap_err().code(), Code::TooLarge);
            assert_eq!(
                unpack(coding, &packed[..packed.len() - 3], 200_000).unwrap_err().code(),
                Code::Invalid
            );
            assert_eq!(unpack(coding, b"not packed at all", 200_000).unwrap_err().code(), Code::Invalid);
        }
    }

    #[tokio::test]
    async fn the_memory_of_all_bodies_is_bounded_and_given_back() {
        let memory = BodyMemory(Arc::new(Semaphore::new(2)));
        let body = |size: usize| RequestBody::new(Body::from(vec![0u8; size]), &HeaderMap::new(), &memory);
        let mut first = body(2 * MEMORY_UNIT);
        assert!(first.read(RECORD_BODY_BYTES).await.is_ok());
        assert_eq!(body(1).read(RECORD_BODY_BYTES).await.unwrap_err().code(), Code::Unavailable);
        drop(first);
        assert!(body(1).read(RECORD_BODY_BYTES).await.is_ok());
    }
}
