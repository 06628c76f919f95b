import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from tests import factories
from tests.admin.forms import filled_in
from tracker.models import Alias, Claim, Organization, RecordVersion

pytestmark = pytest.mark.django_db


def page(record, name="change"):
    return reverse(f"admin:tracker_{record._meta.model_name}_{name}", args=[record.pk])


def test_a_change_through_the_form_makes_a_version_with_actor_and_reason(analyst):
    claim = factories.claim(note="as first typed")
    data = filled_in(analyst, page(claim)) | {
        "note": "as corrected",
        "change_reason": "The page says otherwise.",
    }

    response = analyst.post(page(claim), data)

    assert response.status_code == 302, response.context["errors"]
    claim.refresh_from_db()
    assert (claim.note, claim.version) == ("as corrected", 2)
    assert (claim.recorded_by, claim.recorded_reason) == ("the-analyst", "The page says otherwise.")
    kept = RecordVersion.objects.get(table_name="tracker_claim", object_id=claim.pk)
    assert kept.row["note"] == "as first typed"
    assert (kept.superseded_by, kept.superseded_reason) == ("the-analyst", "The page says otherwise.")


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_change_without_a_reason_is_refused(analyst, reason):
    claim = factories.claim(note="as first typed")
    data = filled_in(analyst, page(claim)) | {"note": "as corrected", "change_reason": reason}

    response = analyst.post(page(claim), data)

    assert "Say why this record is changed" in response.content.decode()
    claim.refresh_from_db()
    assert (claim.note, claim.version) == ("as first typed", 1)


def test_a_new_record_needs_no_reason_and_carries_its_author(analyst):
    url = reverse("admin:tracker_source_add")
    data = filled_in(analyst, url) | {"slug": "paper-1", "title": "A paper", "kind": "press", "grade": "C"}

    response = analyst.post(url, data)

    assert response.status_code == 302, response.context["errors"]
    row = RecordVersion.objects.filter(table_name="tracker_source")
    assert not row.exists()
    from tracker.models import Source

    assert Source.objects.get(slug="paper-1").recorded_by == "the-analyst"


def test_a_row_typed_in_on_the_page_of_a_record_carries_the_reason_too(analyst):
    organization = factories.organization()
    data = filled_in(analyst, page(organization)) | {
        "aliases-TOTAL_FORMS": "1",
        "aliases-0-name": "合成公司",
        "aliases-0-organization": organization.pk,
        "change_reason": "Its own page gives the name.",
    }

    response = analyst.post(page(organization), data)

    assert response.status_code == 302, response.context["errors"]
    row = Alias.objects.get(name="合成公司")
    assert (row.recorded_by, row.recorded_reason) == ("the-analyst", "Its own page gives the name.")


def test_a_change_made_on_an_old_view_of_the_record_is_refused(analyst):
    claim = factories.claim(note="as first typed")
    data = filled_in(analyst, page(claim)) | {
        "note": "mine",
        "change_reason": "Read again.",
        "seen_version": "1",
    }
    claim.note = "a colleague's"
    claim.save()

    response = analyst.post(page(claim), data)

    assert "changed this record while you had it open" in response.content.decode()
    claim.refresh_from_db()
    assert claim.note == "a colleague&#x27;s" or claim.note == "a colleague's"


def test_what_only_the_database_can_refuse_comes_back_as_a_sentence_with_the_typed_values(analyst):
    chip = factories.chip()
    second = factories.specification(chip, rank=2, source=factories.source("synthetic-other"))
    data = filled_in(analyst, page(chip)) | {"change_reason": "The other source is better."}
    prefix = next(name for name in data if name.endswith("-id") and data[name] == second.pk).removesuffix(
        "-id"
    )
    data[f"{prefix}-rank"] = "1"

    response = analyst.post(page(chip), data)

    assert response.status_code == 200
    assert "Another specification of this chip has rank 1" in response.content.decode()
    second.refresh_from_db()
    assert second.rank == 2


def test_the_reason_typed_for_one_change_does_not_stay_for_the_next(analyst):
    claim = factories.claim()
    analyst.post(
        page(claim), filled_in(analyst, page(claim)) | {"note": "x", "change_reason": "Only for this."}
    )

    claim.refresh_from_db()
    claim.note = "y"
    claim.save()

    claim.refresh_from_db()
    assert claim.recorded_reason == ""


def test_the_history_shows_who_changed_what_why_and_from_which_value(analyst, reader):
    claim = factories.claim(best=1000, low=None, high=None)
    data = filled_in(analyst, page(claim)) | {"best": "1200", "change_reason": "Misread the table."}
    analyst.post(page(claim), data)

    text = reader.get(page(claim, "history")).content.decode()

    assert "the-analyst" in text
    assert "Misread the table." in text
    assert "<del>1000.0</del>" in text
    assert "<ins>1200.0</ins>" in text


