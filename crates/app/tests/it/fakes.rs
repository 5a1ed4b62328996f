//! Small stand-ins for the ports: they keep everything in memory, and note what they were asked.

#[path = "fakes/artifacts.rs"]
mod artifacts;
#[path = "fakes/jobs.rs"]
mod jobs;
#[path = "fakes/people.rs"]
mod people;
#[path = "fakes/records.rs"]
mod records;
#[path = "fakes/tables.rs"]
mod tables;
#[path = "fakes/told.rs"]
mod told;

pub(crate) use artifacts::{PARTS, whole_file};
use jobs::JobTable;
use records::{Kinds, LineConnector};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tollbook_app::tokens::NewToken;
use tollbook_app::{App, AuthConfig, JobsConfig, Ports};
use tollbook_kit::clock::{Clock, ManualClock};
use tollbook_kit::fault::Code;
use tollbook_kit::ids::SeededRandomness;
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Actor, Caller, Role};
use tollbook_model::audit::AuditRecord;
use tollbook_model::export::ExportRequest;
use tollbook_model::ports::{StoredManifest, StoredSigningKey, TokenIssuer};
use tollbook_model::source::Source;
use tollbook_model::tenant::{Tenant, TenantName};
use tollbook_model::token::Token;
use tollbook_model::user::{Session, User, UserCredentials};
use uuid::Uuid;

/// The moment at which the clock of these tests stands: 2026-06-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_780_272_000_000;
/// A token of each role is this with the role's name put behind.
pub(crate) const TOKEN_PREFIX: &str = "token-of-the-role-called-";

/// A tenant's audit log.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) records: Vec<AuditRecord>,
    /// Checkpoints: up to which entry, when, and the JWS.
    pub(crate) checkpoints: Vec<(u64, i64, String)>,
}

/// A session, and the hash of its refresh token.
pub(crate) type StoredSession = (Session, Option<[u8; 32]>);

