"""A run from start to finish over a small synthetic ledger."""

from __future__ import annotations

import ast
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests import factories
from tracker import models
from tracker.core.errors import BadInput
from tracker.models import (
    BalanceCell,
    Claim,
    Discrepancy,
    Evidence,
    Finding,
    ReconciliationRun,
    RecordVersion,
    RunPartition,
    Shipment,
)
from tracker.provenance.querysets import MOST_ROWS, finding_tree, findings
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.closing import services as closing
from tracker.reconciliation.closing.services import close_if_complete
from tracker.reconciliation.querysets import LINES
from tracker.reconciliation.tree import as_dict, digest

pytestmark = pytest.mark.django_db


@pytest.fixture
def desert():
    """A site said to hold 115,000 chips, into which the ledger knows two movements of 2,300 in all."""
    operator = factories.organization("synthetic-operator", country="SG")
    site = factories.data_center("synthetic-desert", operator=operator, country="MY")
    chip = factories.chip("synthetic-h", specified=False)
    factories.specification(chip, fp8_tflops=1979, die_area_mm2=814)
    seller = factories.organization("synthetic-seller")
    for number, quantity in enumerate((1500, 800), 1):
        factories.shipment(
            f"synthetic-line-{number}", chip=chip, quantity=quantity, shipper=seller, consignee=operator, destination=site,
            grade="B",
        )  # fmt: skip
    factories.claim(
        "synthetic-115000", subject=operator, data_center=site, destination_country="MY", chip=chip, best=115000, grade="C",
        status="installed", kind="installed", original_text="about 115,000 chips",
    )  # fmt: skip
    return site


SYNTHETIC = Parameters(records="synthetic")


def start() -> ReconciliationRun:
    return services.start_run("synthetic analyst", parameters=SYNTHETIC)


def run() -> ReconciliationRun:
    row = start()
    services.finish_here(row.id)
    row.refresh_from_db()
    return row


def gap(row: ReconciliationRun) -> Finding:
    return row.findings.get(check_code="GAP", area="site:synthetic-desert")


def test_a_claim_far_above_the_ledger_is_found_with_its_numbers_and_records(desert):
    row = run()
    found = gap(row)
    assert row.status == "finished"
    assert found.is_discrepancy
    assert (found.expected, found.reported, found.gap) == (2300, 115000, 112700)
    assert found.sigma == pytest.approx(11504, rel=1e-3)
    assert (found.severity, found.strength, found.weakest_grade) == ("critical", "very strong", "C")
    assert "not accounted for" in found.text
    assert f"{row.signature}" in found.text
    assert "This was the only GAP comparison in the run" in found.text
    named = set(found.evidence.values_list("model_name", "object_id", "version"))
    assert ("claim", Claim.objects.get(slug="synthetic-115000").id, 1) in named
    assert {("shipment", s.id, 1) for s in Shipment.objects.all()} <= named


def test_a_run_without_change_finds_the_same_bytes_and_opens_nothing_new(desert):
    first = run()
    repeated = services.repeat_run(first, "synthetic analyst")
    services.finish_here(repeated.id)
    repeated.refresh_from_db()
    assert repeated.signature == first.signature
    assert repeated.findings_sha256 == first.findings_sha256 != ""
    assert list(repeated.findings.order_by("key").values_list("text", flat=True)) == list(
        first.findings.order_by("key").values_list("text", flat=True)
    )
    item = Discrepancy.objects.get(check_code="GAP", area="site:synthetic-desert")
    assert (item.state, item.first_run, item.last_run) == ("persisting", first, repeated)


def test_a_run_of_many_findings_is_closed_as_one_of_few(desert, monkeypatch):
    first = run()
    monkeypatch.setattr(closing, "FEW", 0)
    repeated = services.repeat_run(first, "synthetic analyst")
    services.finish_here(repeated.id)
    repeated.refresh_from_db()
    assert (repeated.status, repeated.findings_sha256) == ("finished", first.findings_sha256)


def test_a_past_run_is_made_again_exactly_after_later_corrections(desert):
    first = run()
    Shipment.objects.filter(reference="synthetic-line-1").update(quantity=115000)
    Claim.objects.filter(slug="synthetic-115000").delete()
    factories.chip("synthetic-later")
    again = services.repeat_run(first, "synthetic analyst")
    services.finish_here(again.id)
    again.refresh_from_db()
    assert again.findings_sha256 == first.findings_sha256
    now = run()
    assert not now.findings.filter(
        check_code="GAP", area="site:synthetic-desert", is_discrepancy=True
    ).exists()


