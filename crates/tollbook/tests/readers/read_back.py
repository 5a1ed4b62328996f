"""Reads Tollbook's exports and lake with DuckDB, pandas (pyarrow) and Polars, and compares every cell with the CSV.

Usage: read_back.py exports FOLDER        FOLDER holds calls.csv, calls.ndjson, calls.parquet, schema.json, export_id
       read_back.py lake LAKE CSV         the lake's folder of a dataset, and a CSV export of all its live records
Every mismatch is an AssertionError, and the exit code is then not 0.
"""

import datetime
import decimal
import json
import pathlib
import sys
import uuid

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet

MICROSECOND = datetime.timedelta(microseconds=1)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def csv_rows(data):
    """Header and rows of a CSV export. None is a cell with nothing in it, "" an empty text.

    By hand: the reader of the standard library does not tell the two apart before Python 3.13.
    """
    assert data.startswith(b"\xef\xbb\xbf"), "a byte order mark"
    text, rows, row, at = data[3:].decode("utf-8"), [], [], 0
    while at < len(text):
        if text[at] == '"':
            parts, at = [], at + 1
            while True:
                end = text.index('"', at)
                parts.append(text[at:end])
                at = end + 1
                if text[at] != '"':
                    break
                parts.append('"')
                at += 1
            row.append("".join(parts))
        else:
            end = min(found for found in (text.find(",", at), text.find("\n", at)) if found >= 0)
            row.append(text[at:end] or None)
            at = end
        if text[at] == "\n":
            rows.append(row)
            row = []
        at += 1
    assert not row, "a line feed after every row"
    return rows[0], rows[1:]


