//! Mail through the operator's server: SMTP, one connection for each mail.
//!
//! What a mail says and when it is tried again is decided by whoever sends it. The server is the operator's choice, so the
//! egress policy does not apply. What it says is not repeated, as that often holds the address; its number is.

use async_trait::async_trait;
use lettre::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_model::ports::{Mail, Mailer};
use url::Host;

/// Bound of connecting, with TLS and login.
const CONNECT_TIME: Duration = Duration::from_secs(30);
/// Bound of handing a mail over on a connection that stands: servers may look a while at what they are to take.
const SEND_TIME: Duration = Duration::from_secs(120);
/// Bound of parting, which changes nothing any more.
const PART_TIME: Duration = Duration::from_secs(5);

/// How the connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Plain at first, then TLS, without which nothing is sent (STARTTLS, usually port 587).
    StartTls,
    /// TLS from the first byte on (usually port 465).
    Tls,
    /// Not at all (usually port 25).
    None,
}

/// A mail server, and who sends.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Its host name or address.
    pub server: String,
    /// Its port; the usual one of the security when there is none.
    pub port: Option<u16>,
    /// How the connection is secured.
    pub security: SmtpSecurity,
    /// User name and password, where it wants a login.
    pub credentials: Option<(String, Secret<String>)>,
    /// From whom mail comes, such as `Tollbook <cdr@example.net>`.
    pub from: String,
}

/// Hands mail to a mail server.
#[derive(Clone)]
pub struct SmtpMailer {
    server: String,
    port: u16,
    security: SmtpSecurity,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer")
            .field("server", &self.server)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

impl SmtpMailer {
    /// Mail through this server. Its certificate must be one of the authorities that the machine trusts (or those that
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name).
    ///
    /// # Errors
    /// `invalid`, parameter `server` or `from`.
    pub fn new(config: SmtpConfig) -> Result<Self, Fault> {
        Self::trusting(config, None)
    }

    /// The same, and trusts the certificate authorities in this PEM file too.
    ///
    /// # Errors
    /// `invalid`, parameter `server`, `from` or `ca_file`.
    pub fn with_extra_ca(config: SmtpConfig, ca_file: &Path) -> Result<Self, Fault> {
        let wrong = |reason: &'static str| Fault::parameter("ca_file", reason);
        let text = std::fs::read(ca_file).map_err(|error| wrong("cannot be read").with_source(error))?;
        let authorities =
            Certificate::from_pem(&text).map_err(|error| wrong("is not a PEM file").with_source(error))?;
        Self::trusting(config, Some(authorities))
    }

    fn trusting(config: SmtpConfig, authorities: Option<Certificate>) -> Result<Self, Fault> {
        let SmtpConfig { server, port, security, credentials, from } = config;
        let host = Host::parse(&server).map_err(|_| {
            Fault::parameter("server", "must be the name or the address of a host, such as mail.example.net")
        })?;
        let server = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let from =
            from.parse::<Mailbox>().ok().and_then(|from| Some(Mailbox::new(from.name, ascii(&from.email)?)));
        let from = from.ok_or_else(|| {
            Fault::parameter("from", "must be an address such as Tollbook <cdr@example.net>")
        })?;
        let tls = match security {
            SmtpSecurity::None => None,
            SmtpSecurity::StartTls | SmtpSecurity::Tls => Some(tls(&server, authorities)?),
        };
        let usual_port = match security {
            SmtpSecurity::StartTls => smtp::SUBMISSION_PORT,
            SmtpSecurity::Tls => smtp::SUBMISSIONS_PORT,
            SmtpSecurity::None => smtp::SMTP_PORT,
        };
        Ok(Self {
            server,
            port: port.unwrap_or(usual_port),
            security,
            tls,
            credentials: credentials
                .map(|(user, password)| Credentials::new(user, password.reveal().clone())),
            hello: ClientId::Domain(from.email.domain().to_owned()),
            from,
        })
    }