def test_the_history_names_what_a_foreign_key_pointed_to(analyst, reader):
    claim = factories.claim(subject=factories.organization(name="Old Holder"))
    data = filled_in(analyst, page(claim))
    data |= {"subject": factories.organization(name="New Holder").pk, "change_reason": "Wrong company."}
    analyst.post(page(claim), data)

    text = reader.get(page(claim, "history")).content.decode()

    assert "<del>Old Holder</del>" in text
    assert "<ins>New Holder</ins>" in text


def test_the_history_of_a_record_tells_of_rows_taken_away_from_it(analyst, reader):
    organization = factories.organization()
    alias = factories.alias(organization, "旧名")
    data = filled_in(analyst, page(organization)) | {
        "aliases-0-DELETE": "on",
        "change_reason": "Another firm.",
    }
    analyst.post(page(organization), data)

    text = reader.get(page(organization, "history")).content.decode()

    assert not Alias.objects.filter(pk=alias.pk).exists()
    assert "alias deleted" in text
    assert "旧名" in text


def test_a_version_that_no_longer_stands_can_be_read_whole(analyst, reader):
    claim = factories.claim(note="as first typed")
    analyst.post(
        page(claim), filled_in(analyst, page(claim)) | {"note": "later", "change_reason": "Read again."}
    )

    fields = dict(reader.get(page(claim, "history") + "?version=1").context["seen"])

    assert fields["note"] == "as first typed"


def test_what_people_typed_is_shown_as_text_and_never_as_markup(analyst, reader):
    claim = factories.claim(note="<script>alert(1)</script>", original_text="<img src=x onerror=alert(1)>")
    analyst.post(
        page(claim), filled_in(analyst, page(claim)) | {"note": "<b>x</b>", "change_reason": "<i>why</i>"}
    )

    for url in (page(claim, "history"), page(claim), reverse("admin:tracker_claim_changelist")):
        text = reader.get(url).content.decode()
        assert "<script>alert(1)" not in text
        assert "<img src=x" not in text
        assert "<i>why</i>" not in text


def test_an_address_that_is_no_web_address_is_refused_by_the_database():
    with pytest.raises(IntegrityError, match="source_url"), transaction.atomic():
        factories.source("synthetic-trap", url="javascript:alert(1)")


def test_deleting_asks_for_a_reason_and_keeps_the_last_version(reviewer):
    claim = factories.claim(note="the last words")

    reviewer.post(page(claim, "delete"), {"post": "yes"})
    assert Claim.objects.filter(pk=claim.pk).exists()

    reviewer.post(page(claim, "delete"), {"post": "yes", "change_reason": "Entered twice."})
    assert not Claim.objects.filter(pk=claim.pk).exists()
    kept = RecordVersion.objects.get(table_name="tracker_claim", object_id=claim.pk)
    assert (kept.operation, kept.superseded_by) == ("delete", "the-reviewer")
    assert (kept.superseded_reason, kept.row["note"]) == ("Entered twice.", "the last words")


def test_deleting_several_asks_once_for_a_reason(reviewer):
    rows = [factories.claim(), factories.claim()]
    url = reverse("admin:tracker_claim_changelist")
    data = {"action": "delete_with_reason", "_selected_action": [row.pk for row in rows]}

    asked = reviewer.post(url, data | {"index": "0"})
    assert "Reason for this deletion" in asked.content.decode()

    reviewer.post(url, data | {"post": "yes"})
    assert Claim.objects.count() == 2

    reviewer.post(url, data | {"post": "yes", "change_reason": "Entered twice."})
    assert Claim.objects.count() == 0
    kept = RecordVersion.objects.filter(table_name="tracker_claim", operation="delete")
    assert {row.superseded_reason for row in kept} == {"Entered twice."}


def test_an_analyst_cannot_delete_a_claim(analyst):
    claim = factories.claim()

    assert analyst.get(page(claim, "delete")).status_code == 403
    assert (
        analyst.post(page(claim, "delete"), {"post": "yes", "change_reason": "Why not."}).status_code == 403
    )


def test_marks_stand_beside_what_is_made_up_unchecked_or_alleged(reader):
    factories.claim("one", is_synthetic=True, verification="synthetic")
    factories.claim("two", is_synthetic=False, verification="memory")
    factories.claim("three", is_synthetic=False, verification="read", allegation="alleged")

    text = reader.get(reverse("admin:tracker_claim_changelist")).content.decode()

    assert text.count(">SYNTHETIC<") == 1
    assert text.count(">UNVERIFIED<") == 1
    assert text.count(">alleged, not proven</span>") == 1


def test_the_refusal_of_the_database_is_not_swallowed_elsewhere():
    with pytest.raises(IntegrityError):
        Organization.objects.create(slug="x", name="X", country="us")
