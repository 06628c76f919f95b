"""A ledger that holds is proven; one row of each kind is corrupted past the triggers, and the proof names that row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from tests import factories
from tests.reconciliation.test_worker_killed import database_url, wait_for
from tracker.core.errors import BadInput
from tracker.models import (
    BalanceCell,
    Claim,
    Finding,
    LedgerProof,
    ReconciliationRun,
    RecordVersion,
    Report,
    RunPartition,
    Shipment,
    Source,
)
from tracker.proof import services
from tracker.reconciliation import services as reconciliation
from tracker.reconciliation.books import Parameters
from tracker.reports.services import build_report

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> ReconciliationRun:
    """A finished run with a report over a small ledger, in which records were changed and deleted."""
    chip = factories.chip("synthetic-h")
    for number in range(2):
        site = factories.data_center(f"synthetic-site-{number}")
        factories.claim(f"synthetic-claim-{number}", data_center=site, chip=chip, best=5000)
        factories.shipment(f"synthetic-line-{number}", chip=chip, destination=site, quantity=100)
        factories.shipment(
            f"synthetic-later-{number}",
            chip=chip,
            destination=site,
            quantity=50,
            shipped_on=factories.date(2025, 9, 2),
        )
    for best in (5100, 5200):
        Claim.objects.filter(slug="synthetic-claim-0").update(best=best)
    factories.claim("synthetic-gone").delete()
    row = reconciliation.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    reconciliation.finish_here(row.id)
    row.refresh_from_db()
    build_report(row)
    return row


@contextmanager
def past_the_triggers() -> Iterator[Callable[..., None]]:
    """Write as no door of the ledger can: neither triggers nor foreign keys look."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield cursor.execute
        finally:
            cursor.execute("SET session_replication_role = origin")


def test_a_ledger_that_holds_is_proven_and_the_proof_is_kept(run):
    told = []
    proof = services.prove("synthetic", tell=told.append)
    assert (proof.outcome, proof.breaches) == ("held", [])
    assert [outcome.code for outcome in told] == [check.code for check in services.CHECKS]
    idle = {outcome.code for outcome in told if not outcome.looked_at}
    assert idle == {"leases"}, "a check that looks at nothing proves nothing"
    assert LedgerProof.objects.get().looked_at == proof.looked_at > 50
    assert services.standing() == (
        True,
        f"All of {proof.looked_at:,} rows hold (proof of {proof.started_at:%Y-%m-%d %H:%M} UTC).",
    )


def cell(run: ReconciliationRun) -> BalanceCell:
    """A cell with another after it."""
    return run.cells.filter(area__key="site:synthetic-site-0").earliest("month")