def correct(what: str) -> None:
    """One later correction of a kind of record that the findings of the desert rest on."""
    chip = models.Chip.objects.get(slug="synthetic-h")
    operator = models.Organization.objects.get(slug="synthetic-operator")
    if what == "claims":
        Claim.objects.filter(slug="synthetic-115000").update(
            best=90000, grade="E", original_text="about 90,000 chips"
        )
        factories.claim("synthetic-later", data_center=chip.shipments.first().destination, chip=chip, best=7)
    elif what == "documents":
        models.ShipmentClaim.objects.all().delete()
        Claim.objects.filter(slug="synthetic-echo").delete()
    elif what == "shipments":
        Shipment.objects.filter(reference="synthetic-line-1").update(quantity=115000, status="returned")
        factories.shipment("synthetic-line-3", chip=chip, quantity=9)
    elif what == "chips":
        models.ChipSpecification.objects.filter(chip=chip).update(fp8_tflops=10, fp16_tflops=5)
        models.Chip.objects.filter(pk=chip.pk).update(name="Renamed", first_shipped_on=date(2026, 6, 1))
    elif what == "ownership":
        models.OwnershipStake.objects.all().delete()
        factories.stake(factories.organization("synthetic-later-parent", country="CN"), operator)
    elif what == "rules":
        models.LicenceRequirement.objects.update(words="Other words.")
        models.ExportRule.objects.update(title="Renamed rule", citation="Another citation")
    elif what == "parameters":
        models.MethodParameter.objects.create(
            name="significant_quantity_h100e", value=5, valid_from=date(2020, 1, 1), reason="A later choice."
        )
    elif what == "sources":
        models.Source.objects.update(title="Another title", grade="E", publisher="Another house")
    else:
        models.DataCenter.objects.update(name="Renamed site", country="SG")
        models.Organization.objects.update(name="Renamed", country="SG")


def trees(row: ReconciliationRun) -> dict[str, str]:
    """The digest of every tree of a run, by the key of its finding."""
    found = findings().filter(run=row).order_by("key")
    return {one.key: digest(as_dict(finding_tree(one, limit=MOST_ROWS).tree)) for one in found}


CORRECTIONS = (
    ("claims", "documents", "shipments"),
    ("chips", "ownership", "places and parties", "sources"),
    ("rules", "parameters"),
)


def test_a_run_made_again_gives_the_same_findings_and_trees_after_any_later_correction(desert):
    page = ["https://example.org/synthetic-register"]
    factories.export_rule("SYNTHETIC-RULE", sources=page)
    factories.licence_requirement(rule_id="SYNTHETIC-RULE", sources=page)
    first_line = Shipment.objects.get(reference="synthetic-line-1")
    claim = Claim.objects.get(slug="synthetic-115000")
    factories.claim(
        "synthetic-echo", data_center=desert, chip=claim.chip, low=None, best=115000, high=None, echo_of=claim,
        original_text="115,000, it is said",
    )  # fmt: skip
    models.ShipmentClaim.objects.create(shipment=first_line, claim=claim)
    factories.stake(factories.organization("synthetic-parent", country="SG"), desert.operator)
    Shipment.objects.filter(reference="synthetic-line-2").update(
        quantity_by_shipper=800, quantity_by_receiver=300
    )

    def made() -> ReconciliationRun:
        row = services.start_run("synthetic analyst", records="synthetic")
        services.finish_here(row.id)
        row.refresh_from_db()
        return row

    first = made()
    before = trees(first)
    assert {"GAP", "RULE", "SRD"} <= set(first.findings.values_list("check_code", flat=True))
    for kinds in CORRECTIONS:
        for what in kinds:
            correct(what)
        again = services.repeat_run(first, "synthetic analyst")
        services.finish_here(again.id)
        again.refresh_from_db()
        assert (again.signature, again.rule_set_sha256) == (first.signature, first.rule_set_sha256), kinds
        assert again.findings_sha256 == first.findings_sha256 != "", kinds
        assert trees(again) == trees(first) == before, kinds
    now = made()
    assert now.parameters["significant_quantity_h100e"] == 5
    assert now.rule_set_sha256 != first.rule_set_sha256
    assert now.findings_sha256 != first.findings_sha256
    assert not set(trees(now).values()) & set(before.values())


