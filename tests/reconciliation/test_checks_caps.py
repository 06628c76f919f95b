"""Limits of rules as a check, over flows as plain rows and through a run over the database."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import factories as make
from tests.reconciliation import ledgers as cast
from tracker import models
from tracker.chips.specs import ChipSpec
from tracker.claims.combine import quantity
from tracker.core.period import Period
from tracker.core.quantity import NotComparable, Reported
from tracker.judgement.classes import ClassBook
from tracker.organizations.ownership import Stake
from tracker.reconciliation import services
from tracker.reconciliation.books import Books, Finding, FlowRow, Law, Parameters
from tracker.reconciliation.checks.caps import find
from tracker.reconciliation.explain import forbidden_words
from tracker.rules.parameters import Membership, RuleBook, Status
from tracker.rules.schema import rule
from tracker.shipments.models import Shipment
from tracker.shipments.querysets import sums

P = Parameters()
H = 15_832.0
YEARLY = {
    "id": "YEARLY", "kind": "quantity", "metric": "tpp", "limit": 100 * H, "per": "ultimate consignee",
    "window": "calendar year",
}  # fmt: skip
HALF = {
    "id": "HALF", "kind": "ratio", "metric": "tpp", "limit_ratio": 0.5, "per": "commodity",
    "window": "licence application date", "scope": {"destinations": ["CN", "MO"]},
    "of": {"destinations": ["US"], "in_country": True},
}  # fmt: skip


def law(cap: dict, *, intervals=(), stakes=(), enforcement: str = "in force", **given) -> Law:
    stated = {
        "id": "TEST-RULE", "regime": "TEST", "kind": "quantity", "title": "Synthetic", "citation": "1 SYN 2",
        "enforcement": enforcement, "effective_from": "2025-01-01", "verification": "synthetic", "sources": ["synthetic"],
        "quantity_caps": [cap], "intervals": [*intervals],
    }  # fmt: skip
    book = RuleBook(
        (rule(stated | given, "test"),), (), (Membership("OPEN", "SG", Period(None, None)),), (),
        (Membership("CN", "HK", Period(None, None)),), frozenset({"OPEN"}),
    )  # fmt: skip
    specs = {pk: ChipSpec(slug=chip.slug, fp8_tflops=(chip.tpp or 0) / 8) for pk, chip in cast.CHIPS.items()}
    return Law(ClassBook(book), specs, tuple(stakes))


def flow(chips: float = 80, day: str = "2025-03-01", **given) -> FlowRow:
    sd = given.pop("sd", 0.0)
    values = {
        "scope": cast.ONE, "origin": "US", "destination": "MY", "shipped": cast.day(day), "house": "Customs", "lines": 1,
        "chips": chips, "systematic": 0.0, "random": sd**2, "grade": "B", "consignee_id": cast.OPERATOR,
        "examples": ((cast.ref("shipment"), f"{chips} chips"),),
    }  # fmt: skip
    return FlowRow(**values | given)


def judged(cap: dict, *flows: FlowRow, **given) -> list[Finding]:
    books = Books(
        date(2026, 6, 30),
        flows=flows,
        law=law(cap, **given),
        chips=cast.CHIPS,
        organizations=cast.ORGANIZATIONS,
    )
    return find(books, P)


def spoken(finding: Finding) -> str:
    return " ".join([finding.headline, *(part.body for part in finding.sections)])


def column(finding: Finding, name: str) -> list:
    table = finding.numbers["running"]
    return [row[table["columns"].index(name)] for row in table["rows"]]


# --- sums --------------------------------------------------------------------------------------------------------------


def test_a_year_beyond_the_cap_is_told_with_its_running_table():
    (found,) = judged(YEARLY, flow(80), flow(40, "2025-09-01"), flow(90, "2026-01-01"))
    assert (found.verdict, found.area, found.period, found.is_finding) == (
        f"over cap by {20 * H:,.0f}",
        "org:operator",
        "2025",
        True,
    )
    assert (found.gap, found.gap_h100e, found.unit) == (20 * H, 20, "TPP")
    assert column(found, "sum") == [80 * H, 120 * H]
    assert column(found, "p over") == [0, 1]
    assert found.numbers["reached_on"] == "2025-09-01"
    assert "The limit was reached on 2025-09-01." in spoken(found)


def test_a_year_that_meets_the_cap_exactly_keeps_it():
    assert judged(YEARLY, flow(60), flow(40, "2025-12-31")) == []


@pytest.mark.parametrize(
    ("sd", "verdict", "is_finding", "severity"),
    [
        (5, "over cap", True, "low"),
        (12, "likely over cap", True, "low"),
        (25, "possibly over cap", False, "info"),
    ],
)
def test_an_uncertain_excess_goes_by_its_probability(sd, verdict, is_finding, severity):
    (found,) = judged(YEARLY, flow(120, sd=sd))
    assert found.verdict.startswith(verdict + " by")
    assert (found.is_finding, found.severity) == (is_finding, severity)


@pytest.mark.parametrize("sd", [0, 1, 10, 100])
def test_more_error_never_turns_what_was_no_breach_into_one(sd):
    assert judged(YEARLY, flow(100, sd=sd)) == [] or not judged(YEARLY, flow(100, sd=sd))[0].is_finding


def test_a_rule_in_the_text_but_not_enforced_is_information_and_says_so():
    given = {"enforcement": "not enforced", "enforcement_note": "Announced on a day."}
    (found,) = judged(YEARLY, flow(120), **given)
    assert (found.is_finding, found.severity) == (False, "info")
    assert found.verdict.endswith(", rule not enforced")
    assert "the rule was not enforced: this is information only. Announced on a day." in spoken(found)


@pytest.mark.parametrize(
    ("status", "is_finding", "words"),
    [
        ("stayed", False, "the rule was stayed: this is information only"),
        ("unconfirmed", True, "Nobody has confirmed that the rule was in force on 2025-03-01"),
        ("active", True, "The limit was reached on 2025-03-01"),
    ],
)
def test_the_status_of_the_rule_on_the_day_decides(status, is_finding, words):
    spans = [{"from": "2025-01-01", "to_inclusive": "2025-06-30", "status": status}]
    (found,) = judged(YEARLY, flow(120_000), intervals=spans)
    assert found.is_finding == is_finding
    assert words in spoken(found)
    assert found.severity == {"stayed": "info", "unconfirmed": "medium", "active": "critical"}[status]


def test_a_limit_that_only_calls_for_a_report_and_one_that_is_not_confirmed_are_information():
    (found,) = judged(YEARLY | {"report_only": True}, flow(120))
    assert (found.verdict, found.is_finding) == ("report threshold passed", False)
    (found,) = judged(YEARLY | {"verification": "UNCONFIRMED: under consideration"}, flow(120))
    assert (found.verdict.endswith(", limit not confirmed"), found.is_finding) == (True, False)


@pytest.mark.parametrize(
    ("scope", "given"),
    [
        ({"destinations": ["SG"]}, {}),
        ({"not_destinations": ["MY"]}, {}),
        ({"origins": ["TW"]}, {}),
        ({"chips": ["h-two"]}, {}),
        ({"when": "tpp < 10000"}, {}),
        ({"items": ["a-datacenter"]}, {}),  # no rule classifies here, so the chip is none of it
        ({"not_hq": ["MY"]}, {}),
        ({}, {"shipped": cast.days("2025-12-01", "2026-01-10")}),
        ({}, {"shipped": None}),
        ({}, {"origin": "MY"}),
        ({}, {"day": "2024-12-31"}),
        ({}, {"consignee_id": cast.BUYERS}),
        ({"chips": ["h-one"]}, {"scope": cast.UNSPECIFIED}),
    ],
)
def test_a_line_that_does_not_surely_lie_in_the_scope_is_not_counted(scope, given):
    assert judged(YEARLY | {"scope": scope}, flow(120, **given)) == []


def test_hong_kong_counts_as_china_and_a_move_between_them_as_one_in_the_country():
    cap = YEARLY | {"scope": {"destinations": ["CN"]}}
    assert len(judged(cap, flow(120, destination="HK"))) == 1
    assert judged(cap, flow(120, origin="CN", destination="HK")) == []


def test_a_parent_gathers_its_companies_as_of_the_day():
    parent = YEARLY | {"per": "ultimate parent"}
    held = [
        Stake(cast.VENDOR, cast.OPERATOR, 100, Period(None, None)),
        Stake(cast.VENDOR, cast.RESELLER, 60, Period(None, date(2025, 6, 1))),
    ]
    rows = flow(60), flow(60, consignee_id=cast.RESELLER)
    (found,) = judged(parent, *rows, stakes=held)
    assert (found.area, found.gap_h100e) == ("org:vendor", 20)
    assert ("parent", "Vendor Inc.: ultimate parent of Reseller Ltd and Operator Co. on 2025-03-01") in [
        (row.role, row.label) for row in found.evidence
    ]
    later = flow(60), flow(60, "2025-07-01", consignee_id=cast.RESELLER)
    assert judged(parent, *later, stakes=held) == []


def test_where_the_parent_is_not_known_the_consignee_counts_by_itself_and_the_text_says_so():
    unknown = [Stake(cast.VENDOR, cast.OPERATOR, None, Period(None, None))]
    (found,) = judged(YEARLY | {"per": "ultimate parent"}, flow(120), stakes=unknown)
    assert found.area == "org:operator"
    assert "the ultimate parent of Operator Co. is not known, so it is counted by itself" in spoken(found)


def test_a_country_has_an_allocation_over_several_years():
    cap = YEARLY | {
        "kind": "allocation", "per": "country", "window": "period", "from": "2025-01-01", "to_inclusive": "2027-12-31",
    }  # fmt: skip
    rows = [
        flow(60, day, use="country", consignee_id=None) for day in ("2025-03-01", "2027-12-31", "2028-01-01")
    ]
    (found,) = judged(cap, *rows)
    assert (found.area, found.period, found.gap_h100e) == ("country:MY", "2025-01-01 to 2027-12-31", 20)


def test_a_schedule_of_installed_power_holds_each_day_against_its_own_limit():
    steps = [
        {"from": "2025-01-01", "to_inclusive": "2025-03-31", "limit": 50 * H},
        {"from": "2025-04-01", "to_inclusive": "2025-06-30", "limit": 150 * H},
    ]
    cap = {k: v for k, v in YEARLY.items() if k != "limit"} | {
        "kind": "installed", "schedule": steps, "per": "company and country", "window": "quarter end",
        "scope": {"who": ["operator"]},
    }  # fmt: skip
    assert judged(cap, flow(50), flow(90, "2025-04-01")) == []
    (found,) = judged(cap, flow(60), flow(80, "2025-04-01"))
    assert (found.gap_h100e, found.numbers["reached_on"], found.expected) == (10, "2025-03-01", 50 * H)


def test_a_cap_in_dollars_counts_the_lines_that_have_a_value():
    cap = YEARLY | {"kind": "value", "metric": "usd", "limit": 1_000_000}
    (found,) = judged(cap, flow(1, usd=900_000.0), flow(1, usd=300_000.0, unpriced=2))
    assert (found.gap, found.unit, found.gap_h100e) == (200_000, "USD", None)
    assert "not counted: 2 lines without a value" in spoken(found)


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 28)), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_flows_does_not_matter(entries, random):
    flows = [flow(chips, f"2025-03-{day:02d}", house=f"house {i}") for i, (chips, day) in enumerate(entries)]
    mixed = random.sample(flows, len(flows))
    assert judged(YEARLY, *mixed) == judged(YEARLY, *flows)
    total = math.fsum(chips for chips, _ in entries)
    assert bool(judged(YEARLY, *flows)) == (total > 100)


# --- ratios ------------------------------------------------------------------------------------------------------------


def exported(chips: float, day: str = "2025-03-01", **given) -> FlowRow:
    return flow(chips, day, **{"destination": "CN", "use": "ratio", "consignee_id": None} | given)


def at_home(chips: float, day: str = "2025-02-01", **given) -> FlowRow:
    return flow(chips, day, **{"destination": "US", "use": "ratio", "consignee_id": None} | given)


def test_exports_beyond_the_ratio_are_told_after_the_export_that_exceeded_it_most():
    rows = at_home(100), exported(40), exported(30, "2025-04-01"), at_home(100, "2025-05-01")
    (found,) = judged(HALF, *rows)
    assert (found.verdict, found.area, found.scope) == (
        f"over ratio by {20 * H:,.0f}",
        "country:CN",
        "chip:h-one",
    )
    assert (found.reported, found.expected, found.numbers["ratio"]) == (70 * H, 50 * H, 0.7)
    assert found.numbers["reached_on"] == "2025-04-01"
    assert column(found, "exported") == [0, 40 * H, 70 * H, 70 * H]
    assert column(found, "allowed") == [50 * H, 50 * H, 50 * H, 100 * H]


def test_a_ratio_that_is_met_exactly_or_of_another_commodity_is_kept():
    assert judged(HALF, at_home(100), exported(50)) == []
    (found,) = judged(HALF, at_home(100, scope=cast.TWO), exported(10))
    assert (found.verdict, found.is_finding, found.severity) == ("cannot be evaluated", False, "info")
    assert "one side is not recorded" in spoken(found)


@pytest.mark.parametrize(
    ("sd", "level", "severity"), [(2, "over", "critical"), (13_000, "likely over", "medium"), (30_000, "possibly over", "medium")]
)  # fmt: skip
def test_an_uncertain_ratio_is_reported_by_its_level_and_at_most_medium_below_a_breach(sd, level, severity):
    (found,) = judged(HALF, at_home(100_000), exported(70_000, sd=sd))
    assert (found.verdict.startswith(f"{level} ratio"), found.is_finding, found.severity) == (
        True,
        True,
        severity,
    )


def test_the_other_side_gets_the_larger_reading_and_exports_the_sure_one():
    assert judged(HALF, at_home(100, scope=cast.MIXED), exported(50)) == []
    assert judged(HALF, at_home(100), exported(60, scope=cast.MIXED)) == []
    assert judged(HALF, at_home(100, shipped=cast.days("2025-03-01", "2026-01-01")), exported(50)) == []


def test_exports_before_the_rule_count_in_the_sum_and_are_not_judged():
    assert judged(HALF, at_home(100, "2024-01-01"), exported(90, "2024-06-01")) == []
    (found,) = judged(HALF, at_home(100, "2024-01-01"), exported(90, "2024-06-01"), exported(1))
    assert found.reported == 91 * H


def test_no_text_speaks_of_blame():
    for found in (
        *judged(YEARLY, flow(120)),
        *judged(HALF, at_home(100), exported(70)),
        *judged(HALF, exported(7)),
    ):
        assert forbidden_words(spoken(found)) == []


# --- sums in the database ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_database_reads_a_line_as_the_method_does():
    given = [
        {"quantity": 115000}, {"quantity": 100000, "grade": "A"}, {"quantity": 2384, "grade": "D"}, {"quantity": 7, "grade": "E"},
        {"quantity": "12.5"}, {"quantity": 400, "is_exact": True}, {"quantity": 40, "unit": "servers", "grade": "B"},
        {"quantity": 30, "unit": "servers", "chips_per_unit": 4}, {"quantity": 30, "unit": "racks"},
        {"quantity": 90, "unit": "cards"},
        {"quantity": 500, "bound": "floor"},
    ]  # fmt: skip
    lines = [make.shipment(**row) for row in given]
    for row in sums(Shipment.objects.filter(id__in=[line.id for line in lines]), ["id"], P):
        line = next(line for line in lines if line.id == row["id"])
        line.refresh_from_db()
        bound, figure = line.bound, float(line.quantity)
        read = quantity(
            Reported(
                best=None if bound else figure, low=figure if bound else None, unit=line.unit, grade=line.grade, bound=bound,
                exact=line.is_exact, per_unit=line.chips_per_unit and float(line.chips_per_unit),
            ),
            P,
        )  # fmt: skip
        if isinstance(read, NotComparable):
            assert (row["uncounted"], row["total"]) == (1, 0)
            continue
        assert row["total"] == pytest.approx(read.mu)
        assert row["total_systematic"] == pytest.approx(read.ss)
        assert row["total_random"] == pytest.approx(read.sr**2)
    assert len(lines) == len(given)


# --- through a run -----------------------------------------------------------------------------------------------------


def enacted(cap: dict, **given) -> models.ExportRule:
    values = {
        "rule_id": "TEST-RULE", "regime": "TEST", "kind": "quantity", "title": "Synthetic rule", "citation": "1 SYN 2",
        "in_force": (date(2025, 1, 1), None), "enforcement": "in force", "quantity_caps": [cap], "verification": "synthetic",
        "source": make.source(), "sources": ["synthetic"],
    }  # fmt: skip
    return models.ExportRule.objects.create(**values | given)


def ship(quantity: int, day: date, **given) -> models.Shipment:
    return make.shipment(
        **{"quantity": quantity, "is_exact": True, "shipped_on": day, "destination_country": "MY"} | given
    )


def told(**given) -> list[models.Finding]:
    made = services.start_run("test", parameters=Parameters(records="synthetic"), **given)
    services.finish_here(made.id)
    made.refresh_from_db()
    assert made.status == "finished"
    return list(models.Finding.objects.filter(run=made, check_code="CAP").order_by("area", "counterpart"))


@pytest.mark.django_db
def test_a_yearly_cap_per_consignee_becomes_a_discrepancy_with_rule_lines_and_party():
    enacted(YEARLY | {"limit": 8000 * 150})  # the factory's chip has TPP 8,000
    buyer, other = make.organization("synthetic-buyer"), make.organization("synthetic-small")
    first = ship(100, date(2025, 3, 1), consignee=buyer)
    second = ship(90, date(2025, 4, 1), consignee=buyer)
    second.quantity = 100
    second.save()
    ship(100, date(2026, 4, 1), consignee=buyer)
    ship(140, date(2025, 4, 1), consignee=other)
    (found,) = told()
    lines = found.evidence.filter(role="movement").values_list("object_id", "version", "label")
    assert set(lines) == {
        (first.id, 1, f"{first.reference}: 100 chips"),
        (second.id, 2, f"{second.reference}: 100 chips"),
    }
    assert (found.verdict, found.area, found.gap) == ("over cap by 400,000", "org:synthetic-buyer", 400_000)
    assert found.discrepancy.state == "new"
    assert {"rule", "movement", "specification", "party"} <= set(
        found.evidence.values_list("role", flat=True)
    )
    assert len(found.numbers["running"]["rows"]) == 2


@pytest.mark.django_db
def test_goods_that_were_carried_on_count_where_they_went_in_the_end():
    enacted(YEARLY | {"limit": 8000 * 150})
    hub, buyer = make.organization("synthetic-hub"), make.organization("synthetic-buyer")
    first = ship(200, date(2025, 3, 1), consignee=hub, destination_country="SG")
    ship(200, date(2025, 4, 1), consignee=buyer, origin_country="SG", onward_of=first)
    assert [found.area for found in told()] == ["org:synthetic-buyer"]


@pytest.mark.django_db
def test_companies_of_one_parent_in_any_share_are_added_up():
    enacted(YEARLY | {"limit": 8000 * 150, "per": "ultimate parent"})
    parent = make.organization("synthetic-parent")
    for number in range(3):
        unit = make.organization()
        make.stake(parent, unit)
        ship(60 + number, date(2025, 3, 1), consignee=unit)
    (found,) = told()
    assert (found.area, found.gap) == ("org:synthetic-parent", 33 * 8000)
    assert "parent" in set(found.evidence.values_list("role", flat=True))


@pytest.mark.django_db
def test_an_allocation_of_a_country_and_a_ratio_of_a_commodity_are_held_against_all_lines():
    enacted(YEARLY | {"id": "LAND", "kind": "allocation", "per": "country", "limit": 8000 * 150})
    enacted(HALF, rule_id="TEST-RATIO")
    for number in range(4):
        ship(50, date(2025, 3, 1 + number), consignee=make.organization())
        ship(20, date(2025, 3, 2 + number), consignee=make.organization(), destination_country="CN")
    ship(100, date(2025, 1, 5), destination_country="US", origin_country="TW")
    assert [(f.area, f.counterpart, f.gap) for f in told()] == [
        ("country:CN", "TEST-RATIO HALF", 30 * 8000),
        ("country:MY", "TEST-RULE LAND", 50 * 8000),
    ]


@pytest.mark.django_db
def test_a_ratio_is_told_no_longer_once_its_last_export_is_withdrawn():
    """In a run that goes on from another: the commodity was exported then, and is no longer now."""
    enacted(HALF, rule_id="TEST-RATIO")
    ship(100, date(2025, 1, 5), destination_country="US", origin_country="TW")
    gone = ship(80, date(2025, 3, 2), destination_country="CN")
    assert [found.counterpart for found in told()] == ["TEST-RATIO HALF"]
    gone.delete()
    assert told(mode="incremental") == []
    assert models.ReconciliationRun.objects.latest("id").base_id


@pytest.mark.django_db
def test_a_rule_that_is_not_enforced_leaves_information_and_no_discrepancy():
    enacted(YEARLY | {"limit": 8000 * 150}, enforcement="not enforced")
    ship(200, date(2025, 3, 1), consignee=make.organization("synthetic-buyer"))
    (found,) = told()
    assert (found.is_discrepancy, found.severity, found.discrepancy) == (False, "info", None)


@pytest.mark.django_db
def test_the_status_of_a_rule_is_that_of_the_day_on_which_the_limit_was_reached():
    made = enacted(YEARLY | {"limit": 8000 * 150})
    models.RuleInterval.objects.create(rule=made, period=(date(2025, 6, 1), None), status=Status.STAYED)
    ship(100, date(2025, 3, 1), consignee=(buyer := make.organization("synthetic-buyer")))
    ship(100, date(2025, 7, 1), consignee=buyer)
    (found,) = told()
    assert (found.is_discrepancy, found.verdict) == (False, "over cap by 400,000, rule stayed")
