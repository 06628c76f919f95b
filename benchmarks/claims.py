"""Claims about countries and large organizations held against all lines near them, against hand-written SQL that only adds the
same lines up, in one run.

    .venv/bin/python -m benchmarks.claims [--rows 1000000] [--keep]

Works in a database of its own ("benchmark_claims"), made at the start and dropped at the end (``--keep`` keeps it for the next
time): a SYNTHETIC ledger (``benchmarks.ledger``) with three claims about each of twenty countries and one about each of the forty
largest buyers and ten large resellers.

- *theirs*: for each claim one statement that adds up what came in by its day, less what left, with the systematic error of each
  house and the random part. It reads each figure once, asks no rule and tells no doubtful line.
- *ours*: the shares of a run that hold claims against lines: components counted, near lines judged under the rules, bundles added
  up, all checks on claims made, findings and evidence written. A process of its own, whose largest memory is told.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from time import perf_counter
from typing import Any

from benchmarks.database import connect, own_database

NAME = "benchmark_claims"
COUNTRIES = (
    "US", "HK", "SG", "MY", "AE", "SA", "IN", "DE", "NL", "GB", "JP", "KR", "TW", "VN", "TH", "IL", "FR", "CN", "CA", "AU",
)  # fmt: skip
BUYERS, SELLERS = 40, 10

BASELINE = """
SELECT sum(mean), sqrt(sum(shared ^ 2) + sum(own)) FROM (
  SELECT source_id, sum(sign * q) AS mean, sum(sign * 0.7071 * sd * q) AS shared, sum(0.5 * (sd * q) ^ 2) AS own FROM (
    SELECT s.source_id, s.quantity::float8 * coalesce(s.chips_per_unit::float8, 1) AS q,
      CASE WHEN is_exact THEN 0 WHEN grade = 'A' THEN 0.01 WHEN grade = 'B' THEN 0.03 ELSE 0.1 END AS sd,
      CASE WHEN {into} THEN 1 ELSE -1 END AS sign
    FROM tracker_shipment s
    WHERE is_synthetic AND status NOT IN ('returned', 'cancelled') AND chip_id = ANY(%s) AND (
      ({into}) AND coalesce(received_on, coalesce(shipped_on_latest, shipped_on) + 60) BETWEEN %s AND %s
      OR ({out}) AND coalesce(shipped_on_latest, shipped_on) BETWEEN %s AND %s)
  ) e GROUP BY source_id
) h
"""
INTO = {
    "country": "destination_country = {key} AND origin_country <> {key}",
    "org": "coalesce(end_user_id, consignee_id) = {key} AND shipper_id <> {key}",
}
OUT = {"country": "origin_country = {key} AND destination_country <> {key}", "org": "shipper_id = {key}"}


class Bench:
    def __init__(self, rows: int) -> None:
        from django.db import connection

        self.rows, self.connection = rows, connection

    def sql(self, statement: str, *values: Any) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def prepare(self) -> None:
        from benchmarks.ledger import fill

        began = perf_counter()
        fill(self.sql, self.rows)
        self.claims()
        self.sql("VACUUM ANALYZE")
        print(f"ledger of {self.rows:,} lines made in {perf_counter() - began:.0f} s", flush=True)

    def claims(self) -> None:
        """A chip's stock, the stock of a family of ten and its deliveries of a year for each country; a stock for each firm."""
        from tests import factories
        from tracker import models

        dice = random.Random(2)
        chips = list(models.Chip.objects.order_by("id")[:10])
        family = factories.chip_family("synthetic-ten", members=tuple(chips))
        source = models.Source.objects.order_by("id")[0]
        stock = {"status": "installed", "kind": "installed", "low": None, "high": None, "source": source}
        for country in COUNTRIES:
            day = date(2025, 3, 31) + timedelta(dice.randrange(200))
            place = {**stock, "destination_country": country, "best": 10_000 * dice.randrange(1, 60)}
            factories.claim(f"synthetic-{country}-chip", chip=chips[0], period_end=day, **place)
            factories.claim(f"synthetic-{country}-ten", family=family, period_end=day, **place)
            year = {"period_start": date(2024, 1, 1), "period_end": date(2024, 12, 31)}
            delivered = {**place, "status": "delivered", "kind": "purchase"}
            factories.claim(f"synthetic-{country}-year", family=family, **delivered, **year)
        buyers = "SELECT consignee_id FROM tracker_shipment GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %s"
        sellers = (
            "SELECT shipper_id FROM tracker_shipment WHERE origin_country = 'SG' GROUP BY 1 ORDER BY count(*) DESC, 1"
            " LIMIT %s"
        )
        for (org,) in (*self.sql(buyers, BUYERS), *self.sql(sellers, SELLERS)):
            factories.claim(
                subject_id=org,
                family=family,
                period_end=date(2025, 6, 30),
                **stock,
                best=100 * dice.randrange(1, 100),
            )

    def theirs(self) -> int:
        """Each claim's book by one statement; how many there were."""
        from tracker import models

        ten = list(models.Chip.objects.order_by("id").values_list("id", flat=True)[:10])
        told = models.Claim.objects.order_by("id").values_list(
            "subject_id", "destination_country", "chip_id", "period_start", "period_end"
        )
        for subject, country, chip, first, last in told:
            kind, key = ("org", str(subject)) if subject else ("country", f"'{country}'")
            into = INTO[kind].format(key=key)
            out = "false" if first else OUT[kind].format(key=key)  # deliveries of a year are no stock
            days = [first or date(2000, 1, 1), last]
            self.sql(BASELINE.format(into=into, out=out), [chip] if chip else ten, *days, *days)
        return len(told)

    def ours(self) -> dict[str, Any]:
        """The shares of one run that hold claims against lines, by a process of their own."""
        from tracker.models import RunPartition
        from tracker.reconciliation import services

        run = services.start_run("benchmark", records="synthetic")
        RunPartition.objects.filter(run=run).exclude(kind="claim_subject").delete()
        ids = list(run.partitions.order_by("id").values_list("id", flat=True))
        worker = [sys.executable, "-m", "benchmarks.claims", "--shares", ",".join(map(str, ids))]
        subprocess.run(worker, check=True)
        found = run.findings.order_by().values_list("check_code", "verdict")
        return {"shares": run.partitions.order_by("id"), "found": Counter(found)}


def work(ids: list[int]) -> None:
    """What a worker process does: its shares; each tells what memory the process had taken by then."""
    from tracker.reconciliation import services

    for pk in ids:
        assert services.begin_share(pk)
        services.run_share(pk)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    began = perf_counter()
    told = action()
    return perf_counter() - began, told


def measure(bench: Bench) -> None:
    theirs, claims = timed(bench.theirs)
    print(f"hand-written sums of {claims} claims: {theirs:.1f} s", flush=True)
    told = bench.ours()
    seconds = 0.0
    for share in told["shares"]:
        seconds += share.seconds
        print(
            f"  share {share.index + 1} of {share.count}: {share.seconds:.1f} s, {share.findings} findings, {share.peak_mb} MB"
        )
    print(
        f"{bench.rows:,} lines: claims held against them in {seconds:.1f} s, {seconds / theirs:.2f} of the hand-written sums"
    )
    print(f"found {dict(told['found'])}")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true", help="keep the database, and use one that was kept")
    parser.add_argument("--shares", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.shares:
        connect(NAME)
        work([int(pk) for pk in options.shares.split(",")])
        return
    with own_database(NAME, options.keep) as kept:
        bench = Bench(options.rows)
        if not kept:
            bench.prepare()
        measure(bench)


if __name__ == "__main__":
    main(sys.argv[1:])
