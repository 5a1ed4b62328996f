//! Mail against a mail server in the test itself, which takes, refuses and hangs as it is told.

use crate::server::tls_for;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tollbook_connect::mail::{SmtpConfig, SmtpMailer, SmtpSecurity};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::ports::{Mail, Mailer};

/// Told the first word of a command, says what to answer; none: what a server that takes everything answers.
type Whims = fn(&str) -> Option<&'static str>;

/// A running mail server; it ends with the test's runtime.
struct MailServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: Supervisor,
}

/// From when on the server speaks TLS.
#[derive(Clone)]
enum Encrypted {
    Never,
    AtOnce(TlsAcceptor),
    WhenAsked(TlsAcceptor),
}

impl MailServer {
    async fn start(encrypted: Encrypted, whims: Whims) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, tasks) = (Arc::new(Mutex::new(Vec::new())), Supervisor::new());
        let (remembered, connections) = (seen.clone(), tasks.clone());
        tasks.spawn("accepting", OnError::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (encrypted, seen) = (encrypted.clone(), remembered.clone());
                connections.spawn("taking mail", OnError::Log, async move {
                    let heard = |line: String| seen.lock().unwrap().push(line);
                    match encrypted {
                        Encrypted::Never => drop(talk(stream, true, false, whims, &heard).await),
                        Encrypted::AtOnce(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, true, false, whims, &heard).await;
                            }
                        }
                        Encrypted::WhenAsked(tls) => {
                            if let Some(stream) = talk(stream, true, true, whims, &heard).await {
                                heard("(encrypted)".to_owned());
                                if let Ok(stream) = tls.accept(stream).await {
                                    talk(stream, false, false, whims, &heard).await;
                                }
                            }
                        }
                    }
                    Ok::<(), Fault>(())
                });
            }
            Ok(())
        });
        Self { address, seen, _tasks: tasks }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn config(&self, security: SmtpSecurity) -> SmtpConfig {
        SmtpConfig {
            server: "127.0.0.1".to_owned(),
            port: Some(self.address.port()),
            security,
            credentials: None,
            from: "Tollbook <cdr@tollbook.example>".to_owned(),
        }
    }
}

/// One conversation; answers the stream when it is to be encrypted.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greets: bool,
    can_encrypt: bool,
    whims: Whims,
    heard: &impl Fn(String),
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(whims("greeting").unwrap_or("220 ready\r\n").as_bytes()).await.ok()?;
    }
    let (mut line, mut in_data) = (String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        heard(line.trim_end_matches("\r\n").to_owned());
        let word = line.split_whitespace().next().unwrap_or("").to_owned();
        if in_data && word != "." {
            continue;
        }
        let usual = match word.as_str() {
            "EHLO" if can_encrypt => "250-here\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
            "EHLO" => "250-here\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
            "DATA" => "354 go on\r\n",
            "STARTTLS" => "220 go on\r\n",
            "AUTH" => "235 welcome\r\n",
            _ => "250 fine\r\n",
        };
        let answer = whims(&word).unwrap_or(usual);
        in_data = word == "DATA" && answer.starts_with("354");
        if answer.is_empty() {
            return std::future::pending().await;
        }
        stream.write_all(answer.as_bytes()).await.ok()?;
        if word == "STARTTLS" {
            return Some(stream.into_inner());
        }
    }
}

fn mail() -> Mail {
    Mail {
        id: "0b6b5c1e.ready.0".to_owned(),
        to: "eve@münchen.example".to_owned(),
        subject: "Your export of cdr is ready".to_owned(),
        text: "Rows: 3\n.\nBye\n".to_owned(),
    }
}