def test_evidence_names_the_version_that_was_read(desert):
    Claim.objects.filter(slug="synthetic-115000").update(best=114000)
    found = gap(run())
    claim = found.evidence.get(role="claim")
    assert claim.version == 2
    old = RecordVersion.objects.get(table_name="tracker_claim", object_id=claim.object_id)
    assert (old.version, float(old.row["best"])) == (1, 115000)


def test_a_corrected_record_takes_its_discrepancy_below_the_threshold(desert):
    run()
    Claim.objects.filter(slug="synthetic-115000").update(best=2310)
    run()
    assert Discrepancy.objects.get(check_code="GAP", area="site:synthetic-desert").state == "below threshold"


def close(item: Discrepancy) -> None:
    item.state, item.reason, item.resolution = "resolved", "explained", "Seen on site."
    item.resolved_at, item.resolved_evidence_sha256 = timezone.now(), item.latest.evidence_sha256
    item.save()


def test_a_resolved_discrepancy_stays_so_until_a_record_it_rests_on_changes(desert):
    run()
    close(Discrepancy.objects.get(check_code="GAP", area="site:synthetic-desert"))
    run()
    assert Discrepancy.objects.get(check_code="GAP", area="site:synthetic-desert").state == "resolved"
    Shipment.objects.filter(reference="synthetic-line-1").update(quantity=1600)
    run()
    assert Discrepancy.objects.get(check_code="GAP", area="site:synthetic-desert").state == "reopened"


def test_the_database_refuses_to_resolve_without_a_reason(desert):
    run()
    item = Discrepancy.objects.get(check_code="GAP", area="site:synthetic-desert")
    item.state = "resolved"
    with pytest.raises(IntegrityError), transaction.atomic():
        item.save()


def test_findings_of_a_finished_run_are_final(desert):
    row = run()
    with pytest.raises(IntegrityError, match="finished run"), transaction.atomic():
        row.findings.update(gap=0)
    with pytest.raises(IntegrityError, match="finished run"), transaction.atomic():
        Finding.objects.filter(run=row).delete()


def test_a_share_that_is_judged_twice_is_saved_once(desert):
    row = start()
    share = row.partitions.first()
    assert services.begin_share(share.id)
    assert services.run_share(share.id) == "done"
    before = Finding.objects.filter(run=row).count(), Evidence.objects.count()
    assert services.run_share(share.id) == "taken"
    assert not services.begin_share(share.id)
    assert (Finding.objects.filter(run=row).count(), Evidence.objects.count()) == before


def test_a_run_is_closed_only_when_every_share_is_done_and_only_once(desert):
    row = start()
    *first, last = row.partitions.values_list("id", flat=True)
    for pk in first:
        services.begin_share(pk)
        services.run_share(pk)
    assert not close_if_complete(row.id)
    services.begin_share(last)
    services.run_share(last)
    assert close_if_complete(row.id)
    assert not close_if_complete(row.id)


def test_a_share_begun_too_often_fails_its_run_with_a_message(desert):
    row = start()
    share = row.partitions.first()
    RunPartition.objects.filter(id=share.id).update(attempts=services.ATTEMPTS)
    assert not services.begin_share(share.id)
    row.refresh_from_db()
    assert row.status == "failed"
    assert "start a new run" in row.error


def test_a_cancelled_run_publishes_nothing(desert):
    row = start()
    assert services.cancel_run(row.id)
    services.finish_here(row.id)
    row.refresh_from_db()
    assert row.status == "cancelled"
    assert not Discrepancy.objects.exists()


def test_how_the_work_is_shared_out_changes_no_finding(desert, monkeypatch):
    for number in range(6):
        site = factories.data_center(f"synthetic-many-{number}")
        factories.claim(
            f"synthetic-many-{number}", data_center=site, chip=Shipment.objects.first().chip, best=500
        )
        factories.shipment(f"synthetic-many-{number}", destination=site, quantity=40 * number + 1)
    first = run()
    monkeypatch.setattr(services, "ROWS_PER_SHARE", 3)
    finer = services.repeat_run(first, "synthetic analyst")
    assert finer.partitions.count() > first.partitions.count()
    services.finish_here(finer.id)
    finer.refresh_from_db()
    assert finer.findings_sha256 == first.findings_sha256


