"""One measurement of a peer: exports call records from Parquet files with DuckDB, Polars or chDB.

Every measurement is a process of its own, so that memory is the engine's and nobody else's. Prints one JSON object.
Which measurements are made, in which order and what they are compared with is decided by `cargo xtask bench`.

The engines read the lake's files as they are and write the same columns as Tollbook's default export, the id as
lower-case text. Times are rendered in each engine's own way. DuckDB and Polars keep the order of the files; chDB reads
files side by side and does not, which spares it work.
"""

import argparse
import json
import os
import sys
import time

THREADS = 2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["duckdb", "polars", "chdb"])
    parser.add_argument("format", choices=["csv", "csv.gz", "parquet", "ndjson"])
    parser.add_argument("--files", required=True, help="text file that names the Parquet files, one a line")
    parser.add_argument("--columns", required=True, help="columns, parted by commas; the first is the id")
    parser.add_argument("--out", required=True, help="file to write")
    parser.add_argument("--from-us", type=int, help="only calls from this moment on, microseconds since 1970")
    parser.add_argument("--to-us", type=int, help="only calls before this moment, microseconds since 1970")
    parser.add_argument("--did", help="only calls to this number")
    return parser.parse_args()


def status(name):
    """A line of /proc/self/status, in bytes."""
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(name)


def forget_peak():
    """Lets the kernel count the process's peak memory anew, so that importing an engine does not count."""
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def condition(options, moment):
    """The filters as SQL; `moment` renders microseconds since 1970."""
    parts = []
    if options.from_us is not None:
        parts.append(f"start_at >= {moment(options.from_us)}")
    if options.to_us is not None:
        parts.append(f"start_at < {moment(options.to_us)}")
    if options.did is not None:
        did = options.did.replace("'", "''")
        parts.append(f"(did = '{did}' OR (did IS NULL AND direction = 'inbound' AND called_party = '{did}'))")
    return " WHERE " + " AND ".join(parts) if parts else ""


def with_duckdb(options, files, columns):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads={THREADS}")
    connection.execute("SET TimeZone='UTC'")
    names = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    selected = ", ".join(["CAST(CAST(id AS UUID) AS VARCHAR) AS id", *columns[1:]])
    where = condition(options, lambda us: f"make_timestamptz({us})")
    target = {
        "csv": "FORMAT csv, HEADER",
        "csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip",
        "parquet": "FORMAT parquet, COMPRESSION snappy",
        "ndjson": "FORMAT json",
    }[options.format]
    copy = f"COPY (SELECT {selected} FROM read_parquet([{names}]){where}) TO '{options.out}' ({target})"

    return duckdb.__version__, lambda: connection.execute(copy).fetchall()


def with_polars(options, files, columns):
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    import polars as pl
    from datetime import datetime, timedelta, timezone

    def moment(us):
        return pl.lit(datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=us))

    frame = pl.scan_parquet(files)
    if options.from_us is not None:
        frame = frame.filter(pl.col("start_at") >= moment(options.from_us))
    if options.to_us is not None:
        frame = frame.filter(pl.col("start_at") < moment(options.to_us))
    if options.did is not None:
        reached = pl.col("did").is_null() & (pl.col("direction") == "inbound")
        frame = frame.filter(
            (pl.col("did") == options.did) | (reached & (pl.col("called_party") == options.did))
        )
    digits = pl.col("id").bin.encode("hex")
    groups = [digits.str.slice(start, length) for start, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
    frame = frame.select([pl.format("{}-{}-{}-{}-{}", *groups).alias("id"), *columns[1:]])
    write = {
        "csv": lambda: frame.sink_csv(options.out),
        "csv.gz": lambda: frame.sink_csv(options.out, compression="gzip"),
        "parquet": lambda: frame.sink_parquet(options.out, compression="snappy"),
        "ndjson": lambda: frame.sink_ndjson(options.out),
    }[options.format]
    return pl.__version__, write


def with_chdb(options, files, columns):
    import chdb

    # Files are named by one pattern: their common folder, and the names below it as alternatives.
    folder = os.path.commonpath([os.path.dirname(file) for file in files])
    below = ",".join(os.path.relpath(file, folder) for file in files)
    pattern = os.path.join(folder, "{" + below + "}" if len(files) > 1 else below)
    selected = ", ".join(["toString(id) AS id", *columns[1:]])
    where = condition(options, lambda us: f"fromUnixTimestamp64Micro({us}, 'UTC')")
    shape = {"csv": "CSVWithNames", "csv.gz": "CSVWithNames", "parquet": "Parquet", "ndjson": "JSONEachRow"}
    query = (
        f"INSERT INTO FUNCTION file('{options.out}', {shape[options.format]}) "
        f"SELECT {selected} FROM file('{pattern}', Parquet){where} "
        f"SETTINGS max_threads={THREADS}, output_format_parquet_compression_method='snappy'"
    )
    chdb.query("SELECT 1")
    return chdb.__version__, lambda: chdb.query(query)


ENGINES = {"duckdb": with_duckdb, "polars": with_polars, "chdb": with_chdb}


def main():
    options = arguments()
    with open(options.files) as lines:
        files = [line.strip() for line in lines if line.strip()]
    if os.path.exists(options.out):
        os.remove(options.out)
    version, run = ENGINES[options.engine](options, files, options.columns.split(","))
    forget_peak()
    idle = status("VmRSS")
    worked = time.process_time()
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    worked = time.process_time() - worked
    json.dump(
        {
            "engine": options.engine,
            "version": version,
            "seconds": seconds,
            "cpu_seconds": worked,
            "bytes": os.path.getsize(options.out),
            "idle_rss_bytes": idle,
            "peak_rss_bytes": status("VmHWM"),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
