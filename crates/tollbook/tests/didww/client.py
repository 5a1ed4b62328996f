"""Drives exports with the SDK of the dialect's vendor, unmodified but for its base URL.

Usage: client.py URL KEY ADMIN FROM TO FOLDER

URL is where the service is, KEY a token of an analyst, ADMIN one of an admin. FOLDER holds calls.ndjson, every column of every
record from FROM to TO as the native API exports it; what the dialect's files must hold is made of it here. Local addresses
must be allowed to be called. Every mismatch is an AssertionError, and the exit code is then not 0.
"""

import csv
import datetime
import gzip
import http.server
import io
import json
import pathlib
import queue
import sys
import threading
import time
import urllib.parse
import uuid
import zlib

import requests
from didww.callback.request_validator import RequestValidator
from didww.client import DidwwClient
from didww.enums import CallbackMethod, ExportStatus, ExportType
from didww.exceptions import DidwwApiError
from didww.query_params import QueryParams
from didww.resources.export import Export

PATIENCE = 60
SECRET = "the secret of callbacks"
ORDER = [ExportStatus.PENDING, ExportStatus.PROCESSING, ExportStatus.COMPLETED]

# Section 8 of the dialect's contract.
CODES = {"answered": 200, "busy": 486, "no-answer": 480, "abandoned": 487}
REASONS_IN = {200: "Bye", 486: "Busy Here", 480: "Temporarily Unavailable", 487: "Request Terminated"}
REASONS_OUT = {**REASONS_IN, 200: "Normal call clearing", 486: "Busy here"}
SIDES = {"caller": "Origination", "callee": "Destination"}
HEADER_IN = (
    "Date/Time Start (UTC),Date/Time Connect (UTC),Date/Time End (UTC),Status,Source,Source Name,Destination DID,"
    "Duration (sec),Attempt,Disconnect Code,Response,Disconnect Initiator,Voice IN Trunk,Destination,Trunk Group,"
    "Capacity Group,Toll-free (USD),PSTN (USD),Metered (USD),CNAM IN (USD),Total (USD),Call ID"
)
HEADER_OUT = (
    "Date/Time Start (UTC),Date/Time Connect (UTC),Date/Time End (UTC),Status,Source,CLI,Destination Number,"
    "Call Duration (sec),Billing Duration (sec),Disconnect Code,Disconnect Reason,Voice OUT Trunk,Destination Country,"
    "Network,Call Type,Rate (USD),Charged (USD),P-Charge-Info,Call ID"
)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def shown(at):
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""


def first_cells(call):
    """Start, connect, end and status; also whether it was answered, and the code with which it ended."""
    start, answered = moment(call["start_at"]), call.get("result") == "answered"
    duration = datetime.timedelta(seconds=call["duration_s"])
    end = moment(call["end_at"]) if "end_at" in call else None
    connect = None
    if answered:
        connect = moment(call["answer_at"]) if "answer_at" in call else end - duration if end else start
    if answered and not end:
        end = connect + duration
    code = call.get("sip_code", CODES.get(call.get("result")))
    return [shown(start), shown(connect), shown(end), "Completed" if answered else "Failed"], answered, code


def plus_cut(number):
    return (number or "").removeprefix("+")


def inbound(call):
    """A row of cdr_in; calls of this test have no amounts."""
    cells, _, code = first_cells(call)
    extra = call.get("extra", {})
    return cells + [
        plus_cut(call.get("calling_party")),
        call.get("caller_name", ""),
        plus_cut(call.get("did", call.get("called_party"))),
        str(call["duration_s"]),
        str(call.get("attempt", 1)),
        str(code or ""),
        call.get("disconnect_reason", REASONS_IN.get(code, "")),
        SIDES.get(call.get("disconnect_initiator"), ""),
        call.get("trunk", ""),
        *(extra.get(name, "") for name in ("destination_uri", "trunk_group", "capacity_group")),
        *["0.000"] * 5,
        call.get("call_id", ""),
    ]


def outbound(call):
    """A row of cdr_out; calls of this test have no amounts."""
    cells, answered, code = first_cells(call)
    return cells + [
        plus_cut(call.get("calling_party")),
        plus_cut(call.get("cli", call.get("calling_party"))),
        plus_cut(call.get("called_party")),
        str(call["duration_s"]),
        str(call.get("billing_duration_s", "")) if answered else "",
        str(code or ""),
        call.get("disconnect_reason", REASONS_OUT.get(code, "")),
        call.get("trunk", ""),
        *(call.get(name, "") for name in ("country", "network", "call_type")),
        "",
        "0.000" if answered else "0",
        call.get("extra", {}).get("p_charge_info", ""),
        call.get("call_id", ""),
    ]


