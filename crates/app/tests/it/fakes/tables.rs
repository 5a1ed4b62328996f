//! The tables of tenants, sources, audit logs and keys. A change and its entry are kept together, or neither.

use super::{Chain, World};
use async_trait::async_trait;
use std::sync::atomic::Ordering;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::audit::{AuditEntry, AuditRecord, FIRST_PREVIOUS};
use tollbook_model::ports::*;
use tollbook_model::source::Source;
use tollbook_model::tenant::{Tenant, TenantName, TenantState};
use uuid::Uuid;

impl World {
    /// Appends entries to their chains, as every change does.
    pub(super) fn log(&self, entries: Vec<AuditEntry>) -> Result<(), Fault> {
        self.writable()?;
        let mut chains = self.chains.lock().unwrap();
        for entry in entries.into_iter().flat_map(|entry| [entry.told_at_home(), Some(entry)]).flatten() {
            let Chain { records, .. } = chains.entry(entry.tenant.clone()).or_default();
            let (seq, previous) =
                records.last().map_or((1, FIRST_PREVIOUS), |last| (last.seq + 1, last.hash));
            records.push(entry.chained(seq, previous));
        }
        Ok(())
    }

    pub(super) fn writable(&self) -> Result<(), Fault> {
        if self.disk_is_full.load(Ordering::SeqCst) {
            return Err(Fault::new(Code::StorageFull, "the disk is full"));
        }
        Ok(())
    }
}

fn head(tenant: &TenantName, chain: &Chain) -> Option<AuditHead> {
    let last = chain.records.last()?;
    let signed = chain.checkpoints.last().map_or(0, |(seq, _, _)| *seq);
    Some(AuditHead { tenant: tenant.clone(), seq: last.seq, hash: last.hash, unsigned: last.seq - signed })
}

#[async_trait]
impl AuditLog for World {
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), Fault> {
        self.log(entries)
    }
    async fn page(&self, scope: &AuditScope, after_seq: u64, most: usize) -> Result<Vec<AuditRecord>, Fault> {
        let chains = self.chains.lock().unwrap();
        let Some(chain) = chains.get(&scope.tenant) else { return Ok(Vec::new()) };
        let wanted = |record: &&AuditRecord| {
            after_seq < record.seq && record.seq <= scope.up_to_seq && scope.range.contains(record.at_ms)
        };
        Ok(chain.records.iter().filter(wanted).take(most).cloned().collect())
    }
    async fn head(&self, tenant: &TenantName) -> Result<Option<AuditHead>, Fault> {
        Ok(self.chains.lock().unwrap().get(tenant).and_then(|chain| head(tenant, chain)))
    }
    async fn unsigned_heads(&self) -> Result<Vec<AuditHead>, Fault> {
        let chains = self.chains.lock().unwrap();
        let heads = chains.iter().filter_map(|(tenant, chain)| head(tenant, chain));
        Ok(heads.filter(|head| head.unsigned > 0).collect())
    }
    async fn put_checkpoint(
        &self,
        tenant: &TenantName,
        seq: u64,
        at_ms: i64,
        jws: String,
    ) -> Result<(), Fault> {
        self.writable()?;
        self.chains.lock().unwrap().get_mut(tenant).unwrap().checkpoints.push((seq, at_ms, jws));
        Ok(())
    }
    async fn latest_checkpoint(&self, tenant: &TenantName) -> Result<Option<String>, Fault> {
        let chains = self.chains.lock().unwrap();
        Ok(chains.get(tenant).and_then(|chain| Some(chain.checkpoints.last()?.2.clone())))
    }
    async fn forget_before(&self, tenant: &TenantName, at_ms: i64) -> Result<u64, Fault> {
        self.writable()?;
        let mut chains = self.chains.lock().unwrap();
        let Some(chain) = chains.get_mut(tenant) else { return Ok(0) };
        let (before, last) = (chain.records.len(), chain.records.last().map_or(0, |last| last.seq));
        chain.records.retain(|record| record.at_ms >= at_ms || record.seq == last);
        Ok((before - chain.records.len()) as u64)
    }
}

