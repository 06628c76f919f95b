"""A run that goes on from another ends where a full run at the same instant ends, whatever was changed and by whatever way."""

from __future__ import annotations

import random
from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from tests import factories
from tracker.balances.querysets import changed_lines
from tracker.models import BalanceCell, DataCenterPart, ReconciliationRun, Shipment
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.checks import dates, running, srd, transit
from tracker.reconciliation.narrow.querysets import NARROWED
from tracker.reconciliation.querysets import ledger_of
from tracker.reconciliation.significance import judge
from tracker.rules.services import load_rules
from tracker.runs.querysets import priorities

pytestmark = pytest.mark.django_db

SYNTHETIC = Parameters(records="synthetic")
TODAY = date(2026, 6, 30)
CELL = ("area__key", "scope__key", "month", "opening", "receipts", "production", "dispatches", "exits", "book", "sigma", "close",
        "muf", "muf_sigma", "lines", "floors", "at_least", "is_closed", "random", "shared_in", "shared_out")  # fmt: skip


def finished(**given) -> ReconciliationRun:
    row = services.start_run("synthetic analyst", parameters=SYNTHETIC, **given)
    services.finish_here(row.id)
    row.refresh_from_db()
    assert row.status == "finished", row.error
    return row


def books(row: ReconciliationRun) -> list[tuple]:
    return sorted(BalanceCell.objects.of_run(row).values_list(*CELL))


def told(row: ReconciliationRun) -> dict[tuple, tuple]:
    named = ("check_code", "area", "scope", "period", "counterpart")
    return {
        tuple(one[:5]): tuple(one[5:])
        for one in row.findings.values_list(*named, "verdict", "is_discrepancy", "text")
    }


ESTIMATE = ("component", "order", "kind", "from_node", "to_node", "scope", "estimate", "sd", "status")


def evidence(row: ReconciliationRun) -> list[tuple]:
    """What each finding rests on: in a run that goes on from another mostly what was written for that one."""
    fields = (
        "order",
        "role",
        "model_name",
        "object_id",
        "version",
        "label",
        "contribution",
        "variance_share",
    )
    return [(one.key, *one.evidence.values_list(*fields)) for one in row.findings.order_by("key")]


def ranked(row: ReconciliationRun) -> list[tuple]:
    return [(one.kind, one.model, one.id, one.variance, one.h100e, one.count) for one in priorities(row)]


def same_as_afresh(base: ReconciliationRun) -> ReconciliationRun:
    """Go on from ``base``, then run in full at the same instant: cells, tests and findings must be the same."""
    forward = finished(mode="incremental", as_of=base.as_of)
    assert (forward.mode, forward.base) == ("incremental", base)
    afresh = services.start_run(
        "synthetic analyst", parameters=SYNTHETIC, as_known_at=forward.as_known_at, as_of=forward.as_of
    )
    services.finish_here(afresh.id)
    afresh.refresh_from_db()
    assert afresh.mode == "full"
    assert books(forward) == books(afresh)
    assert forward.counts["cells"] == len(books(forward))
    assert forward.counts["tests"] == afresh.counts["tests"]
    assert told(forward) == told(afresh)
    assert forward.findings_sha256 == afresh.findings_sha256
    assert evidence(forward) == evidence(afresh)
    assert ranked(forward) == ranked(afresh)
    assert list(forward.network_estimates.values_list(*ESTIMATE)) == list(
        afresh.network_estimates.values_list(*ESTIMATE)
    )
    ReconciliationRun.objects.filter(id=afresh.id).update(
        status="cancelled"
    )  # the next run goes on from the other
    return forward


