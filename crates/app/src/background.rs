//! Exports that are made in the background, put together: their orders, their runner, their files and what tells of them.
//!
//! Nothing is decided here.

use crate::Ports;
use crate::changes::Changes;
use crate::downloads::{DownloadPorts, Downloads, LinkKeyRegister, LinkKeys, LinkMaker};
use crate::exports::desk::ExportDesk;
use crate::jobs::{JobSweep, Jobs, Runner, RunningJobs, Worker};
use crate::notifications::{NoticePorts, NoticeSettings, Notices};
use crate::rights::Rights;
use crate::tenants::TenantDirectory;
use crate::visible_jobs::VisibleJobs;
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::IdSource;

/// What belongs to exports that are made in the background, from their order to their download.
pub(crate) struct Background {
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) runner: Runner,
    pub(crate) sweep: Arc<JobSweep>,
    pub(crate) downloads: Downloads,
    pub(crate) link_keys: Arc<LinkKeys>,
    pub(crate) register: LinkKeyRegister,
    pub(crate) notices: Arc<Notices>,
}

impl Background {
    /// On these ports. A key that signs links is made where there is none yet.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub(crate) async fn open(
        ports: &Ports,
        rights: &Arc<Rights>,
        tenants: &Arc<TenantDirectory>,
        desk: &Arc<ExportDesk>,
        ids: &IdSource,
    ) -> Result<Self, Fault> {
        let Ports { export_jobs, artifacts, clock, randomness, signing_keys, .. } = ports;
        let notices = Arc::new(notices(ports, ids));
        let opened = LinkKeys::open(signing_keys.clone(), clock.clone(), randomness.clone());
        let link_keys = opened.await?;
        let links = LinkMaker::new(link_keys.clone(), &ports.public_url, ports.jobs.link_life);
        let visible = Arc::new(VisibleJobs::new(rights.clone(), export_jobs.clone()));
        let running = Arc::<RunningJobs>::default();
        let sweep = JobSweep::new(export_jobs.clone(), artifacts.clone(), running.clone(), clock.clone());
        let sweep = Arc::new(sweep);
        let worker = Arc::new(Worker {
            owner: ids.next_id(),
            port: export_jobs.clone(),
            artifacts: artifacts.clone(),
            tenants: tenants.clone(),
            desk: desk.clone(),
            notices: notices.clone(),
            clock: clock.clone(),
            leftovers: sweep.bell(),
        });
        let runner = Runner::new(worker, running.clone(), ports.jobs.workers);
        let jobs = Arc::new(Jobs {
            rights: rights.clone(),
            tenants: tenants.clone(),
            visible: visible.clone(),
            port: export_jobs.clone(),
            desk: desk.clone(),
            notices: notices.clone(),
            links,
            running,
            sweep: sweep.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
            changes: Changes::default(),
        });
        let files = DownloadPorts {
            jobs: export_jobs.clone(),
            artifacts: artifacts.clone(),
            audit_log: ports.audit_log.clone(),
            clock: clock.clone(),
        };
        let downloads = Downloads::new(link_keys.clone(), visible, files);
        let register = LinkKeyRegister::new(rights.clone(), link_keys.clone(), clock.clone());
        Ok(Self { jobs, runner, sweep, downloads, link_keys, register, notices })
    }
}

fn notices(ports: &Ports, ids: &IdSource) -> Notices {
    let outside = NoticePorts {
        notifications: ports.notifications.clone(),
        callbacks: ports.callbacks.clone(),
        mailer: ports.mailer.clone(),
        forms: ports.callback_forms.clone(),
        tenants: ports.tenants.clone(),
        users: ports.users.clone(),
        clock: ports.clock.clone(),
        randomness: ports.randomness.clone(),
    };
    let settings = NoticeSettings {
        public_url: ports.public_url.clone(),
        mail_domains: ports.jobs.mail_domains.clone(),
    };
    Notices::new(outside, ids.clone(), settings)
}
