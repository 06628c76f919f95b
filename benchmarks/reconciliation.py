"""Drawing up and checking the books of a whole ledger, against hand-written SQL that only persists the same balances, in one run.

    .venv/bin/python -m benchmarks.reconciliation [--rows 1000000] [--repeat 2] [--workers 2] [--keep] [--checks]

Works in a database of its own ("benchmark_reconciliation"), made at the start and dropped at the end (``--keep`` keeps it for the
next time): a SYNTHETIC ledger (``benchmarks.ledger``) with planted faults.

- *theirs*: one INSERT .. SELECT with the sort plan (``enable_hashagg=off``, 256 MB of work memory): receipts, dispatches, book
  and its standard deviation by area (site, organization, ownership group, country), chip and month, into a table with a primary
  key. It checks nothing.
- *ours*: the shares of a run that read lines: every line read, cells of the same areas (and the world), differences between
  shipper and receiver tested singly and by lots, days and running balances checked, cells and suspects written; by ``--workers``
  processes.
- *closing*: false alarms controlled, findings written, cells indexed and hung in. Planted faults are counted.
- *incremental*: lines corrected one at a time, then so many that a thousandth and a hundredth of the cells change; against the
  full run.
- ``--checks`` instead: a run with every check, in one process, then some that go on from it after a line was corrected; seconds
  by kind of share.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.database import connect, own_database

NAME = "benchmark_reconciliation"

BASELINE = """
INSERT INTO bench_cell
SELECT kind, area, scope, month, sum(came), sum(went),
  sum(sum(came) - sum(went)) OVER chain, sqrt(sum(sum(variance)) OVER chain)
