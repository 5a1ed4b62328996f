//! What the ports promise, written once against the traits.

pub(crate) mod audit_log;
pub(crate) mod concurrency;
pub(crate) mod erasure;
pub(crate) mod export_ends;
pub(crate) mod export_jobs;
pub(crate) mod export_line;
pub(crate) mod export_manifests;
pub(crate) mod export_pins;
pub(crate) mod journal;
pub(crate) mod manifest;
pub(crate) mod notifications;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod sources;
pub(crate) mod stored_bytes;
pub(crate) mod swaps;
pub(crate) mod tenants;
pub(crate) mod tokens;
pub(crate) mod users;

use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;
use tollbook_model::access::{Actor, Role};
use tollbook_model::audit::{AuditEntry, AuditObject, AuditRecord, FIRST_PREVIOUS, Outcome};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{
    AuditLog, AuditScope, BatchContent, ExportJobs, ExportManifests, Journal, Manifest, ManifestPart,
    NewBatch, NewPart, Notifications, Replacement, Rollup, RowGroup, Sessions, SigningKeys, Snapshot,
    SnapshotScope, Sources, StoredBytes, Tenants, Tokens, Users,
};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;
use tollbook_model::token::Token;
use uuid::Uuid;

/// Where the clock of a fresh implementation stands, in milliseconds.
pub(crate) const NOW_MS: i64 = 1_000_000;

/// An implementation's ports over one empty database.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) manifest: Arc<dyn Manifest>,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) tenants: Arc<dyn Tenants>,
    pub(crate) tokens: Arc<dyn Tokens>,
    pub(crate) users: Arc<dyn Users>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) export_manifests: Arc<dyn ExportManifests>,
    pub(crate) export_jobs: Arc<dyn ExportJobs>,
    pub(crate) notifications: Arc<dyn Notifications>,
    pub(crate) audit_log: Arc<dyn AuditLog>,
    pub(crate) signing_keys: Arc<dyn SigningKeys>,
    pub(crate) stored_bytes: Arc<dyn StoredBytes>,
    /// What must live as long as the database, such as its folder.
    pub(crate) _keep: Arc<dyn Any + Send + Sync>,
}

