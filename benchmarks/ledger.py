"""A large SYNTHETIC ledger for measurements, written by the database itself: skewed as real ledgers are, with planted faults.

Vendors sell to 100,000 buyers and to a thousand resellers, who start with a stock and send goods on; most lines are reported by
both ends, one in eight counts servers, one in twenty has a vague day, forty houses report. ``PLANTED`` says what is wrong in it:
the benchmark that uses it checks that just this is found.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

CHIPS, ORGANIZATIONS, RESELLERS, SITES, HOUSES = 300, 100_000, 1_000, 2_000, 40
PLANTED = {"DATE": 25, "SRD": 40, "RUNNING": 30}
"""Findings planted, by check."""

PLANTS = (
    # shipped half a year before its chip was
    "UPDATE tracker_shipment SET shipped_on = DATE '2021-06-01', shipped_on_latest = NULL WHERE id IN (SELECT id FROM"
    " tracker_shipment WHERE reference LIKE 'synthetic-1%%' AND shipper_id IN (SELECT vendor_id FROM tracker_chip)"
    " AND status = 'received' AND quantity_by_receiver IS NULL AND consignment = '' ORDER BY id LIMIT {dates})",
    # 4,000 chips more shipped than received, of a lot that has no other line
    "INSERT INTO tracker_shipment (reference, consignment, chip_id, quantity, bound, is_exact, unit, quantity_by_shipper,"
    " quantity_by_receiver, grade_by_shipper, grade_by_receiver, shipped_on, shipped_on_presumed, received_on,"
    " received_on_presumed, shipper_id, consignee_id, origin_country, destination_country, status, source_id, grade, confidence,"
    " verification, is_synthetic, note) SELECT 'synthetic-gap-' || i, '', c.base + i, 10000, '', false, 'chips', 10000, 6000,"
    " 'B', 'B',"
    " DATE '2024-06-01', false, DATE '2024-06-20', false, o.base + 8, o.base + {organizations} - 1 - i, 'US', 'DE', 'received',"
    " s.base, 'B', 'likely', 'synthetic', true, '' FROM generate_series(1, {gaps}) i,"
    " (SELECT min(id) AS base FROM tracker_organization WHERE slug LIKE 'synthetic-o%%') o,"
    " (SELECT min(id) AS base FROM tracker_chip) c, (SELECT min(id) AS base FROM tracker_source) s",
)

Sql = Callable[..., list[tuple]]

STOCK = """
INSERT INTO tracker_shipment (reference, consignment, chip_id, quantity, bound, is_exact, unit, grade_by_shipper,
  grade_by_receiver, shipped_on, shipped_on_presumed, received_on, received_on_presumed, shipper_id, consignee_id, end_user_id,
  origin_country, destination_country, status, source_id, grade, confidence, verification, is_synthetic, note)
SELECT 'synthetic-stock-' || r || '-' || k, '', c.base + (r * 7 + k) % {chips},
  CASE WHEN r * 5 + k < {unstocked} THEN 10 ELSE 4000000 END, '', false, 'chips', 'B', 'B',
  DATE '2022-01-05', false, DATE '2022-01-20', false,
  (SELECT vendor_id FROM tracker_chip v WHERE v.id = c.base + (r * 7 + k) % {chips}),
  o.base + 10 + r, o.base + 10 + r, 'US', 'US', 'received',
  s.base, 'B', 'likely', 'synthetic', true, ''
FROM generate_series(0, {resellers} - 1) r, generate_series(0, 4) k,
  (SELECT min(id) AS base FROM tracker_organization WHERE slug LIKE 'synthetic-o%%') o,
  (SELECT min(id) AS base FROM tracker_chip) c, (SELECT min(id) AS base FROM tracker_source) s
"""

LINES = """
INSERT INTO tracker_shipment (reference, consignment, chip_id, quantity, bound, is_exact, unit, chips_per_unit,
  quantity_by_shipper, quantity_by_receiver, grade_by_shipper, grade_by_receiver, shipped_on, shipped_on_latest,
  shipped_on_presumed, received_on, received_on_presumed, shipper_id, consignee_id, end_user_id, origin_country,
  destination_country, destination_id, status, source_id, grade, confidence, verification, is_synthetic, note)
SELECT 'synthetic-' || i, '', chip, q, '', r9 < 0.02, CASE WHEN server THEN 'servers' ELSE 'chips' END,
  CASE WHEN server THEN 8 END, CASE WHEN r1 < 0.9 THEN q END,
  CASE WHEN r2 < 0.7 AND day < DATE '2025-11-15' THEN CASE WHEN r9 < 0.02 THEN q ELSE
    greatest(1, round(q * (1 + 0.02 * (r3 + r4 - 1)))) END END,
  'B', 'B', day, CASE WHEN r5 < 0.05 THEN day + 6 END, false,
  CASE WHEN r6 < 0.85 THEN day + 8 + floor(30 * r7)::int END, false,
  coalesce(shipper, (SELECT vendor_id FROM tracker_chip c WHERE c.id = x.chip)), consignee,
  CASE WHEN r8 < 0.9 THEN consignee END, CASE WHEN reseller THEN 'SG' ELSE (ARRAY['US','TW','TW'])[1 + floor(3 * r1)::int] END,
  (ARRAY['US','US','US','US','HK','SG','MY','AE','SA','IN','DE','NL','GB','JP','KR','TW','VN','TH','IL','FR'])
    [1 + floor(20 * r3)::int],
  CASE WHEN r4 < 0.6 THEN site END,
  CASE WHEN r9 > 0.995 THEN 'cancelled' WHEN r6 < 0.85 THEN 'received' ELSE 'reported' END,
  source, CASE WHEN r2 < 0.3 THEN 'A' ELSE 'B' END, 'likely', 'synthetic', true, ''