#[tokio::test]
async fn a_mail_arrives_whole_and_says_who_it_is() {
    let server = MailServer::start(Encrypted::Never, |_| None).await;
    let mailer = SmtpMailer::new(server.config(SmtpSecurity::None)).unwrap();
    mailer.send(&mail()).await.unwrap();
    mailer.send(&mail()).await.unwrap();
    let seen = server.seen();
    let of = |start: &str| seen.iter().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    assert_eq!(of("EHLO"), ["EHLO tollbook.example"; 2]);
    assert_eq!(of("MAIL"), ["MAIL FROM:<cdr@tollbook.example>"; 2]);
    assert_eq!(of("RCPT"), ["RCPT TO:<eve@xn--mnchen-3ya.example>"; 2]);
    assert_eq!(of("Message-ID:"), ["Message-ID: <0b6b5c1e.ready.0@tollbook.example>"; 2]);
    assert_eq!(of("From:"), ["From: Tollbook <cdr@tollbook.example>"; 2]);
    assert_eq!(of("Subject:"), ["Subject: Your export of cdr is ready"; 2]);
    assert_eq!(of("Auto-Submitted:"), ["Auto-Submitted: auto-generated"; 2]);
    let text = seen.iter().skip_while(|line| !line.is_empty()).take(5).collect::<Vec<_>>();
    assert_eq!(text, ["", "Rows: 3", "..", "Bye", ""], "a line with a dot is no end");
    assert_eq!(of("QUIT").len(), 2);
}

#[tokio::test]
async fn refusals_are_for_good_or_for_now() {
    let cases: [(Whims, Code); 14] = [
        (|word| (word == "RCPT").then_some("550 no such user <eve@münchen.example>\r\n"), Code::Invalid),
        (|word| (word == "RCPT").then_some("553 5.1.3 bad address\r\n"), Code::Invalid),
        (|word| (word == ".").then_some("554-spam\r\n554 spam\r\n"), Code::Invalid),
        (|word| (word == "RCPT").then_some("450 4.2.1 greylisted\r\n"), Code::Unavailable),
        (|word| (word == "RCPT").then_some("530 5.7.0 log in first\r\n"), Code::Unavailable),
        (|word| (word == "DATA").then_some("451 later\r\n"), Code::Unavailable),
        (|word| (word == ".").then_some("452 4.3.1 disk is full\r\n"), Code::Unavailable),
        (|word| (word == "greeting").then_some("554 go away\r\n"), Code::Unavailable),
        (|word| (word == "greeting").then_some("421 too busy\r\n"), Code::Unavailable),
        (|word| (word == "EHLO").then_some("550 not you\r\n"), Code::Unavailable),
        (|word| (word == "MAIL").then_some("what?\r\n"), Code::Unavailable),
        (|word| (word == "RCPT").then_some("no <eve@xn--mnchen-3ya.example>\r\n"), Code::Unavailable),
        (|word| (word == "RCPT").then_some("550-<eve>\r\n250 eve\r\n"), Code::Unavailable),
        (|word| (word == "greeting").then_some("eve\r\n"), Code::Unavailable),
    ];
    for (number, (whims, code)) in cases.into_iter().enumerate() {
        let server = MailServer::start(Encrypted::Never, whims).await;
        let mailer = SmtpMailer::new(server.config(SmtpSecurity::None)).unwrap();
        let fault = mailer.send(&mail()).await.unwrap_err();
        assert_eq!(fault.code(), code, "{number}: {fault:?}");
        let log = fault.log_text();
        for word in ["eve", "xn--", "greylisted", "spam", "what?", "later"] {
            assert!(!log.contains(word), "{number}: {log}");
        }
        assert!(log.contains("the mail server answered"), "{number}: {log}");
    }
    let server = MailServer::start(Encrypted::Never, |_| None).await;
    let mailer = SmtpMailer::new(server.config(SmtpSecurity::None)).unwrap();
    let nobody = Mail { to: "eve@example.net\r\nRCPT TO:<x@example.net>".to_owned(), ..mail() };
    let fault = mailer.send(&nobody).await.unwrap_err();
    assert_eq!(fault.code(), Code::Invalid);
    assert!(!fault.log_text().contains("eve") && !fault.log_text().contains("example"), "{fault:?}");
    assert!(server.seen().is_empty(), "what is no address reaches no server");
}

