"""Judging a whole ledger under the export rules, against one hand-written SQL statement with the same joins, in one run.

    .venv/bin/python -m benchmarks.judgement [--rows 1000000] [--repeat 3] [--profile]

Works in a database of its own ("benchmark_judgement"), made at the start and dropped at the end: SYNTHETIC lines, 300 chips,
100,000 organizations of which 5,000 have a dated owner and 500 a list entry, skewed as real ledgers are. The baseline is what
somebody who knows the rules would write for this one question: it joins each line to tables made beforehand of chip classes by
date, places by date, dated owners and list entries of consignee and end user and the exporter's role, runs through the licence
matrix as one CASE, and stores a number for each line. It is given its class and place tables for nothing. Ours starts cold: rules
and records are read, signatures worked out, lines joined, distinct cases judged in the pure core, verdicts stored.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.database import own_database

CHIPS, ORGANIZATIONS, OWNED, LISTED = 300, 100_000, 5_000, 500

LINES = """
INSERT INTO tracker_shipment (reference, consignment, chip_id, quantity, bound, is_exact, unit, grade_by_shipper,
  grade_by_receiver, shipped_on, shipped_on_presumed, received_on_presumed, shipper_id, consignee_id, end_user_id,
  origin_country, destination_country, status, source_id, grade, confidence, verification, is_synthetic, note)
SELECT 'synthetic-' || i, '', (SELECT min(id) FROM tracker_chip) + floor({chips} * power(random(), 3))::int,
  1 + floor(1000 * power(random(), 4)), '', false, 'chips', 'B', 'B', DATE '2022-07-01' + floor(random() * 1600)::int,
  false, false, o.base + floor({organizations} * power(random(), 3))::int,
  o.base + floor({organizations} * power(random(), 3))::int, o.base + floor({organizations} * power(random(), 3))::int,
  (ARRAY['US','TW','TW','TW','MY','SG','CN','HK'])[1 + floor(random() * 8)::int],
  (ARRAY['US','US','US','US','CN','CN','HK','SG','MY','AE','SA','IN','DE','NL','GB','JP','KR','TW','MO','VN','KH','RU','IL','TH'])
    [1 + floor(random() * 24)::int],
  'reported', (SELECT min(id) FROM tracker_source), 'C', 'likely', 'synthetic', true, ''
FROM generate_series(1, {rows}) i, (SELECT min(id) AS base FROM tracker_organization WHERE slug LIKE 'synthetic-o%%') o
"""

BASELINE = """
INSERT INTO bench_verdict
SELECT s.id, CASE
  WHEN s.destination_country = 'US' THEN 1
  WHEN p.embargoed THEN 2
  WHEN a.listed OR b.listed THEN 3
  WHEN c.level = 'a' AND c.datacenter AND c.band AND p.cn_mo AND s.origin_country = 'US' AND p.since_2026 THEN 4
  WHEN s.origin_country = s.destination_country THEN CASE WHEN c.level IN ('a', 'b') AND p.adv THEN 5 ELSE 6 END
  WHEN c.level = '2022' THEN CASE WHEN p.cn_mo THEN 7 ELSE 8 END
  WHEN c.level = 'a' AND c.datacenter AND p.d5_mo THEN 9
  WHEN c.level = 'a' AND c.datacenter AND p.adv THEN CASE WHEN a.hq OR b.hq OR a.parent_hq OR b.parent_hq THEN 10
       WHEN a.known AND b.known THEN 11 ELSE 12 END
  WHEN c.level = 'a' AND c.datacenter THEN CASE WHEN a.hq OR b.hq OR a.parent_hq OR b.parent_hq THEN 13
       WHEN a.known AND b.known THEN 14 ELSE 15 END
  WHEN c.level IN ('a', 'b') AND p.d5_mo THEN 16
  WHEN c.level IN ('a', 'b') THEN CASE WHEN a.hq OR b.hq OR a.parent_hq OR b.parent_hq THEN 17
       WHEN a.known AND b.known THEN 18 ELSE 19 END
  WHEN c.letter AND (p.d5_mo OR a.hq OR b.hq OR a.parent_hq OR b.parent_hq) THEN 20
  WHEN c.letter AND NOT (a.known AND b.known) THEN 21
  WHEN x.role IS NOT NULL AND c.presumed THEN 22
  ELSE 23 END
