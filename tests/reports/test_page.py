"""What the page decides to show, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.reports.test_tables import RUN, line
from tracker.reports import page
from tracker.reports.tables import EvidenceLine, ReportData


def data(*lines, **given) -> ReportData:
    return ReportData(
        run=RUN, counts={"claims": 2, "sources": 4, "sources_unverified": 1}, lines=tuple(lines), **given
    )


def claim(
    name: str, low: float | None, best: float | None, high: float | None, unit: str = "chips"
) -> EvidenceLine:
    return EvidenceLine(
        role="claim", record=name, version=1, label=name, figure="", grade="C", verification="read", allegation="",
        page="", source=None, bounds=(low, best, high), unit=unit,
    )  # fmt: skip


def test_no_more_cards_than_the_page_can_bear_and_the_rest_is_counted():
    made = page.context(data(*(line(f"{index:012d}") for index in range(page.MAX_CARDS + 7))))
    assert (len(made["cards"]), made["cards_left_out"], made["found"]) == (
        page.MAX_CARDS,
        7,
        page.MAX_CARDS + 7,
    )


def test_a_line_without_a_card_is_listed_without_a_link():
    made = page.context(data(*(line(f"{index:012d}") for index in range(page.MAX_CARDS + 1))))
    assert [bool(row["href"]) for row in made["overview"]].count(False) == 1


def test_conflicting_figures_of_different_units_share_no_axis():
    same = line("a", check="CONFLICT", evidence=(claim("x", None, 1, None), claim("y", None, 2, None)))
    mixed = line(
        "b", check="CONFLICT", evidence=(claim("x", None, 1, None), claim("y", None, 2, None, "USD"))
    )
    plots = page.context(data(same, mixed))["forests"]
    assert [plot["line"]["line"].key for plot in plots] == ["a"]


def test_consistent_results_are_counted_and_not_listed():
    made = page.context(data(line("a", is_discrepancy=False, severity="info", verdict="consistent")))
    assert (made["consistent"], made["others"]["total"], made["found"]) == (1, 0, 0)


def test_each_quiet_line_stands_in_one_table():
    lines = [
        line(verdict, verdict=verdict, is_discrepancy=False, severity="info")
        for verdict in ("undetermined", "no record", "beside the ledger")
    ]
    made = page.context(data(*lines))
    assert [made[name]["total"] for name in ("undetermined", "unrecorded", "others")] == [1, 1, 1]


def test_severity_is_worded_by_the_significant_quantity_of_the_run():
    made = replace(
        data(), run=replace(RUN, parameters={"significant_quantity_h100e": 500, "materiality_sq": 0.2})
    )
    words = page.severity_words(made)
    assert words["critical"].startswith("5,000 ")
    assert words["medium"].startswith("100 ")


def test_the_headline_says_how_many_sources_nobody_has_checked():
    figures = {figure["label"]: figure["value"] for figure in page.headline(data(), ())}
    assert figures["of sources unverified"] == "25 %"


@pytest.mark.parametrize(("value", "text"), [(5.0, "+5"), (-5.0, "−5"), (0.0, "0"), (None, "–")])
def test_a_difference_carries_its_sign(value, text):
    assert page.signed(value) == text


def test_nested_parameters_are_rows_with_dotted_names():
    assert page.parameter_rows({"b": 1, "a": {"x": 0.5}}) == [("a.x", "0.5"), ("b", "1")]


def test_a_card_shows_the_last_rows_of_a_running_table_and_counts_the_others():
    rows = [[f"2026-01-{1 + n % 28:02d}", 10.0, 10.0 * n] for n in range(page.MAX_RUNNING_ROWS + 5)]
    table = {"columns": ["shipped", "drawn", "drawn so far"], "rows": rows}
    (card,) = page.context(data(line("a", numbers={"running": table, "authorised": 400})))["cards"]
    assert card["kept"] == [("authorised", "400")]
    assert card["running"]["columns"] == [("shipped", False), ("drawn", True), ("drawn so far", True)]
    assert (len(card["running"]["rows"]), card["running"]["left_out"]) == (page.MAX_RUNNING_ROWS, 5)
    assert card["running"]["rows"][-1][2] == ("440", True)
    assert page.running_table({"authorised": 400}) is None


def test_a_probability_in_a_running_table_is_rounded_to_neither_none_nor_certain():
    rows = [["a", 0.0], ["b", 2e-5], ["c", 0.25], ["d", 0.99997], ["e", 1.0]]
    kept = page.running_table({"running": {"columns": ["line", "p over"], "rows": rows}})
    assert [text for _, (text, _) in kept["rows"]] == ["0", "< 0.001", "0.25", "> 0.999", "1"]


@pytest.mark.parametrize(
    ("parameters", "name"), [({}, "Benjamini-Hochberg"), ({"control": "BY"}, "Benjamini-Yekutieli")]
)
def test_the_control_of_false_alarms_is_named_as_the_run_had_it(parameters, name):
    told = data(line("a"))
    assert page.context(replace(told, run=replace(RUN, parameters=parameters)))["control"] == name


def test_what_is_overdue_is_listed_with_the_longest_first():
    days = {"later": date(2026, 2, 27), "long": date(2025, 1, 1), "due today": RUN.as_of, "no day": None}
    lines = [line(key, due_on=due) for key, due in days.items()]
    lines += [line("resolved", due_on=date(2025, 1, 1), is_resolved=True)]
    lines += [line("quiet", due_on=date(2025, 1, 1), is_discrepancy=False, severity="info")]
    made = page.context(data(*lines))
    assert [(row["line"].key, due) for row, due in made["overdue"]] == [
        ("long", date(2025, 1, 1)), ("later", date(2026, 2, 27)),
    ]  # fmt: skip
