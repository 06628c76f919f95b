"""The seed files say what the collected facts say: no figure more, none less, none another."""

from __future__ import annotations

import csv
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT / "seeds"
FACTS = ROOT.parent / "shared" / "facts"

needs_facts = pytest.mark.skipif(
    not FACTS.is_dir(),
    reason="the collected facts that the seed files were made from are not beside this checkout",
)

MIXED = {"colossus-2", "unicom-sanjiangyuan", "deepseek-fleet", "microsoft-uae", "megaspeed-sites"}
"""Sites whose row of facts holds figures of different things; seeds/README.md says where each figure went."""


@cache
def rows(folder: Path, name: str) -> dict[str, dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    stripped = [{column: (cell or "").strip() for column, cell in row.items()} for row in found]
    first = next(iter(stripped[0]))
    return {row[first]: row for row in stripped}


def number(cell: str) -> Decimal | None:
    return Decimal(cell) if cell else None


def source_url(row: dict[str, str]) -> str:
    return rows(SEEDS, "sources")[row["source"]]["url"] if row["source"] else ""


VERIFIED = {"stored page read": "read", "memory": "memory"}


@needs_facts
def test_every_claim_keeps_its_figures_words_dates_and_source():
    seeds = rows(SEEDS, "claims")
    same = "low best high unit period_start period_end origin_country destination_country confidence conflicts_with note"
    for slug, fact in rows(FACTS, "claims").items():
        seed = seeds[slug]
        for column in same.split():
            assert seed[column] == fact[column], (slug, column)
        assert seed["kind"] == fact["claim_type"], slug
        assert seed["allegation"] == fact["claim_status"], slug
        assert (seed["chip"] or seed["family"]) == fact["chip_slug"], slug
        assert seed["subject"] == fact["subject_slug"], slug
        assert seed["counterparty"] == fact["counterparty_slug"], slug
        assert seed["data_center"] == fact["data_center_slug"], slug
        assert seed["verification"] == VERIFIED[fact["verification"]], slug
        assert source_url(seed) == fact["source_url"], slug


@needs_facts
def test_every_chip_keeps_its_figures_and_no_other_is_added():
    chips, specifications = rows(SEEDS, "chips"), rows(SEEDS, "chip_specifications")
    renamed = {"transistor_count_bn": "transistors_bn"}
    figures = [
        "int4_tops", "int8_tops", "fp4_tflops", "fp8_tflops", "fp16_tflops", "bf16_tflops", "tf32_tflops", "fp32_tflops",
        "tpp_published", "die_area_mm2", "transistor_count_bn", "memory_gb", "memory_type", "memory_bandwidth_gbs",
        "io_bandwidth_gbs", "tdp_w", "datasheet_url", "confidence", "note",
    ]  # fmt: skip
    facts = rows(FACTS, "chips")
    assert chips.keys() == specifications.keys() == facts.keys()
    for slug, fact in facts.items():
        for column in figures:
            assert specifications[slug][renamed.get(column, column)] == fact[column], (slug, column)
        assert specifications[slug]["verification"] == VERIFIED[fact["verification"]], slug
        assert source_url(specifications[slug]) == fact["source_url"], slug
        assert specifications[slug]["dies"] == "", slug
        assert chips[slug]["vendor"] == fact["vendor_slug"], slug
        assert chips[slug]["first_shipped_on"] == fact["release_date"], slug
        assert chips[slug]["marketed_for_datacenters"] == fact["datacenter_marketed"], slug
        assert chips[slug]["process_node_nm"] == fact["process_node_nm"], slug


@needs_facts
def test_every_family_keeps_its_members():
    facts = rows(FACTS, "chip_families")
    seeds = rows(SEEDS, "chip_families")
    assert {slug: row["members"] for slug, row in seeds.items()} == {
        slug: row["member_slugs"] for slug, row in facts.items()
    }


@needs_facts
def test_every_organization_keeps_its_names_owner_and_listing():
    seeds = rows(SEEDS, "organizations")
    with (SEEDS / "stakes.csv").open(encoding="utf-8", newline="") as file:
        stakes = {row["owned"]: (row["owner"], row["share_percent"]) for row in csv.DictReader(file)}
    listings = {
        slug: row for slug, row in rows(SEEDS, "list_entries").items() if row["effect"] == "restricted"
    }
    for slug, fact in rows(FACTS, "organizations").items():
        for column in ("name", "aliases", "country", "confidence"):
            assert seeds[slug][column] == fact[column], (slug, column)
        assert source_url(seeds[slug]) == fact["source_url"], slug
        assert stakes.pop(slug, ("", "")) == (fact["parent_slug"], fact["ownership_share"]), slug
        assert (slug in listings) == (fact["entity_list"] == "yes"), slug
        if slug in listings:
            entry = listings[slug]
            assert entry["listed_on"] == fact["entity_list_date"], slug
            assert entry["citation"] == fact["entity_list_fr_cite"], slug
            assert entry["footnote"] == fact["entity_list_footnote"], slug
            if "memory" in fact["note"]:
                assert entry["verification"] == "memory", slug
    assert stakes == {}, "a stake that no fact supports"


@needs_facts
def test_every_data_center_keeps_its_place_power_and_chips():
    centers, claims = rows(SEEDS, "data_centers"), rows(SEEDS, "claims")
    powers = rows(SEEDS, "site_powers")
    for slug, fact in rows(FACTS, "data_centers").items():
        center = centers[slug]
        for axis, column in (("lat", "latitude"), ("lon", "longitude")):
            given, kept = number(fact[axis]), number(center[column])
            assert (given is None) == (kept is None), slug
            assert given is None or abs(given - kept) <= Decimal("0.000005"), (slug, axis)
        assert center["status"] == fact["status"], slug
        assert center["users"] == fact["user_slugs"], slug
        assert (powers[slug]["megawatts"] if slug in powers else "") == fact["power_mw"], slug
        reported = [fact[f"reported_chips_{end}"] for end in ("low", "best", "high")]
        claim = claims.get(f"dc-{slug}")
        if slug not in MIXED:
            assert (claim is not None) == any(reported), slug
            if claim:
                assert [claim[end] for end in ("low", "best", "high")] == reported, slug
                assert claim["unit"] == "chips", slug
                assert claim["period_end"] == fact["as_of"], slug
        else:
            kept = {
                claims[name][end]
                for name in claims
                for end in ("low", "best", "high")
                if slug_of(claims, name) == slug
            }
            assert {figure for figure in reported if figure} <= kept, slug
        second = claims.get(f"dc-{slug}-secondary", {"best": ""})
        assert second["best"] == fact["secondary_chips"], slug
        equivalents = claims.get(f"dc-{slug}-h100e", {"best": ""})
        assert equivalents["best"] == fact["h100e_best"], slug


def slug_of(claims: dict[str, dict[str, str]], name: str) -> str:
    return claims[name]["data_center"]


@needs_facts
def test_no_claim_stands_that_no_fact_supports():
    sites = rows(FACTS, "data_centers")
    for slug in rows(SEEDS, "claims").keys() - rows(FACTS, "claims").keys():
        site = slug.removeprefix("dc-").removesuffix("-h100e").removesuffix("-secondary")
        assert site in sites, slug


def test_each_shipment_moves_what_a_claim_it_names_says():
    claims = rows(SEEDS, "claims")
    for reference, shipment in rows(SEEDS, "shipments").items():
        documented = [claims[slug] for slug in shipment["claims"].split("|")]
        assert documented, reference
        primary = claims[reference]
        assert shipment["quantity"] in (primary["best"], primary["high"]), reference
        assert shipment["unit"] == primary["unit"], reference
        assert shipment["bound"] == primary["bound"], reference
        assert (shipment["origin_country"], shipment["destination_country"]) == (
            primary["origin_country"],
            primary["destination_country"],
        ), reference
        for own in ("quantity_by_shipper", "quantity_by_receiver", "value_usd"):
            assert not shipment[own] or shipment[own] in {claim["best"] for claim in documented}, (
                reference,
                own,
            )


def test_the_grades_follow_the_published_rule():
    for slug, claim in rows(SEEDS, "claims").items():
        first_hand = claim["confidence"] == "confirmed" and claim["allegation"] in ("disclosed", "admitted")
        grade = "B" if first_hand else "D" if claim["confidence"] == "speculative" else "C"
        if claim["verification"] == "memory":
            grade = chr(ord(grade) + 1)
        assert claim["grade"] == grade, slug
        assert claim["is_exact"] == "no", slug


def test_figures_of_money_listings_and_sites_are_no_chips_on_the_ladder():
    for slug, claim in rows(SEEDS, "claims").items():
        if claim["unit"] in ("USD", "listings", "shipments", "data centers"):
            assert claim["status"] == "none", slug


def test_data_sets_carry_their_credit_and_restricted_ones_are_not_included():
    for slug, source in rows(SEEDS, "sources").items():
        if source["publisher"] == "Epoch AI":
            assert source["licence_note"] == "CC BY 4.0, credit Epoch AI", slug
        if "techpowerup.com" in source["url"]:
            assert "TechPowerUp" in source["licence_note"], slug
        assert "comtrade" not in (source["url"] + source["title"]).lower(), slug
        assert "opensanctions" not in source["url"], slug


def test_the_files_are_utf_8_with_plain_line_ends():
    for path in SEEDS.glob("*.csv"):
        data = path.read_bytes()
        assert b"\r" not in data, path.name
        assert not data.startswith(b"\xef\xbb\xbf"), path.name
        data.decode("utf-8")