def corruptions(run: ReconciliationRun) -> dict[str, tuple[str, list[Any], str, int, str, str]]:
    """What is written, and by which check, table, id, stored and expected words it must be named."""
    claim = Claim.objects.get(slug="synthetic-claim-0")
    kept = RecordVersion.objects.filter(table_name="tracker_claim", object_id=claim.id).order_by("version")
    finding = Finding.objects.filter(run=run, is_discrepancy=True).earliest("id")
    evidence = finding.evidence.earliest("order")
    report = Report.objects.get()
    share = run.partitions.earliest("id")
    line = Shipment.objects.earliest("id")
    first, going = cell(run), factories.run(status="running", finished_at=None)
    return {
        "a version in the middle taken away": (
            "DELETE FROM tracker_recordversion WHERE id = %s", [kept[0].id],
            "versions", kept[1].id, f"version 2 of tracker_claim {claim.id}", "version 1",
        ),
        "a version that begins too late": (
            "UPDATE tracker_recordversion SET recorded_at = recorded_at + interval '1 microsecond' WHERE id = %s", [kept[1].id],
            "versions", kept[1].id, "version 2", f"version 2 from {kept[0].superseded_at.isoformat()} on",
        ),
        "the row of a version exchanged": (
            "UPDATE tracker_recordversion SET row = jsonb_set(row, '{version}', '7') WHERE id = %s", [kept[1].id],
            "versions", kept[1].id, f"({claim.id},7)", "version 2",
        ),
        "a standing row overwritten without a version": (
            "UPDATE tracker_claim SET version = 9 WHERE id = %s", [claim.id],
            "standing", claim.id, "version 9", "version 3",
        ),
        "a record taken away without a version": (
            "DELETE FROM tracker_claim WHERE id = %s", [claim.id],
            "standing", claim.id, "no row", "version 3",
        ),
        "a source taken away": (
            "DELETE FROM tracker_source WHERE id = %s", [line.source_id],
            "sources", line.id, f"source {line.source_id}", "a source of the ledger",
        ),
        "evidence taken away": (
            "DELETE FROM tracker_evidence WHERE finding_id = %s", [finding.id],
            "evidence", finding.id, "no evidence", "the records it rests on",
        ),
        "evidence of a version that never was": (
            "UPDATE tracker_evidence SET version = 77 WHERE id = %s", [evidence.id],
            "evidence records", evidence.id, "version 77", "a version that stands or is kept",
        ),
        "the order of evidence changed": (
            'UPDATE tracker_evidence SET role = \'other\' WHERE id = %s', [evidence.id],
            "evidence digests", finding.id, finding.evidence_sha256, "of the evidence that is there",
        ),
        "a finding taken away": (
            "DELETE FROM tracker_finding WHERE id = %s", [finding.id],
            "counts", run.id, f"{run.counts['findings']} findings", f"{run.counts['findings'] - 1} findings",
        ),
        "a finding rewritten": (
            "UPDATE tracker_finding SET gap = 1 WHERE id = %s", [finding.id],
            "findings digests", run.id, run.findings_sha256, "of the findings that are there",
        ),
        "a share that was never done": (
            "UPDATE tracker_runpartition SET status = 'waiting' WHERE id = %s", [share.id],
            "shares", share.id, "waiting", "done",
        ),
        "a finding of another discrepancy": (
            "UPDATE tracker_discrepancy SET key = 'another' WHERE id = %s", [finding.discrepancy_id],
            "links", finding.id, "another", finding.key,
        ),
        "a state that no event tells of": (
            "UPDATE tracker_discrepancy SET state = 'below threshold' WHERE id = %s", [finding.discrepancy_id],
            "lives", finding.discrepancy_id, "state below threshold", "state new",
        ),
        "an event that does not follow the one before": (
            "INSERT INTO tracker_discrepancyevent (discrepancy_id, at, made_by, run_key, what, before, after, reason, words)"
            " VALUES (%s, now(), '', '', 'state', 'changed', 'new', '', '')", [finding.discrepancy_id],
            "lives", finding.discrepancy_id, "an event from changed to new", "begins at new",
        ),
        "a run that stands still": (
            "UPDATE tracker_reconciliationrun SET lease_until = now() - interval '1 day' WHERE id = %s", [going.id],
            "leases", going.id, f"run {going.key} running", "taken up again or given up",
        ),
        "rules exchanged": (
            "UPDATE tracker_reconciliationrun SET rule_set_sha256 = 'other' WHERE id = %s", [run.id],
            "rule digests", run.id, "other", run.rule_set_sha256,
        ),
        "a page of a report rewritten": (
            "UPDATE tracker_report SET html = html || ' ' WHERE id = %s", [report.id],
            "report digests", report.id, report.html_sha256, "of the html that is kept",
        ),
        "a table of a report rewritten": (
            "UPDATE tracker_report SET csv = csv || ' ' WHERE id = %s", [report.id],
            "report digests", report.id, report.csv_sha256, "of the csv that is kept",
        ),
        "a book that does not add up": (
            "UPDATE tracker_balancecell SET book = book + 1 WHERE id = %s", [first.id],
            "balances", first.id, f"book {first.book + 1:,.10g}", f"book {first.book:,.10g}",
        ),
        "a book of other entries": (
            "UPDATE tracker_balancecell SET receipts = receipts + 1, book = book + 1 WHERE id = %s", [first.id],
            "replay", first.id, f"receipts {first.receipts + 1:,.10g}", f"receipts {first.receipts:,.10g}",
        ),
        "a book whose shared errors were changed": (
            "UPDATE tracker_balancecell SET shared_in = shared_in + 5, lines = lines + 1 WHERE id = %s", [first.id],
            "replay", first.id, f"shared_in {first.shared_in + 5:,.10g}", f"shared_in {first.shared_in:,.10g}",
        ),
    }  # fmt: skip


def test_a_row_of_each_kind_that_was_corrupted_past_the_triggers_is_named(run):
    cases = corruptions(run)
    assert {check for _, _, check, *_ in cases.values()} == {check.code for check in services.CHECKS}
    for case, (sql, given, check, pk, stored, expected) in cases.items():
        with transaction.atomic():
            with past_the_triggers() as execute:
                execute(sql, given)
            proof = services.prove("synthetic", only=[check])
            found = [breach for breach in proof.breaches if breach["id"] == pk]
            assert proof.outcome == "breached", case
            assert any(stored in breach["stored"] and expected in breach["expected"] for breach in found), (
                case,
                proof.breaches,
            )
            assert all(breach["mend"].endswith(".") for breach in found), case
            assert proof.breached == sum(outcome["breached"] for outcome in proof.checks), case
            assert not services.standing()[0], case
            transaction.set_rollback(True)
    assert services.prove("synthetic").outcome == "held"


