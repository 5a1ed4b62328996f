//! Downloads: links as they are signed, mutated, rotated and outlived, and what the audit log says of those who use them.

use crate::fakes::{NOW_MS, World, caller, caller_of, whole_file};
use crate::jobs::{made, order_of, ordered};
use crate::{all_of_cdr, query};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tollbook_app::App;
use tollbook_app::downloads::{Download, LinkText};
use tollbook_app::exports::ExportQuery;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::SeededRandomness;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::Signing;
use tollbook_model::ports::{KeyPurpose, StoredSigningKey};
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

/// A link in its four texts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    path: String,
    exp: String,
    kid: String,
    sig: String,
}

impl Link {
    fn of(url: &str) -> Self {
        let rest = url.strip_prefix("https://cdr.example.net:8443").unwrap();
        let (path, texts) = rest.split_once('?').unwrap();
        let texts: Vec<_> = texts.split('&').map(|text| text.split_once('=').unwrap()).collect();
        let [("exp", exp), ("kid", kid), ("sig", sig)] = texts[..] else { panic!("{url}") };
        Self { path: path.into(), exp: exp.into(), kid: kid.into(), sig: sig.into() }
    }

    fn text(&self) -> LinkText<'_> {
        LinkText { path: &self.path, exp: &self.exp, kid: &self.kid, sig: &self.sig }
    }
}

async fn opened(app: &App, link: &Link) -> Result<Download, Code> {
    app.downloads.open(link.text()).await.map_err(|fault| fault.code())
}

/// A ready job, and the link to its file.
async fn ready(world: &World, app: &App) -> (Uuid, Link) {
    let id = ordered(app, &caller(Role::Analyst)).await;
    made(world, app, &[id]).await;
    (id, link_to(app, id).await)
}

async fn link_to(app: &App, id: Uuid) -> Link {
    let links = app.jobs.find(&caller(Role::Analyst), id).await.unwrap().links.unwrap();
    Link::of(&links.files[0])
}

async fn bytes(app: &App, download: &Download, from: u64, to: u64) -> Result<String, Fault> {
    let chunks: Vec<_> = app.downloads.read(download, from..to, None).await?.try_collect().await?;
    Ok(chunks.iter().map(|chunk| std::str::from_utf8(chunk).unwrap()).collect())
}

#[tokio::test]
async fn links_are_those_of_the_contract() {
    let world = World::new();
    let seed = Secret::new(std::array::from_fn(|at| u8::try_from(at).unwrap()));
    let (purpose, kid) = (KeyPurpose::DownloadLink, String::from("k1"));
    world.signing_keys.lock().unwrap().push(StoredSigningKey { purpose, kid, seed, created_at_ms: 0 });
    let app = world.app().await;
    let vector = Link {
        path: "/dl/v1/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/cdr_2026-01-01_2026-01-31.csv".into(),
        exp: "1768219300".into(),
        kid: "k1".into(),
        sig: "r5dYk2dokrNI6U7QA1tJVoogneXm6UiZcuhLlPnMjNY".into(),
    };
    world.clock.set_wall(1_768_219_299_999);
    let fault = app.downloads.open(vector.text()).await.unwrap_err();
    assert!(
        fault.code() == Code::Gone && fault.message().contains("files"),
        "signed, but of no job: {fault}"
    );
    world.clock.set_wall(1_768_219_300_000);
    let fault = app.downloads.open(vector.text()).await.unwrap_err();
    assert!(fault.code() == Code::Gone && fault.message().contains("time of this link"), "{fault}");
    let wrong = Link { sig: vector.sig.replace('r', "s"), ..vector };
    assert_eq!(opened(&app, &wrong).await.unwrap_err(), Code::Forbidden, "judged before its time");
}

