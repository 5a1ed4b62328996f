//! Signed exports from outside: files that verify offline, changes that show, and manifests that are only there for whole
//! files and for those who may have them. Signatures are also checked here without any code of the product.

use crate::client::{Answer, Client, End};
use crate::load::{self, Load};
use crate::service::{Service, day_ago, tollbook};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A record with everything that needs care in JSON and CSV.
fn odd_record() -> Value {
    json!({
        "source_key": "odd", "pbx_alias": "p\"1\\", "start_at": format!("{}T10:00:00.250Z", day_ago(5)), "duration_s": 3,
        "direction": "internal", "calling_party": "101", "called_party": "line\nfeed, \u{1} and ü 電話 😀",
        "charged": "0.015", "extra": {"b": "2", "a": "}\n{"},
    })
}

fn filled() -> (tempfile::TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let body = Load::new(7).ndjson("signed", 300, 0, &day_ago(5));
    service.post_ndjson(body + &odd_record().to_string()).expect(200);
    (folder, service)
}

/// What somebody has who wants to verify an export.
struct Evidence {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Evidence {
    /// Fetches an export of everything, its manifest, and the public keys.
    fn gather(client: &Client, query: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let export =
            client.get(&format!("/api/v1/cdr/export?from=2000-01-01&to=2100-01-01{query}")).expect(200);
        let named = export.header("content-disposition").unwrap().split('"').nth(1).unwrap().to_owned();
        let file = folder.path().join(named);
        std::fs::write(&file, &export.body).unwrap();
        let manifest = manifest_of(client, &export).expect(200);
        assert_eq!(manifest.header("content-type"), Some("application/jose"));
        std::fs::write(folder.path().join("manifest.jws"), &manifest.body).unwrap();
        let keys = client.with_authorization(None).get("/.well-known/jwks.json").expect(200);
        std::fs::write(folder.path().join("keys.json"), &keys.body).unwrap();
        Self { folder, file }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// What `tollbook verify` says, and its exit code.
    fn verify(&self) -> (i32, String) {
        let mut command = tollbook();
        command.arg("verify").arg("--jwks").arg(self.path("keys.json")).arg(self.path("manifest.jws"));
        let output = command.arg(&self.file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), said.into_owned())
    }

    #[track_caller]
    fn whole(&self) -> String {
        let (code, said) = self.verify();
        assert_eq!((code, said.lines().last()), (0, Some("whole")), "{said}");
        said
    }

    /// What is said when this byte of the file is another one.
    #[track_caller]
    fn changed(&self, path: &Path, at: usize) -> String {
        let content = std::fs::read(path).unwrap();
        let mut other = content.clone();
        other[at] = if other[at] == b'7' { b'8' } else { b'7' };
        std::fs::write(path, other).unwrap();
        let (code, said) = self.verify();
        assert_eq!(code, 1, "byte {at} of {}: {said}", path.display());
        std::fs::write(path, content).unwrap();
        said
    }