def test_a_row_that_breaks_one_check_does_not_keep_the_others_from_being_looked_at(run, caplog, monkeypatch):
    def broken(row):
        raise KeyError(row.key)

    monkeypatch.setattr(services, "findings_digest", broken)
    proof = services.prove("synthetic")
    assert [outcome["code"] for outcome in proof.checks] == [check.code for check in services.CHECKS]
    (breach,) = proof.breaches
    assert breach["check"] == "findings digests"
    assert f"cannot be worked out from: KeyError: '{run.key}'" in breach["stored"]
    assert "check findings digests of the ledger broke off" in caplog.text


def test_books_of_a_run_over_changes_come_out_of_all_entries_again(run):
    Shipment.objects.filter(reference="synthetic-line-0").update(quantity=170)
    Shipment.objects.filter(reference="synthetic-later-1").delete()
    later = reconciliation.start_run(
        "synthetic analyst",
        parameters=Parameters(records="synthetic"),
        mode=ReconciliationRun.Mode.INCREMENTAL,
    )
    reconciliation.finish_here(later.id)
    later.refresh_from_db()
    assert (later.status, later.base) == ("finished", run)
    proof = services.prove("synthetic", only=["balances", "replay"])
    assert proof.breaches == []
    changed = later.cells.filter(area__key="site:synthetic-site-0", is_gone=False).earliest("month")
    with past_the_triggers() as execute:
        execute(
            "UPDATE tracker_balancecell SET receipts = receipts + 1, book = book + 1 WHERE id = %s",
            [changed.id],
        )
    proof = services.prove("synthetic", only=["replay"])
    assert [breach["id"] for breach in proof.breaches] == [changed.id]


def test_cells_of_a_kind_of_chip_that_no_line_names_any_more_are_found(run):
    line = factories.shipment(
        chip=factories.chip("synthetic-fresh"), quantity=1000, consignee=factories.organization("synthetic-x")
    )

    def made(mode: str) -> ReconciliationRun:
        parameters = Parameters(**run.parameters)
        row = reconciliation.start_run("synthetic", parameters=parameters, as_of=run.as_of, mode=mode)
        reconciliation.finish_here(row.id)
        row.refresh_from_db()
        return row

    base = made("full")
    line.delete()
    later = made("incremental")
    assert later.layers == [base.id, later.id]
    assert services.prove("synthetic", only=["replay"]).outcome == "held"
    with past_the_triggers() as execute:
        execute("UPDATE tracker_balancecell SET is_gone = false WHERE run_id = %s", [later.id])
    assert services.prove("synthetic", only=["replay"]).outcome == "breached"


def test_an_id_that_was_deleted_and_brought_back_begins_again():
    claim = factories.claim("synthetic-claim")
    pk = claim.id
    claim.delete()
    factories.claim("synthetic-claim", id=pk)
    Claim.objects.filter(id=pk).update(note="seen again")
    proof = services.prove("synthetic", only=["versions", "standing"])
    assert proof.breaches == []


def test_breaches_are_counted_whole_and_named_in_part(run):
    rows = Source.objects.bulk_create(
        Source(slug=f"synthetic-{number}", title="Synthetic") for number in range(30)
    )
    with past_the_triggers() as execute:
        execute(
            "UPDATE tracker_source SET version = 5 WHERE slug LIKE 'synthetic-%%' AND id >= %s", [rows[0].id]
        )
    proof = services.prove("synthetic", only=["standing"])
    assert (proof.breached, len(proof.breaches)) == (30, 20)


def test_only_what_was_written_since_is_looked_at(run):
    line = Shipment.objects.earliest("id")
    since = timezone.now()
    with past_the_triggers() as execute:
        execute("UPDATE tracker_shipment SET version = 9 WHERE id = %s", [line.id])
    assert services.prove("synthetic", since=since).outcome == "held"
    assert services.latest_proof() is None, "that a part holds says nothing of the whole"
    assert services.prove("synthetic", since=since - timedelta(hours=1)).outcome == "breached"
    assert services.latest_proof().outcome == "breached"


