-- receiver is a short key of whom a notice goes to, the bits of an unsigned number; 0 for notices of older versions.
ALTER TABLE notifications ADD COLUMN receiver INTEGER NOT NULL DEFAULT 0;

-- Holds as well what tells whether a notice is left out: thousands may wait for one receiver that hangs.
DROP INDEX notifications_by_due;
CREATE INDEX notifications_by_due ON notifications (due_at_ms, rest_since_ms, tenant, receiver);