/// Everything behind the ports.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) randomness: Arc<SeededRandomness>,
    pub(crate) sources: Mutex<BTreeMap<(TenantName, String), Source>>,
    pub(crate) tenants: Mutex<BTreeMap<TenantName, Tenant>>,
    pub(crate) tokens: Mutex<BTreeMap<[u8; 32], Token>>,
    pub(crate) users: Mutex<BTreeMap<Uuid, (User, UserCredentials)>>,
    pub(crate) sessions: Mutex<BTreeMap<Uuid, StoredSession>>,
    pub(crate) chains: Mutex<BTreeMap<TenantName, Chain>>,
    pub(crate) export_manifests: Mutex<Vec<StoredManifest>>,
    pub(crate) signing_keys: Mutex<Vec<StoredSigningKey>>,
    /// While true, nothing can be written to an audit log, nor anything be changed.
    pub(crate) disk_is_full: AtomicBool,
    /// What every tenant has stored.
    pub(crate) stored_bytes: AtomicU64,
    /// While true, there are records of every tenant.
    pub(crate) holds_records: AtomicBool,
    /// Lines of every body that was committed.
    pub(crate) committed: Arc<Mutex<Vec<String>>>,
    pub(crate) seen: AtomicUsize,
    pub(crate) token_look_ups: AtomicUsize,
    pub(crate) tenant_counts: AtomicUsize,
    /// Exports that were started, with the rows that were handed over.
    pub(crate) exports: Mutex<Vec<(ExportRequest, usize)>>,
    /// Queries that the connector was given.
    pub(crate) queries: Mutex<Vec<(String, String)>>,
    pub(crate) jobs: Mutex<JobTable>,
    /// Parts of files, by key.
    pub(crate) objects: Mutex<BTreeMap<String, String>>,
    pub(crate) parts_made: AtomicUsize,
    /// A part is made for a permit.
    pub(crate) part_permits: Semaphore,
    /// The next parts fail so.
    pub(crate) part_faults: Mutex<VecDeque<Code>>,
    /// Files that were begun or gone on with, with the number of parts that were kept.
    pub(crate) writes: Mutex<Vec<(Uuid, usize)>>,
    /// What every job is estimated to hold.
    pub(crate) estimated_rows: AtomicU64,
    /// While true, no job can be looked up.
    pub(crate) look_ups_fail: AtomicBool,
    /// Objects that cannot be erased.
    pub(crate) unerasable: Mutex<BTreeSet<String>>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(ManualClock::at(NOW_MS)),
            randomness: Arc::new(SeededRandomness::new(7)),
            sources: Mutex::default(),
            tenants: Mutex::default(),
            tokens: Mutex::default(),
            users: Mutex::default(),
            sessions: Mutex::default(),
            chains: Mutex::default(),
            export_manifests: Mutex::default(),
            signing_keys: Mutex::default(),
            disk_is_full: AtomicBool::new(false),
            stored_bytes: AtomicU64::new(0),
            holds_records: AtomicBool::new(false),
            committed: Arc::default(),
            seen: AtomicUsize::new(0),
            token_look_ups: AtomicUsize::new(0),
            tenant_counts: AtomicUsize::new(0),
            exports: Mutex::default(),
            queries: Mutex::default(),
            jobs: Mutex::default(),
            objects: Mutex::default(),
            parts_made: AtomicUsize::new(0),
            part_permits: Semaphore::new(usize::MAX >> 4),
            part_faults: Mutex::default(),
            writes: Mutex::default(),
            estimated_rows: AtomicU64::new(3),
            look_ups_fail: AtomicBool::new(false),
            unerasable: Mutex::default(),
        })
    }

    pub(crate) fn ports(self: &Arc<Self>) -> Ports {
        Ports {
            intake: self.clone(),
            data_plane: Arc::new(records::Plane(self.clone())),
            connectors: Arc::new(Kinds(LineConnector(self.clone()))),
            sources: self.clone(),
            tenants: self.clone(),
            tokens: self.clone(),
            users: self.clone(),
            sessions: self.clone(),
            audit_log: self.clone(),
            export_manifests: self.clone(),
            export_jobs: self.clone(),
            artifacts: self.clone(),
            notifications: self.clone(),
            callbacks: self.clone(),
            callback_forms: vec![Arc::new(told::Words)],
            sheets: Vec::new(),
            mailer: None,
            signing_keys: self.clone(),
            stored_bytes: self.clone(),
            issuer: None,
            clock: self.clock.clone() as Arc<dyn Clock>,
            randomness: self.randomness.clone(),
            public_url: "https://cdr.example.net:8443".into(),
            auth: AuthConfig::default(),
            jobs: JobsConfig::default(),
        }
    }

    /// Use cases with the default tenant and a token of each role.
    pub(crate) async fn app(self: &Arc<Self>) -> App {
        self.app_with(None).await
    }

    /// The same, with an outside identity provider.
    pub(crate) async fn app_with(self: &Arc<Self>, issuer: Option<Arc<dyn TokenIssuer>>) -> App {
        self.app_on(Ports { issuer, ..self.ports() }).await
    }

    /// The same, on these ports.
    pub(crate) async fn app_on(self: &Arc<Self>, ports: Ports) -> App {
        let app = App::open(ports).await.unwrap();
        app.tenants.bootstrap().await.unwrap();
        for role in Role::ALL {
            let value = Some(Secret::new(format!("{TOKEN_PREFIX}{}", role.name())));
            let name = format!("of the role {}", role.name());
            let token =
                NewToken { name, role, expires_at_ms: None, value, networks: Vec::new(), api_version: None };
            // A second start finds them made.
            let made = app.tokens.create(&Caller::system(TenantName::default_tenant()), token).await;
            assert!(made.is_ok() || made.is_err_and(|fault| fault.code() == Code::Conflict));
        }
        app
    }

    /// A tenant's audit log.
    pub(crate) fn audit(&self, tenant: &str) -> Vec<AuditRecord> {
        let chains = self.chains.lock().unwrap();
        chains.get(&name(tenant)).map(|chain| chain.records.clone()).unwrap_or_default()
    }

    /// The last entry of a tenant's audit log.
    pub(crate) fn last_entry(&self, tenant: &str) -> AuditRecord {
        self.audit(tenant).pop().expect("an entry")
    }
}

pub(crate) fn name(tenant: &str) -> TenantName {
    TenantName::parse(tenant).expect("a name")
}

/// A caller of the default tenant.
pub(crate) fn caller(role: Role) -> Caller {
    caller_of("default", role)
}

pub(crate) fn caller_of(tenant: &str, role: Role) -> Caller {
    let credential = Uuid::from_u128(role as u128);
    Caller { tenant: name(tenant), role, actor: Actor::Token(credential), credential, address: None }
}
