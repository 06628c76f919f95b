"""Licence accounts as a check, over plain rows and through a run over the database."""

from __future__ import annotations

from datetime import date

import pytest

from tests import factories as make
from tests.reconciliation import ledgers as cast
from tracker import models
from tracker.reconciliation import services
from tracker.reconciliation.books import Finding, Parameters, RecordRef
from tracker.reconciliation.checks.licences import find
from tracker.reconciliation.explain import forbidden_words

P = Parameters()


def judged(*rows, answer: str = "required", **given) -> list[Finding]:
    lines = [row for row in rows if row.ref.model == "shipment"]
    return find(cast.books(*rows, verdicts={row.ref.id: cast.verdict(answer, **given) for row in lines}), P)


def told(*rows, **given) -> list[Finding]:
    """What is reported; the accounts as they stand are information and left out."""
    return [found for found in judged(*rows, **given) if found.is_finding]


def line(q: float = 1000, **given):
    return cast.movement(q, **{"exact": True, "grade": "A"} | given)


def spoken(finding: Finding) -> str:
    return " ".join([finding.headline, *(part.body for part in finding.sections)])


def column(finding: Finding, name: str) -> list:
    table = finding.numbers["running"]
    place = table["columns"].index(name)
    return [row[place] for row in table["rows"]]


def test_an_account_within_its_quantity_says_what_remains():
    (found,) = judged(line(400), line(300, shipped=cast.day("2026-02-10")), cast.licence(1000))
    assert (found.verdict, found.is_finding, found.severity) == ("consistent", False, "info")
    assert (found.expected, found.reported, found.numbers["remaining"]) == (1000, 700, 300)
    assert column(found, "remaining") == [600, 300]
    assert "300 remaining" in found.headline


def test_a_licence_that_nobody_draws_on_says_so():
    (found,) = judged(cast.licence(1000))
    assert found.headline == "Licence L1: 0 of 1,000 chips drawn, 1,000 remaining"
    assert "none in this database draws on it" in spoken(found)


def test_movements_beyond_the_quantity_of_a_licence_are_counted_in_the_order_of_shipping():
    first = line(600, reference="INV-1")
    second = line(700, reference="INV-2", shipped=cast.day("2026-02-10"))
    (found,) = judged(second, first, cast.licence(1000))
    assert column(found, "line") == ["INV-1", "INV-2"]
    assert (found.verdict, found.gap, found.area) == ("over licence by 300", 300, "org:operator")
    assert column(found, "remaining") == [400, -300]
    assert column(found, "p over") == [0, 1]
    assert (found.severity, found.strength) == ("medium", "certain")


def test_an_excess_is_reported_by_its_probability():
    # grade C: 10 % of 1,300 is 130, and rounding to hundreds; (1,300 - 1,000) / 133 = 2.25 standard errors
    (likely,) = told(line(1300, exact=False, grade="C"), cast.licence(1000))
    assert (likely.verdict, likely.severity) == ("likely over licence by 300", "medium")
    assert likely.numbers["probability_over"] == pytest.approx(0.988, abs=2e-3)
    (possible,) = judged(line(1010, exact=False, grade="C"), cast.licence(1000))
    assert (possible.verdict, possible.is_finding, possible.severity) == (
        "possibly over licence by 10",
        False,
        "info",
    )
    assert "with probability 0.5" in spoken(possible)
    (all_but_sure,) = judged(line(4000, exact=False, grade="C"), cast.licence(1000))
    assert "with a probability of more than 0.999" in spoken(all_but_sure)
    assert 0.999 < all_but_sure.numbers["probability_over"] < 1
    assert 0.999 < column(all_but_sure, "p over")[0] < 1


def test_a_movement_that_names_a_licence_draws_on_no_other():
    rows = line(1000, licence_id=2), cast.licence(5000), cast.licence(100, licence_id=2, reference="L2")
    (found,) = told(*rows)
    assert (found.verdict, found.gap, found.counterpart.startswith("licence L2")) == (
        "over licence by 900",
        900,
        True,
    )


def test_the_licence_that_expires_first_is_used_up_first():
    later = cast.licence(100, reference="LATER", valid=cast.days("2026-01-01", "2026-12-31"))
    sooner = cast.licence(100, reference="SOONER", valid=cast.days("2026-01-01", "2026-06-30"), licence_id=2)
    (found,) = told(line(300), later, sooner)
    assert (found.gap, found.counterpart.startswith("licence LATER")) == (100, True)