@pytest.fixture
def trade():
    """A maker, five firms and three sites that trade four chips and a family of two of them."""
    dice = random.Random(5)
    vendor = factories.vendor("synthetic-maker")
    chips = [
        factories.chip(f"synthetic-c{i}", vendor=vendor, specified=False, first_shipped_on=date(2023, 1, 1))
        for i in range(4)
    ]
    for chip in chips:
        factories.specification(chip, fp8_tflops=1979, die_area_mm2=814)
    family = factories.chip_family("synthetic-family", vendor=vendor, members=chips[:2])
    firms = [factories.organization(f"synthetic-firm-{i}", country="SG") for i in range(5)]
    sites = [factories.data_center(f"synthetic-site-{i}", operator=firms[i], country="MY") for i in range(3)]
    DataCenterPart.objects.create(whole=sites[0], part=sites[2])
    return Trade(dice, vendor, chips, family, firms, sites)


class Trade:
    def __init__(self, dice, vendor, chips, family, firms, sites):
        self.dice, self.vendor, self.chips, self.family, self.firms, self.sites = (
            dice,
            vendor,
            chips,
            family,
            firms,
            sites,
        )
        self.count = 0
        self.licences: list = []

    def line(self) -> Shipment:
        dice, self.count = self.dice, self.count + 1
        quantity = dice.choice([8, 100, 1000, 2500, 40000])
        shipped = date(2024, 1, 1) + timedelta(dice.randrange(400))
        vague = dice.random() < 0.15
        what = (
            {"family": self.family, "chip": None}
            if dice.random() < 0.15
            else {"chip": dice.choice(self.chips)}
        )
        return factories.shipment(
            f"synthetic-line-{self.count}", quantity=quantity, shipped_on=None if dice.random() < 0.1 else shipped,
            shipped_on_latest=shipped + timedelta(dice.randrange(50)) if vague else None,
            received_on=shipped + timedelta(dice.randrange(60)) if dice.random() < 0.7 else None,
            shipper=dice.choice([self.vendor, self.vendor, *self.firms]), consignee=dice.choice(self.firms),
            origin=dice.choice([None, None, *self.sites]), destination=dice.choice([None, *self.sites]),
            origin_country=dice.choice(["US", "SG"]),
            destination_country=dice.choice(["MY", "SG"]), quantity_by_shipper=quantity,
            quantity_by_receiver=dice.choice([quantity, quantity, quantity * 0.9, quantity * 0.5, None]),
            status=dice.choice(["received", "reported", "in transit", "seized", "cancelled"]), **what,
        )  # fmt: skip

    def busy_line(self) -> Shipment:
        """A line of the last twelve months or so, between places that rules and the check on transshipment tell apart; some carry
        on the goods of others, some name a licence."""
        dice, self.count = self.dice, self.count + 1
        shipped = TODAY - timedelta(dice.randrange(20, 430))
        earlier = Shipment.objects.order_by("id").values_list("id", flat=True)
        parties = [self.vendor, *self.firms]
        return factories.shipment(
            f"synthetic-line-{self.count}", quantity=dice.choice([100, 1000, 2500, 40000]), shipped_on=shipped,
            received_on=shipped + timedelta(dice.randrange(40)) if dice.random() < 0.7 else None,
            shipper=dice.choice(parties), consignee=dice.choice(self.firms), end_user=dice.choice([None, *self.firms]),
            origin_country=dice.choice(["US", "SG", "MY", "TW"]), destination_country=dice.choice(["MY", "SG", "CN", "AE", "US"]),
            destination=dice.choice([None, None, *self.sites]), chip=dice.choice(self.chips),
            onward_of_id=dice.choice([None, None, *earlier[:5]]), licence=dice.choice([None, None, *self.licences]),
            status=dice.choice(["received", "received", "reported", "in transit"]),
        )  # fmt: skip

    def change(self) -> None:
        """One change by one of the ways there are: a form, a bulk update, raw SQL, COPY, a deletion."""
        dice = self.dice
        row = dice.choice(list(Shipment.objects.order_by("id")))
        way = dice.choice(["new", "save", "update", "sql", "copy", "delete", "same"])
        if way == "new":
            self.line()
        elif way == "save":
            row.quantity, row.consignee = row.quantity + 7, dice.choice(self.firms)
            row.save()
        elif way == "update":
            Shipment.objects.filter(id__in=[row.id, row.id + 1]).update(
                shipped_on=date(2022, 6, 1), quantity_by_receiver=dice.choice([None, 1]), received_on=None
            )
        elif way == "sql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE tracker_shipment SET chip_id = %s, family_id = NULL WHERE id = %s",
                    [self.chips[3].id, row.id],
                )
        elif way == "copy":
            self._copy(row)
        elif way == "delete":
            row.delete()
        else:
            row.save()

    def _copy(self, row: Shipment) -> None:
        self.count += 1
        names = [f.column for f in Shipment._meta.concrete_fields if not f.primary_key and not f.column.startswith("recorded_")
                 and f.column != "version"]  # fmt: skip
        with connection.cursor() as cursor:
            columns = ", ".join(names)
            told = ", ".join(
                f"'synthetic-line-{self.count}'" if name == "reference" else name for name in names
            )
            cursor.execute(
                f"CREATE TEMP TABLE carried AS SELECT {told} FROM tracker_shipment WHERE id = %s", [row.id]
            )
            with cursor.copy("COPY (SELECT * FROM carried) TO STDOUT") as out:
                data = b"".join(bytes(part) for part in out)
            with cursor.copy(f"COPY tracker_shipment ({columns}) FROM STDIN") as into:
                into.write(data)
            cursor.execute("DROP TABLE carried")


