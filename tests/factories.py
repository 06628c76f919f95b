"""Small factories that keep related rows consistent, and a standing cast. All of it is synthetic and says so in its names.

Each factory makes one row with sensible defaults; whatever is passed wins. A related row that is needed and not given is made or
taken from the same small world, so that two calls never contradict one another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import orjson

from tracker import models
from tracker.judgement.comparison import Amount, ChipFlip, Comparison, Flip, Side

_serial = count(1)


def _name(stem: str) -> str:
    return f"{stem}-{next(_serial)}"


def _title(slug: str) -> str:
    return slug.replace("-", " ").capitalize()


def source(slug: str = "synthetic-source", **given: Any) -> models.Source:
    """The source of that slug, made if it is not there yet: most rows of a test may share one."""
    values: dict[str, Any] = {
        "title": _title(slug),
        "publisher": "Synthetic Press",
        "url": f"https://example.org/{slug}",
        "published_on": date(2026, 1, 15),
        "published_on_basis": models.Source.DateBasis.PAGE,
        "kind": models.Source.Kind.SYNTHETIC,
        "grade": "C",
        "verification": "synthetic",
    }
    return models.Source.objects.get_or_create(slug=slug, defaults=values | given)[0]


def organization(slug: str | None = None, **given: Any) -> models.Organization:
    slug = slug or _name("synthetic-organization")
    values: dict[str, Any] = {
        "name": _title(slug),
        "country": "US",
        "is_synthetic": True,
        "verification": "synthetic",
    }
    if "source" not in given:
        values["source"] = source()
    return models.Organization.objects.create(slug=slug, **(values | given))


def vendor(slug: str | None = None, **given: Any) -> models.Organization:
    """An organization that designs and sells chips."""
    return organization(
        slug or _name("synthetic-vendor"), **({"roles": [models.Organization.Role.VENDOR]} | given)
    )


def alias(organization: models.Organization, name: str, **given: Any) -> models.Alias:
    return models.Alias.objects.create(organization=organization, name=name, **given)


def stake(
    owner: models.Organization, owned: models.Organization, share: float | None = 100, **given: Any
) -> models.OwnershipStake:
    values: dict[str, Any] = {"share_percent": share, "source": source(), "verification": "synthetic"}
    return models.OwnershipStake.objects.create(owner=owner, owned=owned, **(values | given))


def list_entry(organization: models.Organization, **given: Any) -> models.ListEntry:
    values: dict[str, Any] = {"listed_on": date(2024, 1, 1), "source": source(), "verification": "synthetic"}
    return models.ListEntry.objects.create(organization=organization, **(values | given))


def screening_list(slug: str = "synthetic-list", **given: Any) -> models.ScreeningList:
    """The list of that slug, made if it is not there yet."""
    values = {"name": _title(slug), "publisher": "Synthetic Authority", "licence_terms": "synthetic"}
    return models.ScreeningList.objects.get_or_create(slug=slug, defaults=values | given)[0]


def listed_party(name: str, *aliases: str, **given: Any) -> models.ListedParty:
    """A party of the synthetic list, with its names."""
    values: dict[str, Any] = {
        "key": _name("synthetic-party"),
        "list_name": "Synthetic Entity List",
        "countries": ["CN"],
        "citation": "99 FR 1",
        "listed_on": date(2023, 10, 17),
        "content_digest": _sha256(name),
        "match_digest": _sha256(name),
    }
    if "screening_list" not in given:
        values["screening_list"] = screening_list()
    party = models.ListedParty.objects.create(name=name, **(values | given))
    models.ListedName.objects.create(party=party, name=name, kind="primary")
    for alias in aliases:
        models.ListedName.objects.create(party=party, name=alias, kind="alias")
    return party


def screening_match(
    organization: models.Organization, party: models.ListedParty, **given: Any
) -> models.ScreeningMatch:
    values: dict[str, Any] = {
        "score": "0.8300",
        "band": "ask",
        "asked_name": organization.name,
        "listed_name": party.name,
        "features": [
            {
                "name": "spelling",
                "value": 0.83,
                "weight": 0.35,
                "effect": 0.29,
                "words": "agree in 83% of their letters",
            }
        ],
        "engine": "1",
        "organization_digest": _sha256(organization.name),
        "party_digest": party.match_digest,
        "screened_at": datetime(2026, 1, 20, tzinfo=UTC),
    }
    return models.ScreeningMatch.objects.create(organization=organization, party=party, **(values | given))


def chip(slug: str | None = None, *, specified: bool = True, **given: Any) -> models.Chip:
    """A chip of its vendor, with one specification of rank 1 unless ``specified`` is false."""
    slug = slug or _name("synthetic-chip")
    values: dict[str, Any] = {
        "name": _title(slug),
        "marketed_for_datacenters": True,
        "first_shipped_on": date(2023, 1, 1),
    }
    if "vendor" not in given:
        values["vendor"] = models.Organization.objects.filter(slug="synthetic-vendor").first() or vendor(
            "synthetic-vendor"
        )
    row = models.Chip.objects.create(slug=slug, **(values | given))
    if specified:
        specification(row)
    return row


def specification(chip: models.Chip, **given: Any) -> models.ChipSpecification:
    """One source's figures: 1,000 dense FP8 teraflops on 800 mm² (TPP 8,000) unless given otherwise."""
    values: dict[str, Any] = {
        "rank": 1,
        "fp8_tflops": 1000,
        "fp16_tflops": 500,
        "die_area_mm2": 800,
        "tdp_w": 700,
    }
    if "source" not in given:
        values["source"] = source()
    return models.ChipSpecification.objects.create(
        chip=chip, **({"verification": "synthetic"} | values | given)
    )


