"""What rules and licences say of a whole ledger, found and written as by a run, against hand-written SQL that only judges it.

    .venv/bin/python -m benchmarks.verdicts [--rows 1000000] [--workers 2]

Works in a database of its own ("benchmark_verdicts"), with the SYNTHETIC ledger of ``benchmarks.judgement`` and 2,000 licences,
each of one item and for one organization; every other line to one of these names its licence. Destinations are drawn at random,
so far more lines need a licence that nobody has than in any real ledger.

- *theirs*: the statement of ``benchmarks.judgement``: a number for each line, nothing told of it.
- *rules*: the shares of a run in which lines are judged, added up by consignee, chip, quarter and rules, and written as findings
  with their words and evidence; by ``--workers`` processes.
- *licences*: the shares in which lines draw on licences.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from time import perf_counter

from benchmarks.database import connect, own_database
from benchmarks.judgement import BASELINE, CHIPS, ORGANIZATIONS, Bench, timed
from benchmarks.reconciliation import work

NAME = "benchmark_verdicts"
LICENCES = 2_000

LICENSED = (
    "INSERT INTO tracker_licence (reference, authority, kind, consignee_id, destination_country, valid_from, valid_until,"
    " conditions, source_id, grade, confidence, verification, is_synthetic, note)"
    " SELECT 'synthetic-' || i, 'SYNTHETIC', 'export licence', o.base + floor({organizations} * power(random(), 3))::int, '',"
    " DATE '2022-07-01' + floor(random() * 800)::int, DATE '2025-01-01' + floor(random() * 700)::int, '',"
    " (SELECT min(id) FROM tracker_source), 'B', 'likely', 'synthetic', true, ''"
    " FROM generate_series(1, {licences}) i,"
    " (SELECT min(id) AS base FROM tracker_organization WHERE slug LIKE 'synthetic-o%') o",
    "INSERT INTO tracker_licenceitem (licence_id, chip_id, quantity, bound, unit)"
    " SELECT id, (SELECT min(id) FROM tracker_chip) + floor({chips} * power(random(), 3))::int, 50000, '', 'chips'"
    " FROM tracker_licence",
    "UPDATE tracker_shipment s SET licence_id = l.id FROM"
    " (SELECT DISTINCT ON (consignee_id) consignee_id, id FROM tracker_licence ORDER BY consignee_id, id) l"
    " WHERE s.consignee_id = l.consignee_id AND s.id % 2 = 0",
    "VACUUM ANALYZE",
)


def measure(bench: Bench, workers: int) -> None:
    from tracker.models import RunPartition
    from tracker.reconciliation import services

    for statement in LICENSED:
        bench.sql(statement.format(organizations=ORGANIZATIONS, chips=CHIPS, licences=LICENCES))
    theirs = timed(lambda: bench.sql(BASELINE))
    run = services.start_run("benchmark", records="synthetic")
    for kind, words in (("verdict", "rules"), ("licence", "licences")):
        ids = list(
            RunPartition.objects.filter(run=run, kind=kind).order_by("id").values_list("id", flat=True)
        )
        began = perf_counter()
        going = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.verdicts", "--share", ",".join(map(str, ids[i::workers]))],
                stdout=subprocess.PIPE, text=True,
            )
            for i in range(workers)
        ]  # fmt: skip
        peaks = [int(one.communicate()[0].strip() or 0) for one in going]
        assert all(one.returncode == 0 for one in going), "a worker failed"
        took = perf_counter() - began
        found = sum(RunPartition.objects.filter(run=run, kind=kind).values_list("findings", flat=True))
        print(
            f"{words}: {len(ids)} shares in {took:.1f} s, {found:,} findings ({1000 * took / max(found, 1):.1f} ms each), largest"
            f" worker {max(peaks)} MB; hand-written SQL that only judges {theirs:.1f} s", flush=True,
        )  # fmt: skip


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--share", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.share:
        connect(NAME)
        work([int(pk) for pk in options.share.split(",")])
        return
    with own_database(NAME):
        bench = Bench(options.rows, 1)
        bench.prepare()
        bench.tables_of_the_baseline()
        measure(bench, options.workers)


if __name__ == "__main__":
    main(sys.argv[1:])