@pytest.mark.parametrize("seed", range(2))
def test_whatever_changes_a_run_that_goes_on_ends_where_a_full_one_ends(trade, seed):
    trade.dice.seed(seed)
    for _ in range(30):
        trade.line()
    row = finished()
    for changes in (1, 6, 3):
        for _ in range(changes):
            trade.change()
        row = same_as_afresh(row)
    assert len(row.layers) == 4


@pytest.mark.parametrize("seed", range(2))
def test_checks_that_add_lines_up_look_again_only_at_what_changed(trade, seed):
    """Limits, hubs, licences, rules and claims, with the law loaded: a run over changes ends where a full one ends."""
    load_rules(Path(__file__).resolve().parents[2] / "seeds" / "rules")
    trade.dice.seed(seed)
    trade.licences = [
        factories.licence(f"synthetic-licence-{i}", ((trade.chips[i], 5000),), consignee=firm)
        for i, firm in enumerate(trade.firms[:2])
    ]
    for number, country in enumerate(["MY", "SG", "CN"]):
        factories.claim(
            f"synthetic-in-{country}", chip=trade.chips[number], destination_country=country, best=9000, status="installed",
            kind="installed", period_end=TODAY - timedelta(40),
        )  # fmt: skip
    for firm in trade.firms[2:4]:
        factories.claim(
            f"synthetic-of-{firm.slug}", subject=firm, chip=trade.chips[0], best=3000, status="installed", kind="installed",
            period_end=TODAY - timedelta(60),
        )  # fmt: skip
    for site in trade.sites[:2]:
        factories.claim(
            f"synthetic-at-{site.slug}", data_center=site, chip=trade.chips[1], best=4000, status="installed", kind="installed",
            period_end=TODAY - timedelta(20),
        )  # fmt: skip
    factories.claim(
        "synthetic-equivalents", data_center=trade.sites[0], chip=trade.chips[2], best=900, unit="H100-equivalents",
        status="installed", kind="installed", period_end=TODAY - timedelta(20),
    )  # fmt: skip
    factories.claim(
        "synthetic-sold", subject=trade.vendor, counterparty=trade.firms[4], chip=trade.chips[2], best=2000, status="delivered",
        kind="sale", period_start=TODAY - timedelta(300), period_end=TODAY - timedelta(10),
    )  # fmt: skip
    for _ in range(40):
        trade.busy_line()
    row = finished(as_of=TODAY)
    assert set(row.findings.values_list("check_code", flat=True)) >= {
        "RULE",
        "LICENCE",
        "CAP",
        "TRANS",
        "GAP",
    }
    for changes in (1, 1, 3):
        for _ in range(changes):
            trade.dice.choice([trade.busy_line, trade.change])()
        row = same_as_afresh(row)
        narrowed = {share.kind for share in row.partitions.exclude(kind="lines") if share.scratch}
        if row.partitions.exclude(kind="lines").exists():  # a record saved as it was is no change
            assert narrowed == set(NARROWED)
        assert not row.partitions.filter(kind__in=["site", "scope", "route"]).exists()