FROM (
  SELECT 'org' AS kind, consignee_id AS area, chip_id AS scope, {arrived} AS month, {q} AS came, 0 AS went, {v} AS variance
  FROM tracker_shipment s WHERE {counts} AND consignee_id <> shipper_id
  UNION ALL SELECT 'org', shipper_id, chip_id, {left}, 0, {q}, {v}
  FROM tracker_shipment s WHERE {counts} AND consignee_id <> shipper_id
  UNION ALL SELECT 'site', destination_id, chip_id, {arrived}, {q}, 0, {v}
  FROM tracker_shipment s WHERE {counts} AND destination_id IS NOT NULL
  UNION ALL SELECT 'country', ascii(destination_country) * 256 + ascii(substr(destination_country, 2)), chip_id, {arrived},
    {q}, 0, {v}
  FROM tracker_shipment s WHERE {counts} AND origin_country <> destination_country
  UNION ALL SELECT 'country', ascii(origin_country) * 256 + ascii(substr(origin_country, 2)), chip_id, {left}, 0, {q}, {v}
  FROM tracker_shipment s WHERE {counts} AND origin_country <> destination_country
  UNION ALL SELECT 'group', g.parent, chip_id, {arrived}, {q}, 0, {v}
  FROM tracker_shipment s JOIN bench_group g ON g.org = s.consignee_id WHERE {counts}
  UNION ALL SELECT 'group', g.parent, chip_id, {left}, 0, {q}, {v}
  FROM tracker_shipment s JOIN bench_group g ON g.org = s.shipper_id WHERE {counts}
) e
GROUP BY kind, area, scope, month
WINDOW chain AS (PARTITION BY kind, area, scope ORDER BY month)
""".format(
    arrived="date_trunc('month', coalesce(received_on, shipped_on + 30))::date",
    left="date_trunc('month', coalesce(shipped_on_latest, shipped_on))::date",
    q="quantity::float8 * coalesce(chips_per_unit::float8, 1)",
    v="(quantity::float8 * coalesce(chips_per_unit::float8, 1)"
    " * CASE grade WHEN 'A' THEN 0.01 WHEN 'B' THEN 0.03 ELSE 0.1 END) ^ 2",
    counts="is_synthetic AND status NOT IN ('returned', 'cancelled')",
)


def timed(action: Callable[[], Any]) -> float:
    began = perf_counter()
    action()
    return perf_counter() - began


class Bench:
    def __init__(self, rows: int, workers: int) -> None:
        from django.db import connection

        self.rows, self.workers, self.connection = rows, workers, connection

    def sql(self, statement: str, *values: Any) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def prepare(self) -> None:
        from benchmarks.ledger import fill

        began = perf_counter()
        fill(self.sql, self.rows)
        print(f"ledger of {self.rows:,} lines made in {perf_counter() - began:.0f} s", flush=True)

    def theirs(self) -> None:
        from django.db import transaction

        self.sql("DROP TABLE IF EXISTS bench_cell, bench_group")
        self.sql(
            "CREATE TABLE bench_group AS SELECT DISTINCT ON (owned_id) owned_id AS org, owner_id AS parent"
            " FROM tracker_ownershipstake WHERE share_percent >= 50"
        )
        self.sql(
            "CREATE TABLE bench_cell (kind text, area bigint, scope bigint, month date, came float8, went float8, book float8,"
            " sigma float8, PRIMARY KEY (kind, area, scope, month))"
        )
        with transaction.atomic():
            self.sql("SET LOCAL work_mem = '256MB'")
            self.sql("SET LOCAL enable_hashagg = off")
            self.sql(BASELINE)

    def ours(self) -> dict[str, Any]:
        """One run: its line shares by several processes, then its closing; seconds and what came out."""
        from tracker.models import ReconciliationRun, RunPartition
        from tracker.reconciliation import services
        from tracker.reconciliation.closing.services import close_if_complete
        from tracker.reconciliation.querysets import LINES

        began = perf_counter()
        run = services.start_run("benchmark", records="synthetic")
        RunPartition.objects.filter(run=run).exclude(kind=LINES).delete()
        started = perf_counter() - began
        ids = list(run.partitions.order_by("-rows", "id").values_list("id", flat=True))
        began = perf_counter()
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.reconciliation", "--share", ",".join(map(str, ids[i :: self.workers]))],
                stdout=subprocess.PIPE, text=True,
            )
            for i in range(self.workers)
        ]  # fmt: skip
        peaks = [int(worker.communicate()[0].strip() or 0) for worker in workers]
        assert all(worker.returncode == 0 for worker in workers), "a worker failed"
        shares = perf_counter() - began
        began = perf_counter()
        assert close_if_complete(run.id)
        closing = perf_counter() - began
        run = ReconciliationRun.objects.get(id=run.id)
        return {
            "run": run, "start": started, "shares": shares, "closing": closing, "peak": max(peaks), "counts": run.counts,
            "found": Counter(run.findings.filter(is_discrepancy=True).values_list("check_code", flat=True)),
            "share_count": len(ids),
        }  # fmt: skip


def work(ids: list[int]) -> None:
    """What a worker process does: its shares, and what memory it took."""
    from tracker.core.memory import peak_mb
    from tracker.reconciliation import services

    for pk in ids:
        assert services.begin_share(pk)
        services.run_share(pk)
    print(peak_mb())


def measure(bench: Bench, repeat: int) -> None:
    from benchmarks.ledger import PLANTED

    times: dict[str, list[float]] = {"theirs": [], "shares": [], "closing": [], "start": []}
    for _ in range(repeat):
        times["theirs"].append(timed(bench.theirs))
        cells = bench.sql("SELECT count(*) FROM bench_cell")[0][0]
        bench.sql("DROP TABLE bench_cell")
        told = bench.ours()
        for name in ("shares", "closing", "start"):
            times[name].append(told[name])
        print(
            f"  theirs {times['theirs'][-1]:.1f} s, {cells:,} cells; ours {told['shares']:.1f} s"
            f" + start {told['start']:.1f} + closing {told['closing']:.1f}, {told['counts']['cells']:,} cells,"
            f" {told['share_count']} shares, largest worker {told['peak']} MB; tests {told['counts']['tests']}", flush=True,
        )  # fmt: skip
    full = median(times["shares"]) + median(times["closing"]) + median(times["start"])
    forward(bench, told["run"], full, told["counts"]["cells"])
    theirs, shares = median(times["theirs"]), median(times["shares"])
    whole = shares + median(times["closing"]) + median(times["start"])
    print(f"{bench.rows:,} lines: hand-written balances {theirs:.1f} s; read, cells, cell checks, write {shares:.1f} s;"
          f" the whole run with start and closing {whole:.1f} s")  # fmt: skip
    print(
        f"ratio {shares / theirs:.2f} (bar 1.0), whole {whole / theirs:.2f}; {1e6 * whole / bench.rows:.2f} s a million lines"
    )
    found = dict(told["found"])
    print(f"planted {PLANTED}, found {found}")


def forward(bench: Bench, base: Any, full: float, cells: int) -> None:
    """Correct lines and go on from the run before: one at a time, by a process that has done so before; then so many that about
    one in a hundred cells changes."""
    first, last = bench.sql(
        "SELECT min(id), max(id) FROM tracker_shipment WHERE reference LIKE 'synthetic-1%%'"
    )[0]
    dice = random.Random(3)

    def some(count: int) -> list[int]:
        ids = dice.sample(range(first, last + 1), min(3 * count + 50, last + 1 - first))
        found = bench.sql("SELECT id FROM tracker_shipment WHERE id = ANY(%s) AND consignment = ''", ids)
        return [pk for (pk,) in found][:count]

    gone_on(bench, base, some(1))  # the first of a process reads chips, stakes and code
    singles = [gone_on(bench, base, [pk]) for pk in some(SINGLES)]
    parts = [median(run[i] for run in singles) for i in range(3)]
    whole = sorted(sum(run[:3]) for run in singles)
    print(
        f"one corrected, median of {len(whole)}: {1000 * median(whole):.0f} ms (start {1000 * parts[0]:.0f}, lines"
        f" {1000 * parts[1]:.0f}, closing {1000 * parts[2]:.0f}), largest {1000 * whole[-1]:.0f} ms (bar 100)", flush=True,
    )  # fmt: skip
    each = sum(run[3] for run in singles) / len(singles)
    for share, overlap in (
        (0.001, 1),
        (0.01, 2),
    ):  # many lines move the same cells: half of what they move by themselves
        count = max(1, round(overlap * share * cells / each))
        if count > services_most(bench.rows):
            print(f"{100 * share:g} % of the cells would be {count:,} lines: such a run is full")
            continue
        started, lines, closing, written = gone_on(bench, base, some(count))
        took = started + lines + closing
        print(
            f"{count:,} corrected: {written:,} cells written, {100 * written / cells:.2f} %; lines {lines:.2f} s, start"
            f" {started:.2f}, closing {closing:.2f}; {100 * took / full:.1f} % of the full run (bar 5)", flush=True,
        )  # fmt: skip


SINGLES = 15


def services_most(rows: int) -> float:
    from tracker.reconciliation.services import LEAST_CHANGES, MOST_CHANGED

    return max(LEAST_CHANGES, MOST_CHANGED * rows)


def gone_on(bench: Bench, base: Any, ids: list[int]) -> tuple[float, float, float, int]:
    """Correct some lines and reconcile what changed; seconds of start, lines and closing, and cells written."""
    from tracker.models import ReconciliationRun, RunPartition
    from tracker.reconciliation import services
    from tracker.reconciliation.closing.services import close_if_complete
    from tracker.reconciliation.querysets import LINES

    bench.sql("UPDATE tracker_shipment SET quantity = quantity + 1 WHERE id = ANY(%s)", ids)
    began = perf_counter()
    run = services.start_run(
        "benchmark", records="synthetic", mode=ReconciliationRun.Mode.INCREMENTAL, as_of=base.as_of
    )
    started = perf_counter() - began
    assert run.base_id, "the run went on from none"
    RunPartition.objects.filter(run=run).exclude(kind=LINES).delete()
    (pk,) = run.partitions.values_list("id", flat=True)
    began = perf_counter()
    assert services.begin_share(pk)
    services.run_share(pk)
    lines = perf_counter() - began
    began = perf_counter()
    assert close_if_complete(run.id)
    return started, lines, perf_counter() - began, run.cells.count()


def every_check(bench: Bench) -> None:
    """A whole run and one over changes, share by share in this process."""
    from tracker.models import ReconciliationRun
    from tracker.reconciliation import services
    from tracker.reconciliation.closing.services import close_if_complete

    def done(mode: str) -> str:
        run = services.start_run("benchmark", records="synthetic", mode=mode)
        took: Counter[str] = Counter()
        for pk, kind in run.partitions.order_by("id").values_list("id", "kind"):
            assert services.begin_share(pk)
            took[kind] += timed(partial(services.run_share, pk))
        took["closing"] = timed(partial(close_if_complete, run.id))
        told = ", ".join(f"{kind} {seconds:.2f}" for kind, seconds in took.items())
        return f"{run.findings.count():,} findings; {told}"

    print("full:", done(ReconciliationRun.Mode.FULL), flush=True)
    for reference in ("synthetic-1", "synthetic-1000", "synthetic-1001"):
        bench.sql("UPDATE tracker_shipment SET quantity = quantity + 1 WHERE reference = %s", reference)
        print("one corrected:", done(ReconciliationRun.Mode.INCREMENTAL), flush=True)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep the database, and use one that was kept")
    parser.add_argument("--checks", action="store_true", help="time every kind of share instead")
    parser.add_argument("--share", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.share:
        connect(NAME)
        work([int(pk) for pk in options.share.split(",")])
        return
    with own_database(NAME, options.keep) as kept:
        bench = Bench(options.rows, options.workers)
        if not kept:
            bench.prepare()
        if options.checks:
            every_check(bench)
        else:
            measure(bench, options.repeat)


if __name__ == "__main__":
    main(sys.argv[1:])