def chip_family(
    slug: str | None = None, members: tuple[models.Chip, ...] = (), **given: Any
) -> models.ChipFamily:
    slug = slug or _name("synthetic-family")
    row = models.ChipFamily.objects.create(slug=slug, **({"name": _title(slug)} | given))
    models.ChipFamilyMember.objects.bulk_create(
        models.ChipFamilyMember(family=row, chip=member) for member in members
    )
    return row


def data_center(slug: str | None = None, **given: Any) -> models.DataCenter:
    slug = slug or _name("synthetic-site")
    values: dict[str, Any] = {
        "name": _title(slug),
        "country": "MY",
        "is_synthetic": True,
        "verification": "synthetic",
    }
    if "source" not in given:
        values["source"] = source()
    return models.DataCenter.objects.create(slug=slug, **(values | given))


def site_power(data_center: models.DataCenter, megawatts: float = 100, **given: Any) -> models.SitePower:
    return models.SitePower.objects.create(
        data_center=data_center,
        megawatts=megawatts,
        **({"source": source(), "as_of": date(2025, 6, 30)} | given),
    )


def data_center_status(
    data_center: models.DataCenter, status: str = "operational", **given: Any
) -> models.DataCenterStatus:
    values: dict[str, Any] = {"valid_from": date(2025, 1, 1), "source": source()}
    return models.DataCenterStatus.objects.create(data_center=data_center, status=status, **(values | given))


def licence(
    reference: str | None = None,
    items: tuple[tuple[models.Chip | models.ChipFamily, float], ...] = (),
    **given: Any,
) -> models.Licence:
    """A licence valid through 2025; ``items`` are (chip or family, quantity)."""
    values: dict[str, Any] = {
        "authority": "Synthetic Authority",
        "destination_country": "MY",
        "valid_from": date(2025, 1, 1),
        "valid_until": date(2026, 1, 1),
        "is_synthetic": True,
        "verification": "synthetic",
    }
    if "source" not in given:
        values["source"] = source()
    row = models.Licence.objects.create(reference=reference or _name("synthetic-licence"), **(values | given))
    for what, quantity in items:
        models.LicenceItem.objects.create(licence=row, quantity=quantity, **_scope(what))
    return row


def _scope(what: models.Chip | models.ChipFamily) -> dict[str, Any]:
    return {"chip": what} if isinstance(what, models.Chip) else {"family": what}