#[async_trait]
impl Tenants for World {
    async fn find(&self, name: &TenantName) -> Result<Option<Tenant>, Fault> {
        let found = self.tenants.lock().unwrap().get(name).cloned();
        // Others may have their turn between reading and writing, as with a real database.
        tokio::task::yield_now().await;
        Ok(found)
    }
    async fn list(&self) -> Result<Vec<Tenant>, Fault> {
        Ok(self.tenants.lock().unwrap().values().cloned().collect())
    }
    async fn count(&self) -> Result<u64, Fault> {
        self.tenant_counts.fetch_add(1, Ordering::SeqCst);
        Ok(self.tenants.lock().unwrap().len() as u64)
    }
    async fn create(&self, tenant: Tenant, audit: AuditEntry) -> Result<(), Fault> {
        let mut tenants = self.tenants.lock().unwrap();
        if tenants.keys().any(|known| known.as_str().eq_ignore_ascii_case(tenant.name.as_str())) {
            return Err(Fault::new(Code::Conflict, "there is a tenant of that name"));
        }
        self.log(vec![audit])?;
        tenants.insert(tenant.name.clone(), tenant);
        Ok(())
    }
    async fn change(&self, tenant: Tenant, audit: AuditEntry) -> Result<bool, Fault> {
        let mut tenants = self.tenants.lock().unwrap();
        let Some(known) = tenants.get_mut(&tenant.name) else { return Ok(false) };
        self.log(vec![audit])?;
        *known = tenant;
        Ok(true)
    }
    async fn erase(&self, name: &TenantName, audit: AuditEntry) -> Result<bool, Fault> {
        self.writable()?;
        if self.holds_records.load(Ordering::SeqCst) {
            return Ok(false);
        }
        self.log(vec![audit])?;
        self.sources.lock().unwrap().retain(|(tenant, _), _| tenant != name);
        self.tokens.lock().unwrap().retain(|_, token| token.tenant != *name);
        self.users.lock().unwrap().retain(|_, (user, _)| user.tenant != *name);
        self.chains.lock().unwrap().remove(name);
        let mut tenants = self.tenants.lock().unwrap();
        let tenant = tenants.get_mut(name).unwrap();
        tenant.state = TenantState::Closed;
        tenant.settings.callback_secret = None;
        Ok(true)
    }
}

#[async_trait]
impl Sources for World {
    async fn find(&self, tenant: &TenantName, pbx_alias: &str) -> Result<Option<Source>, Fault> {
        Ok(self.sources.lock().unwrap().get(&(tenant.clone(), pbx_alias.to_owned())).cloned())
    }
    async fn list(&self, tenant: &TenantName) -> Result<Vec<Source>, Fault> {
        let sources = self.sources.lock().unwrap();
        Ok(sources.iter().filter(|((of, _), _)| of == tenant).map(|(_, source)| source.clone()).collect())
    }
    async fn put(&self, tenant: &TenantName, mut source: Source, audit: AuditEntry) -> Result<Source, Fault> {
        self.log(vec![audit])?;
        let mut sources = self.sources.lock().unwrap();
        let key = (tenant.clone(), source.pbx_alias.clone());
        if let Some(known) = sources.get(&key) {
            (source.id, source.version) = (known.id, known.version + 1);
        }
        sources.insert(key, source.clone());
        Ok(source)
    }
    async fn remove(&self, tenant: &TenantName, pbx_alias: &str, audit: AuditEntry) -> Result<bool, Fault> {
        let mut sources = self.sources.lock().unwrap();
        let removed = sources.remove(&(tenant.clone(), pbx_alias.to_owned())).is_some();
        if removed {
            self.log(vec![audit])?;
        }
        Ok(removed)
    }
    async fn seen(&self, _: &TenantName, _: &str, _: i64) -> Result<(), Fault> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        Err(Fault::new(Code::Unavailable, "notes are not taken today"))
    }
}

#[async_trait]
impl StoredBytes for World {
    async fn stored_bytes(&self, _: &TenantName) -> Result<u64, Fault> {
        Ok(self.stored_bytes.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl SigningKeys for World {
    async fn list(&self) -> Result<Vec<StoredSigningKey>, Fault> {
        Ok(self.signing_keys.lock().unwrap().clone())
    }
    async fn create(&self, key: StoredSigningKey, audit: Option<AuditEntry>) -> Result<(), Fault> {
        let mut keys = self.signing_keys.lock().unwrap();
        if keys.iter().any(|known| (known.purpose, &known.kid) == (key.purpose, &key.kid)) {
            return Err(Fault::new(Code::Conflict, "there is a key of that name"));
        }
        self.log(audit.into_iter().collect())?;
        keys.push(key);
        Ok(())
    }
    async fn remove(&self, purpose: KeyPurpose, kid: &str, audit: Option<AuditEntry>) -> Result<bool, Fault> {
        let mut keys = self.signing_keys.lock().unwrap();
        let before = keys.len();
        keys.retain(|key| (key.purpose, &*key.kid) != (purpose, kid));
        let removed = keys.len() < before;
        self.log(audit.filter(|_| removed).into_iter().collect())?;
        Ok(removed)
    }
}

#[async_trait]
impl ExportManifests for World {
    async fn keep(&self, manifest: StoredManifest) -> Result<(), Fault> {
        self.writable()?;
        self.export_manifests.lock().unwrap().push(manifest);
        Ok(())
    }
    async fn find(&self, tenant: &TenantName, export_id: Uuid) -> Result<Option<StoredManifest>, Fault> {
        let kept = self.export_manifests.lock().unwrap();
        Ok(kept.iter().find(|kept| kept.export_id == export_id && kept.tenant == *tenant).cloned())
    }
    async fn forget_signed_before(&self, before_ms: i64) -> Result<u64, Fault> {
        self.writable()?;
        let mut kept = self.export_manifests.lock().unwrap();
        let before = kept.len();
        kept.retain(|kept| kept.created_at_ms >= before_ms);
        Ok((before - kept.len()) as u64)
    }
}