FROM tracker_shipment s
JOIN bench_class c ON c.chip_id = s.chip_id AND c.first <= s.shipped_on AND s.shipped_on < c.until
JOIN bench_place p ON p.country = s.destination_country AND p.first <= s.shipped_on AND s.shipped_on < p.until
LEFT JOIN bench_party a ON a.id = s.consignee_id AND a.first <= s.shipped_on AND s.shipped_on < a.until
LEFT JOIN bench_party b ON b.id = s.end_user_id AND b.first <= s.shipped_on AND s.shipped_on < b.until
LEFT JOIN bench_exporter x ON x.id = s.shipper_id
WHERE s.is_synthetic AND s.status NOT IN ('returned', 'cancelled') AND s.shipped_on IS NOT NULL
"""


def timed(action: Callable[[], Any]) -> float:
    began = perf_counter()
    action()
    return perf_counter() - began


class Bench:
    def __init__(self, rows: int, repeat: int) -> None:
        from django.db import connection

        self.rows, self.repeat, self.connection = rows, repeat, connection

    def sql(self, statement: str, *values: Any) -> list[tuple]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    # --- a synthetic ledger ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        import random
        from datetime import date, timedelta
        from pathlib import Path

        from tests import factories
        from tracker import models
        from tracker.rules.services import load_rules

        dice = random.Random(1)
        self.sql("SELECT setseed(0.5)")
        load_rules(Path(__file__).resolve().parents[1] / "seeds" / "rules")
        source = factories.source()
        vendors = [
            factories.vendor(slug, country=c)
            for slug, c in (("nvidia", "US"), ("amd", "US"), ("huawei", "CN"))
        ]
        chips = models.Chip.objects.bulk_create(
            models.Chip(
                slug=f"synthetic-{i}", name=f"SYNTHETIC {i}", vendor=dice.choice(vendors), process_node_nm=5,
                marketed_for_datacenters=dice.choice([True, True, False]),
            )
            for i in range(CHIPS)
        )  # fmt: skip
        models.ChipSpecification.objects.bulk_create(
            models.ChipSpecification(
                chip=chip, source=source, fp8_tflops=dice.choice([100, 250, 296, 362, 624, 1000, 1979, 4500]),
                fp16_tflops=50, die_area_mm2=dice.choice([300, 600, 814, 1600]),
                memory_bandwidth_gbs=dice.choice([300, 1000, 2000, 4000, 8000]), io_bandwidth_gbs=dice.choice([64, 400, 900]),
            )
            for chip in chips
        )  # fmt: skip
        places = [
            "US",
            "CN",
            "CN",
            "HK",
            "SG",
            "MY",
            "AE",
            "SA",
            "DE",
            "NL",
            "JP",
            "KR",
            "TW",
            "IN",
            "VN",
            "",
        ]
        organizations = models.Organization.objects.bulk_create(
            (
                models.Organization(
                    slug=f"synthetic-o{i}", name=f"SYNTHETIC {i}", country=dice.choice(places), is_synthetic=True,
                    roles=["foundry"] if i % 5000 == 7 else [],
                )
                for i in range(ORGANIZATIONS)
            ),
            batch_size=5000,
        )  # fmt: skip
        days = [date(2021, 1, 1) + timedelta(30 * i) for i in range(70)]
        owned = dice.sample(organizations, OWNED)
        models.OwnershipStake.objects.bulk_create(
            models.OwnershipStake(
                owner=dice.choice(organizations[:2000]), owned=org, share_percent=dice.choice([20, 51, 100]),
                valid_from=dice.choice(days), source=source,
            )
            for org in owned
            if org.pk > organizations[2000].pk
        )  # fmt: skip
        models.ListEntry.objects.bulk_create(
            models.ListEntry(
                organization=org,
                listed_on=dice.choice(days),
                footnote=dice.choice(["", "1", "4"]),
                source=source,
            )
            for org in dice.sample(organizations, LISTED)
        )
        self.sql(LINES.format(chips=CHIPS, organizations=ORGANIZATIONS, rows=self.rows))
        self.sql("VACUUM ANALYZE")

    def tables_of_the_baseline(self) -> None:
        """What the hand-written statement joins to: made of our own answers, so that both read the same law."""
        from datetime import date

        from tracker.judgement.querysets import scopes
        from tracker.rules.services import rulebook, stretches

        book = rulebook()
        far = date(9999, 12, 31)
        _, specs = scopes()
        ids = dict(self.sql("SELECT slug, id FROM tracker_chip"))
        classes = [
            (ids[slug], s.period.start if i else date.min, s.period.end or far, s.classification.level,
             bool(s.classification.datacenter), bool(s.classification.letter),
             any(h.rule_id == "US-H200-2026" and h.truth for h in s.classification.of_kind("band")),
             bool(s.classification.of_kind("presumption")))
            for slug, spec in specs.items()
            for i, s in enumerate(stretches({"": spec}, book))
        ]  # fmt: skip
        self.copy("bench_class", "chip_id bigint, first date, until date, level text, datacenter bool, letter bool, band bool,"
                  " presumed bool", classes)  # fmt: skip
        places: list[tuple] = []
        starts = [date.min, *book.change_days()]
        countries = [c for (c,) in self.sql("SELECT DISTINCT destination_country FROM tracker_shipment")]
        for country in countries:
            for first, until in zip(starts, [*starts[1:], far], strict=True):
                groups = book.groups_on(first)
                told = (
                    bool(groups.holds(country, "macau_or_d5")),
                    bool(groups.holds(country, "adv_computing_licence_destinations")),
                    bool(groups.holds_any(country, ["CN", "MO"])),
                    bool(groups.holds_any(country, ["RU", "BY", "CU", "IR", "KP", "SY"])),
                    first >= date(2026, 1, 15),
                )
                if places and places[-1][0] == country and places[-1][3:] == told:
                    places[-1] = (country, places[-1][1], until, *told)
                else:
                    places.append((country, first, until, *told))
        self.copy("bench_place", "country text, first date, until date, d5_mo bool, adv bool, cn_mo bool, embargoed bool,"
                  " since_2026 bool", places)  # fmt: skip
        self.sql(
            "CREATE TABLE bench_party AS SELECT o.id, coalesce(t.first, DATE '0001-01-01') AS first,"
            " coalesce(t.until, DATE '9999-12-31') AS until, o.country IN ('CN', 'HK', 'MO') AS hq,"
            " t.parent IN ('CN', 'HK', 'MO') AS parent_hq, t.parent <> '' AND o.country <> '' AS known,"
            " l.listed_on IS NOT NULL AS listed FROM tracker_organization o LEFT JOIN LATERAL ("
            "  SELECT k.valid_from AS first, DATE '9999-12-31' AS until, w.country AS parent FROM tracker_ownershipstake k"
            "  JOIN tracker_organization w ON w.id = k.owner_id WHERE k.owned_id = o.id AND k.share_percent >= 50"
            "  UNION ALL SELECT DATE '0001-01-01', k.valid_from, NULL FROM tracker_ownershipstake k WHERE k.owned_id = o.id"
            " ) t ON true LEFT JOIN tracker_listentry l ON l.organization_id = o.id"
        )
        self.sql(
            "CREATE TABLE bench_exporter AS SELECT id, 1 AS role FROM tracker_organization WHERE 'foundry' = ANY(roles)"
        )
        self.sql("CREATE TABLE bench_verdict (line_id bigint, verdict int)")
        for table in ("party", "exporter"):
            self.sql(f"VACUUM ANALYZE bench_{table}")

    def copy(self, table: str, columns: str, rows: list[tuple]) -> None:
        self.sql(f"CREATE TABLE {table} ({columns})")
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self.sql(f"VACUUM ANALYZE {table}")

    # --- the measurement ------------------------------------------------------------------------------------------------

    def run(self, profile: bool) -> None:
        from django.db import transaction

        from tracker.judgement.querysets import judged_ledger
        from tracker.rules.services import rulebook

        told: dict[str, Any] = {}

        def ours() -> None:
            with judged_ledger("j", rulebook(), records="synthetic") as judged:
                told["cases"], told["verdicts"] = judged.cases, judged.verdicts
                told["lines"] = self.sql("SELECT count(*) FROM j_line")[0][0]

        def theirs() -> None:
            with transaction.atomic():
                self.sql("SET LOCAL work_mem = '128MB'")
                self.sql("TRUNCATE bench_verdict")
                self.sql(BASELINE)

        if profile:
            import cProfile
            import pstats

            profiler = cProfile.Profile()
            profiler.runcall(ours)
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(25)
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(self.repeat):
            seconds["theirs"].append(timed(theirs))
            seconds["ours"].append(timed(ours))
        mine, other = median(seconds["ours"]), median(seconds["theirs"])
        print(
            f"{told['lines']:,} lines, {told['cases']:,} distinct cases, {told['verdicts']:,} different verdicts"
        )
        print(
            f"set-based rule check {mine:.2f} s; hand-written SQL {other:.2f} s; ratio {mine / other:.2f} (bar 1.5)"
        )
        print(
            "each: ours",
            [round(s, 2) for s in seconds["ours"]],
            "SQL",
            [round(s, 2) for s in seconds["theirs"]],
        )


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="show where our side spends its time")
    options = parser.parse_args(argv)
    with own_database("benchmark_judgement"):
        bench = Bench(options.rows, options.repeat)
        bench.prepare()
        bench.tables_of_the_baseline()
        bench.run(options.profile)


if __name__ == "__main__":
    main(sys.argv[1:])