def claim(slug: str | None = None, **given: Any) -> models.Claim:
    """An installed base of 1,000 chips at the end of 2025, of an organization made for it unless a subject is given.

    Passing only ``low`` or ``high`` with a ``bound`` leaves the other figures blank; ``bound="words"`` leaves all three.
    """
    values: dict[str, Any] = {
        "kind": models.Claim.Kind.INSTALLED,
        "status": models.Claim.Status.INSTALLED,
        "period_end": date(2025, 12, 31),
        "original_text": "Synthetic words of a synthetic source.",
        "grade": "C",
        "is_synthetic": True,
        "verification": "synthetic",
    }
    if "source" not in given:
        values["source"] = source()
    if not {"low", "best", "high"} & given.keys() and given.get("bound") != models.Claim.Bound.WORDS:
        values |= {"low": 900, "best": 1000, "high": 1100}
    if not {"subject", "data_center", "destination_country"} & given.keys():
        values["subject"] = organization()
    return models.Claim.objects.create(slug=slug or _name("synthetic-claim"), **(values | given))


def conflict(claim: models.Claim, other: models.Claim, **given: Any) -> models.ClaimConflict:
    return models.ClaimConflict.objects.create(claim=claim, other=other, **given)


def shipment(
    reference: str | None = None, documented_by: tuple[models.Claim, ...] = (), **given: Any
) -> models.Shipment:
    """100 chips shipped on 1 and received on 15 June 2025, from US to MY. A site that is given lends its country."""
    values: dict[str, Any] = {
        "quantity": 100,
        "shipped_on": date(2025, 6, 1),
        "received_on": date(2025, 6, 15),
        "origin_country": given["origin"].country if given.get("origin") else "US",
        "destination_country": given["destination"].country if given.get("destination") else "MY",
        "status": models.Shipment.Status.RECEIVED,
        "is_synthetic": True,
        "verification": "synthetic",
    }
    if "source" not in given:
        values["source"] = source()
    if not {"chip", "family"} & given.keys():
        values["chip"] = models.Chip.objects.filter(slug="synthetic-chip").first() or chip("synthetic-chip")
    if "shipped_on" in given and "received_on" not in given:
        values["received_on"] = given["shipped_on"]
    row = models.Shipment.objects.create(
        reference=reference or _name("synthetic-shipment"), **(values | given)
    )
    for evidence_of in documented_by:
        models.ShipmentClaim.objects.create(shipment=row, claim=evidence_of)
    return row


def export_rule(rule_id: str | None = None, **given: Any) -> models.ExportRule:
    """A rule in force from the start of 2024 on."""
    values: dict[str, Any] = {
        "regime": "SYNTHETIC",
        "kind": "notice",
        "citation": "Synthetic Register 1",
        "title": "Synthetic rule",
        "in_force": (date(2024, 1, 1), None),
        "enforcement": models.ExportRule.Enforcement.IN_FORCE,
        "verification": "synthetic",
    }
    if "source" not in given:
        values["source"] = source()
    return models.ExportRule.objects.create(rule_id=rule_id or _name("SYNTHETIC-RULE"), **(values | given))


def rule_interval(
    rule: models.ExportRule, since: date, until: date | None = None, status: str = "stayed"
) -> models.RuleInterval:
    return models.RuleInterval.objects.create(rule=rule, period=(since, until), status=status)


def licence_requirement(order: int | None = None, **given: Any) -> models.LicenceRequirement:
    """A row of the matrix that asks for a licence for everything, from the start of 2024 on."""
    values: dict[str, Any] = {
        "in_force": (date(2024, 1, 1), None),
        "result": "LICENCE",
        "answer": models.LicenceRequirement.Answer.REQUIRED,
        "words": "Synthetic row: everything needs a licence.",
        "verification": "synthetic",
    }
    if "source" not in given:
        values["source"] = source()
    return models.LicenceRequirement.objects.create(order=order or next(_serial), **(values | given))


def country_group(
    name: str | None = None, countries: tuple[str, ...] = (), **given: Any
) -> models.CountryGroup:
    """A group with its members, all since before this ledger begins."""
    values: dict[str, Any] = {"label": "Synthetic group", "source": given.get("source") or source()}
    row = models.CountryGroup.objects.create(name=name or _name("synthetic-group"), **(values | given))
    for country in countries:
        models.CountryGroupMember.objects.create(
            group=row, country=country, period=(None, None), source=row.source
        )
    return row


def rule_draft(slug: str | None = None, **given: Any) -> models.RuleDraft:
    """A draft that changes nothing."""
    title = given.pop("title", "SYNTHETIC draft")
    values: dict[str, Any] = {"title": title, "document": f"schema: 1\ntitle: {title}\n"}
    return models.RuleDraft.objects.create(slug=slug or _name("synthetic-draft"), **(values | given))


