-- Export jobs, their parts, what they hold in place, and what is still to be told of them.
-- A column named sealed… opens only under the installation's key and for the place that is named beside it.

-- What changes while a job is worked on: narrow, as every sign of life rewrites the row. It waits or runs while
-- finished_at_ms is null; one that expired keeps the moment at which it was ready.
-- generation counts how often it was claimed. Somebody has it while lease_owner is set.
-- sight is null until it is fixed what the job sees; then it is records (see the pins below) or given.
CREATE TABLE export_jobs (
    id                 BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant             TEXT NOT NULL,
    dataset            TEXT NOT NULL,
    dialect            TEXT NOT NULL,
    credential         BLOB NOT NULL CHECK (length(credential) = 16),
    actor              TEXT NOT NULL,
    actor_role         TEXT NOT NULL,
    external_reference TEXT,
    keeping            TEXT NOT NULL,
    state              TEXT NOT NULL,
    created_at_ms      INTEGER NOT NULL,
    started_at_ms      INTEGER,
    finished_at_ms     INTEGER,
    expires_at_ms      INTEGER,
    sight              TEXT,
    snapshot_at_ms     INTEGER,
    watermark          INTEGER,
    attempt            INTEGER NOT NULL DEFAULT 0,
    generation         INTEGER NOT NULL DEFAULT 0,
    lease_owner        BLOB CHECK (length(lease_owner) = 16),
    lease_since_ms     INTEGER,
    lease_wait_ms      INTEGER,
    rest_since_ms      INTEGER,
    rest_wait_ms       INTEGER,
    rows_done          INTEGER NOT NULL DEFAULT 0,
    rows_estimated     INTEGER NOT NULL,
    percent            INTEGER NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    eta_s              INTEGER,
    CHECK ((finished_at_ms IS NULL) = (state IN ('queued', 'running'))),
    CHECK ((lease_owner IS NULL) = (lease_since_ms IS NULL) AND (lease_owner IS NULL) = (lease_wait_ms IS NULL)),
    CHECK ((rest_since_ms IS NULL) = (rest_wait_ms IS NULL)),
    CHECK ((sight IS NULL) = (snapshot_at_ms IS NULL) AND (sight IS NULL) = (watermark IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX export_jobs_of_tenant ON export_jobs (tenant, created_at_ms, id);
CREATE INDEX export_jobs_queued ON export_jobs (tenant, created_at_ms, id) WHERE state = 'queued';
CREATE INDEX export_jobs_in_line ON export_jobs (created_at_ms, id) WHERE finished_at_ms IS NULL;
CREATE INDEX export_jobs_due ON export_jobs (expires_at_ms) WHERE state = 'ready';
CREATE INDEX export_jobs_ended ON export_jobs (finished_at_ms) WHERE finished_at_ms IS NOT NULL;

-- What was ordered: written once.
CREATE TABLE export_orders (
    job                 BLOB NOT NULL PRIMARY KEY REFERENCES export_jobs (id) ON DELETE CASCADE,
    sealed_order        BLOB NOT NULL, -- export-order/<job>
    sealed_contacts     BLOB,          -- export-contacts/<job>; a JSON array of the address that is called and the list of people
    sealed_dialect_note BLOB           -- export-dialect-note/<job>
) STRICT, WITHOUT ROWID;

-- What came of it: written once, when the job is ready or has failed. files is packed as src/packed.rs says.
CREATE TABLE export_results (
    job             BLOB NOT NULL PRIMARY KEY REFERENCES export_jobs (id) ON DELETE CASCADE,
    files           BLOB,
    sealed_manifest BLOB, -- export-job-manifest/<job>
    error_code      TEXT,
    error_message   TEXT,
    error_retryable INTEGER,
    CHECK ((error_code IS NULL) = (error_message IS NULL) AND (error_code IS NULL) = (error_retryable IS NULL))
) STRICT, WITHOUT ROWID;

-- Stretches of the files of jobs. They outlive their jobs: left_over ones wait for their objects to be erased.
CREATE TABLE export_parts (
    job       BLOB NOT NULL CHECK (length(job) = 16),
    number    INTEGER NOT NULL CHECK (number >= 0),
    tenant    TEXT NOT NULL,
    path      TEXT,
    bytes     INTEGER NOT NULL,
    state     BLOB NOT NULL, -- empty once its job has ended
    left_over INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, number)
) STRICT;

CREATE UNIQUE INDEX export_parts_path ON export_parts (path) WHERE path IS NOT NULL;
CREATE INDEX export_parts_of_tenant ON export_parts (tenant);
CREATE INDEX export_parts_left_over ON export_parts (job, number) WHERE left_over <> 0;

-- What a job still reads, however doomed: it is not listed as doomed and not forgotten until the job ends.
CREATE TABLE pinned_batches (
    batch INTEGER NOT NULL REFERENCES batches (number),
    job   BLOB NOT NULL REFERENCES export_jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (batch, job)
) STRICT, WITHOUT ROWID;

CREATE INDEX pinned_batches_of_job ON pinned_batches (job);

CREATE TABLE pinned_parts (
    part INTEGER NOT NULL REFERENCES parts (number),
    job  BLOB NOT NULL REFERENCES export_jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (part, job)
) STRICT, WITHOUT ROWID;

CREATE INDEX pinned_parts_of_job ON pinned_parts (job);

-- Keys by which callers mark repetitions of one order; forgotten after a day. request is a SHA-256.
CREATE TABLE idempotency_keys (
    credential    BLOB NOT NULL CHECK (length(credential) = 16),
    path          TEXT NOT NULL,
    key           TEXT NOT NULL,
    request       BLOB NOT NULL CHECK (length(request) = 32),
    job           BLOB NOT NULL REFERENCES export_jobs (id) ON DELETE CASCADE,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (credential, path, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at_ms);
CREATE INDEX idempotency_keys_of_job ON idempotency_keys (job);

-- The outbox. due_at_ms is when the rest is over, and before the first attempt when the notice was made.
CREATE TABLE notifications (
    id             BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant         TEXT NOT NULL,
    job            BLOB NOT NULL REFERENCES export_jobs (id) ON DELETE CASCADE,
    sealed_content BLOB NOT NULL, -- notification/<id>
    created_at_ms  INTEGER NOT NULL,
    failed         INTEGER NOT NULL DEFAULT 0,
    rest_since_ms  INTEGER,
    rest_wait_ms   INTEGER,
    due_at_ms      INTEGER NOT NULL,
    CHECK ((rest_since_ms IS NULL) = (rest_wait_ms IS NULL))
) STRICT, WITHOUT ROWID;

-- Holds all that tells whether a notice is due, so that none is opened that is not.
CREATE INDEX notifications_by_due ON notifications (due_at_ms, rest_since_ms);
CREATE INDEX notifications_of_job ON notifications (job);
