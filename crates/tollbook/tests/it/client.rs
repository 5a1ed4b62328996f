//! A blocking HTTP/1.1 client for tests: one connection a request, and an answer that says whether it ended cleanly.
//!
//! Written by hand because the point of several tests is what happens to a connection, which clients hide.

use std::io::{BufRead, BufReader, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest silence of the server before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the body of an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With its last chunk, or after the announced number of bytes.
    Clean,
    /// The connection ended before that.
    Broken,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// Headers in their order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body as far as it arrived.
    pub(crate) body: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) end: End,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("answers are UTF-8")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The answer, if it is a whole one of this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.end, End::Clean, "the connection broke: {text}");
        self
    }

    /// The suffix of the type of a problem document, whose form is checked on the way.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let document = self.json();
        assert_eq!(document["status"], self.status, "{document}");
        for member in ["title", "detail", "instance"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {document}");
        }
        let kind = document["type"].as_str().and_then(|kind| kind.strip_prefix("urn:tollbook:problem:"));
        kind.unwrap_or_else(|| panic!("a type of ours: {document}")).to_owned()
    }

    /// The names of the errors in a problem document.
    pub(crate) fn wrong_names(&self) -> Vec<String> {
        let document = self.json();
        let errors = document["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["name"].as_str().unwrap_or("?").to_owned()).collect()
    }
}

/// Talks to one service with one credential.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    authorization: Option<String>,
}

impl Client {
    /// A client with a token.
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        Self { address, authorization: Some(format!("Bearer {token}")) }
    }

    /// The same client with another `Authorization`, or none.
    pub(crate) fn with_authorization(&self, value: Option<&str>) -> Self {
        Self { address: self.address, authorization: value.map(str::to_owned) }
    }

    /// The same client with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        self.with_authorization(Some(&format!("Bearer {token}")))
    }

    /// What it sends as `Authorization`.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// The base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// GETs a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").expect("the service answers")
    }

    /// POSTs a body of a type.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        let headers = [("content-type", content_type)];
        self.send("POST", path, &headers, body.as_ref()).expect("the service answers")
    }

    /// Sends a JSON document by any method (`POST`, `PUT`, `PATCH`, `DELETE`).
    #[track_caller]
    pub(crate) fn send_json(&self, method: &str, path: &str, document: &serde_json::Value) -> Answer {
        let body = document.to_string();
        let answer = self.send(method, path, &[("content-type", "application/json")], body.as_bytes());
        answer.expect("the service answers")
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// The connection failed before the head of an answer was there.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let (reader, sent) = self.request(method, path, headers, body)?;
        // A refused body may not be read to its end; the answer is there all the same.
        read_answer(reader, method).map_err(|error| sent.err().unwrap_or(error))
    }

    /// GETs a path, and leaves the answer's body to be read later.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(crate) fn begin(&self, path: &str) -> Result<Download> {
        let (mut reader, _) = self.request("GET", path, &[], b"")?;
        let (status, headers) = read_head(&mut reader)?;
        Ok(Download { status, headers, reader, raw: Vec::new() })
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(BufReader<TcpStream>, Result<()>)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        if let Some(value) = &self.authorization {
            head.push_str(&format!("authorization: {value}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        let sent = stream.write_all(body);
        Ok((BufReader::new(stream), sent))
    }
}

/// An answer under way.
pub(crate) struct Download {
    status: u16,
    headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
    raw: Vec<u8>,
}

impl Download {
    /// Reads about this many bytes of the body and then no more, so that the sender has to wait.
    pub(crate) fn read_some(&mut self, bytes: u64) {
        self.reader.by_ref().take(bytes).read_to_end(&mut self.raw).expect("the body goes on");
        assert_eq!(self.raw.len() as u64, bytes, "the body is longer");
    }

    /// Status code.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Reads what is left.
    pub(crate) fn finish(self) -> Answer {
        let mut answer =
            Answer { status: self.status, headers: self.headers, body: Vec::new(), end: End::Clean };
        let mut whole = self.raw.as_slice().chain(self.reader);
        answer.end = read_chunks(&mut whole, &mut answer.body);
        answer
    }
}

fn read_answer(mut reader: impl BufRead, method: &str) -> Result<Answer> {
    let (status, headers) = read_head(&mut reader)?;
    let mut answer = Answer { status, headers, body: Vec::new(), end: End::Clean };
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok(answer);
    }
    if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        answer.end = read_chunks(&mut reader, &mut answer.body);
        return Ok(answer);
    }
    let length: Option<u64> = answer.header("content-length").and_then(|text| text.parse().ok());
    let length = length.unwrap_or_else(|| panic!("an answer of status {status} without a length"));
    let read = reader.take(length).read_to_end(&mut answer.body);
    if read.is_err() || (answer.body.len() as u64) < length {
        answer.end = End::Broken;
    }
    Ok(answer)
}

fn read_head(reader: &mut impl BufRead) -> Result<(u16, Vec<(String, String)>)> {
    let first = line(reader)?;
    let status = first.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidData, first))?;
    let mut headers = Vec::new();
    loop {
        let text = line(reader)?;
        match text.split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None if text.is_empty() => return Ok((status, headers)),
            None => return Err(std::io::Error::new(ErrorKind::InvalidData, text)),
        }
    }
}

/// Reads chunks until the last one; anything else than a complete last chunk is a broken end.
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> End {
    let mut next = || -> Result<bool> {
        let text = line(reader)?;
        let size = u64::from_str_radix(text.split(';').next().unwrap_or("").trim(), 16)
            .map_err(|_| std::io::Error::new(ErrorKind::InvalidData, text))?;
        let read = reader.by_ref().take(size).read_to_end(body)? as u64;
        // The line end after the chunk; after the last one, that of the empty trailer.
        if read < size || !line(reader)?.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(size > 0)
    };
    loop {
        match next() {
            Ok(true) => {}
            Ok(false) => return End::Clean,
            Err(_) => return End::Broken,
        }
    }
}

/// A line without its end.
fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut text = String::new();
    reader.read_line(&mut text)?;
    match text.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

#[test]
fn a_broken_answer_is_told_from_a_clean_one() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (rest, body, end) in [
        ("3\r\nabc\r\n0\r\n\r\n", "abc", End::Clean),
        ("3;x=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", End::Clean),
        ("0\r\n\r\n", "", End::Clean),
        ("3\r\nabc\r\n0\r\n", "abc", End::Broken),
        ("3\r\nabc\r\n", "abc", End::Broken),
        ("3\r\nab", "ab", End::Broken),
        ("", "", End::Broken),
    ] {
        let answer = read_answer(format!("{head}{rest}").as_bytes(), "GET").unwrap();
        assert_eq!((answer.text(), answer.end), (body, end), "{rest:?}");
    }
    let short = read_answer(&b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc"[..], "GET").unwrap();
    assert_eq!((short.status, short.end), (200, End::Broken));
    assert!(read_answer(&b"HTTP/1.1 200 OK\r\ncontent-le"[..], "GET").is_err());
}
