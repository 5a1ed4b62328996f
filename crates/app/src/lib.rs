//! app: the use cases. Rights, limits and what belongs together are decided here and nowhere else.
//!
//! A [`Caller`](tollbook_model::access::Caller) is the first argument of every use case, and his right is judged
//! before anything is looked up. Nothing here knows HTTP, SQL, Arrow or any kind of PBX; the ports of `model` lead
//! to all of them.

pub mod audit;
mod background;
mod changes;
mod credentials;
pub mod datasets;
pub mod downloads;
pub mod exports;
mod faults;
pub mod identity;
pub mod ingest;
pub mod jobs;
pub mod logins;
pub mod notifications;
mod remembered;
pub mod rights;
pub mod settings;
mod signing_keys;
pub mod sources;
pub mod tasks;
pub mod tenants;
pub mod tokens;
pub mod users;
mod visible_jobs;

use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::{IdSource, Randomness};
use tollbook_kit::supervise::Supervisor;
use tollbook_model::ports;
use tollbook_model::sheet::Sheet;

/// The ports that the use cases stand on.
pub struct Ports {
    /// Where records go in.
    pub intake: Arc<dyn ports::Intake>,
    /// Where records come out.
    pub data_plane: Arc<dyn ports::DataPlane>,
    /// The kinds of sources.
    pub connectors: Arc<dyn ports::ConnectorRegistry>,
    /// The configured sources.
    pub sources: Arc<dyn ports::Sources>,
    /// The tenants.
    pub tenants: Arc<dyn ports::Tenants>,
    /// The tokens.
    pub tokens: Arc<dyn ports::Tokens>,
    /// The users.
    pub users: Arc<dyn ports::Users>,
    /// Their login sessions.
    pub sessions: Arc<dyn ports::Sessions>,
    /// The audit logs.
    pub audit_log: Arc<dyn ports::AuditLog>,
    /// Signed manifests of exports.
    pub export_manifests: Arc<dyn ports::ExportManifests>,
    /// Export jobs.
    pub export_jobs: Arc<dyn ports::ExportJobs>,
    /// Files of finished exports.
    pub artifacts: Arc<dyn ports::Artifacts>,
    /// What is to be told to others.
    pub notifications: Arc<dyn ports::Notifications>,
    /// Calls to addresses that users gave.
    pub callbacks: Arc<dyn ports::Callbacks>,
    /// How the jobs of each dialect call back.
    pub callback_forms: Vec<Arc<dyn notifications::CallbackForm>>,
    /// The sheets that dialects export.
    pub sheets: Vec<Arc<dyn Sheet>>,
    /// The mail server, if there is one.
    pub mailer: Option<Arc<dyn ports::Mailer>>,
    /// The keys that sign.
    pub signing_keys: Arc<dyn ports::SigningKeys>,
    /// How much tenants have stored.
    pub stored_bytes: Arc<dyn ports::StoredBytes>,
    /// The outside identity provider, if there is one.
    pub issuer: Option<Arc<dyn ports::TokenIssuer>>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys, tokens and ids.
    pub randomness: Arc<dyn Randomness>,
    /// Public base URL, such as `https://cdr.example.net:8443`; schema ids begin with it.
    pub public_url: String,
    /// How the claims of the outside identity provider are read.
    pub auth: AuthConfig,
    /// How jobs are worked on, and what leads to their files.
    pub jobs: JobsConfig,
}

/// How export jobs are worked on, how long links to their files live, and who may get mail of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsConfig {
    /// Jobs that are worked on at once, in the whole; at least one.
    pub workers: usize,
    /// How long a link to a file is good, 60 seconds to 24 hours.
    pub link_life: Duration,
    /// Domains to whose addresses mail may go, though they are no user's.
    pub mail_domains: Vec<String>,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { workers: 4, link_life: Duration::from_secs(3600), mail_domains: Vec::new() }
    }
}

/// Where the claims of an outside identity provider name groups and roles. A path with dots leads into objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// Claims that list the groups, which are tenants; all of them count.
    pub group_claims: Vec<String>,
    /// Claims that list the roles; all of them count.
    pub role_claims: Vec<String>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        let owned = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        Self {
            group_claims: owned(["groups", "allowed_groups"]),
            role_claims: owned(["realm_access.roles", "roles"]),
        }
    }
}

