"""What keeping record versions costs: each figure beside its baseline, both taken in this run.

    .venv/bin/python -m benchmarks.versions [--rows 100000] [--repeat 3]

Works in a database of its own ("benchmark_versions"), made at the start and dropped at the end. Two empty copies of the
shipment table are loaded by turns, so that the machine's moods fall on both: "versioned" with the five version columns and the
triggers, the baseline without. Indexes, checks and foreign keys are the same. Reads 'as known at' are set beside reads of
the rows that stand in the same versioned table.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable
from io import BytesIO
from statistics import median
from time import perf_counter, sleep
from typing import Any

VERSION_COLUMNS = ("version", "recorded_at", "recorded_by", "recorded_reason", "recorded_batch")
TABLES = ("bench_plain", "bench_versioned")


def timed(action: Callable[[], Any]) -> float:
    began = perf_counter()
    action()
    return perf_counter() - began


class Bench:
    """The copies of the shipment table, and what is done to them. ``say`` prints one line of the result."""

    def __init__(self, rows: int, repeat: int) -> None:
        from django.db import connection

        self.rows, self.repeat, self.connection = rows, repeat, connection
        self.changed = rows // 5
        self.columns: list[str] = []
        self.file = b""

    def run(self) -> None:
        self.prepare()
        self.loads()
        self.changes()
        self.reads()
        self.histories()
        self.instants()
        self.storage()

    def say(self, what: str, versioned: float, plain: float, unit: str) -> None:
        print(
            f"{what:<58} {versioned:>12,.2f} {plain:>12,.2f} {unit:<6} ratio {versioned / plain:6.2f}",
            flush=True,
        )

    def sql(self, statement: str, *values: Any) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def number(self, statement: str, *values: Any) -> float:
        return float(self.sql(statement, *values)[0][0])

    # --- the copies -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """A synthetic ledger, its shipments as a COPY file without the version columns."""
        from tracker.generator.services import generate
        from tracker.generator.tables import Settings
        from tracker.models import Shipment

        generate(Settings(lines=self.rows, seed=1), "benchmark")
        names = [field.column for field in Shipment._meta.concrete_fields]
        self.columns = [f'"{name}"' for name in names if name not in VERSION_COLUMNS]
        buffer = BytesIO()
        listed = ", ".join(self.columns)
        with (
            self.connection.cursor() as cursor,
            cursor.copy(f"COPY (SELECT {listed} FROM tracker_shipment ORDER BY id) TO STDOUT") as copy,
        ):
            for part in copy:
                buffer.write(part)
        self.file = buffer.getvalue()

    def make(self, table: str) -> None:
        """An empty copy of the shipment table, foreign keys and (if versioned) triggers and version columns included."""
        from tracker.migrations._versions import keep_versions

        self.sql(f"DROP TABLE IF EXISTS {table}")
        self.sql(f"CREATE TABLE {table} (LIKE tracker_shipment INCLUDING ALL)")
        keys = self.sql(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'tracker_shipment'::regclass AND contype = 'f'"
        )
        for (definition,) in keys:
            self.sql(f"ALTER TABLE {table} ADD {definition}")
        if table == "bench_versioned":
            self.sql(keep_versions(table))
        else:
            self.sql(f"ALTER TABLE {table} " + ", ".join(f"DROP COLUMN {name}" for name in VERSION_COLUMNS))

    def load(self, table: str) -> None:
        """COPY the file, inside a recorded batch as every door writes."""
        from tracker.core.services import recording

        with recording("benchmark", "load", "benchmark"), self.connection.cursor() as cursor:
            with cursor.copy(f"COPY {table} ({', '.join(self.columns)}) FROM STDIN") as copy:
                copy.write(self.file)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    # --- the measurements -------------------------------------------------------------------------------------------

    def loads(self) -> None:
        seconds: dict[str, list[float]] = {table: [] for table in TABLES}
        for _ in range(self.repeat):
            for table in TABLES:
                self.make(table)
                seconds[table].append(timed(lambda table=table: self.load(table)))
        plain, versioned = (median(seconds[table]) for table in TABLES)
        self.say(f"COPY {self.rows:,} rows, indexes and keys on", versioned, plain, "s")
        for table in TABLES:
            self.sql(f"VACUUM ANALYZE {table}")

    def changes(self) -> None:
        """Each change is rolled back, so that the next starts from the same rows."""
        first = f"WHERE id IN (SELECT id FROM tracker_shipment ORDER BY id LIMIT {self.changed})"
        for what, statement in (
            (f"UPDATE {self.changed:,} rows", "UPDATE {table} SET quantity = quantity + 1 " + first),
            (
                f"UPDATE {self.changed:,} rows to what they are",
                "UPDATE {table} SET quantity = quantity " + first,
            ),
            (f"DELETE {self.changed:,} rows", "DELETE FROM {table} " + first),
        ):
            seconds: dict[str, list[float]] = {table: [] for table in TABLES}
            for _ in range(self.repeat):
                for table in TABLES:
                    seconds[table].append(self.undone(statement.format(table=table)))
            plain, versioned = (median(seconds[table]) for table in TABLES)
            self.say(what, versioned, plain, "s")

    def undone(self, statement: str) -> float:
        from django.db import transaction

        with transaction.atomic():
            seconds = timed(lambda: self.sql(statement))
            transaction.set_rollback(True)
        return seconds

    def reads(self) -> None:
        """Known at an instant before 0, 1 and 10 % of the rows were corrected, against the rows that stand."""
        from tracker.core.querysets import rows_known_at

        at = self.sql("SELECT clock_timestamp()")[0][0]
        past, values = rows_known_at("bench_versioned", at)
        corrected = 0
        for percent in (0, 1, 10):
            wanted = self.rows * percent // 100
            self.sql(
                "UPDATE bench_versioned SET quantity = quantity + 1 WHERE id IN"
                f" (SELECT id FROM tracker_shipment ORDER BY id OFFSET {corrected} LIMIT {wanted - corrected})"
            )
            corrected = wanted
            self.sql("VACUUM ANALYZE bench_versioned")
            self.sql("VACUUM ANALYZE tracker_recordversion")
            assert self.number(f"SELECT count(*) FROM {past} p", *values) == self.rows
            for what, query in (
                ("sum by chip", "SELECT chip_id, sum(quantity) FROM {table} t GROUP BY 1"),
                ("every column of every row", "SELECT count(t::text) FROM {table} t"),
                (
                    "one site's rows",
                    "SELECT count(*) FROM {table} t WHERE destination_id = (SELECT min(destination_id) FROM bench_plain)",
                ),
            ):
                then, now = [], []
                for _ in range(self.repeat):
                    then.append(timed(lambda query=query: self.sql(query.format(table=past), *values)))
                    now.append(timed(lambda query=query: self.sql(query.format(table="bench_versioned"))))
                self.say(
                    f"known_at, {percent} % corrected since: {what}",
                    median(then) * 1e3,
                    median(now) * 1e3,
                    "ms",
                )

    def histories(self) -> None:
        """The history of one record beside the reading of one record."""
        ids = [row[0] for row in self.sql("SELECT id FROM tracker_shipment ORDER BY id LIMIT 200")]
        history = [
            timed(lambda pk=pk: self.sql(
                "SELECT * FROM tracker_recordversion WHERE table_name = 'bench_versioned' AND object_id = %s ORDER BY version", pk
            ))
            for pk in ids
        ]  # fmt: skip
        record = [
            timed(lambda pk=pk: self.sql("SELECT * FROM bench_versioned WHERE id = %s", pk)) for pk in ids
        ]
        self.say(
            "history of one record, against the record itself",
            median(history) * 1e3,
            median(record) * 1e3,
            "ms",
        )

    def instants(self) -> None:
        """settled_instant() against a bare reading of the clock; alone, and beside a writer of 50 ms batches."""
        from tracker.core.services import settled_instant

        clock = median(timed(lambda: self.sql("SELECT clock_timestamp()")) for _ in range(20)) * 1e3
        self.say(
            "settled_instant(), no writer, against the clock",
            median(timed(settled_instant) for _ in range(20)) * 1e3,
            clock,
            "ms",
        )
        stop = threading.Event()
        writer = threading.Thread(target=_write_until, args=(stop,))
        writer.start()
        sleep(0.3)
        waits = [timed(settled_instant) * 1e3 for _ in range(20)]
        stop.set()
        writer.join()
        self.say("settled_instant(), beside batches of 50 ms", median(waits), clock, "ms")
        print(f"{'  longest of 20':<58} {max(waits):>12,.2f} {'':>12} ms", flush=True)

    def storage(self) -> None:
        for table in TABLES:
            self.make(table)
            self.load(table)
        sizes = [self.number(f"SELECT pg_table_size('{table}')") / self.rows for table in reversed(TABLES)]
        self.say("row in the table, without indexes", *sizes, "bytes")
        before = self.number("SELECT pg_total_relation_size('tracker_recordversion')")
        self.sql(
            "UPDATE bench_versioned SET quantity = quantity + 1"
            f" WHERE id IN (SELECT id FROM tracker_shipment ORDER BY id LIMIT {self.changed})"
        )
        kept = (self.number("SELECT pg_total_relation_size('tracker_recordversion')") - before) / self.changed
        self.say("one kept version, with its indexes, against a row", kept, sizes[1], "bytes")


def _write_until(stop: threading.Event) -> None:
    from django.db import connection

    from tracker.core.services import recording
    from tracker.models import Source

    try:
        while not stop.is_set():
            with recording("benchmark"):
                Source.objects.update(note=str(perf_counter()))
                sleep(0.05)
    finally:
        connection.close()


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import embedded

    embedded.up()
    import django

    django.setup()
    from django.db import connection

    connection.settings_dict["TEST"]["NAME"] = "benchmark_versions"
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        print(f"{'':<58} {'versioned':>12} {'baseline':>12}")
        Bench(options.rows, options.repeat).run()
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


if __name__ == "__main__":
    main(sys.argv[1:])
