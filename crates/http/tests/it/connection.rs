//! A client that shows what is on the wire: it sends bytes and reads the answer as it comes.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    /// Did the body end as its framing says it must?
    pub(crate) whole: bool,
}

impl Answer {
    /// The value of a header; several values joined by `, `.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A request; `head` is everything up to the empty line, without it.
pub(crate) async fn send(to: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let mut request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
    if !body.is_empty() {
        request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    stream.write_all(&request).await.unwrap();
    read_answer(stream).await
}

async fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    let reset = loop {
        match stream.read(&mut piece).await {
            Ok(0) => break false,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(_) => break true,
        }
    };
    let at =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {bytes:?}"));
    let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    let mut answer = Answer { status, head, body: bytes.split_off(at + 4), whole: !reset };
    if answer.header("transfer-encoding").as_deref() == Some("chunked") {
        (answer.body, answer.whole) = unchunk(&answer.body);
    }
    answer
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(at) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        rest = &rest[at + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            return (body, false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}