/// All use cases, one field per noun.
pub struct App {
    /// Records in.
    pub ingest: ingest::Ingest,
    /// Exports.
    pub exports: exports::Exports,
    /// Exports that are made in the background.
    pub jobs: Arc<jobs::Jobs>,
    /// Files of finished exports.
    pub downloads: downloads::Downloads,
    /// The keys that sign links to them.
    pub link_keys: downloads::LinkKeyRegister,
    /// Configured sources.
    pub sources: sources::SourceSettings,
    /// Whom credentials stand for.
    pub identities: identity::Identities,
    /// The built-in identity provider.
    pub logins: logins::Logins,
    /// Tokens.
    pub tokens: tokens::TokenRegister,
    /// Users.
    pub users: users::UserRegister,
    /// Looking tenants up.
    pub tenants: Arc<tenants::TenantDirectory>,
    /// What the operator does with tenants.
    pub tenancy: tenants::Tenancy,
    /// Settings of the own tenant.
    pub settings: settings::Settings,
    /// Audit logs.
    pub audit: audit::AuditTrail,
    /// Who may do what.
    pub rights: Arc<rights::Rights>,
    /// Published schemas.
    pub datasets: datasets::SchemaViews,
    /// Background tasks, round by round.
    pub tasks: Arc<tasks::Tasks>,
    notices: Arc<notifications::Notices>,
}

impl App {
    /// Puts the use cases on their ports. Keys that sign are loaded, and made where there are none yet.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn open(ports: Ports) -> Result<Self, Fault> {
        let Ports { clock, randomness, audit_log, .. } = &ports;
        let ids = IdSource::new(clock.clone(), randomness.clone());
        let keys = signing_keys::SigningKeyRing::open(&*ports.signing_keys, &**clock, &**randomness).await?;
        let keys = Arc::new(keys);
        let rights = Arc::new(rights::Rights::new(audit_log.clone(), clock.clone()));
        let remembered = credentials::RememberedIdentities::new(clock);
        let tenants = Arc::new(tenants::TenantDirectory::new(&ports, remembered.clone()));
        let passwords = Arc::new(logins::PasswordHashing::new(randomness.clone()));
        let manifests =
            exports::manifests::Manifests::new(ports.export_manifests.clone(), keys.clone(), clock.clone());
        let manifests = Arc::new(manifests);
        let desk = Arc::new(exports::desk::ExportDesk {
            data_plane: ports.data_plane.clone(),
            sources: ports.sources.clone(),
            audit_log: audit_log.clone(),
            manifests: manifests.clone(),
            sheets: ports.sheets.clone(),
            public_url: ports.public_url.clone(),
        });
        let background = background::Background::open(&ports, &rights, &tenants, &desk, &ids).await?;
        let tasks = tasks::Tasks {
            checkpoints: audit::checkpoints::Checkpoints::new(audit_log.clone(), keys.clone(), clock.clone()),
            audit_log: audit_log.clone(),
            sessions: ports.sessions.clone(),
            manifests,
            tenants: tenants.clone(),
            runner: background.runner,
            job_sweep: background.sweep,
            link_keys: background.link_keys,
            clock: clock.clone(),
        };
        Ok(Self {
            ingest: ingest::Ingest::new(
                rights.clone(),
                tenants.clone(),
                ingest::IngestPorts {
                    intake: ports.intake.clone(),
                    connectors: ports.connectors.clone(),
                    sources: ports.sources.clone(),
                    stored_bytes: ports.stored_bytes.clone(),
                },
                clock.clone(),
            ),
            exports: exports::Exports::new(rights.clone(), tenants.clone(), desk, ids.clone(), clock.clone()),
            jobs: background.jobs,
            downloads: background.downloads,
            link_keys: background.register,
            notices: background.notices,
            sources: sources::SourceSettings::new(
                rights.clone(),
                ports.sources.clone(),
                ports.connectors.clone(),
                ids.clone(),
                clock.clone(),
            ),
            identities: identity::Identities::new(&ports, &keys, remembered.clone()),
            logins: logins::Logins::new(&ports, keys.clone(), passwords.clone(), remembered.clone()),
            tokens: tokens::TokenRegister::new(&ports, rights.clone(), tenants.clone(), remembered.clone()),
            users: users::UserRegister::new(&ports, rights.clone(), tenants.clone(), passwords, remembered),
            tenancy: tenants::Tenancy::new(rights.clone(), tenants.clone(), clock.clone()),
            settings: settings::Settings::new(rights.clone(), tenants.clone()),
            audit: audit::AuditTrail::new(rights.clone(), audit_log.clone(), keys),
            datasets: datasets::SchemaViews::new(&ports.public_url),
            tasks: Arc::new(tasks),
            tenants,
            rights,
        })
    }

    /// Starts the background tasks; they stop with the supervisor.
    pub fn start_tasks(&self, supervisor: &Supervisor) {
        self.tasks.start(supervisor);
        self.identities.start_tasks(supervisor);
        self.notices.start(supervisor);
    }
}
