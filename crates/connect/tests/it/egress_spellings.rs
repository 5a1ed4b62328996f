//! Every way to write an address that must not be called: none is, whatever a name turns out to be.

use async_trait::async_trait;
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tollbook_connect::callbacks::EgressCallbacks;
use tollbook_connect::egress::{EgressClient, EgressPolicy, Resolver};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::ports::{CallMethod, Callbacks, OutgoingCall};

/// One address of every kind that is not public.
const INSIDE: [[u8; 4]; 16] = [
    [127, 0, 0, 1],
    [127, 11, 22, 33],
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [10, 0, 0, 1],
    [100, 64, 0, 1],
    [100, 100, 100, 200],
    [169, 254, 169, 254],
    [172, 16, 5, 4],
    [192, 0, 0, 192],
    [192, 168, 1, 1],
    [198, 18, 0, 1],
    [203, 0, 113, 9],
    [224, 0, 0, 251],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
];

/// Every host that means this address to somebody.
fn hosts([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let address = Ipv4Addr::new(a, b, c, d);
    let number = address.to_bits();
    let (high, low) = (number >> 16, number & 0xffff);
    let (inverted_high, inverted_low) = (!high & 0xffff, !low & 0xffff);
    let dotted = address.to_string();
    let replaced = |from: char, to: &str| dotted.replace(from, to);
    let digits = |zero: u32| -> String {
        let other = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(zero + digit)).unwrap_or(c);
        dotted.chars().map(other).collect()
    };
    let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    vec![
        dotted.clone(),
        // Numbers, as old parsers read them.
        format!("{number}"),
        format!("0x{number:x}"),
        format!("0X{number:08X}"),
        format!("0x00000000{number:08x}"),
        format!("0{number:o}"),
        format!("{}", u64::from(number) + (1 << 32)),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:03}.{b:03}.{c:03}.{d:04}"),
        format!("{a}.{}", number & 0xff_ffff),
        format!("{a}.{b}.{low}"),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
        format!("{a}.{b}.0x{low:x}"),
        format!("{}.{b}.{c}.{d}", u32::from(a) + 256),
        format!("{dotted}."),
        format!("{dotted}.."),
        format!(".{dotted}"),
        // Escapes.
        percent(&dotted),
        replaced('.', "%2e"),
        replaced('.', "%252e"),
        format!("{dotted}%00"),
        format!("{dotted}%20"),
        format!("{dotted}%23.hooks.example.com"),
        // What Unicode takes for digits and dots.
        replaced('.', "。"),
        replaced('.', "．"),
        replaced('.', "｡"),
        digits('０' as u32),
        digits('𝟎' as u32),
        digits('𝟘' as u32),
        digits('٠' as u32),
        digits('⓪' as u32),
        replaced('.', "\u{ad}."),
        replaced('.', "\u{200b}."),
        replaced('.', "\u{2060}."),
        format!("\u{feff}{dotted}"),
        // IPv6 that carries it.
        format!("[::ffff:{dotted}]"),
        format!("[::FFFF:{high:X}:{low:X}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04x}]"),
        format!("[::{high:x}:{low:x}]"),
        format!("[::{dotted}]"),
        format!("[::ffff:0:{dotted}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{dotted}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        format!("[2002:{high:x}:{low:x}:1::{dotted}]"),
        format!("[2001:0:808:808:0:0:{inverted_high:x}:{inverted_low:x}]"),
        format!("[2001:0:{high:x}:{low:x}:8000::f7f7:f7f7]"),
        format!("[fe80::5efe:{dotted}]"),
        format!("[fe80::200:5efe:{dotted}]"),
        format!("[2a00:1450:4001:80e:0:5efe:{high:x}:{low:x}]"),
        format!("[2a00:1450:4001:80e:200:5efe:{high:x}:{low:x}]"),
        format!("[::ffff:{dotted}%25eth0]"),
        format!("[::ffff:{dotted}%eth0]"),
        format!("[{dotted}]"),
        format!("::ffff:{dotted}"),
        // Names that lead to it, once they are asked for.
        format!("{dotted}.nip.io"),
        format!("{a}-{b}-{c}-{d}.sslip.io"),
        format!("{number:08x}.nip.io"),
    ]
}

