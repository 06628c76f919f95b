"""The queue of matches, deciding, and loading a list by hand."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tests import factories
from tests.screening.files import csl_csv, csl_row
from tracker.models import ListedParty, ListEntry, ListVersion, ScreeningMatch

pytestmark = pytest.mark.django_db

QUEUE = "admin:tracker_screeningmatch_changelist"
WHY = "Same address in the register of companies."


@pytest.fixture
def match() -> ScreeningMatch:
    organization = factories.organization("synthetic-asked", name="Qoruvex Trading", note="Seen in a filing.")
    factories.alias(organization, "科鲁维克斯")
    party = factories.listed_party("Qoruvex Trading Co.", "Zubafine", addresses=["1 Synthetic Road"])
    return factories.screening_match(organization, party)


def decide(client, match, what, reason=WHY):
    address = reverse(f"admin:tracker_screeningmatch_{what}", args=[match.pk])
    return client.post(address, {"_form_submitted": "on", "reason": reason})


def page(client, match) -> str:
    return client.get(reverse("admin:tracker_screeningmatch_change", args=[match.pk])).content.decode()


def test_the_queue_shows_what_waits_the_likeliest_first_and_the_rest_when_asked(reader, match):
    likelier = factories.screening_match(
        factories.organization(), factories.listed_party("Other Party"), score="0.9500", band="match"
    )
    rejected = factories.screening_match(
        factories.organization(), factories.listed_party("Third Party"), state="rejected",
        decided_by="x", reason="y", decided_at=match.screened_at,
    )  # fmt: skip

    def shown(**query):
        return [row.pk for row in reader.get(reverse(QUEUE), query).context["cl"].result_list]

    assert shown() == [likelier.pk, match.pk]
    assert shown(standing="rejected") == [rejected.pk]
    assert len(shown(standing="all")) == 3


def test_the_page_puts_both_sides_beside_each_other_and_says_why(reader, match):
    text = page(reader, match)
    for part in (
        "Qoruvex Trading Co.",
        "科鲁维克斯",
        "Zubafine",
        "1 Synthetic Road",
        "99 FR 1",
        "agree in 83% of their letters",
    ):
        assert part in text
    assert 'value="0.830"' in text


def test_a_reviewer_confirms_with_a_sentence_and_the_page_says_who_and_why(reviewer, match):
    decide(reviewer, match, "confirm_one")
    match.refresh_from_db()
    assert (match.state, match.decided_by, match.reason) == ("confirmed", "the-reviewer", WHY)
    assert ListEntry.objects.get(organization=match.organization).recorded_by == "the-reviewer"
    text = page(reviewer, match)
    assert WHY in text
    assert "list entry" in text


@pytest.mark.parametrize("reason", ["", "ok"])
def test_without_a_sentence_nothing_is_decided(reviewer, match, reason):
    decide(reviewer, match, "confirm_one", reason)
    match.refresh_from_db()
    assert match.state == "open"
    assert not ListEntry.objects.exists()


def test_several_are_rejected_for_one_reason_after_a_page_that_asks_it(reviewer, match):
    data = {"action": "reject_selected", "_selected_action": [match.pk]}
    assert "Qoruvex Trading" in reviewer.post(reverse(QUEUE), data).content.decode()
    assert ScreeningMatch.objects.get().state == "open"
    reviewer.post(reverse(QUEUE), data | {"post": "1", "reason": "Other firms of that name."})
    assert ScreeningMatch.objects.get().state == "rejected"


@pytest.mark.parametrize("role", ["reader", "analyst", "operator"])
def test_only_reviewers_decide_and_load(request, role, match):
    client = request.getfixturevalue(role)
    assert decide(client, match, "confirm_one").status_code == 403
    assert decide(client, match, "reject_one").status_code == 403
    client.post(
        reverse(QUEUE),
        {"action": "reject_selected", "_selected_action": [match.pk], "post": "1", "reason": WHY},
    )
    assert ScreeningMatch.objects.get().state == "open"
    assert (
        client.get(
            reverse("admin:tracker_screeninglist_load_file", args=[match.party.screening_list_id])
        ).status_code
        == 403
    )


def test_an_analyst_starts_a_screening_and_a_reader_does_not(
    analyst, reader, monkeypatch, django_capture_on_commit_callbacks
):
    asked = []
    monkeypatch.setattr("tracker.admin.screening.screen_changes.delay", asked.append)
    address = reverse("admin:tracker_screeningmatch_screen_now")
    with django_capture_on_commit_callbacks(execute=True):
        assert reader.get(address).status_code == 403
        assert analyst.get(address).status_code == 302
    assert asked == ["the-analyst"]


def load(client, screening_list, data: bytes, **more):
    address = reverse("admin:tracker_screeninglist_load_file", args=[screening_list.pk])
    values = {
        "file": SimpleUploadedFile("list.csv", data),
        "format": "auto",
        "as_of": "2024-01-01",
        "reason": "Weekly file.",
    }
    return client.post(address, values | more)


def test_a_reviewer_loads_a_file_and_the_screening_is_queued(
    reviewer, monkeypatch, django_capture_on_commit_callbacks
):
    asked = []
    monkeypatch.setattr("tracker.admin.screening.screen_changes.delay", asked.append)
    screening_list = factories.screening_list()
    with django_capture_on_commit_callbacks(execute=True):
        assert load(reviewer, screening_list, csl_csv(csl_row("Qoruvex"))).status_code == 302
    assert asked == ["the-reviewer"]
    version = ListVersion.objects.get()
    assert (version.as_of, version.loaded_by, version.file_name) == (
        date(2024, 1, 1),
        "the-reviewer",
        "list.csv",
    )
    assert ListedParty.objects.get().recorded_reason == "Weekly file."
    text = reviewer.get(
        reverse("admin:tracker_screeninglist_change", args=[screening_list.pk])
    ).content.decode()
    assert "1 created" in text


def test_what_is_wrong_with_an_uploaded_file_is_shown_line_by_line_and_nothing_kept(reviewer, monkeypatch):
    screening_list = factories.screening_list()
    text = load(
        reviewer, screening_list, csl_csv(csl_row("A"), csl_row("B", start_date="soon"))
    ).content.decode()
    assert "list.csv, line 3, start_date" in text
    assert "&lt;html&gt;" not in load(reviewer, screening_list, b"<script>alert(1)</script>").content.decode()
    monkeypatch.setattr("tracker.admin.screening.LARGEST_UPLOAD", 10)
    assert (
        "load it with manage.py load_list"
        in load(reviewer, screening_list, csl_csv(csl_row("A"))).content.decode()
    )
    assert not ListedParty.objects.exists()


def test_a_hostile_name_is_shown_as_text(reader):
    party = factories.listed_party("<script>alert(1)</script>", source_url="https://example.org/?a=<b>")
    match = factories.screening_match(factories.organization(name="<b>Bold</b>"), party)
    for text in (
        page(reader, match),
        reader.get(reverse(QUEUE)).content.decode(),
        reader.get(reverse("admin:tracker_listedparty_change", args=[party.pk])).content.decode(),
    ):
        assert "<script>alert(1)" not in text
        assert "<b>Bold" not in text


def test_the_history_of_a_match_shows_the_decision(reviewer, match):
    decide(reviewer, match, "reject_one")
    text = reviewer.get(reverse("admin:tracker_screeningmatch_history", args=[match.pk])).content.decode()
    assert WHY in text
