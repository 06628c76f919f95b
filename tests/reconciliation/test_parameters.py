"""Numbers of the method: what may be set, from when it holds, and where a run took its numbers from."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from tracker.core.errors import BadInput
from tracker.models import MethodParameter
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.parameters import CHOSEN_BY_RUN, SETTINGS, defaults, problem, with_settings

METHOD = Path(settings.BASE_DIR) / "docs" / "method.md"


def test_every_parameter_can_be_set_or_says_why_not():
    assert {field.name for field in fields(Parameters)} == SETTINGS.keys() | CHOSEN_BY_RUN.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_every_default_lies_in_its_own_range(name):
    assert problem(name, defaults()[name]) == ""


@pytest.mark.parametrize("name", SETTINGS)
def test_the_method_lists_every_parameter_with_unit_default_and_range(name):
    (row,) = re.findall(rf"^\| `{name}` \|.*$", METHOD.read_text(), re.MULTILINE)
    _, unit, default, span, _ = (cell.strip() for cell in row.strip("|").split("|"))
    setting, value = SETTINGS[name], defaults()[name]
    assert (unit or "", span) == (setting.unit, setting.range_words)
    words = value if isinstance(value, str) else f"{value:g}" if not hasattr(value, "items") else None
    told = words or ", ".join(f"{key} {number:g}" for key, number in value.items())
    assert default == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pue", 0.99, "lies outside its range: give a number from 1 to 3 (ratio)."),
        ("pue", "high", "'high' is no number: give a number from 1 to 3"),
        ("pue", True, "is no number"),
        ("pue", float("nan"), "is no number"),
        ("timeliness_days", 90.5, "90.5 is no whole number: give a whole number from 1 to 3650 (days)."),
        ("control", "Bonferroni", "is none of its choices: give BH or BY, in quotation marks."),
        ("restricted_destinations", 5, "is no name"),
        ("grade_rel_sd", 0.1, "is a table of numbers: give an object such as"),
        ("grade_rel_sd", {"A": 0.01}, "must name each of A, B, C, D, E once; B, C, D, E is missing or odd."),
        ("server_watts_per_chip", {"a-chip": 0}, "server_watts_per_chip of a-chip 0 lies outside its range"),
        ("significant_quantity", 500, "did you mean significant_quantity_h100e?"),
        ("xyz", 1, "choose one of: alpha,"),
        ("records", "synthetic", "is chosen when a run is started"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_mend(name, value, told):
    assert told in problem(name, value)
    with pytest.raises(BadInput):
        with_settings({name: value})


@pytest.mark.parametrize(
    "name", [name for name, of in SETTINGS.items() if of.kind in ("number", "whole number")]
)
def test_both_ends_of_a_range_belong_to_it(name):
    of = SETTINGS[name]
    assert problem(name, of.low) == problem(name, of.high) == ""
    assert problem(name, of.low - 1e-3)
    assert problem(name, of.high + 1e-3)


@given(st.integers(1, 1_000_000))
def test_a_whole_number_and_its_decimal_make_equal_parameters(value):
    one, other = ({"significant_quantity_h100e": kind(value)} for kind in (int, float))
    assert repr(with_settings(one)) == repr(with_settings(other))


def test_the_form_of_a_row_refuses_what_the_method_refuses():
    row = MethodParameter(name="pue", value=7, valid_from=date(2026, 1, 1), reason="Synthetic.")
    with pytest.raises(ValidationError, match="lies outside its range"):
        row.clean()
    row.value = 1.3
    row.clean()


def set_(name, value, since):
    return factories.method_parameter(name, value, valid_from=date.fromisoformat(since))


@pytest.mark.django_db
def test_the_latest_value_begun_by_the_day_is_taken():
    set_("pue", 1.3, "2026-02-01")
    set_("pue", 1.2, "2026-01-01")

    days = ("2025-12-31", "2026-01-01", "2026-01-31", "2026-02-01", "2026-09-01")
    found = [services.parameters_on(date.fromisoformat(day), timezone.now()).pue for day in days]

    assert found == [1.1, 1.2, 1.2, 1.3, 1.3]


@pytest.mark.django_db(transaction=True)
def test_a_correction_is_read_from_when_it_was_recorded():
    row = set_("pue", 1.3, "2026-01-01")
    row.refresh_from_db()
    before = row.recorded_at
    MethodParameter.objects.filter(pk=row.pk).update(value=1.4)
    row.refresh_from_db()

    def known(at):
        return services.parameters_on(date(2026, 6, 1), at).pue

    assert known(before - timedelta(microseconds=1)) == 1.1
    assert known(before) == 1.3
    assert known(row.recorded_at) == 1.4


@pytest.mark.django_db
def test_a_run_takes_what_is_set_records_it_and_says_who_set_it_when_and_why():
    set_("significant_quantity_h100e", 500, "2025-01-01")

    run = services.start_run("synthetic analyst", records="synthetic")

    assert run.parameters["significant_quantity_h100e"] == 500.0
    lines = {line.name: line for line in services.parameter_lines(run)}
    assert lines["significant_quantity_h100e"].origin.startswith("since 2025-01-01, set 20")
    assert "a smaller quantity matters" in lines["significant_quantity_h100e"].origin
    assert lines["pue"].origin == "default of the method"
    assert lines["records"].origin == "chosen for this run"


@pytest.mark.django_db
def test_parameters_given_with_a_run_win_and_are_repeated_with_it():
    set_("pue", 1.3, "2025-01-01")
    run = services.start_run("synthetic analyst", parameters=Parameters(pue=1.5))
    lines = {line.name: line.origin for line in services.parameter_lines(run)}
    assert (run.parameters["pue"], lines["pue"]) == (1.5, "given with this run")

    again = services.repeat_run(run, "synthetic analyst")
    assert again.signature == run.signature


@pytest.mark.django_db
def test_a_value_written_past_the_form_stops_a_run_with_a_sentence():
    set_("pue", 99, "2025-01-01")
    with pytest.raises(BadInput, match="pue 99 lies outside its range"):
        services.start_run("synthetic analyst")


@pytest.mark.django_db
def test_a_smaller_significant_quantity_changes_what_a_run_says():
    site = factories.data_center("synthetic-site", country="MY")
    chip = factories.chip("synthetic-h", specified=False)
    factories.specification(chip, fp8_tflops=1979, die_area_mm2=814)
    factories.shipment("synthetic-line", chip=chip, quantity=100, destination=site)
    factories.claim(
        "synthetic-claim", data_center=site, chip=chip, best=3000, status="installed", kind="installed"
    )

    def severity():
        run = services.start_run("synthetic analyst", records="synthetic")
        services.finish_here(run.id)
        return run.findings.get(check_code="GAP", area="site:synthetic-site").severity

    assert severity() == "high"
    set_("significant_quantity_h100e", 100, "2025-01-01")
    assert severity() == "critical"