FROM (
  SELECT i, r.*, r0 < 0.25 AS reseller, r9 < 0.14 AND r9 >= 0.02 AS server,
    DATE '2022-07-01' + floor(r10 * 1240)::int AS day,
    1 + floor(400 * power(r11, 4)) AS q,
    s.base + floor({houses} * power(r12, 3))::int AS source,
    d.base + floor({sites} * power(r13, 3))::int AS site,
    o.base + 10 + {resellers} + floor(({organizations} - {resellers} - 10) * power(r14, 3))::int AS
      consignee,
    CASE WHEN r0 < 0.25 THEN o.base + 10 + rs END AS shipper,
    c.base + CASE WHEN r0 < 0.25 THEN (rs * 7 + floor(5 * r13)::int) % {chips}
      ELSE floor({chips} * power(r15, {skew}))::int END AS chip
  FROM generate_series(1, {rows}) i
  CROSS JOIN LATERAL (SELECT i AS same, random() r0, random() r1, random() r2, random() r3, random() r4, random() r5, random() r6,
    random() r7, random() r8, random() r9, random() r10, random() r11, random() r12, random() r13, random() r14,
    random() r15, floor({resellers} * power(random(), 2))::int AS rs) r,
  (SELECT min(id) AS base FROM tracker_organization WHERE slug LIKE 'synthetic-o%%') o,
  (SELECT min(id) AS base FROM tracker_chip) c, (SELECT min(id) AS base FROM tracker_source) s,
  (SELECT min(id) AS base FROM tracker_datacenter) d
) x
"""


def fill(sql: Sql, rows: int, skew: int = 3) -> None:
    """Write the ledger of ``rows`` lines into an empty, migrated database.

    ``skew``: how much vendors sell most of their first chip: at 3 it is 15 % of what they sell, at 40 it is 87 %.
    """
    from tests import factories
    from tracker import models
    from tracker.rules.services import load_rules

    dice = random.Random(1)
    sql("SELECT setseed(0.5)")
    load_rules(Path(__file__).resolve().parents[1] / "seeds" / "rules")
    for i in range(HOUSES):
        factories.source(f"synthetic-source-{i}", publisher=f"SYNTHETIC house {i}")
    source = models.Source.objects.order_by("id")[0]
    vendors = [
        factories.vendor(slug, country=c) for slug, c in (("nvidia", "US"), ("amd", "US"), ("huawei", "CN"))
    ]
    chips = models.Chip.objects.bulk_create(
        models.Chip(
            slug=f"synthetic-{i}", name=f"SYNTHETIC {i}", vendor=dice.choice(vendors), process_node_nm=5,
            first_shipped_on=date(2022, 1, 1), marketed_for_datacenters=dice.choice([True, True, False]),
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
    places = ["US", "HK", "SG", "MY", "AE", "SA", "DE", "NL", "JP", "KR", "TW", "IN", "VN"]
    organizations = models.Organization.objects.bulk_create(
        (
            models.Organization(slug=f"synthetic-o{i}", name=f"SYNTHETIC {i}", country=dice.choice(places), is_synthetic=True)
            for i in range(ORGANIZATIONS)
        ),
        batch_size=5000,
    )  # fmt: skip
    models.OwnershipStake.objects.bulk_create(
        models.OwnershipStake(
            owner=dice.choice(organizations[:2000]), owned=org, share_percent=dice.choice([20, 51, 100]),
            valid_from=date(2021, 1, 1) + timedelta(30 * dice.randrange(50)), source=source,
        )
        for org in dice.sample(organizations[2000:], 5_000)
    )  # fmt: skip
    models.DataCenter.objects.bulk_create(
        models.DataCenter(
            slug=f"synthetic-site-{i}", name=f"SYNTHETIC site {i}", country=dice.choice(places),
            operator=organizations[2000 + i], is_synthetic=True,
        )
        for i in range(SITES)
    )  # fmt: skip
    named: dict[str, Any] = {
        "chips": CHIPS, "organizations": ORGANIZATIONS, "resellers": RESELLERS, "sites": SITES, "houses": HOUSES, "rows": rows,
        "skew": skew, "unstocked": PLANTED["RUNNING"], "dates": PLANTED["DATE"], "gaps": PLANTED["SRD"],
    }  # fmt: skip
    # Loaded as a restore loads: keys and indexes afterwards, in bulk.
    indexes = sql(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tracker_shipment' AND indexdef NOT LIKE '%% UNIQUE %%'"
    )
    for name, _ in indexes:
        sql(f'DROP INDEX "{name}"')
    sql("SET session_replication_role = replica")
    sql(STOCK.format(**named))
    sql(LINES.format(**named))
    for statement in PLANTS:
        sql(statement.format(**named))
    sql("SET session_replication_role = origin")
    sql("SET maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        sql(definition)
    sql("VACUUM ANALYZE")