def test_a_run_that_somebody_works_on_may_stand_past_its_lease(run):
    going = reconciliation.start_run("synthetic")
    ReconciliationRun.objects.filter(id=going.id).update(lease_until=timezone.now() - timedelta(days=1))
    assert services.prove("synthetic", only=["leases"]).outcome == "breached"
    with connection.cursor() as cursor:  # in one transaction, as all of this test
        share = going.partitions.earliest("id")
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [reconciliation.SHARE_LOCK, share.id])
    assert services.prove("synthetic", only=["leases"]).outcome == "held"


def test_runs_of_other_code_are_not_held_against_this_code(run):
    ReconciliationRun.objects.filter(id=run.id).update(code_version="0.0.0+other", findings_sha256="other")
    proof = services.prove("synthetic", only=["findings digests", "rule digests", "replay"])
    assert (proof.outcome, proof.looked_at) == ("held", 0)


@pytest.mark.django_db(transaction=True)
def test_one_proof_at_a_time_and_one_that_was_stopped_is_told_as_such():
    stopped = factories.ledger_proof(outcome="running", finished_at=None)
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, 0)", [services.PROOF_LOCK])
        with pytest.raises(BadInput, match="under way"):
            services.prove("synthetic")
    wait_for(lambda: not reconciliation.held_locks(services.PROOF_LOCK))
    assert services.prove("synthetic").outcome == "held"
    stopped.refresh_from_db()
    assert (stopped.outcome, stopped.error) == ("broken off", "Its process was stopped.")


def test_a_proof_that_breaks_off_is_kept_as_such(monkeypatch):
    def broken(since):
        raise OperationalError("synthetic trouble")

    monkeypatch.setattr(services, "CHECKS", (services.Check("synthetic", "Synthetic", broken),))
    with pytest.raises(OperationalError, match="synthetic trouble"):
        services.prove("synthetic")
    proof = LedgerProof.objects.get()
    assert (proof.outcome, proof.error) == ("broken off", "OperationalError: synthetic trouble")
    assert "broken off" in services.standing()[1]


def test_a_ledger_that_was_not_proven_of_late_does_not_stand_proven():
    assert services.standing() == (False, "The ledger was never proven: run verify_ledger.")
    proof = factories.ledger_proof()
    assert services.standing(proof.started_at + timedelta(days=1))[0]
    late, words = services.standing(proof.started_at + timedelta(days=3))
    assert not late
    assert "whether the schedule runs" in words


# --- the command ----------------------------------------------------------------------------------------------------------


def test_a_proof_of_a_part_clears_nothing_and_what_it_finds_counts(run):
    def book(change: int) -> None:
        with past_the_triggers() as execute:
            execute("UPDATE tracker_balancecell SET book = book + %s WHERE run_id = %s", [change, run.id])

    book(5)
    assert services.prove("synthetic").outcome == "breached"
    assert services.prove("synthetic", only=["versions"]).outcome == "held"
    assert not services.standing()[0]
    book(-5)
    assert services.prove("synthetic").outcome == "held"
    assert services.standing()[0]
    book(5)
    assert services.prove("synthetic", only=["balances"]).outcome == "breached"
    assert not services.standing()[0]


def test_the_command_tells_each_check_and_ends_well(run):
    out = StringIO()
    call_command("verify_ledger", stdout=out)
    for check in services.CHECKS:
        assert f"{check.title}:" in out.getvalue()
    assert "rows hold." in out.getvalue().splitlines()[-1]


def test_the_command_names_the_row_and_ends_with_status_1(run):
    share = RunPartition.objects.earliest("id")
    with past_the_triggers() as execute:
        execute("UPDATE tracker_runpartition SET status = 'waiting' WHERE id = %s", [share.id])
    out = StringIO()
    with pytest.raises(CommandError, match=r"1 of .* rows do not hold") as error:
        call_command("verify_ledger", only=["shares"], stdout=out)
    assert error.value.returncode == 1
    assert f"tracker_runpartition {share.id}: stored is share" in out.getvalue()
    assert f"reconcile --repeat {run.key}" in out.getvalue()


def test_the_command_refuses_what_it_does_not_know():
    with pytest.raises(CommandError, match="There is no check 'other'; there are: versions"):
        call_command("verify_ledger", only=["other"])
    with pytest.raises(CommandError, match="is not an instant"):
        call_command("verify_ledger", since="yesterday")
    with pytest.raises(CommandError, match="lies ahead"):
        call_command("verify_ledger", since="2999-01-01T00:00:00Z")
