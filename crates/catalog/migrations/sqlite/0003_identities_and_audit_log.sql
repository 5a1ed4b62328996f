-- Users, login sessions, settings and quotas of tenants, the audit log, and secrets that are sealed at rest.
-- A column named sealed… opens only under the installation's key and for the place that is named beside it.

-- One row, made at the first start: it tells a wrong key.
CREATE TABLE sealing_check (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    sealed BLOB NOT NULL -- sealing-check
) STRICT;

-- state is open, closing (until ends_at_ms) or closed.
ALTER TABLE tenants ADD COLUMN sealed_callback_secret BLOB; -- callback-secret/<tenant>
ALTER TABLE tenants ADD COLUMN event_retention_days INTEGER NOT NULL DEFAULT 60;
ALTER TABLE tenants ADD COLUMN audit_retention_months INTEGER NOT NULL DEFAULT 13;
ALTER TABLE tenants ADD COLUMN file_retention_s INTEGER NOT NULL DEFAULT 604800;
ALTER TABLE tenants ADD COLUMN most_direct_exports INTEGER NOT NULL DEFAULT 4;
ALTER TABLE tenants ADD COLUMN most_running_jobs INTEGER NOT NULL DEFAULT 4;
ALTER TABLE tenants ADD COLUMN most_queued_jobs INTEGER NOT NULL DEFAULT 100;
ALTER TABLE tenants ADD COLUMN most_stored_bytes INTEGER;
ALTER TABLE tenants ADD COLUMN state TEXT NOT NULL DEFAULT 'open';
ALTER TABLE tenants ADD COLUMN ends_at_ms INTEGER;

-- Some disks cannot tell the folders of names apart that differ only in case.
CREATE UNIQUE INDEX tenants_in_any_case ON tenants (lower(name));

-- Keys were in clear before. Statements cannot seal: src/sqlite/sealing.rs moves them at the next start, wipes this
-- table and drops it.
ALTER TABLE pseudonym_keys RENAME TO plain_pseudonym_keys;

CREATE TABLE pseudonym_keys (
    tenant     TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    sealed_key BLOB NOT NULL, -- pseudonym-key/<tenant>/<generation>
    PRIMARY KEY (tenant, generation)
) STRICT, WITHOUT ROWID;

-- networks: CIDR notation with blanks between; empty: from anywhere.
ALTER TABLE tokens ADD COLUMN expires_at_ms INTEGER;
ALTER TABLE tokens ADD COLUMN last_used_at_ms INTEGER;
ALTER TABLE tokens ADD COLUMN networks TEXT NOT NULL DEFAULT '';

-- Whoever looked after the instance until now is its operator from now on.
UPDATE tokens SET role = 'operator' WHERE tenant = 'default' AND name = 'bootstrap' AND role = 'admin';

CREATE UNIQUE INDEX tokens_id ON tokens (id);
CREATE INDEX tokens_of_tenant ON tokens (tenant, name);

-- A login names no tenant, so names are unique in the whole instance. They are kept in lower case. last_step is the time
-- step of the last one-time password that let somebody in: none is taken twice, not even after a restart.
CREATE TABLE users (
    id                   BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant               TEXT NOT NULL,
    username             TEXT NOT NULL UNIQUE,
    email                TEXT,
    role                 TEXT NOT NULL,
    enabled              INTEGER NOT NULL,
    password_hash        TEXT NOT NULL,
    sealed_second_factor BLOB, -- second-factor/<id>
    last_step            INTEGER,
    created_at_ms        INTEGER NOT NULL,
    last_login_at_ms     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX users_of_tenant ON users (tenant, username);

-- Of a user or of a token; gone with it. Only the SHA-256 of a refresh token is kept.
CREATE TABLE sessions (
    id            BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id       BLOB REFERENCES users (id) ON DELETE CASCADE,
    token_id      BLOB REFERENCES tokens (id) ON DELETE CASCADE,
    refresh_hash  BLOB UNIQUE CHECK (length(refresh_hash) = 32),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (token_id IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_user ON sessions (user_id, created_at_ms) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_of_token ON sessions (token_id, created_at_ms) WHERE token_id IS NOT NULL;
CREATE INDEX sessions_by_end ON sessions (expires_at_ms);

-- latest_ms is the greatest at_ms up to and with the entry: it rises with seq even when a clock is set back, so that an
-- index on it finds where a range of time can begin. What is forgotten goes by at_ms, see src/sqlite/audit_log.rs: a
-- clock that once ran ahead must not keep all that followed.
CREATE TABLE audit_log (
    tenant      TEXT NOT NULL,
    seq         INTEGER NOT NULL CHECK (seq >= 1),
    at_ms       INTEGER NOT NULL,
    latest_ms   INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    actor_role  TEXT,
    ip          TEXT,
    action      TEXT NOT NULL,
    object_type TEXT,
    object_id   TEXT,
    outcome     TEXT NOT NULL,
    reason      TEXT,
    prev_hash   BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_log_by_time ON audit_log (tenant, latest_ms);

-- The end of each chain. Apart from the log, so that a log whose end was cut off shows a gap with its next entry.
CREATE TABLE audit_chains (
    tenant    TEXT NOT NULL PRIMARY KEY,
    seq       INTEGER NOT NULL,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    latest_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The latest signed checkpoint of each chain.
CREATE TABLE audit_checkpoints (
    tenant TEXT NOT NULL PRIMARY KEY,
    seq    INTEGER NOT NULL,
    at_ms  INTEGER NOT NULL,
    jws    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    purpose       TEXT NOT NULL,
    kid           TEXT NOT NULL,
    sealed_seed   BLOB NOT NULL, -- signing-key/<purpose>/<kid>
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (purpose, kid)
) STRICT, WITHOUT ROWID;

-- How much a tenant has stored is summed from this index alone.
CREATE INDEX parts_stored ON parts (tenant, doomed_at_ms, bytes);
