"""Lines near a claim that the database adds up say what the single lines say, whatever the ledger holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import factories
from tracker.core.services import settled_instant
from tracker.models import DataCenterPart
from tracker.reconciliation.books import Finding, Parameters
from tracker.reconciliation.checks import conflict, gap, muf, threeway
from tracker.reconciliation.querysets import Ledger
from tracker.rules.services import load_rules

pytestmark = pytest.mark.django_db

SYNTHETIC = Parameters(records="synthetic")
SINGLY, BUNDLED = 10**9, 0
CHECKS = (conflict, gap, muf, threeway)
TODAY = date(2026, 6, 30)
FIRST = date(2024, 1, 1)


def judged(single_lines: int, shares: int = 1, parameters: Parameters = SYNTHETIC) -> dict[tuple, Finding]:
    ledger = Ledger(at=settled_instant(), as_of=TODAY, parameters=parameters, single_lines=single_lines)
    found = [
        finding
        for index in range(shares)
        for books in ledger.pieces("claim_subject", index, shares)
        for check in CHECKS
        for finding in check.find(books, ledger.parameters)
    ]
    keyed = {finding.key: finding for finding in found}
    assert len(keyed) == len(found)
    return keyed


EXACT = ("verdict", "severity", "strength", "weakest_grade", "is_finding", "family", "headline", "threshold")
CLOSE = ("expected", "reported", "gap", "sigma", "statistic", "p", "gap_h100e", "sq", "mdg")


def figures(finding: Finding) -> tuple[dict, dict]:
    exact = {name: getattr(finding, name) for name in EXACT}
    close = {name: getattr(finding, name) for name in CLOSE}
    for name, value in finding.numbers.items():
        if isinstance(value, float):
            close[name] = value
        elif not name.startswith("evidence_left_out") and name != "running":
            exact[name] = value
    return exact, close


def assert_alike(one: dict[tuple, Finding], other: dict[tuple, Finding]) -> None:
    assert one.keys() == other.keys()
    for key, finding in one.items():
        (exact, close), (exactly, closely) = figures(finding), figures(other[key])
        assert exact == exactly
        for name, value in close.items():
            assert closely[name] == (value if value is None else pytest.approx(value, rel=1e-7, abs=1e-6)), (
                key,
                name,
            )


@pytest.fixture(scope="module")
def cast(django_db_setup, django_db_blocker):
    """A maker, three chips and two families; five firms, sites with a part, with no operator and with no country; claims of all
    kinds about them; some books declared whole. Everything written is undone."""
    with django_db_blocker.unblock(), transaction.atomic():
        load_rules(Path(__file__).resolve().parents[2] / "seeds" / "rules")
        yield Cast()
        transaction.set_rollback(True)


class Cast:
    def __init__(self) -> None:
        self.maker = factories.vendor("synthetic-maker")
        self.chips = [
            factories.chip(f"synthetic-b{i}", vendor=self.maker, specified=False, first_shipped_on=date(2023, 6, 1))
            for i in range(3)
        ]  # fmt: skip
        for number, chip in enumerate(self.chips):
            factories.specification(
                chip, fp8_tflops=(1979, 100, 100)[number], fp16_tflops=50, die_area_mm2=814
            )
        self.families = [
            factories.chip_family("synthetic-mixed", vendor=self.maker, members=tuple(self.chips[:2])),
            factories.chip_family("synthetic-any", vendor=self.maker),
        ]
        self.firms = [factories.organization(f"synthetic-firm-{i}", country="MY") for i in range(5)]
        place = factories.data_center
        self.sites = [
            place("synthetic-campus", operator=self.firms[0], country="MY"),
            place("synthetic-hall", operator=self.firms[0], country="MY"),
            place("synthetic-annex", operator=self.firms[0], country=""),
            place("synthetic-lone", country="SG"),
            place("synthetic-other", operator=self.firms[1], country="CN"),
        ]
        DataCenterPart.objects.create(whole=self.sites[0], part=self.sites[1])
        self.sources = [
            factories.source(f"synthetic-house-{i}", publisher=f"Synthetic house {i}") for i in range(3)
        ]
        self.claims()

    def claims(self) -> None:
        one = self.chips[0]
        mixed, unspecified = self.families
        campus, firm = self.sites[0], self.firms[0]
        flow = {"period_start": date(2024, 4, 1), "period_end": date(2024, 9, 30)}
        told = [
            {"destination_country": "MY", "chip": one, "status": "installed", "kind": "installed", "best": 900},
            {"destination_country": "MY", "family": mixed, "status": "delivered", "kind": "purchase", "best": 700, **flow},
            {"destination_country": "CN", "family": unspecified, "status": "shipped", "kind": "sale", "subject": self.maker,
             "best": 400, **flow},
            {"counterparty": firm, "chip": one, "status": "shipped", "kind": "sale", "subject": self.maker, "best": 300,
             "destination_country": "MY", **flow},
            {"counterparty": firm, "chip": one, "status": "shipped", "kind": "sale", "subject": self.firms[1], "best": 300,
             "destination_country": "MY", **flow},
            {"subject": firm, "chip": one, "status": "contracted", "kind": "purchase", "best": 200,
             "period_end": date(2025, 3, 1)},
            {"subject": firm, "family": mixed, "status": "installed", "kind": "inventory", "low": 300, "best": None, "high": None,
             "bound": "floor", "period_end": date(2024, 11, 15)},
            {"subject": self.firms[1], "family": mixed, "status": "installed", "kind": "installed", "best": 500, "low": 450,
             "high": 600, "period_end": date(2025, 1, 31)},
            {"data_center": self.sites[3], "family": mixed, "status": "operational", "kind": "installed", "best": 250,
             "destination_country": "SG", "period_end": date(2024, 12, 31)},
            {"data_center": self.sites[3], "family": mixed, "status": "operational", "kind": "installed", "best": 250,
             "unit": "H100-equivalents", "destination_country": "SG", "period_end": date(2024, 12, 31)},
            {"subject": self.firms[1], "family": unspecified, "status": "installed", "kind": "installed", "best": 300,
             "unit": "H100-equivalents", "period_end": date(2025, 1, 31)},
        ]  # fmt: skip
        for number, row in enumerate(told):
            factories.claim(f"synthetic-told-{number}", **({"source": self.sources[number % 3]} | row))
        for day in (date(2024, 6, 30), date(2024, 10, 15), date(2026, 5, 31)):
            factories.claim(
                f"synthetic-count-{day:%y-%m}", data_center=campus, subject=firm, chip=one, best=600, grade="B",
                status="installed", kind="inventory", destination_country="MY", period_end=day, source=self.sources[0],
            )  # fmt: skip
        factories.closed_book(data_center=campus, valid_from=date(2023, 1, 1))

    @contextmanager
    def ledger(self, rows: list[dict]) -> Iterator[None]:
        """Some lines, and all that was written meanwhile, gone afterwards."""
        with transaction.atomic():
            self.write(rows)
            yield
            transaction.set_rollback(True)

    def write(self, rows: list[dict]) -> None:
        for number, row in enumerate(rows):
            what = self.chips[row["what"]] if row["what"] < 3 else self.families[row["what"] - 3]
            shipped = days(FIRST, row["shipped"], row["vague"])
            received = days(shipped[0] or FIRST, row["received"], row["vague"])
            factories.shipment(
                f"synthetic-line-{number}", **{"chip" if row["what"] < 3 else "family": what},
                quantity=row["quantity"], unit=row["unit"], bound=row["bound"], is_exact=row["exact"], grade=row["grade"],
                chips_per_unit=row["per_unit"] if row["unit"] in ("servers", "racks") else None,
                shipped_on=shipped[0], shipped_on_latest=shipped[1], received_on=received[0], received_on_latest=received[1],
                shipper=self._party(row["shipper"]), consignee=self._party(row["consignee"]),
                end_user=self._party(row["end_user"]), origin=self._site(row["origin"]),
                destination=self._site(row["destination"]), origin_country=row["origin_country"],
                destination_country=row["destination_country"], status=row["status"], kind=row["kind"],
                source=self.sources[row["source"]],
            )  # fmt: skip

    def _party(self, number: int):
        return None if number < 0 else [*self.firms, self.maker][number]

    def _site(self, number: int):
        return None if number < 0 else self.sites[number]


def days(start: date, after: int | None, vague: int) -> tuple[date | None, date | None]:
    """A first day, and a last one where it is vague."""
    first = None if after is None else start + timedelta(after)
    return first, first + timedelta(vague) if first and vague else None


LINE = st.fixed_dictionaries({
    "what": st.integers(0, 4),
    "quantity": st.sampled_from([1, 7, 40, 150, 1200, 12.5]),
    "unit": st.sampled_from(["chips", "chips", "chips", "cards", "servers", "racks"]),
    "per_unit": st.sampled_from([None, 8, 7.2]),
    "bound": st.sampled_from(["", "", "", "", "floor", "ceiling"]),
    "exact": st.sampled_from([False, False, False, True]),
    "grade": st.sampled_from("ABCDE"),
    "shipped": st.none() | st.integers(0, 560),
    "received": st.none() | st.integers(0, 60),
    "vague": st.sampled_from([0, 0, 20, 90]),
    "shipper": st.integers(-1, 5),
    "consignee": st.integers(-1, 5),
    "end_user": st.integers(-1, 5) | st.just(-1),
    "origin": st.integers(-1, 4) | st.just(-1),
    "destination": st.integers(-1, 4),
    "origin_country": st.sampled_from(["", "US", "MY", "SG"]),
    "destination_country": st.sampled_from(["", "MY", "SG", "CN"]),
    "status": st.sampled_from(["received", "reported", "in transit", "seized", "cancelled"]),
    "kind": st.sampled_from(["transfer", "transfer", "production", "retirement"]),
    "source": st.integers(0, 2),
})  # fmt: skip
OWN = st.fixed_dictionaries(
    {"quantity": st.sampled_from([3, 8, 200, 4.5]), "days": st.integers(0, 45), "source": st.integers(0, 1)}
)


@st.composite
def ledgers(draw, **plain) -> list[dict]:
    """Some lines, and more like each of them that differ in what may be added up: quantity, day and house."""
    rows = []
    for line in draw(st.lists(LINE, min_size=1, max_size=7)):
        rows.append(line | plain)
        for own in draw(st.lists(OWN, max_size=6)):
            later = line["shipped"] and line["shipped"] + own["days"]
            rows.append(
                line | {"quantity": own["quantity"], "source": own["source"], "shipped": later} | plain
            )
    return rows


# an example takes a tenth of a second: to make a failing one smaller would take minutes
FEW = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate],
)


@FEW
@given(ledgers())
def test_bundles_say_what_single_lines_say(cast, rows):
    with cast.ledger(rows):
        assert_alike(judged(SINGLY), judged(BUNDLED, shares=3))


@FEW
@given(ledgers(what=0, bound="", unit="chips", destination=0, destination_country="MY", kind="transfer"))
def test_bundles_of_plain_lines_balance_as_single_lines_do(cast, rows):
    """Lines that can all be counted, of one site and chip, so that the balances between its counts are tested."""
    with cast.ledger(rows):
        assert_alike(judged(SINGLY), judged(BUNDLED, shares=3))


def line(**given) -> dict:
    """A line of the second chip, which needs no licence, to the second firm."""
    plain = {
        "what": 1, "quantity": 40, "unit": "chips", "per_unit": None, "bound": "", "exact": False, "grade": "B", "shipped": 90,
        "received": 10, "vague": 0, "shipper": 5, "consignee": 1, "end_user": -1, "origin": -1, "destination": -1,
        "origin_country": "US", "destination_country": "MY", "status": "received", "kind": "transfer", "source": 0,
    }  # fmt: skip
    return plain | given


def of_firm(found: dict[tuple, Finding]) -> Finding:
    (finding,) = (
        one for one in found.values() if (one.check, one.counterpart) == ("GAP", "synthetic-told-7")
    )
    return finding


def test_deliveries_that_needed_no_licence_are_told_apart(cast):
    with cast.ledger([line(quantity=40 + number, what=1 - number % 2) for number in range(6)]):
        singly, bundled = of_firm(judged(SINGLY)), of_firm(judged(BUNDLED))
    assert singly.numbers["licensed"] == bundled.numbers["licensed"] == 40 + 42 + 44


def test_evidence_of_a_bundle_is_its_largest_line_and_says_what_stands_behind_it(cast):
    with cast.ledger([line(quantity=quantity) for quantity in (10, 300, 20)]):
        finding = of_firm(judged(BUNDLED))
    (row,) = (row for row in finding.evidence if row.role == "ledger")
    assert row.label.startswith("synthetic-line-1: 300 chips")
    assert row.label.endswith("the largest of its kind, with 2 further lines 330 chips in all")
    assert row.contribution == -330
    assert "330 chips in 3 movements" in finding.sections[1].body


def test_the_line_that_a_bundle_names_bears_what_it_bears_alone(cast):
    """As it does where each line is told: its own error, and what its house errs alike in all of them."""
    rows = [line(quantity=quantity, shipped=90 + number) for number, quantity in enumerate((10, 300, 20, 45))]
    with cast.ledger(rows):
        singly, bundled = of_firm(judged(SINGLY)), of_firm(judged(BUNDLED))
    shares = {row.label.split(":")[0]: row.variance_share for row in singly.evidence if row.role == "ledger"}
    (row,) = (row for row in bundled.evidence if row.role == "ledger")
    assert row.own_share == pytest.approx(shares["synthetic-line-1"], rel=1e-6)
    assert row.variance_share == pytest.approx(sum(shares.values()), rel=1e-6)
    assert all(row.own_share is None for row in singly.evidence)


def test_a_line_that_stands_alone_is_told_as_any_other(cast):
    with cast.ledger([line()]):
        singly, bundled = of_firm(judged(SINGLY)), of_firm(judged(BUNDLED))
    assert singly == bundled


def test_what_is_found_does_not_depend_on_how_the_work_is_cut(cast):
    rows = [line(consignee=number % 5, quantity=10 + number, shipped=20 * number) for number in range(20)]
    with cast.ledger(rows):
        whole = judged(SINGLY)
        for single_lines, shares in ((3, 1), (8, 2), (15, 5)):
            assert_alike(whole, judged(single_lines, shares))


def test_claims_of_different_areas_are_judged_in_pieces_no_larger_than_asked(cast):
    rows = [line(consignee=number % 5, destination_country="SG") for number in range(20)]
    with cast.ledger(rows):
        ledger = Ledger(at=settled_instant(), as_of=TODAY, parameters=SYNTHETIC, single_lines=6)
        pieces = list(ledger.pieces("claim_subject", 0, 1))
    assert len(pieces) > 1
    assert all(len(books.movements) <= 6 for books in pieces)
