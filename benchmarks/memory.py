"""What a worker takes that reads one large share of lines: the share of a chip that is most of a ledger, which cannot be cut.

    .venv/bin/python -m benchmarks.memory [--rows 1200000] [--repeat 1] [--keep]

Works in a database of its own ("benchmark_memory"), made at the start and dropped at the end (``--keep`` keeps it for the next
time): a SYNTHETIC ledger (``benchmarks.ledger``) of mostly one chip, all of it in one share, judged by a fresh process. Printed:
the most memory that process has held, the same before it read a line, and seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from time import perf_counter

from benchmarks.database import connect, own_database
from benchmarks.reconciliation import Bench

NAME = "benchmark_memory"
SKEW = 40


def measure(rows: int) -> str:
    """One run whose lines lie in one share; what the process says that judged it."""
    import numpy as np

    from tracker.models import ReconciliationRun, RunPartition
    from tracker.reconciliation import services
    from tracker.reconciliation.lines.services import line_shares
    from tracker.reconciliation.querysets import LINES
    from tracker.reconciliation.scratch import packed

    run = services.start_run("benchmark", records="synthetic")
    scopes = np.sort(np.concatenate([share.scopes for share in line_shares(run)]))
    RunPartition.objects.filter(run=run).delete()
    share = RunPartition.objects.create(
        run=run, kind=LINES, index=0, count=1, rows=rows, scratch=packed({"scopes": scopes})
    )
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--share", str(share.id)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    services.cancel_run(run.id)
    ReconciliationRun.objects.filter(id=run.id).update(status="failed")
    return done.stdout.strip()


def work(share: int) -> None:
    """What a worker process does: its share, and what memory it took."""
    from django.db import connection

    from tracker.balances.services import cell_table
    from tracker.core.memory import peak_mb
    from tracker.models import RunPartition
    from tracker.reconciliation import services
    from tracker.reconciliation.registry import checks

    checks()  # what a worker has loaded before its first share
    before = peak_mb()
    began = perf_counter()
    assert services.begin_share(share)
    assert services.run_share(share) == "done"
    took = perf_counter() - began
    with connection.cursor() as cursor:  # a table of the run's own, not hung in yet
        cursor.execute(f"SELECT count(*) FROM {cell_table(RunPartition.objects.get(id=share).run_id)}")
        cells = cursor.fetchone()[0]
    print(f"{took:.1f} s, at most {peak_mb()} MB ({before} MB before); {cells:,} cells")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the database, and use one that was kept")
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.share:
        connect(NAME)
        work(options.share)
        return
    from benchmarks.ledger import fill

    with own_database(NAME, options.keep) as kept:
        if not kept:
            fill(Bench(options.rows, 1).sql, options.rows, skew=SKEW)
        for _ in range(options.repeat):
            print(measure(options.rows), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
