-- Which version of a versioned API answers requests with a token that name none; null: that API's own default.
ALTER TABLE tokens ADD COLUMN api_version TEXT;
