-- The key with which the call of an order's end can be signed; null when there is none, and once the job has ended.
ALTER TABLE export_orders ADD COLUMN sealed_callback_key BLOB; -- export-callback-key/<job>