#[tokio::test]
async fn nobody_there_is_for_now_and_a_hang_after_the_end_is_none() {
    let vacant = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = MailServer::start(Encrypted::Never, |word| (word == "QUIT").then_some("")).await;
    let config = SmtpConfig { port: Some(vacant.port()), ..server.config(SmtpSecurity::None) };
    let fault = SmtpMailer::new(config).unwrap().send(&mail()).await.unwrap_err();
    assert_eq!(fault.code(), Code::Unavailable, "{fault:?}");
    assert!(fault.log_text().ends_with("ended the connection: connection refused"), "{fault:?}");
    // The mail was taken: that the server does not say goodbye makes it no failure.
    SmtpMailer::new(server.config(SmtpSecurity::None)).unwrap().send(&mail()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_in_clear_where_tls_is_wanted() {
    let (tls, ca_file) = tls_for(&["127.0.0.1", "localhost"], "smtp");
    let credentials = Some(("cdr".to_owned(), Secret::new("hush".to_owned())));
    for (security, encrypted) in [
        (SmtpSecurity::StartTls, Encrypted::WhenAsked(tls.clone())),
        (SmtpSecurity::Tls, Encrypted::AtOnce(tls.clone())),
    ] {
        let server = MailServer::start(encrypted, |_| None).await;
        let config = SmtpConfig { credentials: credentials.clone(), ..server.config(security) };
        let mailer = SmtpMailer::with_extra_ca(config.clone(), &ca_file).unwrap();
        mailer.send(&mail()).await.unwrap();
        let seen = server.seen();
        let clear = seen.iter().take_while(|line| *line != "(encrypted)").collect::<Vec<_>>();
        if security == SmtpSecurity::StartTls {
            assert_eq!(clear, ["EHLO tollbook.example", "STARTTLS"]);
        }
        assert!(seen.contains(&"AUTH PLAIN AGNkcgBodXNo".to_owned()), "{seen:?}");
        assert!(!format!("{mailer:?}{config:?}").contains("hush"));

        let fault = SmtpMailer::new(config).unwrap().send(&mail()).await.unwrap_err();
        assert_eq!(fault.code(), Code::Unavailable, "a certificate that is not trusted: {fault:?}");
        assert!(fault.log_text().ends_with("check its name and its certificate"), "{fault:?}");
        assert_eq!(server.seen().iter().filter(|line| line.starts_with("MAIL")).count(), 1);
    }
    // A server, or somebody on the way, that does not offer TLS gets neither mail nor password.
    let server = MailServer::start(Encrypted::Never, |_| None).await;
    let config = SmtpConfig { credentials, ..server.config(SmtpSecurity::StartTls) };
    let fault = SmtpMailer::with_extra_ca(config.clone(), &ca_file).unwrap().send(&mail()).await.unwrap_err();
    assert_eq!(
        (fault.code(), server.seen().first().unwrap().as_str()),
        (Code::Unavailable, "EHLO tollbook.example")
    );
    assert!(!server.seen().iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")));

    std::fs::write(&ca_file, "-----BEGIN CERTIFICATE-----\n?").unwrap();
    let fault = SmtpMailer::with_extra_ca(config.clone(), &ca_file).unwrap_err();
    assert_eq!(fault.details()[0].name, "ca_file");
    std::fs::remove_file(&ca_file).unwrap();
    assert!(SmtpMailer::with_extra_ca(config, &ca_file).is_err());
}

#[tokio::test]
async fn a_wrong_password_is_no_fault_of_the_mail() {
    let server = MailServer::start(Encrypted::Never, |word| (word == "AUTH").then_some("535 no\r\n")).await;
    let credentials = Some(("cdr".to_owned(), Secret::new("wrong".to_owned())));
    let config = SmtpConfig { credentials, ..server.config(SmtpSecurity::None) };
    let fault = SmtpMailer::new(config).unwrap().send(&mail()).await.unwrap_err();
    assert_eq!(fault.code(), Code::Unavailable);
    assert!(fault.log_text().contains("535"), "{fault:?}");
}

#[test]
fn settings_are_checked_when_they_are_read() {
    let config = |server: &str, from: &str| SmtpConfig {
        server: server.to_owned(),
        port: None,
        security: SmtpSecurity::StartTls,
        credentials: None,
        from: from.to_owned(),
    };
    for server in ["mail.example.net", "127.0.0.1", "[::1]", "localhost"] {
        assert!(SmtpMailer::new(config(server, "cdr@example.net")).is_ok(), "{server}");
    }
    for (server, from, name) in [
        ("mail server", "cdr@example.net", "server"),
        ("", "cdr@example.net", "server"),
        ("mail.example.net", "cdr", "from"),
        ("mail.example.net", "", "from"),
        ("mail.example.net", "ä@example.net", "from"),
    ] {
        let fault = SmtpMailer::new(config(server, from)).unwrap_err();
        assert_eq!(
            (fault.code(), fault.details()[0].name.as_str()),
            (Code::Invalid, name),
            "{server} {from}"
        );
    }
}