    /// A connection on which mail can be sent.
    async fn connect(&self) -> Result<AsyncSmtpConnection, smtp::Error> {
        let at_once = if self.security == SmtpSecurity::Tls { self.tls.clone() } else { None };
        let place = (self.server.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT_TIME), &self.hello, at_once, None)
                .await?;
        if let (SmtpSecurity::StartTls, Some(tls)) = (self.security, &self.tls) {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    fn message(&self, mail: &Mail) -> Result<Message, Fault> {
        let refused = || Fault::new(Code::Invalid, "the mail cannot be written: check its address");
        let to = mail.to.parse().ok().as_ref().and_then(ascii).ok_or_else(refused)?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            // What the error says may repeat the address.
            .map_err(|_| refused())
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), Fault> {
        let message = self.message(mail)?;
        let mut connection = tokio::time::timeout(CONNECT_TIME, self.connect())
            .await
            .map_err(|_| late())?
            // Whatever its answer is: it is about us, not about the mail, and the operator can change it.
            .map_err(|error| not_now(&error))?;
        let sending = async {
            let text = message.formatted();
            connection.send(message.envelope(), &text).await
        };
        let sent = tokio::time::timeout(SEND_TIME, sending).await.map_err(|_| late())?;
        sent.map_err(|error| if is_final(&error) { refused(&error) } else { not_now(&error) })?;
        // The mail is the server's: how the connection ends does not matter.
        let _ = tokio::time::timeout(PART_TIME, connection.quit()).await;
        Ok(())
    }
}

/// `Auto-Submitted: auto-generated` (RFC 3834): no holiday notice is wanted in answer.
#[derive(Debug, Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The address with its domain in ASCII, as every server takes it; none when it has no such form.
fn ascii(address: &Address) -> Option<Address> {
    let domain = ascii_domain(address.domain())?;
    Address::new(address.user(), domain).ok().filter(|address| AsRef::<str>::as_ref(address).is_ascii())
}

fn ascii_domain(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        return Some(domain.to_owned());
    }
    match Host::parse(domain).ok()? {
        Host::Domain(name) => Some(name),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

fn tls(server: &str, authorities: Option<Certificate>) -> Result<TlsParameters, Fault> {
    let mut builder = TlsParameters::builder(server.to_owned());
    if let Some(authorities) = authorities {
        builder = builder.add_root_certificate(authorities);
    }
    let wrong = || Fault::parameter("ca_file", "holds a certificate that cannot be used");
    builder.build().map_err(|error| wrong().with_source(error))
}

/// Does the server refuse this mail, or its address, for good? Other numbers say that it does not take our mail as things
/// are, such as without a login.
fn is_final(error: &smtp::Error) -> bool {
    error.status().map(u16::from).is_some_and(|status| (550..=556).contains(&status))
}

fn refused(error: &smtp::Error) -> Fault {
    Fault::new(Code::Invalid, "the mail server refuses the mail for good").with_context(answer(error))
}

fn not_now(error: &smtp::Error) -> Fault {
    if error.is_timeout() {
        return late();
    }
    Fault::new(Code::Unavailable, "the mail server does not take the mail now").with_context(answer(error))
}

fn late() -> Fault {
    Fault::new(Code::Timeout, "the mail server did not answer in time")
}

/// What the log may know of an error: the number of an answer, or which kind it is. Never words of the server, nor of the
/// error itself, which may repeat them.
fn answer(error: &smtp::Error) -> String {
    if let Some(status) = error.status() {
        return format!("the mail server answered {status}");
    }
    if error.is_response() {
        return "the mail server answered what is no SMTP".to_owned();
    }
    if error.is_client() {
        return "the mail server does not offer what is needed: encryption, or a login".to_owned();
    }
    match io_kind(error) {
        // What comes from a connection is taken for bad data by whoever decrypts it.
        Some(ErrorKind::InvalidData) => {
            "the connection to the mail server cannot be encrypted: check its name and its certificate"
                .to_owned()
        }
        Some(kind) => format!("the mail server cannot be reached, or ended the connection: {kind}"),
        None => "the mail server cannot be reached, or ended the connection".to_owned(),
    }
}

/// The kind of the failure of a connection, a word of a closed list.
fn io_kind(error: &smtp::Error) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}