/// Makes one test of every promise for the implementation that `fresh()` opens.
macro_rules! conformance {
    ($fresh:path) => {
        conformance!(@ $fresh, journal: [
            sequences_are_gapless_per_tenant_and_dataset, contents_come_back_in_the_order_asked,
            a_known_batch_id_is_refused_and_nothing_is_kept, impossible_batches_change_nothing,
        ]);
        conformance!(@ $fresh, manifest: [
            an_empty_database_shows_nothing, batches_are_seen_within_their_times, parts_are_seen_within_their_days,
            parts_come_back_whole, scopes_are_those_with_something_live, scopes_do_not_see_each_other,
        ]);
        conformance!(@ $fresh, swaps: [
            a_swap_dooms_and_publishes, a_swap_of_what_is_not_live_changes_nothing,
            doomed_things_are_listed_oldest_first, forgotten_things_are_gone_and_live_ones_stay,
            rollups_live_and_go_with_their_part,
        ]);
        conformance!(@ $fresh, concurrency: [
            many_writers_leave_no_gap, one_of_two_swaps_wins, every_snapshot_sees_each_record_once,
        ]);
        conformance!(@ $fresh, sources: [
            a_source_keeps_its_id_and_counts_its_changes, sources_are_listed_by_name_within_their_tenant,
            the_latest_sign_of_life_stays, every_change_of_a_source_is_logged,
        ]);
        conformance!(@ $fresh, tenants: [
            tenants_come_back_with_everything, a_change_replaces_all_but_name_and_beginning,
            a_tenant_without_key_is_refused, names_that_differ_only_in_case_are_one,
        ]);
        conformance!(@ $fresh, erasure: [
            an_erased_tenant_leaves_its_closed_row, a_tenant_is_not_erased_too_early,
            nothing_is_made_for_a_tenant_that_is_erased,
        ]);
        conformance!(@ $fresh, tokens: [
            a_token_is_found_by_its_hash_alone, a_known_value_is_refused, a_token_can_replace_all_others_of_its_name,
            a_token_that_is_there_already_is_not_touched, a_revoked_token_takes_its_sessions_along,
            the_latest_use_stays, who_loses_his_place_is_logged,
        ]);
        conformance!(@ $fresh, users: [
            users_come_back_with_their_credentials, a_name_is_of_one_user_in_the_whole_instance,
            a_change_ends_sessions_unless_it_is_of_mail_alone, credentials_change_one_by_one,
            a_removed_user_takes_his_sessions_along,
        ]);
        conformance!(@ $fresh, sessions: [
            a_session_shows_what_its_holder_is_now, nobody_begins_a_session_who_may_not,
            a_session_ends_once, sessions_that_are_over_are_forgotten, one_session_more_ends_the_oldest,
            a_one_time_password_lets_in_once,
        ]);
        conformance!(@ $fresh, export_manifests: [
            a_manifest_is_found_by_its_own_tenant_alone, old_manifests_are_forgotten, a_tenant_has_the_newest_manifests,
        ]);
        conformance!(@ $fresh, export_jobs: [
            a_job_comes_back_as_it_was_ordered, nobody_orders_for_a_tenant_that_is_not_there,
            a_full_queue_takes_no_order, a_repeated_request_gets_its_first_job, a_key_goes_with_its_job,
            requests_at_once_make_one_job, jobs_are_listed_as_asked_for, pages_of_jobs_leave_none_out,
            the_place_in_the_queue_is_told, a_new_name_changes_nothing_else,
        ]);
        conformance!(@ $fresh, export_line: [
            jobs_stand_in_line_oldest_first, a_claim_begins_an_attempt, each_job_is_claimed_by_one,
            a_worker_that_was_replaced_writes_nothing, a_lease_that_ran_out_is_good_until_somebody_takes_over,
            progress_is_told_and_never_falls, a_job_that_was_let_go_rests, a_new_process_disowns_those_before_it,
        ]);
        conformance!(@ $fresh, export_pins: [
            every_attempt_sees_the_same, what_a_job_sees_stays_until_it_ends, what_two_jobs_see_stays_for_both,
            only_what_a_job_may_need_is_held, rows_that_are_handed_over_are_fixed_once,
            jobs_beside_compaction_see_each_record_once,
        ]);
        conformance!(@ $fresh, export_ends: [
            parts_are_kept_in_order, a_job_becomes_ready_as_a_whole, an_end_that_fails_changes_nothing,
            the_key_of_the_call_is_kept_until_the_end, a_range_of_a_file_names_the_parts_that_hold_it,
            a_job_that_failed_says_why, a_cancelled_job_stays_cancelled, files_expire_once,
            no_change_is_made_that_the_table_does_not_know, a_removed_job_leaves_its_parts_to_be_erased,
            leftovers_are_named_until_they_are_forgotten, jobs_are_forgotten_when_nothing_is_left_of_them,
            everything_of_a_tenant_ends, a_job_that_ended_answers_its_repeated_request,
        ]);
        conformance!(@ $fresh, notifications: [
            notices_are_due_at_once_and_come_back_whole,
            notices_to_receivers_that_are_left_out_hide_no_others, a_notice_rests_after_a_failed_attempt,
            what_was_told_is_forgotten, what_is_untold_is_counted_by_tenant,
        ]);
        conformance!(@ $fresh, audit_log: [
            entries_form_a_chain_per_tenant, many_writers_leave_no_gap_in_any_chain, pages_show_what_was_asked_for,
            a_later_place_has_no_earlier_time_unless_the_clock_was_set_back,
            checkpoints_cover_what_they_sign, the_beginning_of_a_chain_is_forgotten, a_long_beginning_is_forgotten,
            a_clock_that_ran_ahead_keeps_nothing_for_ever, what_is_done_to_another_tenant_is_told_at_home,
        ]);
        conformance!(@ $fresh, signing_keys: [keys_come_back_oldest_first, a_removed_key_is_gone, what_somebody_does_to_keys_is_logged]);
        conformance!(@ $fresh, stored_bytes: [only_what_is_live_counts]);
    };
    (@ $fresh:path, $topic:ident: [$($promise:ident),+ $(,)?]) => {
        mod $topic {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::conformance::$topic::$promise($fresh().await).await;
                }
            )+
        }
    };
}
pub(crate) use conformance;

pub(crate) const DAY_MS: i64 = 86_400_000;

pub(crate) fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

pub(crate) fn scope(name: &str) -> SnapshotScope {
    SnapshotScope { tenant: tenant(name), dataset: Dataset::Cdr }
}