def flip(before: str = "NO_LICENCE", after: str = "LICENCE", h100e: float = 1000.0, **given: Any) -> Flip:
    """Two lines that come to something else, with a tenth of spread either way."""
    spread = Amount(0.9 * h100e, h100e, 1.1 * h100e)
    values: dict[str, Any] = {
        "who": "", "name": "", "lines": 2, "uncounted": 0, "bounds": 0, "chips": spread, "tpp": spread.over(1 / 15832),
        "h100e": spread,
    }  # fmt: skip
    return Flip(before=before, after=after, **(values | given))


def comparison(**given: Any) -> Comparison:
    """What was found between two days."""
    flips = (flip(),)
    values: dict[str, Any] = {
        "before": Side("2023-11-16", date(2023, 11, 16)), "after": Side("2023-11-17", date(2023, 11, 17)),
        "before_digest": _sha256("before"), "after_digest": _sha256("after"), "as_known_at": datetime(2026, 3, 1, tzinfo=UTC),
        "records": "real", "judged": 5, "changed": 2,
        "chips": (ChipFlip("synthetic-chip", None, None, "none", "b", "3A090.b.2"),), "by_decision": flips,
        "by_chip": (flip(who="synthetic-chip", name="SYNTHETIC chip"),), "by_consignee": (flip(name="not recorded"),),
        "by_destination": (flip(who="CN", name="CN"),), "left_off": {"by_chip": 0, "by_consignee": 3, "by_destination": 0},
    }  # fmt: skip
    return Comparison(**(values | given))


def rule_comparison(key: str | None = None, **given: Any) -> models.RuleComparison:
    """A finished comparison of two days; ``found``: what it found."""
    found = given.pop("found", None) or comparison(records=given.get("records", "real"))
    values: dict[str, Any] = {
        "before_day": date(2023, 11, 16), "after_day": date(2023, 11, 17), "as_known_at": found.as_known_at,
        "requested_by": "synthetic analyst", "status": "finished", "finished_at": datetime(2026, 3, 1, 1, tzinfo=UTC),
        "result": orjson.loads(orjson.dumps(found.as_dict())),
    }  # fmt: skip
    return models.RuleComparison.objects.create(key=key or _name("synthetic-comparison"), **(values | given))


def run(key: str | None = None, **given: Any) -> models.ReconciliationRun:
    """A finished run over everything known at the start of March 2026."""
    values: dict[str, Any] = {
        "as_known_at": datetime(2026, 3, 1, tzinfo=UTC),
        "as_of": date(2026, 2, 28),
        "parameters": {},
        "rule_set_sha256": _sha256("rules"),
        "code_version": "synthetic",
        "signature": _sha256("signature")[:16],
        "status": models.ReconciliationRun.Status.FINISHED,
        "requested_by": "synthetic analyst",
        "finished_at": datetime(2026, 3, 1, 0, 5, tzinfo=UTC),
        "findings_sha256": _sha256("findings"),
    }
    return models.ReconciliationRun.objects.create(key=key or _name("synthetic-run"), **(values | given))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def partition(run: models.ReconciliationRun, **given: Any) -> models.RunPartition:
    values = {
        "kind": "cells",
        "index": run.partitions.count(),
        "count": 16,
        "status": models.RunPartition.Status.DONE,
    }
    return models.RunPartition.objects.create(run=run, **(values | given))


def cell(run: models.ReconciliationRun, **given: Any) -> models.BalanceCell:
    """A book of 100 chips received, kept consistent with its identity BOOK = OPEN + R + P - D - X."""
    values: dict[str, Any] = {
        "month": date(2025, 6, 1),
        "opening": 0.0,
        "receipts": 100.0,
        "production": 0.0,
        "dispatches": 0.0,
        "exits": 0.0,
        "sigma": 3.0,
    }
    for name, model, key in (
        ("area", models.BalanceArea, given.pop("area", "site:synthetic-site")),
        ("scope", models.BalanceScope, given.pop("scope", "chip:synthetic-chip")),
    ):
        kind = key.split(":")[0]
        row = model.objects.filter(key=key).first()
        values[name] = row or model.objects.create(kind=kind, object_id=model.objects.count() + 1, key=key)
    values |= given
    inflow = values["opening"] + values["receipts"] + values["production"]
    values.setdefault("book", inflow - values["dispatches"] - values["exits"])
    return models.BalanceCell.objects.create(run=run, **values)