/// Every URL that leads to this host though it may not look so.
fn around(host: &str) -> Vec<String> {
    vec![
        format!("https://hooks.example.com@{host}/"),
        format!("https://hooks.example.com:443@{host}/"),
        format!("https://user:secret@{host}/"),
        format!("https://@{host}/"),
        format!("https://:@{host}/"),
        format!("https://a@b@{host}/"),
        format!("https://hooks.example.com%2f@{host}/"),
        format!("https://hooks.example.com%23@{host}/"),
        format!("https://hooks.example.com\\@{host}/"),
        format!("https://hooks.example.com#@{host}/"),
        format!("https://{host}#@hooks.example.com/"),
        format!("https://{host}\\@hooks.example.com/"),
        format!("https://{host}\\.hooks.example.com/"),
        format!("https:\\\\{host}\\"),
        format!("https:/\\{host}/"),
        format!("https:{host}/"),
        format!("https:/{host}/"),
        format!("https:///{host}/"),
        format!("https:////{host}/"),
        format!("//{host}/"),
        format!("\\\\{host}\\share"),
        format!(" https://{host}/"),
        format!("https://{host}/ "),
        format!("https:// {host}/"),
        format!("\thttps://{host}/"),
        format!("ht\ntps://{host}/"),
        format!("https:\r\n//{host}/"),
        format!("https://\t{host}/"),
        format!("https://{host}\n/"),
        format!("https://{host}\0/"),
        format!("https://{host}/\r\nHost: hooks.example.com"),
        format!("HTTPS://{host}/"),
        format!("hTTpS://{host}:443/"),
        format!("https://{host}:00443/"),
        format!("https://{host}:/"),
        format!("https://{host}:0/"),
        format!("https://{host}:65979/"),
        format!("https://{host}:443:443/"),
        format!("http://{host}/"),
        format!("HTTP://{host}/"),
        format!("http://{host}:443/"),
        format!("ftp://{host}/"),
        format!("ws://{host}/"),
        format!("wss://{host}/"),
        format!("gopher://{host}:6379/_INFO"),
        format!("dict://{host}:11211/stats"),
        format!("ldap://{host}/"),
        format!("tftp://{host}/file"),
        format!("sftp://{host}/"),
        format!("jar:https://{host}/!/"),
        format!("url:https://{host}/"),
        format!("view-source:https://{host}/"),
        format!("feed:https://{host}/"),
        format!("blob:https://{host}/1"),
        format!("https+unix://{host}/"),
        format!("https;//{host}/"),
        format!("{host}"),
        format!("{host}:443"),
        format!("?https://{host}/"),
        format!("#https://{host}/"),
    ]
}

/// Whatever else must not be called.
const OTHERS: [&str; 72] = [
    "",
    " ",
    "https",
    "https:",
    "https://",
    "https:///",
    "https://?",
    "https://#",
    "https://:443/",
    "https://./",
    "https://../",
    "https://%/",
    "https://[]/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::1]:8443/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[0000::0001]/",
    "https://[::0.0.0.1]/",
    "https://[::1%25lo]/",
    "https://[::1%lo]/",
    "https://[::1/",
    "https://::1/",
    "https://[[::1]]/",
    "https://[::1].example.com/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[febf::1]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fd20:ce::254]/",
    "https://[fdff:ffff::1]/",
    "https://[ff02::1]/",
    "https://[ff0e::1]/",
    "https://[100::1]/",
    "https://[2001:db8::1]/",
    "https://[2001:2::1]/",
    "https://[2001:10::1]/",
    "https://[3fff::1]/",
    "https://[5f00::1]/",
    "https://[v1.fe80]/",
    "https://168.63.129.16/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://localhost:8443/",
    "https://a.localhost/",
    "https://localhost.localdomain/",
    "https://ip6-localhost/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "https://ｌｏｃａｌｈｏｓｔ/",
    "https://%6c%6f%63%61%6c%68%6f%73%74/",
    "https://metadata/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://METADATA.google.internal./",
    "https://metadata.goog.internal/",
    "https://instance-data/latest/",
    "https://instance-data.ec2.internal/",
    "https://kubernetes.default.svc.cluster.local/",
    "https://printer.local/",
    "https://router.home.arpa/",
    "https://intranet/",
    "https://expyuzz4wqqyqhjn.onion/",
    "https://xn--/",
    "https://xn--a/",
    "file:///etc/passwd",
    "data:text/plain,x",
    "javascript:alert(1)",
    "mailto:a@example.com",
    "urn:uuid:0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01",
];

/// Ports of public hosts that no HTTP is spoken on.
const PORTS: [u16; 32] = [
    0, 1, 7, 9, 19, 20, 21, 22, 23, 25, 53, 69, 110, 111, 119, 123, 135, 139, 143, 389, 445, 465, 587, 636,
    993, 995, 2049, 3306, 5060, 5432, 6379, 11211,
];

/// Says of every name that it is this machine.
#[derive(Debug)]
struct LeadsHome;