class Receiver:
    """Takes callbacks and answers 204."""

    def __init__(self):
        calls = self.calls = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                calls.put((self.command, self.path, self.headers, body.decode()))
                self.send_response(204)
                self.end_headers()

            do_GET = do_POST = take

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        return self.calls.get(timeout=PATIENCE)


class Run:
    def __init__(self, url, key, admin, start, end, folder):
        self.url, self.key, self.admin = url, key, admin
        self.range = {"from": start, "to": end}
        self.folder = pathlib.Path(folder)
        self.client = DidwwClient(key, base_url=f"{url}/v3")
        self.exports = self.client.exports()
        lines = (self.folder / "calls.ndjson").read_text().splitlines()
        self.calls = [json.loads(line) for line in lines]

    def native(self, method, path, **arguments):
        answer = requests.request(
            method, f"{self.url}/api/v1{path}", headers={"Authorization": f"Bearer {self.admin}"}, **arguments
        )
        assert answer.ok, answer.text
        return answer.json()

    def order(self, export_type, reference=None, exports=None, callback=None, **filters):
        export = Export()
        export.export_type = export_type
        export.filters = {**self.range, **filters}
        export.external_reference_id = reference
        if callback:
            export.callback_url, export.callback_method = callback
        return (exports or self.exports).create(export)

    def completed(self, export):
        """Looks at an export until it is completed; its status never goes back."""
        seen, until = ORDER[0], time.monotonic() + PATIENCE
        while not export.is_completed:
            assert export.url is None and time.monotonic() < until, export.attributes
            time.sleep(0.02)
            export = self.exports.find(export.id).data
            assert ORDER.index(export.status) >= ORDER.index(seen), (seen, export.status)
            seen = export.status
        return export

    def rows(self, export):
        """Header and rows of a completed export, by every way that the SDK has."""
        packed, plain = self.folder / "export.csv.gz", self.folder / "export.csv"
        self.client.download_export(export.url, str(packed))
        self.client.download_and_decompress_export(export.url, str(plain))
        member = zlib.decompressobj(31)
        text = member.decompress(packed.read_bytes())
        assert member.eof and not member.unused_data, "one member of gzip and nothing behind it"
        assert text == plain.read_bytes() == gzip.decompress(packed.read_bytes())
        header, _, rest = text.decode("utf-8").partition("\n")
        assert "\r" not in header and text.endswith(b"\n")
        return header, list(csv.reader(io.StringIO(rest)))

    def expected(self, direction, cells, keep=lambda call: True):
        return [cells(call) for call in self.calls if call["direction"] == direction and keep(call)]

    def refused(self, status, codes, action):
        try:
            action()
        except DidwwApiError as error:
            told = [entry["code"] for entry in error.errors]
            assert (error.status_code, told) == (status, codes), (error.status_code, error.errors)
            return error.errors
        raise AssertionError("it is not refused")

    def list(self, params=None):
        answer = self.exports.list(params)
        return [export.id for export in answer.data], answer.meta["total_records"]

    # What is tried, in this order.

    def make_and_fetch(self):
        assert self.list() == ([], 0)
        answer = self.order(ExportType.CDR_IN, "first")
        made = answer.data
        assert answer.meta["api_version"] == "2026-04-16"
        assert made.is_pending and made.url is None and made.filters == self.range
        age = datetime.datetime.now(datetime.timezone.utc) - made.created_at
        assert abs(age.total_seconds()) < PATIENCE
        assert set(made.attributes) == {
            "export_type", "status", "url", "filters", "callback_url", "callback_method", "external_reference_id",
            "created_at",
        }
        self.inbound = self.completed(made)
        self.outbound = self.completed(self.order(ExportType.CDR_OUT, "second").data)
        for export, header, rows in [
            (self.inbound, HEADER_IN, self.expected("inbound", inbound)),
            (self.outbound, HEADER_OUT, self.expected("outbound", outbound)),
        ]:
            name = export.url.rsplit("/", 1)[1]
            assert export.url.startswith(f"{self.url}/v3/exports/") and name.endswith(".csv.gz"), export.url
            assert uuid.UUID(name.removesuffix(".csv.gz")) != uuid.UUID(export.id)
            told_header, told = self.rows(export)
            assert told_header == header, told_header
            assert len(rows) > 100 and told == rows, next(pair for pair in zip(told, rows) if pair[0] != pair[1])

    def filter_records(self):
        calls = [call for call in self.calls if call["direction"] == "inbound"]
        did = next(call.get("did", call.get("called_party")) for call in calls)
        export = self.completed(self.order(ExportType.CDR_IN, did_number=did).data)
        assert export.filters == {**self.range, "did_number": did}
        of_did = self.expected("inbound", inbound, lambda call: call.get("did", call.get("called_party")) == did)
        assert 0 < len(of_did) < len(calls) and self.rows(export)[1] == of_did
        trunks = self.native("GET", "/trunks")["items"]
        names = {call["trunk"] for call in self.calls if "trunk" in call}
        assert {trunk["name"] for trunk in trunks} == names and names, trunks
        for trunk in trunks:
            export = self.completed(self.order(ExportType.CDR_OUT, **{"voice_out_trunk.id": trunk["id"]}).data)
            rows = self.expected("outbound", outbound, lambda call: call.get("trunk") == trunk["name"])
            assert self.rows(export)[1] == rows, trunk
        nobody = {"voice_out_trunk_id": str(uuid.uuid4())}
        export = self.completed(self.order(ExportType.CDR_OUT, **nobody).data)
        assert export.filters == {**self.range, "voice_out_trunk.id": nobody["voice_out_trunk_id"]}
        assert self.rows(export) == (HEADER_OUT, [])

    def newer_version(self):
        class Newer(DidwwClient):
            API_VERSION = "2026-11-19"

        exports = Newer(self.key, base_url=f"{self.url}/v3").exports()
        called = next(call["called_party"] for call in self.calls if call["direction"] == "outbound")
        answer = self.order(ExportType.CDR_OUT, exports=exports, destination=called)
        assert answer.meta["api_version"] == "2026-11-19"
        rows = self.expected("outbound", outbound, lambda call: call.get("called_party") == called)
        assert rows and self.rows(self.completed(answer.data))[1] == rows
        wrong = self.refused(422, ["100"], lambda: self.order(ExportType.CDR_OUT, destination=called))
        assert wrong[0]["detail"] == "filters - destination not allowed", wrong
        # An admin sets a key to the newer version, and a client that asks for the older one does not get it.
        new = {"name": "newer", "role": "analyst", "api_version": "2026-11-19"}
        key = self.native("POST", "/tokens", json=new)["secret"]
        answer = DidwwClient(key, base_url=f"{self.url}/v3").exports().list()
        assert answer.meta["api_version"] == "2026-11-19"

    def list_them(self):
        everything, total = self.list()
        assert total == len(everything) > 5 and everything == sorted(everything), "by id"
        both = [self.inbound.id, self.outbound.id]
        for params, found in [
            (QueryParams().filter("id", ",".join(both)), sorted(both)),
            (QueryParams().filter("id", str(uuid.uuid4())), []),
            (QueryParams().filter("external_reference_id", "first"), [self.inbound.id]),
            (QueryParams().filter("status", "completed"), everything),
            (QueryParams().filter("status", "pending,processing"), []),
            (QueryParams().filter("external_reference_id", "first,second"), []),
            (QueryParams().filter("export_type", "cdr_in").filter("external_reference_id", "second"), []),
            (QueryParams().filter("created_at_gteq", self.inbound.attributes["created_at"]), everything),
            (QueryParams().filter("created_at_lteq", self.inbound.attributes["created_at"]), [self.inbound.id]),
            (QueryParams().filter("from", self.range["from"]), everything),
            (QueryParams().filter("to", self.range["from"]), []),
        ]:
            assert self.list(params) == (found, len(found)), (params.to_dict(), self.list(params))
        by_age = [self.inbound.id, self.outbound.id]
        assert self.list(QueryParams().sort("created_at"))[0][:2] == by_age
        assert self.list(QueryParams().sort("-created_at"))[0][-2:] == by_age[::-1]
        assert self.list(QueryParams().sort("external_reference_id", "-created_at"))[0][:2] == by_age
        with_trunk = self.list(QueryParams().filter("voice_out_trunk.id", ""))[0]
        assert 0 < len(with_trunk) < total, "some were made without that filter"
        paged = []
        for number in range(1, total // 2 + 3):
            ids, of = self.list(QueryParams().sort("-created_at").page(number=number, size=2))
            assert of == total and len(ids) == max(0, min(2, total - 2 * (number - 1)))
            paged += ids
        assert paged == self.list(QueryParams().sort("-created_at"))[0]

    def rename(self):
        export = self.exports.find(self.outbound.id).data
        for name in ["märz/2 €", None, "second"]:
            export.external_reference_id = name
            changed = self.exports.update(export).data
            assert changed.external_reference_id == name and changed.url == self.outbound.url
            assert self.exports.find(export.id).data.external_reference_id == name

    def be_refused(self):
        nobody = str(uuid.uuid4())
        self.refused(404, ["404"], lambda: self.exports.find(nobody))
        self.refused(404, ["404"], lambda: self.exports.find("no-uuid"))
        self.refused(404, ["404"], lambda: self.exports.delete(nobody))
        stranger = DidwwClient("nobody-knows-this-key", base_url=f"{self.url}/v3")
        wrong = self.refused(401, ["401"], lambda: stranger.exports().list())
        assert wrong[0]["detail"] == "Authorization failed"
        for params, code in [
            (QueryParams().include("trunk"), "112"),
            (QueryParams().filter("colour", "red"), "102"),
            (QueryParams().filter("status", "done"), "107"),
            (QueryParams().filter("id", ""), "107"),
            (QueryParams().sort("url"), "114"),
            (QueryParams().page(number=0), "118"),
            (QueryParams().page(size=1001), "118"),
        ]:
            self.refused(400, [code], lambda: self.exports.list(params))
        export = Export()
        export.export_type, export.filters, export.callback_method = "cdr_sideways", {"from": "yesterday"}, "put"
        export.callback_url, export.external_reference_id = "ftp://example.org", "x" * 101
        wrong = self.refused(422, ["100"] * 6, lambda: self.exports.create(export))
        details = {entry["detail"] for entry in wrong}
        assert details == {
            "export_type - is not included in the list",
            "filters - from not valid",
            "filters - to not valid",
            "callback_url - is invalid",
            "callback_method - is not included in the list",
            "external_reference_id - is too long (maximum is 100 characters)",
        }, details
        refused = ("http://169.254.169.254/latest", CallbackMethod.POST)
        wrong = self.refused(422, ["100"], lambda: self.order(ExportType.CDR_IN, callback=refused))
        assert wrong[0]["detail"] == "callback_url - is not allowed"
        self.refused(422, ["100"], lambda: self.order(ExportType.CDR_IN, colour="red"))
        assert requests.get(self.inbound.url).status_code == 401, "the file wants the key too"
        url = self.inbound.url.replace(self.inbound.url.rsplit("/", 1)[1], f"{nobody}.csv.gz")
        try:
            self.client.download_export(url, str(self.folder / "nothing"))
            raise AssertionError("a file that nobody knows")
        except DidwwApiError as error:
            assert error.status_code == 404

    def be_called_back(self):
        receiver = Receiver()
        for secret, signs in [(SECRET, SECRET), (None, self.key)]:
            self.native("PATCH", "/settings", json={"callback_secret": secret})
            for method in [CallbackMethod.POST, CallbackMethod.GET]:
                url = f"{receiver.base}/hook/a%20b?tenant=7"
                export = self.order(ExportType.CDR_OUT, callback=(url, method)).data
                assert (export.callback_url, export.callback_method) == (url, method)
                export = self.completed(export)
                command, target, headers, body = receiver.next()
                wanted = {"id": export.id, "status": "completed", "type": "exports", "url": export.url}
                text = urllib.parse.urlsplit(target).query if method == CallbackMethod.GET else body
                told = dict(urllib.parse.parse_qsl(text, strict_parsing=True))
                assert told.pop("tenant", "7") == "7" and told == wanted, (told, wanted)
                assert command == method.value.upper()
                if method == CallbackMethod.POST:
                    assert target == "/hook/a%20b?tenant=7"
                    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
                signature = headers["X-DIDWW-Signature"]
                called = receiver.base + target
                assert RequestValidator(signs).validate(called, told, signature), (called, told, signature)
                assert not RequestValidator("another secret").validate(called, told, signature)
                assert not RequestValidator(signs).validate(called, {**told, "status": "failed"}, signature)
        assert receiver.calls.empty(), "who was reached is not called again"

    def remove(self):
        everything = self.list()[0]
        self.exports.delete(self.inbound.id)
        self.refused(404, ["404"], lambda: self.exports.find(self.inbound.id))
        self.refused(404, ["404"], lambda: self.exports.delete(self.inbound.id))
        assert self.list()[0] == [export for export in everything if export != self.inbound.id]
        headers = {"Api-Key": self.key}
        gone = requests.get(self.inbound.url, headers=headers)
        assert (gone.status_code, gone.content) == (404, b"")
        assert requests.get(self.outbound.url, headers=headers).ok
        unfinished = self.order(ExportType.CDR_IN).data
        self.exports.delete(unfinished.id)
        self.refused(404, ["404"], lambda: self.exports.find(unfinished.id))


def main():
    run = Run(*sys.argv[1:])
    for step in [
        run.make_and_fetch, run.filter_records, run.newer_version, run.list_them, run.rename, run.be_refused,
        run.be_called_back, run.remove,
    ]:
        step()


main()