def finding(
    run: models.ReconciliationRun,
    evidence: tuple[models.Versioned, ...] = (),
    *,
    tracked: bool = True,
    **given: Any,
) -> models.Finding:
    """What a run found, with ``evidence`` rows for the records given and, unless ``tracked`` is false, its discrepancy.

    Two findings of the same check, area, scope, period and counterpart in different runs share one discrepancy.
    """
    values: dict[str, Any] = {
        "check_code": "C1",
        "area": "site:synthetic-site",
        "scope": "chip:synthetic-chip",
        "period": "2025-12",
        "counterpart": "",
        "verdict": "more claimed than received",
        "headline": "Synthetic site: 400 chips more claimed than received",
        "expected": 600.0,
        "reported": 1000.0,
        "gap": 400.0,
        "sigma": 100.0,
        "statistic": 4.0,
        "p": 0.00006,
        "threshold": 3.29,
        "is_discrepancy": True,
        "severity": models.Finding.Severity.HIGH,
        "severity_rank": 1,
        "strength": "firm",
        "formula": "gap = reported - expected",
        "text": "A synthetic claim exceeds the synthetic receipts.",
        "evidence_sha256": _sha256("evidence"),
    }
    values |= given
    identity = "|".join(values[name] for name in ("check_code", "area", "scope", "period", "counterpart"))
    values.setdefault("key", _sha256(identity))
    if tracked and values["is_discrepancy"]:
        values.setdefault("discrepancy", discrepancy(run, **{name: values[name] for name in _IDENTITY}))
    row = models.Finding.objects.create(run=run, **values)
    if row.discrepancy is not None:
        row.discrepancy.latest, row.discrepancy.last_run = row, run
        row.discrepancy.save(update_fields=["latest", "last_run"])
    for order, record in enumerate(evidence):
        record.refresh_from_db()
        models.Evidence.objects.create(
            finding=row,
            order=order,
            role="reported",
            model_name=record._meta.model_name,
            object_id=record.pk,
            version=record.version,
            label=str(record),
            contribution=1.0,
        )
    return row


def note(discrepancy: models.Discrepancy, **given: Any) -> models.DiscrepancyNote:
    """What a synthetic analyst wrote beside a discrepancy."""
    values = {"written_by": "synthetic analyst", "text": "Asked the operator for its receiving report."}
    return models.DiscrepancyNote.objects.create(discrepancy=discrepancy, **(values | given))


def network_estimate(run: models.ReconciliationRun, **given: Any) -> models.NetworkEstimate:
    """A flow reported as 1,000 and most likely 980."""
    values: dict[str, Any] = {
        "component": "chip:synthetic-chip", "order": run.network_estimates.count(), "kind": "flow",
        "from_node": "org:synthetic-vendor", "to_node": "site:synthetic-site", "scope": "chip:synthetic-chip",
        "reported": 1000.0, "reported_sd": 50.0, "estimate": 980.0, "sd": 30.0, "status": "measured",
    }  # fmt: skip
    return models.NetworkEstimate.objects.create(run=run, **(values | given))


def closed_book(slug: str | None = None, **given: Any) -> models.ClosedBook:
    """A declaration that the book of an area (pass ``organization``, ``data_center`` or ``country``) is whole since 2025."""
    values: dict[str, Any] = {
        "valid_from": date(2025, 1, 1), "verification": "synthetic", "is_synthetic": True,
        "original_text": "This list is complete.",
    }  # fmt: skip
    if "source" not in given:
        values["source"] = source()
    return models.ClosedBook.objects.create(slug=slug or _name("synthetic-closed-book"), **(values | given))


def plug(**given: Any) -> models.BalancePlug:
    """100 chips from nowhere; pass an area and a chip or family."""
    values: dict[str, Any] = {
        "month": date(2025, 6, 1), "quantity": 100, "why": "The record of June is not public.", "is_synthetic": True,
    }  # fmt: skip
    return models.BalancePlug.objects.create(**(values | given))