#[async_trait]
impl Resolver for LeadsHome {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// Counts who comes to this machine.
struct Canary {
    port: u16,
    visits: Arc<AtomicUsize>,
    _tasks: Supervisor,
}

impl Canary {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (visits, tasks) = (Arc::new(AtomicUsize::new(0)), Supervisor::new());
        let counted = visits.clone();
        tasks.spawn("canary", OnError::Log, async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            Ok::<(), Fault>(())
        });
        Self { port, visits, _tasks: tasks }
    }
}

fn spellings(port: u16) -> Vec<String> {
    let mut urls: Vec<String> = OTHERS.map(str::to_owned).to_vec();
    for host in INSIDE.into_iter().flat_map(hosts) {
        urls.push(format!("https://{host}/"));
        urls.push(format!("https://{host}:{port}/latest/meta-data/?a=b"));
        urls.push(format!("http://{host}:{port}/"));
    }
    for host in ["127.0.0.1", "169.254.169.254", "[::1]", "localhost", "2130706433"] {
        urls.extend(around(host));
        urls.extend(around(&format!("{host}:{port}")));
    }
    urls.sort_unstable();
    urls.dedup();
    urls
}

#[tokio::test]
async fn no_spelling_of_an_inside_address_is_called() {
    let canary = Canary::start().await;
    let client = EgressClient::new(EgressPolicy::default()).with_resolver(Arc::new(LeadsHome));
    let urls = spellings(canary.port);
    assert!(urls.len() > 3000, "{}", urls.len());
    for url in &urls {
        let fault = client.get(url, 100).await.err().unwrap_or_else(|| panic!("{url:?} was called"));
        assert_eq!(
            (fault.code(), fault.details()[0].name.as_str()),
            (Code::Invalid, "url"),
            "{url:?}: {fault:?}"
        );
    }
    assert_eq!(canary.visits.load(Ordering::SeqCst), 0);

    // The canary would have noticed.
    let allow = vec!["127.0.0.1".parse().unwrap()];
    let listed = EgressPolicy { allow, ..EgressPolicy::default() };
    let client = EgressClient::new(listed).with_resolver(Arc::new(LeadsHome));
    let _ = client.get(&format!("https://hooks.example.com:{}/", canary.port), 100).await;
    assert_eq!(canary.visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_callback_that_may_hold_a_user_name_leads_nowhere_else() {
    let canary = Canary::start().await;
    let client = EgressClient::new(EgressPolicy::default()).with_resolver(Arc::new(LeadsHome));
    let callbacks = EgressCallbacks::new(client);
    for url in spellings(canary.port) {
        let within = Duration::from_secs(5);
        let call = OutgoingCall {
            method: CallMethod::Post,
            url: Secret::new(url.clone()),
            headers: Vec::new(),
            body: Bytes::from_static(b"{}"),
            connect_within: within,
            answer_within: within,
        };
        assert_eq!(callbacks.call(call).await.unwrap_err().code(), Code::Invalid, "{url:?}");
    }
    assert_eq!(canary.visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_listed_is_all_that_becomes_callable() {
    let canary = Canary::start().await;
    // Another network and another host than those that are spelt.
    let allow = ["10.99.0.0/16", "fd12:3456::/32", "keycloak.lan"].map(|text| text.parse().unwrap()).to_vec();
    let policy = EgressPolicy { allow, allow_http: true, ..EgressPolicy::default() };
    let client = EgressClient::new(policy).with_resolver(Arc::new(LeadsHome));
    for url in spellings(canary.port) {
        assert_eq!(client.get(&url, 100).await.unwrap_err().code(), Code::Invalid, "{url:?}");
    }
    assert_eq!(canary.visits.load(Ordering::SeqCst), 0);
}

#[test]
fn hosts_are_refused_by_their_text_where_it_tells() {
    let policy = EgressPolicy::default();
    let is_name = |host: &str| host.ends_with(".io");
    for host in INSIDE.into_iter().flat_map(hosts).filter(|host| !is_name(host)) {
        let url = format!("https://{host}/");
        assert!(policy.judge(&url).is_err(), "{url}");
    }
    for host in ["hooks.example.com", "8.8.8.8", "[2606:4700::1111]"] {
        for port in PORTS {
            let url = format!("https://{host}:{port}/");
            assert!(policy.judge(&url).is_err(), "{url}");
        }
        for url in [format!("https://{host}/"), format!("https://{host}:8443/x?y#").replace('#', "")] {
            assert!(policy.judge(&url).is_ok(), "{url}");
        }
        assert!(policy.judge(&format!("http://{host}/")).is_err());
    }
}