def test_vague_days_and_family_names_count_for_the_movement():
    vague = line(1000, shipped=cast.days("2025-12-01", "2026-01-10"), scope=cast.MIXED)
    (found,) = judged(vague, cast.licence(1000))
    assert (found.verdict, found.reported) == ("consistent", 1000)


def test_lines_that_needed_no_licence_and_cancelled_ones_draw_nothing():
    assert judged(line(), cast.licence(1000), answer="not_required")[0].reported == 0
    assert judged(line(status="cancelled", licence_id=1), cast.licence(1000))[0].reported == 0


@pytest.mark.parametrize(
    ("other", "verdict", "words"),
    [
        ({"consignee_id": cast.RESELLER}, "used by another party", "It names Reseller Ltd."),
        ({"scope": cast.TWO}, "used for chips it does not cover", "It is for H Two."),
        ({"country": "SG"}, "used to another country", "It is for Singapore."),
        ({"valid": cast.days("2026-02-01", "2026-12-31")}, "used before it was valid", "It can be used from 2026-02-01 on."),
        ({"valid": cast.days("2025-01-01", "2026-01-09")}, "used after it ended", "It can be used until 2026-01-09."),
    ],
)  # fmt: skip
def test_a_named_licence_that_does_not_speak_of_the_line_says_why(other, verdict, words):
    row = line(900, licence_id=1)
    (found,) = told(row, cast.licence(1000, **other))
    assert (found.verdict, found.gap, found.area, found.severity) == (verdict, 900, "org:operator", "medium")
    assert words in spoken(found)
    assert column(found, "remark") == [verdict.removeprefix("used ")]
    assert forbidden_words(spoken(found)) == []


def test_several_faults_of_one_line_are_one_finding_that_names_them_all():
    (found,) = told(line(licence_id=1), cast.licence(1000, consignee_id=cast.RESELLER, country="SG"))
    assert found.verdict == "used by another party"
    assert "also to another country" in spoken(found)


def test_goods_carried_on_under_the_same_licence_are_drawn_twice():
    first = line(300, licence_id=1)
    second = line(250, licence_id=1, onward_of_id=first.ref.id, shipped=cast.day("2026-03-01"))
    (found,) = told(first, second, cast.licence(1000))
    assert (found.verdict, found.gap) == ("drawn twice", 250)
    assert f"Line {second.reference} carries on the goods of line {first.reference}." in spoken(found)


def test_chips_of_one_consignment_on_two_licences_are_reported_with_the_ordinary_explanation():
    rows = line(300, licence_id=1, consignment="W1"), line(200, licence_id=2, consignment="W1")
    (found,) = told(*rows, cast.licence(1000), cast.licence(1000, licence_id=2, reference="L2"))
    assert (found.verdict, found.gap, found.severity) == ("drawn twice", 200, "medium")
    assert "a lot may have been split over two licences" in spoken(found)
    assert {row.role for row in found.evidence} >= {"licence", "movement", "specification", "party"}


def test_an_allocation_in_equivalents_is_drawn_by_performance_and_says_on_what_basis():
    """One H Two (TPP 7,916) is half an H100; a mixed family is half to one: 600 + (300 to 600) of 1,000."""
    item = cast.licence(1000, unit="H100-equivalents", scope=None)
    (found,) = judged(line(1200, scope=cast.TWO), line(600, scope=cast.MIXED), item)
    assert (found.unit, found.reported, found.numbers["drawn_high"]) == ("H100-equivalents", 900, 1200)
    assert (found.verdict, found.is_finding) == ("possibly over licence by 200", False)
    assert "conversion basis not public; TPP of one: 15,832" in spoken(found)


def test_an_allocation_in_equivalents_of_a_chip_without_known_performance_counts_nothing():
    found = judged(line(10), cast.licence(1000, unit="GB300-equivalents", scope=None))[0]
    assert (found.reported, column(found, "remark")) == (0, ["performance not known"])
    assert "nothing can be drawn" in spoken(found)


def test_a_long_account_keeps_its_last_rows_and_adds_up_the_earlier_ones():
    rows = [line(1, shipped=cast.day(f"2026-01-{1 + i % 28:02d}")) for i in range(260)]
    (found,) = judged(*rows, cast.licence(1000))
    table = found.numbers["running"]["rows"]
    assert len(table) == 200
    assert table[0][0].startswith("61 earlier rows")
    assert (
        sum(column(found, "drawn")),
        column(found, "drawn so far")[0],
        column(found, "drawn so far")[-1],
    ) == (260, 61, 260)


