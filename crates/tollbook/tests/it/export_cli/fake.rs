//! A service that is none: it answers as a test tells it to, also as no honest service would, and keeps what it was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Method and path with query, as `GET /x?y`.
    pub(super) what: String,
    /// How many requests came before to the same, without its query.
    pub(super) before: usize,
    headers: Vec<(String, String)>,
    /// Its body.
    pub(super) body: String,
}

impl Asked {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first byte that is asked for.
    pub(super) fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes="));
        range.map_or(0, |range| range.trim_end_matches('-').parse().expect("a range to the end"))
    }

    /// The path, without method and query.
    pub(super) fn path(&self) -> &str {
        let target = self.what.split(' ').nth(1).unwrap_or_default();
        target.split('?').next().unwrap_or_default()
    }
}

/// An answer; its connection ends with it.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    /// Bytes of the body that are sent.
    sent: usize,
}

impl Reply {
    /// An answer of a status.
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, headers: String::new(), sent: body.len(), body }
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The same, broken off behind so many bytes of its body.
    pub(super) fn broken_behind(self, sent: usize) -> Self {
        Self { sent, ..self }
    }

    /// The connection ends without a word.
    pub(super) fn none() -> Self {
        Self { status: 0, headers: String::new(), body: Vec::new(), sent: 0 }
    }

    fn write(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        if self.status == 0 {
            return Ok(());
        }
        let Self { status, headers, body, sent } = self;
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body[..*sent])
    }
}

/// Serves with `answer` while `visit` is given the base URL; what it made of it, and what was asked meanwhile.
pub(super) fn serve<T>(
    answer: impl Fn(&Asked) -> Reply + Sync,
    visit: impl FnOnce(&str) -> T,
) -> (T, Vec<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Mutex::new(Vec::new());
    let is_over = AtomicBool::new(false);
    let made = std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut counts = HashMap::new();
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some(mut request) = read(&stream) else { continue };
                let method = request.what.split(' ').next().unwrap_or_default();
                let count = counts.entry(format!("{method} {}", request.path())).or_insert(0);
                request.before = *count;
                *count += 1;
                asked.lock().unwrap().push(request.clone());
                // A client that went away is none of ours.
                let _gone = answer(&request).write(&mut stream);
            }
        });
        // Also when the visit panics: the other thread must end for the scope to.
        let made =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| visit(&format!("http://{address}"))));
        is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(address).unwrap());
        made
    });
    match made {
        Ok(made) => (made, asked.into_inner().unwrap()),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|read| *read > 0).map(|_| text.trim_end().to_owned())
    };
    let first = line()?;
    let what = first.strip_suffix(" HTTP/1.1")?.to_owned();
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(": ") {
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut asked = Asked { what, before: 0, headers, body: String::new() };
    let length = asked.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_string(&mut asked.body).ok()?;
    Some(asked)
}