def test_only_the_cells_that_differ_are_written(trade):
    for _ in range(40):
        trade.line()
    base = finished()
    row = Shipment.objects.filter(status="received", chip__isnull=False).order_by("id").first()
    assert row is not None
    row.quantity += 8
    row.save()
    row.refresh_from_db()
    assert changed_lines(base.as_known_at, row.recorded_at + timedelta(seconds=1)) == [row.id]
    forward = same_as_afresh(base)
    written = set(BalanceCell.objects.filter(run=forward).values_list("scope__key", flat=True))
    assert written == {f"chip:{row.chip.slug}"}
    assert 0 < BalanceCell.objects.filter(run=forward).count() < len(books(base)) / 2


def test_a_run_without_change_writes_no_cell(trade):
    for _ in range(10):
        trade.line()
    forward = same_as_afresh(finished())
    assert not BalanceCell.objects.filter(run=forward).exists()
    assert books(forward)


def in_full(row: ReconciliationRun) -> ReconciliationRun:
    """The full run at the instant of another; the next run goes on from the other."""
    afresh = services.start_run("x", parameters=SYNTHETIC, as_known_at=row.as_known_at, as_of=row.as_of)
    services.finish_here(afresh.id)
    afresh.refresh_from_db()
    ReconciliationRun.objects.filter(id=afresh.id).update(status="cancelled")
    return afresh


@pytest.mark.parametrize("how", ["corrected", "deleted"])
def test_a_line_that_is_corrected_while_the_run_waits_for_a_worker_is_read_as_it_was(trade, how):
    for _ in range(10):
        trade.line()
    base = finished()
    new = factories.shipment(
        "synthetic-new", chip=trade.chips[0], quantity=1000, quantity_by_shipper=1000, quantity_by_receiver=500,
        shipper=trade.vendor, consignee=trade.firms[0], status="received",
    )  # fmt: skip
    row = services.start_run("x", parameters=SYNTHETIC, mode="incremental", as_of=base.as_of)
    if how == "corrected":
        new.quantity = 1001
        new.save()
    else:
        new.delete()
    services.finish_here(row.id)
    row.refresh_from_db()
    afresh = in_full(row)
    assert (row.mode, afresh.mode) == ("incremental", "full")
    assert books(row) == books(afresh)
    assert row.findings_sha256 == afresh.findings_sha256
    same_as_afresh(row)


def test_a_claim_that_is_corrected_before_the_run_looks_what_changed_is_read_as_it_was(trade, monkeypatch):
    trade.line()
    base = finished()
    claim = factories.claim(
        "synthetic-c",
        subject=trade.firms[0],
        chip=trade.chips[0],
        best=900,
        status="installed",
        kind="installed",
    )
    settled = services.settled_instant

    def then():
        at = settled()
        claim.best = 901
        claim.save()
        return at

    monkeypatch.setattr(services, "settled_instant", then)
    row = services.start_run("x", parameters=SYNTHETIC, mode="incremental", as_of=base.as_of)
    monkeypatch.undo()
    services.finish_here(row.id)
    row.refresh_from_db()
    afresh = in_full(row)
    assert row.findings_sha256 == afresh.findings_sha256
    assert row.counts["claims"] == afresh.counts["claims"] == 1


def test_a_withdrawn_line_takes_its_cells_with_it(trade):
    row = trade.line()
    trade.line()
    base = finished()
    row.delete()
    forward = same_as_afresh(base)
    assert len(books(forward)) < len(books(base)) or row.status == "cancelled"