def test_balance_cells_add_up_month_by_month(desert):
    chip = Shipment.objects.first().chip
    factories.shipment(
        "synthetic-onward",
        chip=chip,
        quantity=300,
        origin=desert,
        destination_country="TH",
        shipped_on=date(2025, 9, 2),
    )
    row = run()
    cells = BalanceCell.objects.filter(
        run=row, area__key="site:synthetic-desert", scope__key="chip:synthetic-h"
    ).order_by("month")
    assert [(c.month, c.opening, c.receipts, c.dispatches, c.book) for c in cells] == [
        (date(2025, 6, 1), 0, 2300, 0, 2300),
        (date(2025, 9, 1), 2300, 0, 300, 2000),
    ]
    # both ends in one country: no flow of that country's area beyond what came in and went out
    country = BalanceCell.objects.filter(
        run=row, area__key="country:MY", scope__key="chip:synthetic-h"
    ).order_by("month")
    assert [c.book for c in country] == [2300, 2000]


def test_the_books_of_a_run_that_came_to_nothing_are_dropped_and_drawn_up_again_if_it_is_resumed(desert):
    row = start()
    for pk in services.unfinished_shares(row.id)[:3]:
        services.begin_share(pk)
        services.run_share(pk)
    done = row.partitions.filter(kind=LINES, status="done")
    assert done.exists()
    assert BalanceCell.objects.filter(run=row).exists()
    services.cancel_run(row.id)
    now = timezone.now()
    assert services.forget_unfinished(now - timedelta(days=1)) == 0
    assert services.forget_unfinished(now + timedelta(minutes=1)) == 1
    assert services.forget_unfinished(now + timedelta(minutes=1)) == 0
    assert not BalanceCell.objects.filter(run=row).exists()
    assert not done.exists()
    ReconciliationRun.objects.filter(id=row.id).update(status="running")
    for pk in row.partitions.exclude(status="done").values_list("id", flat=True):
        assert services.begin_share(pk)
        services.run_share(pk)
    assert close_if_complete(row.id)
    row.refresh_from_db()
    again = run()
    cells = [
        sorted(BalanceCell.objects.filter(run=one).values_list("area", "scope", "month", "book"))
        for one in (row, again)
    ]
    assert row.status == "finished"
    assert cells[0] == cells[1] != []


def test_an_instant_that_lies_ahead_is_refused():
    with pytest.raises(BadInput, match="lies ahead"):
        services.start_run("synthetic analyst", as_known_at=timezone.now() + timedelta(days=1))


def test_runs_of_one_day_are_numbered():
    keys = [start().key for _ in range(2)]
    assert keys[0].rsplit("-", 1)[0] == keys[1].rsplit("-", 1)[0]
    assert [int(key.rsplit("-", 1)[1]) for key in keys] == [1, 2]


def test_real_and_synthetic_records_are_never_held_against_each_other(desert):
    Claim.objects.filter(slug="synthetic-115000").update(is_synthetic=False)
    row = services.start_run("synthetic analyst")
    services.finish_here(row.id)
    row.refresh_from_db()
    assert row.counts["claims"] == 1
    assert row.counts["shipments"] == 0
    assert not row.findings.filter(is_discrepancy=True).exists()
    assert Discrepancy.objects.count() == 0


def test_the_digest_of_the_code_covers_all_that_the_engine_imports():
    """Else two runs of one signature could differ."""
    root = Path(settings.BASE_DIR) / "tracker"
    imports: dict[str, set[str]] = {}
    for path in root.rglob("*.py"):
        name = ".".join(("tracker", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        imports[name] = {node.module or "" for node in found} | {
            f"{node.module}.{one.name}" for node in found for one in node.names
        }
    reached: set[str] = set()
    ahead = [name for name in imports if name.startswith("tracker.reconciliation")]
    while ahead:
        name = ahead.pop()
        if name in imports and name not in reached:
            reached.add(name)
            ahead += imports[name]
    assert {name.split(".")[1] for name in reached} == set(services._JUDGING)
