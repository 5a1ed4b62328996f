//! One file of a job, fetched through its signed link: what breaks off is gone on with where it stopped, a link that has
//! ended is replaced, and in the end it is the file that the job tells or an error.
//!
//! Nothing is trusted that the server says of a range: the SHA-256 of the job decides.

use super::job::{Job, JobFile};
use super::progress::Display;
use super::sink::Sink;
use crate::remote::{NOT_OURS, Remote};
use http::{Method, StatusCode, header};
use tollbook_connect::client::{ApiRequest, OpenReply};
use tollbook_kit::fault::{Code, Fault};

/// Where the paths of signed links begin.
const LINKS: &str = "/dl/v1/";

/// A file to fetch, the `at`th of a ready job.
pub(crate) struct Download<'d> {
    pub(crate) remote: &'d Remote,
    pub(crate) job: &'d Job,
    pub(crate) at: usize,
    pub(crate) display: &'d Display,
}

/// How the body of a reply ended, when it was not for a reason of ours.
enum End {
    Clean,
    Broken(Fault),
}

impl Download<'_> {
    /// Fetches it into `sink`, going on behind what is there.
    ///
    /// # Errors
    /// `gone`: the job has no files any more; `invalid`: what came is another file, and was set aside, or it cannot be
    /// written; `storage_full`; `unavailable` when the schedule is used up. What came stays for the next time.
    pub(crate) async fn run(&self, sink: &mut Sink) -> Result<(), Fault> {
        let said = self.file_of(self.job)?;
        if sink.written() > said.bytes {
            sink.restart()?;
        }
        self.display.begin_file(&said.name, Some(said.bytes), sink.written());
        self.complete(said, sink).await?;
        if sink.sha256() != said.sha256 && sink.is_resumed() {
            (self.display.notice())("what an earlier download left is of another file; fetching all of it");
            sink.restart()?;
            self.complete(said, sink).await?;
        }
        if sink.sha256() == said.sha256 {
            return Ok(());
        }
        let text = format!("what came is not {}: its SHA-256 differs; {}", said.name, sink.set_aside()?);
        Err(Fault::new(Code::Invalid, text))
    }

    /// Asks for what is missing until nothing is.
    async fn complete(&self, said: &JobFile, sink: &mut Sink) -> Result<(), Fault> {
        let mut link = link_of(said)?;
        let mut link_is_new = true;
        let mut etag = None;
        let (mut failed, mut furthest) = (0, sink.written());
        while sink.written() < said.bytes {
            let fault = match self.remote.open(request(&link, sink.written(), etag.as_deref())).await {
                Ok(reply) => match self.pour(reply, said.bytes, &mut etag, sink).await? {
                    End::Clean if sink.written() == said.bytes => break,
                    End::Clean => Fault::new(Code::Unavailable, "the file ended before its end"),
                    End::Broken(fault) => fault,
                },
                // Links end while a download lasts; whoever may see the job gets new ones.
                Err(fault) if matches!(fault.code(), Code::Forbidden | Code::Gone) && !link_is_new => {
                    let job = Job::look_up_ready(self.remote, &self.job.told.id).await?;
                    link = link_of(self.file_of(&job)?)?;
                    link_is_new = true;
                    continue;
                }
                Err(fault) => fault,
            };
            // Only what brings the file further is a success: else a server that never sends its end would never be given up.
            failed = if sink.written() > furthest { 1 } else { failed + 1 };
            furthest = furthest.max(sink.written());
            self.remote.rest_after(failed, fault).await?;
            link_is_new = false;
        }
        Ok(())
    }

    /// Takes the body of a reply. Only our own troubles are errors.
    async fn pour(
        &self,
        mut reply: OpenReply,
        bytes: u64,
        etag: &mut Option<String>,
        sink: &mut Sink,
    ) -> Result<End, Fault> {
        let theirs = reply.header(header::ETAG).map(str::to_owned);
        let is_other = etag.is_some() && *etag != theirs;
        if reply.status() == StatusCode::PARTIAL_CONTENT {
            let range = reply.header(header::CONTENT_RANGE).and_then(content_range);
            if is_other || range != Some((sink.written(), bytes)) {
                // A piece of something else. The next attempt asks for all of it, and takes that.
                *etag = None;
                sink.restart()?;
                return Ok(End::Broken(Fault::new(
                    Code::Unavailable,
                    "another range came than was asked for",
                )));
            }
            sink.go_on();
        } else if sink.written() > 0 {
            sink.restart()?;
        }
        *etag = theirs;
        loop {
            match reply.next_piece().await {
                Ok(None) => return Ok(End::Clean),
                Ok(Some(piece)) => sink.take(&piece)?,
                Err(fault) => return Ok(End::Broken(fault)),
            }
            if sink.written() > bytes {
                let text = format!("more came than the {bytes} bytes of the file; {}", sink.set_aside()?);
                return Err(Fault::new(Code::Invalid, text));
            }
            self.display.at(sink.written());
        }
    }

    fn file_of<'j>(&self, job: &'j Job) -> Result<&'j JobFile, Fault> {
        job.told.files.get(self.at).ok_or_else(|| Fault::new(Code::Unavailable, NOT_OURS))
    }
}

fn link_of(file: &JobFile) -> Result<String, Fault> {
    link_path(file.download_url.as_deref().unwrap_or_default())
}

/// The path of a signed link, with its query. Its host is not called: it is the same server, perhaps under a name that
/// only others can reach, and what is signed is the path.
///
/// # Errors
/// `unavailable` when it is no such link.
pub(crate) fn link_path(link: &str) -> Result<String, Fault> {
    let uri: Option<http::Uri> = link.parse().ok();
    let path = uri.as_ref().and_then(http::Uri::path_and_query).map(http::uri::PathAndQuery::as_str);
    // The address of the service may have a path of its own in front.
    let path = path.and_then(|path| path.find(LINKS).map(|at| path[at..].to_owned()));
    path.ok_or_else(|| Fault::new(Code::Unavailable, NOT_OURS))
}

/// Asks for what a signed link leads to, from this byte on.
fn request(link: &str, from: u64, etag: Option<&str>) -> ApiRequest {
    let request = ApiRequest::new(Method::GET, link).without_token();
    if from == 0 {
        return request;
    }
    let request = request.with_header(header::RANGE, format!("bytes={from}-"));
    match etag {
        Some(etag) => request.with_header(header::IF_RANGE, etag),
        None => request,
    }
}

/// First byte and size of the whole of `bytes first-last/whole`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, whole.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_on_the_own_server_only() {
        for (link, path) in [
            (
                "https://cdr.example:8443/dl/v1/j/a.csv?exp=1&kid=k&sig=s",
                Some("/dl/v1/j/a.csv?exp=1&kid=k&sig=s"),
            ),
            ("https://cdr.example/behind/dl/v1/j/a.csv?sig=s", Some("/dl/v1/j/a.csv?sig=s")),
            ("https://cdr.example/other/a.csv", None),
            ("no link", None),
            ("", None),
        ] {
            assert_eq!(link_path(link).ok().as_deref(), path, "{link}");
        }
    }

    #[test]
    fn ranges_are_read() {
        for (text, range) in [
            ("bytes 5-9/10", Some((5, 10))),
            ("bytes 5-9/*", None),
            ("bytes */10", None),
            ("5-9/10", None),
            ("bytes x-9/10", None),
        ] {
            assert_eq!(content_range(text), range, "{text}");
        }
    }
}
