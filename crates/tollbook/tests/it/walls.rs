//! The walls: which room may use which, and which room may name which heavy library. Read from the manifests.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::collections::BTreeMap;

/// Rooms that a room may use besides `kit`, which all may.
const ARROWS: [(&str, &[&str]); 10] = [
    ("kit", &[]),
    ("model", &[]),
    ("columns", &["model"]),
    ("store", &["columns", "model"]),
    ("select", &["store", "columns", "model"]),
    ("catalog", &["model"]),
    ("connect", &["model"]),
    ("app", &["model"]),
    ("http", &["app", "model"]),
    ("tollbook", &["model", "columns", "store", "select", "catalog", "connect", "app", "http"]),
];

/// Libraries with rooms of their own. A name that ends in `-` stands for all that begin so.
const HEAVY: [(&str, &[&str]); 15] = [
    ("arrow", &["columns", "store", "select"]),
    ("arrow-", &["columns", "store", "select"]),
    ("parquet", &["columns", "store", "select"]),
    ("object_store", &["store"]),
    ("sqlx", &["catalog"]),
    ("sqlx-", &["catalog"]),
    ("axum", &["http"]),
    ("axum-", &["http"]),
    ("tower-http", &["http"]),
    ("hyper", &["http", "connect"]),
    ("hyper-util", &["http", "connect"]),
    ("hyper-rustls", &["connect"]),
    ("rustls-native-certs", &["connect"]),
    ("jsonwebtoken", &["connect"]),
    ("lettre", &["connect"]),
];

/// Libraries that would let a room call out past `connect`.
const NOWHERE: [&str; 4] = ["reqwest", "ureq", "isahc", "datafusion"];

/// The packages of the workspace that are rooms, by the room's name.
fn rooms() -> BTreeMap<String, Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let metadata =
        MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo reads the manifests");
    let crates = metadata.workspace_root.join("crates");
    let rooms = metadata.packages.into_iter().filter(|package| package.manifest_path.starts_with(&crates));
    let named = rooms.map(|package| (room_of(&package.name).unwrap_or(&package.name).to_owned(), package));
    named.collect()
}

/// The room that a package is; none for a library, whose name may be that of a room by chance (`http`).
fn room_of(package: &str) -> Option<&str> {
    if package == "tollbook" { Some(package) } else { package.strip_prefix("tollbook-") }
}

/// What the product depends on; tests may lean on more.
fn uses(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern == name || (pattern.ends_with('-') && name.starts_with(pattern))
}

#[test]
fn the_rooms_are_those_of_the_design() {
    let mut designed: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    designed.sort_unstable();
    let found: Vec<String> = rooms().into_keys().collect();
    assert_eq!(found, designed);
}

#[test]
fn arrows_point_down_and_the_wings_never_touch() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for (room, allowed) in ARROWS {
        for used in uses(&rooms[room]).filter_map(room_of) {
            let fine = used == "kit" || allowed.contains(&used);
            if !fine || used == room {
                wrong.push(format!("{room} -> {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the design does not have: {wrong:?}");
}

#[test]
fn heavy_libraries_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (room, package) in rooms() {
        for used in uses(&package) {
            let at_home = |homes: &[&str]| homes.contains(&room.as_str());
            if HEAVY.iter().any(|(pattern, homes)| matches(pattern, used) && !at_home(homes))
                || NOWHERE.contains(&used)
            {
                wrong.push(format!("{room} names {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "libraries outside of their rooms: {wrong:?}");
}

#[test]
fn versions_and_features_live_in_the_workspace_table() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    let mut wrong = Vec::new();
    for room in ARROWS.map(|(room, _)| room) {
        let manifest =
            std::fs::read_to_string(format!("{root}{room}/Cargo.toml")).expect("every room has a manifest");
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") {
                wrong.push(format!("{room}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "versions outside of the workspace table: {wrong:?}");
}

#[test]
fn the_bans_of_deny_toml_say_the_same() {
    let text = include_str!("../../../../deny.toml");
    let table: toml::Table = toml::from_str(text).expect("deny.toml is TOML");
    let bans = table["bans"]["deny"].as_array().expect("bans are a list");
    for (library, homes) in HEAVY.iter().filter(|(library, _)| !library.ends_with('-')) {
        let ban = bans.iter().find(|ban| ban["name"].as_str() == Some(*library));
        let ban = ban.unwrap_or_else(|| panic!("deny.toml has no ban on {library}"));
        let wrappers: Vec<&str> =
            ban["wrappers"].as_array().into_iter().flatten().filter_map(|w| w.as_str()).collect();
        for home in *homes {
            assert!(
                wrappers.contains(&format!("tollbook-{home}").as_str()),
                "{library} must be allowed in {home}"
            );
        }
        for room in ARROWS.map(|(room, _)| room).iter().filter(|room| !homes.contains(room)) {
            let package = if *room == "tollbook" { (*room).to_owned() } else { format!("tollbook-{room}") };
            assert!(!wrappers.contains(&package.as_str()), "{library} must not be allowed in {room}");
        }
    }
}
