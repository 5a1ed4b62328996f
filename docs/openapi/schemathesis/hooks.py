"""Lets Schemathesis write bodies of media types that it does not know."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/ndjson", "application/jsonl", "*/*")
def lines(ctx, value):
    return value if isinstance(value, (bytes, str)) else json.dumps(value).encode()