/// An id that tests can count with.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An inline batch of tenant `acme` whose records all lie at `time_ms`.
pub(crate) fn batch(number: u128, rows: u64, time_ms: i64) -> NewBatch {
    NewBatch {
        id: id(number),
        tenant: tenant("acme"),
        dataset: Dataset::Cdr,
        rows,
        revisions: 0,
        unsettled: false,
        time_ms: (time_ms, time_ms),
        bytes: 3,
        received_at_ms: time_ms + 5,
        content: BatchContent::Inline(Bytes::from(format!("batch {number}"))),
    }
}

/// A part of day `day` with two row groups.
pub(crate) fn part(number: u128, day: i32, rows: u64) -> ManifestPart {
    ManifestPart {
        id: id(number),
        path: format!("lake/cdr/tenant=acme/{number}.parquet"),
        day,
        rows,
        bytes: rows * 40,
        sequences: (1, rows),
        unsettled: false,
        layout: 1,
        row_groups: vec![
            RowGroup { rows: rows / 2, bytes: rows * 20, ids: (number.to_be_bytes(), [0x7F; 16]) },
            RowGroup { rows: rows - rows / 2, bytes: rows * 20, ids: ([0x80; 16], [0xFE; 16]) },
        ],
    }
}

pub(crate) fn rollup(hour: i64, calls: u64) -> Rollup {
    Rollup {
        hour,
        pbx_alias: String::from("pbx-1"),
        direction: String::from("inbound"),
        calls,
        results: [calls, 0, 0, 0],
        duration_s: calls * 60,
        max_duration_s: 60,
    }
}

pub(crate) fn swap(batches: &[Uuid], old_parts: &[Uuid], new_parts: Vec<NewPart>, at_ms: i64) -> Replacement {
    Replacement {
        scope: scope("acme"),
        batches: batches.to_vec(),
        old_parts: old_parts.to_vec(),
        new_parts,
        at_ms,
    }
}

/// A part to publish that has no hourly counts.
pub(crate) fn bare(part: ManifestPart) -> NewPart {
    NewPart { part, rollups: Vec::new() }
}

impl Ports {
    /// Opens the tenants that tests use, without a word of it in their own audit logs.
    pub(crate) async fn open_tenants(&self) {
        for name in ["acme", "globex", "initech", "other"] {
            let made = tenants::with_keys(name, &[(1, 1)]);
            self.tenants.create(made, entry("default", "tenant.create")).await.unwrap();
        }
    }

    /// All that is visible of tenant `acme`.
    pub(crate) async fn everything(&self) -> Snapshot {
        self.manifest.snapshot(&scope("acme"), TimeRange::all()).await.unwrap()
    }
    /// All of the tenant's chain, which must be one: without gaps, each entry with the hash of the one before.
    pub(crate) async fn chain(&self, name: &str) -> Vec<AuditRecord> {
        let scope = AuditScope { tenant: tenant(name), range: TimeRange::all(), up_to_seq: u64::MAX };
        let records = self.audit_log.page(&scope, 0, usize::MAX).await.unwrap();
        let mut before = (0, FIRST_PREVIOUS);
        for record in &records {
            if before.0 > 0 || record.seq == 1 {
                assert_eq!((record.seq, record.previous), (before.0 + 1, before.1), "{record:?}");
            }
            assert_eq!(record.computed_hash(), record.hash, "{record:?}");
            before = (record.seq, record.hash);
        }
        records
    }

    /// What the tenant's log tells, in order.
    pub(crate) async fn actions(&self, name: &str) -> Vec<String> {
        self.chain(name).await.into_iter().map(|record| record.action).collect()
    }
}

/// An entry that says that an admin of the tenant did this.
pub(crate) fn entry(name: &str, action: &'static str) -> AuditEntry {
    AuditEntry {
        tenant: tenant(name),
        home: None,
        at_ms: 10,
        actor: Actor::User(id(7)),
        actor_role: Some(Role::Admin),
        ip: Some([192, 0, 2, 7].into()),
        action,
        object: Some(AuditObject::new("token", id(8))),
        outcome: Outcome::Success,
        reason: None,
    }
}

/// An analyst's token.
pub(crate) fn token(number: u128, owner: &str, name: &str) -> Token {
    Token {
        id: id(number),
        tenant: tenant(owner),
        role: Role::Analyst,
        name: name.to_owned(),
        created_at_ms: 100,
        expires_at_ms: None,
        last_used_at_ms: None,
        networks: Vec::new(),
        api_version: None,
    }
}