def text_of(kind, value):
    """A cell as the CSV shows it; `kind` is the field's entry in the JSON Schema."""
    if value is None or value is pandas.NaT:
        return None
    if isinstance(value, pandas.Timestamp):
        value = value.to_pydatetime()
    if isinstance(value, datetime.datetime):
        assert value.tzinfo is not None, "date-times carry a zone"
        micros = (value - EPOCH) // MICROSECOND
        assert micros % 1000 == 0, "nothing below the millisecond"
        value = EPOCH + datetime.timedelta(milliseconds=micros // 1000)
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    if kind.get("format") == "uuid":
        return str(uuid.UUID(bytes=value) if isinstance(value, bytes) else uuid.UUID(str(value)))
    if isinstance(value, decimal.Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        assert kind["type"] == "number", "no integer becomes a float"
        # Exponents as RFC 8785 writes them: 1e-7, where Python says 1e-07.
        digits, _, exponent = repr(value).removesuffix(".0").partition("e")
        return f"{digits}e{int(exponent):+}" if exponent else digits
    return str(value)


def rows_of(relation):
    """Rows of a DuckDB relation. By way of Arrow: for zones DuckDB itself wants one more package."""
    table = relation.to_arrow_table()
    return list(zip(*(column.to_pylist() for column in table.columns)))


def readers(path):
    """What each reader makes of a Parquet file: its name, columns, and rows of Python values."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    relation = connection.read_parquet(str(path))
    yield "DuckDB", relation.columns, rows_of(relation)
    frame = pandas.read_parquet(path, engine="pyarrow", dtype_backend="pyarrow")
    columns = [[None if value is pandas.NA else value for value in frame[name]] for name in frame.columns]
    yield "pandas", list(frame.columns), list(zip(*columns))
    frame = polars.read_parquet(path)
    yield "Polars", frame.columns, frame.rows()


def compare(who, header, wanted, kinds, columns, rows):
    assert list(columns) == header, f"{who}: columns {columns}"
    assert len(rows) == len(wanted), f"{who}: {len(rows)} rows, not {len(wanted)}"
    for number, (row, cells) in enumerate(zip(rows, wanted)):
        for name, value, cell in zip(header, row, cells):
            text = text_of(kinds[name], value)
            assert text == cell, f"{who}: row {number}, {name}: {text!r} is not {cell!r}"


def wanted_type(kind):
    if kind.get("format") == "date-time":
        return pyarrow.timestamp("us", tz="UTC")
    if kind["type"] == "integer":
        return pyarrow.int64()
    if kind["type"] == "number":
        return pyarrow.float64()
    if kind.get("pattern", "").startswith("^-?[0-9]+"):
        return pyarrow.decimal128(18, 6)
    return pyarrow.string()


def check_file(path, header, kinds, required, export_id):
    """Types, nullability, codecs and metadata of an exported file."""
    file = pyarrow.parquet.ParquetFile(path)
    schema = file.schema_arrow
    for name in header:
        field, wanted = schema.field(name), wanted_type(kinds[name])
        kind = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
        if kind == pyarrow.large_string() or kind == pyarrow.string_view():
            kind = pyarrow.string()
        assert kind == wanted, f"{name} is {field.type}, not {wanted}"
        column = file.schema.column(header.index(name))
        assert (column.max_definition_level == 0) == (name in required), f"{name}: optional or not"
        if wanted == pyarrow.string():
            assert column.physical_type == "BYTE_ARRAY" and column.logical_type.type == "STRING", name
    codecs = set()
    for group in range(file.metadata.num_row_groups):
        for column in range(file.metadata.num_columns):
            codecs.add(file.metadata.row_group(group).column(column).compression)
    assert codecs <= {"SNAPPY", "UNCOMPRESSED"}, codecs
    metadata = file.metadata.metadata
    assert metadata[b"tollbook.schema_id"].endswith(b"/api/v1/schemas/cdr/v1.json"), metadata
    assert metadata[b"tollbook.export_id"].decode() == export_id, metadata


def check_ndjson(path, header, rows, kinds):
    with open(path, encoding="utf-8", newline="\n") as lines:
        records = [json.loads(line, parse_float=str) for line in lines]
    assert len(records) == len(rows), f"NDJSON: {len(records)} rows, not {len(rows)}"
    for number, (record, cells) in enumerate(zip(records, rows)):
        assert set(record) <= set(header), record
        for name, cell in zip(header, cells):
            value = record.get(name)
            assert (value is None) == (name not in record), f"row {number}: {name} is null"
            if isinstance(value, dict):
                value = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            elif value is not None:
                wanted = {"string": str, "integer": int, "number": (int, str)}[kinds[name]["type"]]
                assert isinstance(value, wanted), f"{name}: {value!r}"
                value = str(value)
            assert value == cell, f"NDJSON: row {number}, {name}: {value!r} is not {cell!r}"


def check_exports(folder):
    header, rows = csv_rows((folder / "calls.csv").read_bytes())
    schema = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    kinds = schema["properties"]
    path = folder / "calls.parquet"
    check_file(path, header, kinds, set(schema["required"]), (folder / "export_id").read_text())
    for who, columns, read in readers(path):
        compare(who, header, rows, kinds, columns, read)
    check_ndjson(folder / "calls.ndjson", header, rows, kinds)
    print(f"{len(rows)} rows of {len(header)} columns agree in DuckDB, pandas, Polars, NDJSON and CSV")


def check_lake(folder, csv_path):
    """The lake is read as it is: Hive partitions, every live record once."""
    header, rows = csv_rows(csv_path.read_bytes())
    wanted = {}
    for row in rows:
        record = dict(zip(header, row))
        wanted[record["id"]] = [record["start_at"][:10], record["start_at"], record["called_party"], record["duration_s"]]
    pattern = f"{folder}/*/*/*.parquet"
    query = "SELECT id, tenant, CAST(date AS VARCHAR), start_at, called_party, duration_s FROM "
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    relation = connection.sql(f"{query} read_parquet('{pattern}', hive_partitioning = true)")
    found = {"DuckDB": rows_of(relation)}
    names = ["id", "tenant", "date", "start_at", "called_party", "duration_s"]
    frame = pandas.read_parquet(folder, engine="pyarrow", dtype_backend="pyarrow", columns=names)
    found["pandas"] = list(zip(*[[None if value is pandas.NA else value for value in frame[name]] for name in names]))
    frame = polars.read_parquet(pattern, hive_partitioning=True).select(names)
    found["Polars"] = frame.rows()
    for who, records in found.items():
        read = {}
        for id, tenant, date, start_at, called_party, duration_s in records:
            assert tenant == "default", f"{who}: {tenant}"
            id = text_of({"format": "uuid"}, id)
            assert id not in read, f"{who}: {id} is there twice"
            read[id] = [str(date), text_of({}, start_at), called_party, str(duration_s)]
        assert read == wanted, f"{who}: {len(read)} records, not the same as the {len(wanted)} of the export"
    print(f"{len(wanted)} records of the lake agree in DuckDB, pandas and Polars")


if __name__ == "__main__":
    if sys.argv[1] == "exports":
        check_exports(pathlib.Path(sys.argv[2]))
    else:
        check_lake(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