def method_parameter(
    name: str = "significant_quantity_h100e", value: Any = 500, **given: Any
) -> models.MethodParameter:
    values: dict[str, Any] = {
        "valid_from": date(2025, 1, 1), "reason": "SYNTHETIC: a smaller quantity matters in this test.",
    }  # fmt: skip
    return models.MethodParameter.objects.create(name=name, value=value, **(values | given))


_IDENTITY = ("key", "check_code", "area", "scope", "period", "counterpart")


def discrepancy(run: models.ReconciliationRun, **given: Any) -> models.Discrepancy:
    """The discrepancy of that identity, made if no earlier run saw it."""
    values: dict[str, Any] = {
        "check_code": "C1",
        "area": "site:synthetic-site",
        "scope": "chip:synthetic-chip",
        "period": "2025-12",
        "counterpart": "",
    }
    values |= given
    key = values.pop("key", None) or _sha256("|".join(values[name] for name in _IDENTITY[1:]))
    dates = {"opened_at": run.as_known_at, "due_on": run.as_of + timedelta(days=90)}
    return models.Discrepancy.objects.get_or_create(
        key=key, defaults={"first_run": run, "last_run": run} | dates | values
    )[0]


def report(run: models.ReconciliationRun, **given: Any) -> models.Report:
    values: dict[str, Any] = {
        "title": "Synthetic report",
        "built_at": datetime(2026, 3, 1, 1, tzinfo=UTC),
        "html": "<!doctype html><title>Synthetic report</title>",
        "csv": "check,gap\nC1,400\n",
    }
    values |= given
    values.setdefault("html_sha256", _sha256(values["html"]))
    values.setdefault("csv_sha256", _sha256(values["csv"]))
    return models.Report.objects.create(run=run, **values)


def import_run(key: str | None = None, **given: Any) -> models.ImportRun:
    values: dict[str, Any] = {
        "what": "claims.csv",
        "sha256": _sha256("claims.csv"),
        "actor": "synthetic analyst",
        "status": models.ImportRun.Status.LOADED,
        "started_at": datetime(2026, 2, 1, tzinfo=UTC),
    }
    return models.ImportRun.objects.create(key=key or _name("synthetic-import"), **(values | given))


@dataclass(frozen=True)
class Cast:
    """A vendor, a reseller, an operator with its parent, two sites, two chips and the family of both."""

    vendor: models.Organization
    reseller: models.Organization
    parent: models.Organization
    operator: models.Organization
    site: models.DataCenter
    other_site: models.DataCenter
    chip: models.Chip
    other_chip: models.Chip
    family: models.ChipFamily
    source: models.Source


def cast() -> Cast:
    """The standing cast. Slugs: synthetic- and vendor, reseller, parent, operator, site, other-site, chip, other-chip, family."""
    role = models.Organization.Role
    maker = vendor("synthetic-vendor", country="US")
    reseller = organization("synthetic-reseller", country="SG", roles=[role.INTERMEDIARY])
    parent = organization("synthetic-parent", country="MY", roles=[role.INVESTOR])
    operator = organization("synthetic-operator", country="MY", roles=[role.OPERATOR])
    stake(parent, operator, 100, valid_from=date(2020, 1, 1))
    chips = chip("synthetic-chip", vendor=maker), chip("synthetic-other-chip", vendor=maker)
    return Cast(
        vendor=maker,
        reseller=reseller,
        parent=parent,
        operator=operator,
        site=data_center("synthetic-site", operator=operator),
        other_site=data_center("synthetic-other-site", operator=operator, country="SG"),
        chip=chips[0],
        other_chip=chips[1],
        family=chip_family("synthetic-family", members=chips, vendor=maker),
        source=source(),
    )


def ledger_proof(**given: Any) -> models.LedgerProof:
    """A proof under which everything held."""
    at = datetime(2026, 1, 20, 3, tzinfo=UTC)
    values: dict[str, Any] = {
        "started_at": at,
        "finished_at": at,
        "requested_by": "synthetic",
        "outcome": "held",
        "looked_at": 10,
        "checks": [
            {"code": "evidence", "title": "Synthetic", "looked_at": 10, "breached": 0, "seconds": 0.1}
        ],
    }
    return models.LedgerProof.objects.create(**(values | given))