def test_claims_may_change_under_the_books(trade):
    for _ in range(10):
        trade.line()
    claim = factories.claim(
        "synthetic-held",
        subject=trade.firms[0],
        chip=trade.chips[0],
        best=900,
        status="installed",
        kind="installed",
    )
    base = finished()
    claim.best = 90000
    claim.save()
    same_as_afresh(base)


def test_an_inventory_of_a_declared_book_is_followed_when_it_changes(trade):
    for _ in range(25):
        trade.line()
    factories.closed_book(organization=trade.firms[1], valid_from=date(2023, 1, 1))
    count = factories.claim(
        "synthetic-count", subject=trade.firms[1], chip=trade.chips[1], best=500, status="installed", kind="inventory",
        period_end=date(2024, 6, 30),
    )  # fmt: skip
    base = finished()
    assert BalanceCell.objects.filter(run=base, close=500).exists()
    count.best = 700
    count.save()
    forward = same_as_afresh(base)
    assert BalanceCell.objects.filter(run=forward, close=700).exists()
    count.period_end = date(2024, 6, 15)
    count.save()
    assert not BalanceCell.objects.of_run(same_as_afresh(forward)).filter(close__isnull=False).exists()


@pytest.mark.parametrize("what", ["owner", "chip", "site"])
def test_what_may_move_any_book_is_met_by_a_full_run(trade, what):
    trade.line()
    base = finished()
    if what == "owner":
        factories.stake(trade.firms[0], trade.firms[1], 60)
    elif what == "chip":
        trade.chips[0].first_shipped_on = date(2025, 1, 1)
        trade.chips[0].save()
    else:
        trade.sites[0].country = "TH"
        trade.sites[0].save()
    row = finished(mode="incremental", as_of=base.as_of)
    assert (row.mode, row.base, row.layers) == ("full", None, [row.id])


def test_another_day_is_met_by_a_full_run(trade):
    trade.line()
    base = finished()
    row = finished(mode="incremental", as_of=base.as_of + timedelta(days=1))
    assert row.mode == "full"


def test_books_are_drawn_up_afresh_after_many_runs_in_a_row(trade, monkeypatch):
    monkeypatch.setattr(services, "LAYERS", 2)
    trade.line()
    base = finished()
    second = finished(mode="incremental", as_of=base.as_of)
    third = finished(mode="incremental", as_of=base.as_of)
    assert (second.mode, third.mode) == ("incremental", "full")


def test_the_command_goes_on_from_the_latest_run(trade):
    trade.line()
    base = finished()
    trade.line()
    out = StringIO()
    call_command("reconcile", "--changes", "--synthetic", "--here", stdout=out)
    row = ReconciliationRun.objects.latest("id")
    if row.as_of == base.as_of:  # a night may fall between the two
        assert row.base == base
    assert row.status == "finished"


@pytest.mark.parametrize("seed", range(2))
def test_looking_over_columns_finds_what_the_checks_find_in_the_books_of_all_lines(trade, seed):
    trade.dice.seed(100 + seed)
    for _ in range(60):
        trade.line()
    row = finished()
    ledger = ledger_of(row)
    whole = ledger.lines_books(Shipment.objects.values_list("id", flat=True))
    for check in (srd, dates, running, transit):
        told = judge(check.find(whole, SYNTHETIC), SYNTHETIC)
        found = row.findings.filter(check_code=check.CODE, is_discrepancy=True)
        keys = found.values_list("check_code", "area", "scope", "period", "counterpart")
        assert sorted(keys) == sorted(one.key for one in told if one.accepted)
        if check is srd:
            assert row.counts["tests"]["SRD"] == sum(one.p is not None and bool(one.family) for one in told)
            by_key = dict(zip(keys, found.values_list("q", flat=True), strict=True))
            assert by_key == pytest.approx({one.key: one.q for one in told if one.accepted}, rel=1e-8)


