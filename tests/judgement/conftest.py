"""A small world of chips and parties, for the tests that judge ledgers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests import factories
from tracker import models
from tracker.rules.services import load_rules

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
COUNTRIES = [
    "CN",
    "HK",
    "MO",
    "TW",
    "SG",
    "US",
    "SA",
    "AE",
    "RU",
    "CY",
    "KH",
    "DE",
    "MY",
    "NI",
    "IL",
    "",
    "XK",
]
ROLE = models.Organization.Role


@pytest.fixture
def world(db):
    """Chips of every level, a family, and parties with owners, lists, approvals and rings, under the rules of the seeds."""
    load_rules(SEEDS / "rules")
    nvidia = factories.vendor("nvidia", country="US")
    elsewhere, mainland = (
        factories.vendor("synthetic-gb", country="GB"),
        factories.vendor("huawei", country="CN"),
    )
    nowhere = factories.vendor("synthetic-nowhere", country="")
    made = {
        "big": (nvidia, True, {"fp8_tflops": 1979, "die_area_mm2": 814, "memory_bandwidth_gbs": 3350, "io_bandwidth_gbs": 900}),
        "old": (nvidia, True, {"fp8_tflops": 624, "die_area_mm2": 826, "memory_bandwidth_gbs": 2039, "io_bandwidth_gbs": 600}),
        "small": (nvidia, True, {"fp8_tflops": 362, "die_area_mm2": 608, "memory_bandwidth_gbs": 864, "io_bandwidth_gbs": 64}),
        "gaming": (nvidia, False, {"fp8_tflops": 660, "die_area_mm2": 608, "memory_bandwidth_gbs": 1008, "io_bandwidth_gbs": 64}),
        "wide": (nvidia, True, {"fp8_tflops": 296, "die_area_mm2": 814, "memory_bandwidth_gbs": 4000, "io_bandwidth_gbs": 900}),
        "silent": (nvidia, None, {"fp8_tflops": None, "fp16_tflops": None, "die_area_mm2": None}),
        "british": (elsewhere, True, {"fp8_tflops": 1979, "die_area_mm2": 814}),
        "chinese": (mainland, True, {"fp16_tflops": 376, "fp8_tflops": None, "die_area_mm2": 600}),
        "orphan": (nowhere, True, {"fp8_tflops": 1979, "die_area_mm2": 814}),
        "unknown-marketing": (nvidia, None, {"fp8_tflops": 1979, "die_area_mm2": 814}),
    }  # fmt: skip
    chips = []
    for slug, (vendor, marketed, figures) in made.items():
        chip = factories.chip(
            f"synthetic-{slug}",
            vendor=vendor,
            marketed_for_datacenters=marketed,
            specified=False,
            process_node_nm=5,
        )
        factories.specification(chip, **({"fp16_tflops": None} | figures))
        chips.append(chip)
    families = [
        factories.chip_family("synthetic-same", members=(chips[0], chips[1]), vendor=nvidia),
        factories.chip_family("synthetic-mixed", members=(chips[0], chips[4]), vendor=nvidia),
        factories.chip_family("synthetic-unnamed", vendor=nvidia),
        factories.chip_family("synthetic-of-nobody"),
    ]
    plain = [factories.organization(f"synthetic-in-{c.lower() or 'nowhere'}", country=c) for c in COUNTRIES]
    owned = [factories.organization(f"synthetic-owned-{i}", country="SG") for i in range(8)]
    parent_cn = factories.organization("synthetic-parent-cn", country="CN")
    parent_sg = factories.organization("synthetic-parent-sg", country="SG")
    listed = factories.organization("synthetic-listed", country="SG")
    approved = factories.organization("synthetic-approved", country="US")
    factories.list_entry(listed, listed_on=date(2023, 6, 1), footnote="4", removed_on=date(2026, 2, 1))
    factories.list_entry(listed, listed_on=date(2024, 6, 1), list_name="MEU List")
    factories.list_entry(owned[7], listed_on=None)
    factories.list_entry(approved, list_name="740 Supp. 8", listed_on=date(2026, 7, 10), effect="approved")
    factories.stake(parent_cn, owned[0], 100, valid_from=date(2024, 1, 1))
    factories.stake(parent_sg, owned[0], 100, valid_until=date(2024, 1, 1))
    factories.stake(parent_sg, owned[1], 100)
    factories.stake(parent_sg, parent_sg_child := owned[2], 60)
    factories.stake(listed, parent_sg_child, 40)
    factories.stake(listed, owned[3], 50, valid_from=date(2025, 1, 1))
    factories.stake(listed, owned[4], None)
    factories.stake(owned[5], owned[6], 60)
    factories.stake(owned[6], owned[5], 60)  # a ring
    factories.stake(approved, owned[1], 0)
    subsidiary = factories.organization("synthetic-subsidiary", country="AE")
    factories.stake(approved, subsidiary, 100)
    factories.screening_match(plain[6], factories.listed_party("Synthetic Lion", listed_on=date(2024, 2, 1)))
    crowd = factories.organization("synthetic-crowd", country="CN", is_aggregate=True)
    fab = factories.organization("synthetic-fab", country="TW", roles=[ROLE.FOUNDRY])
    tester = factories.organization("synthetic-osat", country="MY", roles=[ROLE.OSAT])
    people = [*plain, *owned, parent_cn, parent_sg, listed, approved, subsidiary, crowd]
    return {"scopes": [*chips, *families], "people": [*people, None], "shippers": [fab, tester, nvidia, None]}