#[tokio::test]
async fn a_link_leads_to_the_file_and_its_use_is_logged() {
    let world = World::new();
    let app = world.app().await;
    let (id, link) = ready(&world, &app).await;
    let entries = world.audit("default").len();
    let download = opened(&app, &link).await.unwrap();
    let whole = whole_file(id, 0);
    let size = whole.len() as u64;
    assert_eq!(
        (&*download.name, download.media_type),
        ("cdr_2026-06-01_2026-06-01.csv", "text/csv; charset=utf-8")
    );
    assert_eq!((download.bytes, download.modified_at_ms), (size, NOW_MS));
    assert_eq!(download.etag, format!("\"{}\"", hex::encode(Sha256::digest(&whole))));
    assert_eq!(world.audit("default").len(), entries, "looking is no download");
    assert_eq!(bytes(&app, &download, 0, size).await.unwrap(), whole);
    let entry = world.last_entry("default");
    assert_eq!((&*entry.action, &*entry.actor, entry.actor_role), ("export.download", "link:k1", None));
    assert_eq!((entry.object_type.as_deref(), entry.object_id), (Some("export_job"), Some(id.to_string())));
    let address = Some([192, 0, 2, 7].into());
    drop(app.downloads.read(&download, 5..9, address).await.unwrap());
    let entry = world.last_entry("default");
    assert_eq!(entry.ip.as_deref(), Some("192.0.2.7"));
    assert_eq!(entry.reason.as_deref(), Some("cdr_2026-06-01_2026-06-01.csv, 4 bytes from 5"));
    assert_eq!(world.audit("default").len(), entries + 2);
    assert_eq!(bytes(&app, &download, 5, 9).await.unwrap(), whole[5..9]);
    assert_eq!(bytes(&app, &download, size, size).await.unwrap(), "");
    assert!(bytes(&app, &download, 0, size + 1).await.is_err());

    world.disk_is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let fault = bytes(&app, &download, 0, size).await.unwrap_err();
    assert_eq!(fault.code(), Code::StorageFull, "what cannot be logged is not handed out");
}

#[tokio::test]
async fn no_mutation_of_a_link_is_accepted() {
    const CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./%+= ?&";
    let world = World::new();
    let app = world.app().await;
    let (id, link) = ready(&world, &app).await;
    assert!(opened(&app, &link).await.is_ok());
    let randomness = SeededRandomness::new(20_000);
    let below = |bound: usize| usize::try_from(randomness.next_u64() % bound as u64).unwrap();
    let mut mutations = 0;
    while mutations < 20_000 {
        let mut mutated = link.clone();
        for _ in 0..=below(2) {
            let text = match below(4) {
                0 => &mut mutated.path,
                1 => &mut mutated.exp,
                2 => &mut mutated.kid,
                _ => &mut mutated.sig,
            };
            let (at, character) = (below(text.len() + 1), char::from(CHARACTERS[below(CHARACTERS.len())]));
            match below(4) {
                0 => text.insert(at, character),
                1 if at < text.len() => drop(text.remove(at)),
                2 if at < text.len() => {
                    text.replace_range(at..=at, &character.to_string());
                }
                _ if at < text.len() => {
                    let flipped = text[at..=at].chars().map(|c| {
                        if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
                    });
                    let flipped: String = flipped.collect();
                    text.replace_range(at..=at, &flipped);
                }
                _ => text.push(character),
            }
        }
        if mutated != link {
            assert_eq!(opened(&app, &mutated).await.unwrap_err(), Code::Forbidden, "{mutated:?}");
            mutations += 1;
        }
    }
    // Other spellings of the same bytes, and texts that meet at other places.
    let but_last = &link.sig[..link.sig.len() - 1];
    for sig in
        (0..64).map(|at| format!("{but_last}{}", char::from(CHARACTERS[at]))).filter(|sig| *sig != link.sig)
    {
        let other = Link { sig, ..link.clone() };
        assert_eq!(opened(&app, &other).await.unwrap_err(), Code::Forbidden, "{other:?}");
    }
    for other in [
        Link { sig: format!("{}=", link.sig), ..link.clone() },
        Link { sig: String::new(), ..link.clone() },
        Link { exp: format!("0{}", link.exp), ..link.clone() },
        Link { exp: String::new(), path: format!("{}\n{}", link.path, link.exp), ..link.clone() },
        Link { path: link.path.replace(&id.to_string(), &Uuid::nil().to_string()), ..link.clone() },
        Link { path: link.path.replace(".csv", "%2Ecsv"), ..link.clone() },
        Link { path: format!("/{}", link.path), ..link.clone() },
        Link { kid: "K1".into(), ..link.clone() },
    ] {
        assert_eq!(opened(&app, &other).await.unwrap_err(), Code::Forbidden, "{other:?}");
    }
}