def test_every_line_licence_and_rule_is_named():
    row, item, rule = line(1200), cast.licence(1000), RecordRef("exportrule", 7, 3)
    (found,) = told(row, item, rules=((rule, "the rule and its citation"),))
    named = {(one.ref, one.role) for one in found.evidence}
    assert {(row.ref, "movement"), (item.ref, "licence"), (rule, "rule")} <= named


# --- through a run -----------------------------------------------------------------------------------------------------


@pytest.fixture
def licensed(db):
    """A licence of 1,000 chips for one buyer in the first half of 2026."""
    chip, holder = make.chip(specified=True), make.organization("synthetic-holder", country="MY")
    item = models.Licence.objects.create(
        reference="synthetic-licence", authority="Synthetic authority", consignee=holder, destination_country="MY",
        valid_from=date(2026, 1, 1), valid_until=date(2026, 7, 1), source=make.source(), grade="A", is_synthetic=True,
    )  # fmt: skip
    models.LicenceItem.objects.create(licence=item, chip=chip, quantity=1000)
    return item


def ship(licence, quantity: int, day: date, /, **given):
    values = {
        "chip": licence.items.get().chip, "quantity": quantity, "is_exact": True, "shipped_on": day,
        "consignee": licence.consignee, "destination_country": "MY", "origin_country": "US", "licence": licence,
        "is_synthetic": True,
    }  # fmt: skip
    return make.shipment(**values | given)


def run(**given):
    made = services.start_run("test", parameters=Parameters(records="synthetic"), **given)
    services.finish_here(made.id)
    made.refresh_from_db()
    return made


def rows(made, **wanted) -> list[models.Finding]:
    return list(models.Finding.objects.filter(run=made, check_code="LICENCE", **wanted))


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"quantity": 1200}, "over licence by 200"),
        ({"day": date(2025, 12, 1)}, "used before it was valid"),
        ({"day": date(2026, 7, 1)}, "used after it ended"),
        ({"destination_country": "SG"}, "used to another country"),
    ],
)
def test_each_breach_of_a_licence_becomes_a_discrepancy_with_its_running_table(licensed, given, verdict):
    ship(licensed, given.pop("quantity", 500), given.pop("day", date(2026, 2, 1)), **given)
    (found,) = rows(run(), is_discrepancy=True)
    assert found.verdict == verdict
    assert found.discrepancy.state == "new"
    assert found.numbers["running"]["rows"]
    assert {"licence", "movement", "party"} <= set(found.evidence.values_list("role", flat=True))


def test_a_party_that_the_licence_does_not_name_is_found_whatever_share_it_falls_into(licensed):
    ship(licensed, 500, date(2026, 2, 1), consignee=make.organization("synthetic-stranger", country="MY"))
    (found,) = rows(run(), is_discrepancy=True)
    assert (found.verdict, found.area) == ("used by another party", "org:synthetic-stranger")


def test_goods_carried_on_by_a_party_in_another_share_are_drawn_twice(licensed):
    other = models.Licence.objects.create(
        reference="synthetic-second", authority="Synthetic authority", destination_country="MY",
        consignee=make.organization("synthetic-other", country="MY"), source=make.source(), is_synthetic=True,
    )  # fmt: skip
    models.LicenceItem.objects.create(licence=other, chip=licensed.items.get().chip, quantity=1000)
    first = ship(licensed, 500, date(2026, 2, 1))
    ship(licensed, 500, date(2026, 3, 1), consignee=other.consignee, licence=other, onward_of=first)
    (found,) = rows(run(), is_discrepancy=True)
    assert (found.verdict, found.gap) == ("drawn twice", 500)


def test_a_backdated_shipment_changes_later_balances_in_a_new_run_and_nothing_in_the_earlier_one(licensed):
    ship(licensed, 300, date(2026, 2, 1))
    ship(licensed, 400, date(2026, 4, 1))
    before = run()
    late = ship(licensed, 200, date(2026, 3, 1))
    after, again = run(), services.repeat_run(before, "test")
    services.finish_here(again.id)
    again.refresh_from_db()

    def balances(made) -> list[float]:
        table = rows(made)[0].numbers["running"]
        return [row[table["columns"].index("remaining")] for row in table["rows"]]

    assert (balances(before), balances(after)) == ([700, 300], [700, 500, 100])
    assert (again.findings_sha256, again.signature) == (before.findings_sha256, before.signature)
    assert [f.text for f in rows(again)] == [f.text for f in rows(before)]
    assert late.reference not in "".join(f.text for f in rows(again))