    /// Published keys by their names.
    fn key(&self, kid: &str) -> VerifyingKey {
        let set: Value = serde_json::from_slice(&self.read("keys.json")).unwrap();
        let keys = set["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["kid"] == kid).expect("a published key");
        VerifyingKey::from_bytes(&decoded(key["x"].as_str().unwrap()).try_into().unwrap()).unwrap()
    }

    /// What the manifest says, if its signature is good.
    fn manifest(&self) -> Value {
        let jws = String::from_utf8(self.read("manifest.jws")).unwrap();
        let [header, payload, signature] = jws.split('.').collect::<Vec<_>>()[..] else { panic!("{jws}") };
        let said: Value = serde_json::from_slice(&decoded(header)).unwrap();
        let kid = said["kid"].as_str().unwrap();
        assert_eq!(said, json!({"alg": "EdDSA", "kid": kid, "typ": "tollbook-manifest+jws"}));
        assert!(is_signed(&self.key(kid), &format!("{header}.{payload}"), signature));
        serde_json::from_slice(&decoded(payload)).unwrap()
    }
}

fn manifest_of(client: &Client, export: &Answer) -> Answer {
    let id = export.header("tollbook-export-id").expect("an id");
    client.get(&format!("/api/v1/exports/{id}/manifest"))
}

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn is_signed(key: &VerifyingKey, signed: &str, signature: &str) -> bool {
    let signature = Signature::from_slice(&decoded(signature)).unwrap();
    key.verify_strict(signed.as_bytes(), &signature).is_ok()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize().into()
}

/// The root as RFC 6962 defines it.
fn root(records: &[String]) -> [u8; 32] {
    match records {
        [] => sha256(&[]),
        [only] => sha256(&[&[0], only.as_bytes()]),
        _ => {
            let (left, right) = records.split_at(records.len().next_power_of_two() / 2);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// The records of a file of JSON, read as JSON.
fn records(file: &Path) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(file).unwrap();
    if text.starts_with('[') {
        return serde_json::from_str(&text).unwrap();
    }
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A record in RFC 8785 form; names of fields are ASCII, so that any order of texts is that of UTF-16.
fn canonical(record: &Map<String, Value>) -> String {
    let mut sorted = record.clone();
    sorted.sort_keys();
    for value in sorted.values_mut() {
        value.sort_all_objects();
    }
    Value::Object(sorted).to_string()
}

#[test]
fn every_format_verifies_until_a_byte_is_changed() {
    let (_folder, service) = filled();
    let filter = "&calling_party=%2B442071234567&direction=inbound";
    for (format, query) in [
        ("ndjson", String::new()),
        ("ndjson", "&sign=records&tz=Asia/Kolkata".to_owned()),
        ("json", "&columns=result,id&pbx_alias=load".to_owned()),
        ("json", filter.to_owned()),
        ("csv", "&sign=manifest&formula_guard=1".to_owned()),
        ("csv.gz", "&sign=manifest".to_owned()),
        ("parquet", "&sign=manifest".to_owned()),
    ] {
        let evidence = Evidence::gather(&service.client, &format!("&format={format}{query}"));
        let said = evidence.whole();
        let manifest = evidence.manifest();
        let content = std::fs::read(&evidence.file).unwrap();
        let file = &manifest["files"][0];
        assert_eq!(file["sha256"], hex::encode(sha256(&[&content])), "{format}");
        assert_eq!((&file["bytes"], &manifest["format"]), (&json!(content.len()), &json!(format)));
        assert_eq!((&manifest["tenant"], &manifest["watermark"]), (&json!("default"), &json!(301)));
        assert_eq!(manifest["formula_guard"], query.contains("formula_guard"));
        let is_narrow = query.contains("columns");
        assert_eq!(manifest["columns"], if is_narrow { json!(["result", "id"]) } else { Value::Null });
        let (rows, filters) = match format {
            _ if query == filter => {
                let caller = manifest["filters"]["calling_party"][0].as_str().expect("the caller");
                assert!(caller.starts_with("p1_"), "the tenant hides callers' numbers: {caller}");
                (0, json!({"calling_party": [caller], "direction": ["inbound"]}))
            }
            _ if is_narrow => (300, json!({"pbx_alias": ["load"]})),
            _ => (301, json!({})),
        };
        assert_eq!((&manifest["rows"], &manifest["filters"]), (&json!(rows), &filters), "{format}");
        assert!(said.contains(&format!("{rows} records, {} bytes", content.len())), "{said}");
        if format.ends_with("json") {
            let canonical: Vec<String> = records(&evidence.file)
                .into_iter()
                .map(|mut record| {
                    record.shift_remove("_sig");
                    canonical(&record)
                })
                .collect();
            assert_eq!(manifest["merkle"]["root"], hex::encode(root(&canonical)), "{query}");
        } else {
            assert_eq!(manifest["merkle"], Value::Null);
        }
        for at in [0, content.len() / 2, content.len() - 1] {
            evidence.changed(&evidence.file, at);
        }
        for at in [3, 150, 900] {
            evidence.changed(&evidence.path("manifest.jws"), at);
        }
        std::fs::write(&evidence.file, &content[..content.len() - 1]).unwrap();
        assert_eq!(evidence.verify().0, 1, "{format} cut at its end");
    }
}

#[test]
fn each_record_verifies_by_itself() {
    let (_folder, service) = filled();
    let unsigned =
        Evidence::gather(&service.client, "&format=ndjson&columns=id,called_party,extra,duration_s");
    for format in ["ndjson", "json"] {
        let query = format!("&format={format}&sign=records&columns=id,called_party,extra,duration_s");
        let evidence = Evidence::gather(&service.client, &query);
        assert!(evidence.whole().contains("301 signed by themselves"));
        let plain = records(&unsigned.file);
        let signed = records(&evidence.file);
        assert_eq!((signed.len(), plain.len()), (301, 301));
        for (mut record, plain) in signed.into_iter().zip(plain) {
            let Some(Value::String(jws)) = record.shift_remove("_sig") else { panic!("{record:?}") };
            assert_eq!(record, plain);
            let (header, signature) = jws.split_once("..").unwrap();
            let said: Value = serde_json::from_slice(&decoded(header)).unwrap();
            let kid = said["kid"].as_str().unwrap();
            assert_eq!(said, json!({"alg": "EdDSA", "kid": kid}));
            let key = evidence.key(kid);
            let holds = |record: &Map<String, Value>| {
                let payload = URL_SAFE_NO_PAD.encode(canonical(record));
                is_signed(&key, &format!("{header}.{payload}"), signature)
            };
            assert!(holds(&record), "{record:?}");
            record.insert("duration_s".into(), 9999.into());
            assert!(!holds(&record));
        }
        let content = std::fs::read_to_string(&evidence.file).unwrap();
        let line = content.lines().position(|line| line.contains("電話")).unwrap() + 1;
        let said = evidence.changed(&evidence.file, content.find("line\\nfeed").unwrap());
        assert!(said.contains(&format!("line {line}: the signature of the record was changed")), "{said}");
    }
}

#[test]
fn what_is_asked_for_wrongly_is_told() {
    let (_folder, service) = filled();
    let export = |query: &str| service.client.get(&format!("/api/v1/cdr/export?from=2026-01-01{query}"));
    for (query, names) in [
        ("&sign=records", ["sign"]),
        ("&sign=records&format=parquet", ["sign"]),
        ("&sign=yes&format=json", ["sign"]),
    ] {
        let refused = export(query);
        assert_eq!((refused.status, refused.problem().as_str()), (400, "invalid-parameter"), "{query}");
        assert_eq!(refused.wrong_names(), names);
    }
    for query in ["", "&format=parquet", "&format=json&sign=none", "&sign=none"] {
        let unsigned = manifest_of(&service.client, &export(query).expect(200));
        assert_eq!((unsigned.status, unsigned.problem().as_str()), (404, "not-found"), "{query}");
    }
    let evidence = Evidence::gather(&service.client, "&format=json");
    let verify = |arguments: &[&str]| {
        let mut command = tollbook();
        command
            .arg("verify")
            .args(arguments)
            .current_dir(evidence.folder.path())
            .output()
            .unwrap()
            .status
            .code()
    };
    let file = evidence.file.file_name().unwrap().to_str().unwrap();
    assert_eq!(verify(&["--jwks", "keys.json", file, "manifest.jws"]), Some(0));
    assert_eq!(verify(&["manifest.jws", file]), Some(2), "without keys");
    assert_eq!(verify(&["--jwks", "keys.json", "manifest.jws"]), Some(2), "without the file");
    assert_eq!(verify(&["--jwks", "keys.json", "manifest.jws", "none"]), Some(2), "a file that is not there");
    assert_eq!(verify(&["--jwks", "manifest.jws", "manifest.jws", file]), Some(2), "no keys");
}

#[test]
fn a_broken_export_leaves_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    load::compact(&service);
    let path = "/api/v1/cdr/export?from=2000-01-01&to=2100-01-01&format=ndjson&columns=id,extra";
    let whole = service.client.get(path).expect(200);
    manifest_of(&service.client, &whole).expect(200);
    let part = parquet_below(&folder.path().join("data/lake")).expect("a part in the lake");
    let mut content = std::fs::read(&part).unwrap();
    let (from, to) = (content.len() / 4, content.len() / 2);
    content[from..to].fill(0xA5);
    std::fs::write(&part, content).unwrap();
    // A reset may take away even the head of the answer, and the id in it; the audit log has it too.
    if let Ok(broken) = service.client.send("GET", path, &[], b"") {
        assert_eq!((broken.status, broken.end), (200, End::Broken));
    }
    let log = "/api/v1/audit-log/export?from=2000-01-01&to=2100-01-01&format=ndjson&action=export.direct";
    let log = service.client.get(log).expect(200);
    let ids: Vec<Value> = log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The one before the export of the log itself.
    let [.., first, broken, _] = &ids[..] else { panic!("{}", log.text()) };
    assert_eq!(first["object_id"], whole.header("tollbook-export-id").unwrap());
    let refused =
        service.client.get(&format!("/api/v1/exports/{}/manifest", broken["object_id"].as_str().unwrap()));
    assert_eq!((refused.status, refused.problem().as_str()), (404, "not-found"));
}

fn parquet_below(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.find_map(|entry| {
        let path = entry.ok()?.path();
        match path.extension() {
            Some(extension) if extension == "parquet" => Some(path),
            _ => parquet_below(&path),
        }
    })
}

#[test]
fn a_manifest_is_for_its_own_tenant_and_outlives_a_restart() {
    let (folder, service) = filled();
    let export = service.export("&format=ndjson");
    let id = export.header("tollbook-export-id").unwrap().to_owned();
    let path = format!("/api/v1/exports/{id}/manifest");
    let manifest = service.client.get(&path).expect(200).body;
    let keys = service.client.get("/.well-known/jwks.json").expect(200).body;

    let acme = json!({"name": "acme"});
    service.client.send_json("POST", "/api/v1/tenants", &acme).expect(201);
    let token = json!({"name": "t", "role": "admin"});
    let token = service.client.send_json("POST", "/api/v1/tenants/acme/tokens", &token).expect(201).json();
    let foreign = service.client.with_token(token["secret"].as_str().unwrap());
    let shape = |answer: &Answer| {
        let mut document = answer.json();
        document["instance"] = Value::Null;
        (answer.status, document)
    };
    let unknown = "/api/v1/exports/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/manifest";
    let expected = shape(&service.client.get(unknown));
    assert_eq!(expected.0, 404);
    for answer in [foreign.get(&path), foreign.get(unknown), service.client.get("/api/v1/exports/x/manifest")]
    {
        assert_eq!(shape(&answer), expected);
    }
    for (role, status) in [("viewer", 403), ("source", 403), ("analyst", 200), ("auditor", 200)] {
        let caller = service.client.with_token(&service.token(role));
        assert_eq!(caller.get(&path).status, status, "{role}");
    }
    assert_eq!(service.client.with_authorization(None).get(&path).status, 401);

    assert!(service.stop().success());
    let service = Service::start(folder.path());
    assert_eq!(service.client.get(&path).expect(200).body, manifest);
    assert_eq!(service.client.get("/.well-known/jwks.json").expect(200).body, keys);
}