#[tokio::test]
async fn links_end_with_their_time_their_files_or_their_key() {
    let world = World::new();
    let app = world.app().await;
    let (id, link) = ready(&world, &app).await;
    world.clock.advance(Duration::from_secs(1));
    let second = link_to(&app, id).await;
    assert_ne!(link, second, "each read signs anew");
    world.clock.advance(Duration::from_millis(3_598_999));
    assert!(opened(&app, &link).await.is_ok() && opened(&app, &second).await.is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(opened(&app, &link).await.unwrap_err(), Code::Gone);
    assert!(opened(&app, &second).await.is_ok(), "each to its own time");
    let download = opened(&app, &second).await.unwrap();
    app.jobs.remove(&caller(Role::Analyst), id).await.unwrap();
    assert_eq!(opened(&app, &second).await.unwrap_err(), Code::Gone, "whatever its time");
    assert_eq!(bytes(&app, &download, 0, download.bytes).await.unwrap_err().code(), Code::Gone);

    let (id, _) = ready(&world, &app).await;
    let expires_at_ms = world.job(id).expires_at_ms.unwrap();
    world.clock.set_wall(expires_at_ms - 90_500);
    let links = app.jobs.find(&caller(Role::Analyst), id).await.unwrap().links.unwrap();
    assert_eq!(links.expires_at_ms, expires_at_ms / 1000 * 1000, "no link outlives the files");
    let link = Link::of(&links.files[0]);
    assert!(opened(&app, &link).await.is_ok());
    world.clock.set_wall(expires_at_ms);
    assert_eq!(opened(&app, &link).await.unwrap_err(), Code::Gone, "also before the sweep");
}

#[tokio::test]
async fn keys_are_rotated_without_ending_a_link() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let (id, link) = ready(&world, &app).await;
    let key = app.link_keys.rotate(&operator).await.unwrap();
    assert_eq!((&*key.kid, key.signs), ("k2", true));
    assert_eq!(world.last_entry("default").action, "link-key.create");
    assert_eq!(world.last_entry("default").object_id.as_deref(), Some("k2"));
    let newer = link_to(&app, id).await;
    assert_eq!(newer.kid, "k2");
    assert!(opened(&app, &link).await.is_ok() && opened(&app, &newer).await.is_ok());
    // The next start finds both.
    let next = world.app().await;
    assert!(opened(&next, &link).await.is_ok() && opened(&next, &newer).await.is_ok());
    let remove = async |kid: &str| app.link_keys.remove(&operator, kid).await.map_err(|fault| fault.code());
    assert_eq!(remove("k2").await, Err(Code::Conflict), "it signs");
    assert_eq!(remove("k9").await, Err(Code::NotFound));
    assert_eq!(remove("k1").await, Ok(()));
    assert_eq!(world.last_entry("default").action, "link-key.remove");
    assert_eq!(opened(&app, &link).await.unwrap_err(), Code::Forbidden, "its key is gone");
    assert!(opened(&app, &newer).await.is_ok());
    let listed = app.link_keys.list(&operator).await.unwrap();
    assert_eq!(listed.iter().map(|key| (&*key.kid, key.signs)).collect::<Vec<_>>(), [("k2", true)]);
    for role in [Role::Admin, Role::Auditor, Role::Viewer] {
        assert_eq!(app.link_keys.list(&caller(role)).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(app.link_keys.rotate(&caller(role)).await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(app.link_keys.remove(&caller(role), "k1").await.unwrap_err().code(), Code::Forbidden);
    }
}

#[tokio::test]
async fn keys_are_rotated_by_age_and_kept_while_a_link_can_be_alive() {
    let world = World::new();
    let app = world.app().await;
    let kids = async || {
        let keys = app.link_keys.list(&caller(Role::Operator)).await.unwrap();
        keys.into_iter().map(|key| key.kid).collect::<Vec<_>>()
    };
    world.clock.advance(30 * DAY - Duration::from_millis(1));
    app.tasks.rotate_link_keys().await.unwrap();
    assert_eq!(kids().await, ["k1"]);
    let (_, link) = ready(&world, &app).await;
    world.clock.advance(Duration::from_millis(1));
    app.tasks.rotate_link_keys().await.unwrap();
    assert_eq!(kids().await, ["k2", "k1"]);
    assert!(opened(&app, &link).await.is_ok());
    world.clock.advance(DAY);
    app.tasks.rotate_link_keys().await.unwrap();
    assert_eq!(kids().await, ["k2", "k1"], "a link of 24 hours may be alive");
    world.clock.advance(Duration::from_secs(3600));
    app.tasks.rotate_link_keys().await.unwrap();
    assert_eq!(kids().await, ["k2"]);
    assert_eq!(world.signing_keys.lock().unwrap().iter().filter(|key| key.kid == "k1").count(), 0);
    // A clock that was set back rotates nothing, and the newest key is still the one that signs.
    world.clock.set_wall(NOW_MS);
    app.tasks.rotate_link_keys().await.unwrap();
    app.link_keys.rotate(&caller(Role::Operator)).await.unwrap();
    assert_eq!(kids().await, ["k3", "k2"]);
    let next = world.app().await;
    let (_, link) = ready(&world, &next).await;
    assert_eq!(link.kid, "k3", "by its number, not by its time");
}

#[tokio::test]
async fn manifests_are_downloaded_like_files_and_credentials_open_files_too() {
    let world = World::new();
    let app = world.app().await;
    let (analyst, admin) = (caller(Role::Analyst), caller(Role::Admin));
    let asked = ExportQuery { signing: Signing::Manifest, ..all_of_cdr() };
    let id = app.jobs.order(&analyst, order_of(asked)).await.unwrap().view.job.id;
    let early = app.downloads.open_for(&analyst, id).await.unwrap_err();
    assert_eq!(early.code(), Code::NotReady);
    made(&world, &app, &[id]).await;
    let links = app.jobs.find(&analyst, id).await.unwrap().links.unwrap();
    let manifest = opened(&app, &Link::of(&links.manifest.unwrap())).await.unwrap();
    let jws = world.job(id).manifest.unwrap().reveal().clone();
    assert_eq!((&*manifest.name, manifest.bytes), ("manifest.jws", jws.len() as u64));
    assert_eq!(bytes(&app, &manifest, 0, manifest.bytes).await.unwrap(), jws);
    assert_eq!(bytes(&app, &manifest, 3, 7).await.unwrap(), jws[3..7]);

    let download = app.downloads.open_for(&admin, id).await.unwrap();
    assert_eq!(bytes(&app, &download, 0, download.bytes).await.unwrap(), whole_file(id, 0));
    let entry = world.last_entry("default");
    assert_eq!((entry.actor, entry.actor_role.as_deref()), (admin.actor.to_string(), Some("admin")));
    for (who, code) in
        [(caller(Role::Viewer), Code::Forbidden), (caller_of("acme", Role::Admin), Code::NotFound)]
    {
        assert_eq!(app.downloads.open_for(&who, id).await.unwrap_err().code(), code);
    }
    let log = app.jobs.order(&admin, order_of(query(Dataset::AuditLog, Vec::new()))).await.unwrap();
    made(&world, &app, &[log.view.job.id]).await;
    let hidden = app.downloads.open_for(&analyst, log.view.job.id).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
    app.jobs.remove(&admin, id).await.unwrap();
    assert_eq!(app.downloads.open_for(&admin, id).await.unwrap_err().code(), Code::Gone);
}
