"""Setting the numbers of the method."""

import pytest
from django.urls import reverse

from tests import factories
from tests.admin.forms import filled_in
from tracker.models import MethodParameter
from tracker.reconciliation.services import start_run

pytestmark = pytest.mark.django_db

ADD = "admin:tracker_methodparameter_add"


def add(client, **given):
    typed = {"name": "pue", "value": "1.3", "valid_from": "2026-01-01", "reason": "A survey of sites."}
    return client.post(reverse(ADD), filled_in(client, reverse(ADD)) | typed | given)


def test_a_reviewer_sets_a_parameter_from_a_day_on(reviewer):
    response = add(reviewer)

    assert response.status_code == 302, response.context["errors"]
    row = MethodParameter.objects.get()
    assert (row.name, row.value, row.recorded_by) == ("pue", 1.3, "the-reviewer")


def test_a_value_outside_its_range_is_refused_with_the_range(reviewer):
    text = add(reviewer, value="0.5").content.decode()

    assert "pue 0.5 lies outside its range: give a number from 1 to 3 (ratio)." in text
    assert not MethodParameter.objects.exists()


def test_the_form_lists_the_parameters_with_unit_and_range(reviewer):
    text = reviewer.get(reverse(ADD)).content.decode()

    assert "timeliness_days: days, 1 to 3650" in text


def test_a_run_says_which_parameter_was_set_when_and_why(reader):
    factories.method_parameter("pue", 1.3, reason="A survey of sites.")
    run = start_run("synthetic analyst")

    text = reader.get(reverse("admin:tracker_reconciliationrun_change", args=[run.pk])).content.decode()

    assert "since 2025-01-01, set" in text
    assert "A survey of sites." in text
