-- Signed manifests of direct exports, kept for a day.
CREATE TABLE export_manifests (
    export_id     BLOB NOT NULL PRIMARY KEY CHECK (length(export_id) = 16),
    tenant        TEXT NOT NULL,
    dataset       TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    sealed_jws    BLOB NOT NULL -- export-manifest/<export_id>
) STRICT, WITHOUT ROWID;

CREATE INDEX export_manifests_by_age ON export_manifests (created_at_ms);
CREATE INDEX export_manifests_of_tenant ON export_manifests (tenant, created_at_ms);