def told_below_zero(trade, lines: list[dict]) -> list[tuple]:
    """Area, scope and gap of balances below zero, that a run and the check over the books of all lines find alike."""
    start = date(2025, 3, 1)
    for number, given in enumerate(lines):
        left, came = given.pop("left"), given.pop("came")
        latest = start + timedelta(given.pop("latest")) if "latest" in given else None
        factories.shipment(
            f"synthetic-named-{number}", is_exact=True, shipped_on=start + timedelta(left), shipped_on_latest=latest,
            received_on=start + timedelta(came), status="received", **({"chip": trade.chips[0]} | given),
        )  # fmt: skip
    row = finished()
    whole = ledger_of(row).lines_books(Shipment.objects.values_list("id", flat=True))
    found = [(one.area, one.scope, one.gap) for one in running.find(whole, SYNTHETIC)]
    assert sorted(row.findings.filter(check_code="RUNNING").values_list("area", "scope", "gap")) == found
    return found


def test_a_family_of_which_more_went_out_under_its_chips_names_is_found(trade):
    """Received as a family, sent on partly under the names of its chips: the family's own name does not fall below zero."""
    firm, other = trade.firms[:2]
    family, chip = {"family": trade.family, "chip": None}, {"chip": trade.chips[1]}
    came, went = {"shipper": trade.vendor, "consignee": firm}, {"shipper": firm, "consignee": other}
    found = told_below_zero(trade, [
        {"quantity": 1000, "left": 0, "came": 0, **family, **came}, {"quantity": 900, "left": 1, "came": 1, **family, **went},
        {"quantity": 600, "left": 0, "came": 0, **chip, **came}, {"quantity": 1000, "left": 1, "came": 1, **chip, **went},
    ])  # fmt: skip
    assert found == [(f"org:{firm.slug}", "family:synthetic-family", 300.0)]


def test_a_site_whose_part_sent_more_than_the_whole_received_is_found(trade):
    whole, part = trade.sites[0], trade.sites[2]
    found = told_below_zero(trade, [
        {"quantity": 100, "left": 0, "came": 0, "destination": whole},
        {"quantity": 80, "left": 2, "came": 2, "origin": whole, "destination": trade.sites[1]},
        {"quantity": 60, "left": 3, "came": 3, "origin": part, "destination": trade.sites[1]},
    ])  # fmt: skip
    assert found == [(f"site:{whole.slug}", "chip:synthetic-c0", 40.0)]


def test_goods_between_two_parts_of_a_site_are_not_counted_at_both(trade):
    """The part sends on what the whole receives ten days later; each by itself has enough, for nobody knows when it was moved."""
    whole, part = trade.sites[0], trade.sites[2]
    found = told_below_zero(trade, [
        {"quantity": 100, "left": 10, "latest": 30, "came": 12, "origin": whole, "destination": part},
        {"quantity": 100, "left": 15, "came": 15, "origin": part, "destination": trade.sites[1]},
        {"quantity": 100, "left": 20, "came": 25, "destination": whole},
    ])  # fmt: skip
    assert found == [(f"site:{whole.slug}", "chip:synthetic-c0", 100.0)]


def test_a_dispatch_of_no_known_day_counts_though_no_cell_tells_of_it(trade):
    """A line is added to a holder whose months all hold enough: what it sent at some time or other takes it below zero."""
    firm, other, chip, start = *trade.firms[:2], trade.chips[0], date(2025, 3, 1)
    given = {"chip": chip, "is_exact": True, "status": "received"}
    came = factories.shipment(
        "synthetic-came", quantity=100, shipped_on=start, received_on=start, shipper=trade.vendor, consignee=firm, **given
    )  # fmt: skip
    sent = {"shipper": firm, "consignee": other, **given}
    factories.shipment("synthetic-sent", quantity=40, shipped_on=start + timedelta(60), **sent)
    factories.shipment("synthetic-at-some-time", quantity=50, shipped_on=None, received_on=start, **sent)
    base = finished(as_of=TODAY)
    assert not base.findings.filter(check_code="RUNNING").exists()
    came.quantity = 80
    came.save()
    forward = same_as_afresh(base)
    assert list(forward.findings.filter(check_code="RUNNING").values_list("area", "gap")) == [
        (f"org:{firm.slug}", 10.0)
    ]
