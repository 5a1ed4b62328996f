-- goes_on is 1 after the stop of the process broke an attempt off: the next claim goes on with it and counts none.
ALTER TABLE export_jobs ADD COLUMN goes_on INTEGER NOT NULL DEFAULT 0 CHECK (goes_on IN (0, 1));

-- How much is still to be told for a tenant is counted at each order that adds to it.
CREATE INDEX notifications_of_tenant ON notifications (tenant, due_at_ms);
