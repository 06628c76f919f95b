"""The life of a discrepancy: by rules alone, and over runs of a small synthetic ledger."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from tracker.core.period import Period, quarter
from tracker.models import Claim, DataCenter, Discrepancy, Shipment, Source
from tracker.proof.services import prove
from tracker.reconciliation import lifecycle, result, services
from tracker.reconciliation.explain import when
from tracker.reconciliation.lifecycle import (
    Basis,
    Seen,
    due_on,
    is_overdue,
    last_day,
    next_state,
    rests_on_another_ledger,
)
from tracker.reconciliation.lives import services as lives
from tracker.reviews.services import events, reopen, resolve

SEEN = Seen("a", "not accounted for", 400.0)
STATES = Discrepancy.State.values


def test_the_states_are_those_of_the_table():
    named = {
        lifecycle.NEW, lifecycle.PERSISTING, lifecycle.CHANGED, lifecycle.BELOW, lifecycle.BACK, lifecycle.RESOLVED,
        lifecycle.REOPENED,
    }  # fmt: skip
    assert named == set(STATES)


@pytest.mark.parametrize("state", ["new", "persisting", "changed", "back", "reopened"])
@pytest.mark.parametrize(
    ("now", "after"),
    [
        (SEEN, "persisting"),
        (Seen("b", "not accounted for", 400.0), "changed"),
        (Seen("a", "claim below ledger", 400.0), "changed"),
        (Seen("a", "not accounted for", 401.0), "changed"),
        (None, "below threshold"),
    ],
)
def test_what_is_open_moves_on_by_what_a_run_sees(state, now, after):
    assert next_state(state, SEEN, now) == after


def test_what_was_below_the_threshold_stays_there_or_comes_back():
    assert next_state("below threshold", SEEN, None) == "below threshold"
    assert next_state("below threshold", SEEN, SEEN) == "back"


@given(
    st.sampled_from(["a", "b", ""]),
    st.sampled_from([SEEN.verdict, "claim below ledger"]),
    st.sampled_from([None, 400.0, 1.0]),
)
def test_what_is_resolved_opens_by_its_records_and_by_nothing_else(evidence, verdict, gap):
    now = Seen(evidence, verdict, gap)
    assert next_state("resolved", SEEN, now) == "resolved"
    assert next_state("resolved", SEEN, now, written=True) == "reopened"
    assert next_state("new", now, now, written=True) == "persisting"
    assert next_state("resolved", SEEN, None, written=True) == "resolved"


@pytest.mark.parametrize(
    ("other", "daily", "tells"),
    [
        ({"figures": (1.0, 3.0)}, True, True),
        ({"figures": (1.0, 3.0), "by": ("other",)}, False, False),
        ({"figures": (1.0, 3.0), "day": date(2026, 3, 2)}, True, False),
        ({"figures": (1.0, 3.0), "day": date(2026, 3, 2)}, False, True),
        ({"day": date(2026, 3, 2)}, False, False),
    ],
)
def test_figures_tell_of_records_where_nothing_else_can_have_moved_them(other, daily, tells):
    before = Basis((1.0, 2.0), ("parameters", "code"), date(2026, 3, 1))
    assert rests_on_another_ledger(before, replace(before, **other), moves_with_the_day=daily) == tells


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(0, 900))
def test_the_last_day_of_a_period_is_read_from_its_words(first, length):
    last = first + timedelta(days=length)
    assert last_day(when(Period.inclusive(first, last))) == last
    assert last_day(when(Period.inclusive(None, last))) == last
    assert last_day(when(Period(first, None))) is None
    end = last_day(quarter(first))
    assert end is not None
    assert first <= end
    assert quarter(end) == quarter(first) != quarter(end + timedelta(days=1))


@pytest.mark.parametrize("words", ["2026-02-30", "2026-13", "", "last twelve months", "from 2026-01-01"])
def test_words_that_name_no_last_day_give_none(words):
    assert last_day(words) is None


def test_it_is_due_after_its_period_and_overdue_the_day_after_that():
    assert due_on(date(2026, 3, 31), date(2026, 9, 1), 90) == date(2026, 6, 29)
    assert due_on(None, date(2026, 9, 1), 90) == date(2026, 11, 30)
    due = date(2026, 6, 29)
    assert not is_overdue(due, "new", due)
    assert is_overdue(due, "new", due + timedelta(days=1))
    assert not any(is_overdue(due, state, date(2027, 1, 1)) for state in ("resolved", "below threshold"))


# --- over runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_database_moves_discrepancies_on_as_the_method_does():
    """Every state, with every sight before and now."""
    known = {"parameters": {"records": "synthetic"}}
    before, now = factories.run("synthetic-before", **known), factories.run("synthetic-now", **known)
    sights = [
        None,
        *(
            Seen(*told)
            for told in (("a", "over", 1.0), ("b", "over", 1.0), ("a", "under", 1.0), ("a", "over", None))
        ),
    ]
    closed = {"reason": "timing", "resolution": "Synthetic: under way.", "resolved_at": now.as_known_at}
    expected = {}
    for number, (state, *pair) in enumerate(itertools.product(STATES, sights, sights)):
        name = {"area": f"site:synthetic-{number}"}
        resolved = {**closed, "resolved_evidence_sha256": "a"} if state == "resolved" else {}
        one = factories.discrepancy(before, state=state, **resolved, **name)
        told = [
            sight
            and factories.finding(
                row, tracked=False, key=one.key, discrepancy=one, verdict=sight.verdict, gap=sight.gap,
                evidence_sha256=sight.evidence, **name,
            )
            for row, sight in zip((before, now), pair, strict=True)
        ]  # fmt: skip
        Discrepancy.objects.filter(id=one.id).update(latest=told[0])
        # without a sight before, nothing is left of what it was resolved on but the digest
        written = pair[1] is not None and (
            pair[0].gap != pair[1].gap if pair[0] is not None else pair[1].evidence != "a"
        )
        expected[one.id] = next_state(state, *pair, written=written)
    given = {"run": now.id, "records": "synthetic", "daily": []}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT discrepancy_id, after FROM ({lives._NEXT}) n", given)
        after = dict(cursor.fetchall())
        cursor.execute(lives._REOPENS, given)
        after |= {pk: "reopened" for pk, _ in cursor.fetchall()}
    resolved = Discrepancy.objects.filter(state="resolved").exclude(pk__in=after).values_list("pk", flat=True)
    assert after | dict.fromkeys(resolved, "resolved") == expected
    assert set(expected.values()) == {*STATES} - {"new"}


@pytest.fixture
def chip(db):
    found = factories.chip("synthetic-h", specified=False)
    factories.specification(found, fp8_tflops=1979, die_area_mm2=814)
    return found


@pytest.fixture
def item(chip):
    """A site said to hold 5,000 chips, into which 2,300 are recorded; found by a first run."""
    site(chip, "synthetic-site", claimed=5000, received=2300)
    run()
    return found()


def site(chip, slug, claimed, received):
    place = factories.data_center(slug, country="MY")
    factories.shipment(f"{slug}-line", chip=chip, quantity=received, destination=place, grade="B")
    factories.claim(
        f"{slug}-claim", data_center=place, chip=chip, best=claimed, status="installed", kind="installed",
        period_start=None, period_end=date(2026, 1, 31),
    )  # fmt: skip


def run(**given):
    made = services.start_run("synthetic analyst", records="synthetic", **given)
    services.finish_here(made.id)
    made.refresh_from_db()
    return made


def found(area="site:synthetic-site"):
    return Discrepancy.objects.get(check_code="GAP", area=area)


def proven():
    return prove("synthetic operator", only=["links", "lives"]).breached == 0


def close(item):
    return resolve(item, User.objects.create_user("zhang"), "explained", "Seen on site in February.")


def test_a_first_run_opens_it_with_its_days(item):
    assert item.state == "new"
    assert (item.opened_at, item.period_end) == (item.first_run.as_known_at, date(2026, 1, 31))
    assert item.due_on == date(2026, 5, 1)
    assert item.latest.period_end == date(2026, 1, 31)
    assert [(e.run_key, e.before, e.after) for e in events(item)] == [(item.first_run.key, "", "new")]


def test_every_change_of_state_is_kept_with_the_run_that_made_it(item):
    run()
    run()
    Shipment.objects.filter(reference="synthetic-site-line").update(quantity=2200)
    last = run()
    assert [(e.before, e.after) for e in events(item)][::-1] == [
        ("", "new"), ("new", "persisting"), ("persisting", "changed"),
    ]  # fmt: skip
    assert events(item).first().run_key == last.key


def test_it_comes_back_under_the_same_identity(item):
    Claim.objects.filter(slug="synthetic-site-claim").update(best=2300)
    run()
    assert found().state == "below threshold"
    Claim.objects.filter(slug="synthetic-site-claim").update(best=5000)
    run()
    back = found()
    assert (back.pk, back.state, back.opened_at, back.due_on) == (
        item.pk,
        "back",
        item.opened_at,
        item.due_on,
    )


def test_it_opens_again_when_a_record_it_rests_on_changes_and_says_which(item):
    close(item)
    Shipment.objects.filter(reference="synthetic-site-line").update(quantity=2400)
    run()
    again = found()
    assert (again.state, again.reason, again.resolution, again.resolved_at) == ("reopened", "", "", None)
    told = events(again).first()
    line = Shipment.objects.get(reference="synthetic-site-line")
    assert "(Seen on site in February.)" in told.words
    assert f"shipment {line.pk}: version 1 is now 2" in told.words


def test_it_opens_again_when_a_claim_it_rests_on_is_corrected(item):
    close(item)
    Claim.objects.filter(slug="synthetic-site-claim").update(note="Page 7.")
    run()
    assert found().state == "reopened"


def test_it_opens_again_when_the_source_of_a_claim_it_rests_on_is_corrected_and_once_only(item):
    source = Claim.objects.get(slug="synthetic-site-claim").source
    Source.objects.filter(id=source.id).update(title="Seen before it was resolved")
    close(item)
    run()
    assert found().state == "resolved"
    Source.objects.filter(id=source.id).update(grade="D", title="Withdrawn")
    run()
    assert found().state == "reopened"
    assert f"source {source.slug}: corrected, now version 3" in events(found()).first().words
    resolve(
        found(), User.objects.get(username="zhang"), "explained", "The site was counted by another house."
    )
    run()
    assert found().state == "resolved"


def test_a_change_elsewhere_does_not_open_it(item, chip):
    close(item)
    site(chip, "synthetic-elsewhere", claimed=4000, received=100)
    run()
    Shipment.objects.filter(reference="synthetic-elsewhere-line").update(quantity=150)
    factories.organization("synthetic-newcomer")
    run()
    assert found().state == "resolved"
    assert found("site:synthetic-elsewhere").state == "changed"


def test_another_number_of_tests_in_the_run_does_not_open_it(item, chip):
    """q moves with m: it falls below the threshold among many tests and survives again among few, and stays resolved."""
    Claim.objects.filter(slug="synthetic-site-claim").update(best=3200)
    run()
    assert found().latest.p < 0.05
    close(found())
    for number in range(12):
        site(chip, f"synthetic-dull-{number}", claimed=1000, received=1000)
    among_many = run()
    tested = among_many.findings.get(key=item.key)
    assert (tested.evidence_sha256, tested.is_discrepancy) == (found().resolved_evidence_sha256, False)
    assert found().state == "resolved"
    Claim.objects.filter(slug__startswith="synthetic-dull").delete()
    assert run().findings.get(key=item.key).is_discrepancy
    assert found().state == "resolved"


def test_a_changed_parameter_does_not_open_it(item):
    """The figures move with it, and so may the records that are near enough to be named."""
    close(item)
    factories.method_parameter("grade_rel_sd", {"A": 0.01, "B": 0.02, "C": 0.09, "D": 0.25, "E": 0.5})
    again = run().findings.get(key=item.key)
    assert again.sigma != item.latest.sigma
    assert found().state == "resolved"


def test_a_line_that_was_entered_since_and_joins_it_opens_it(item):
    close(item)
    line = Shipment.objects.get(reference="synthetic-site-line")
    factories.shipment(
        "synthetic-site-more", chip=line.chip, quantity=10, destination=line.destination, grade="B"
    )
    run()
    assert found().state == "reopened"


def test_a_line_that_was_withdrawn_opens_it(item):
    line = Shipment.objects.get(reference="synthetic-site-line")
    more = factories.shipment(
        "synthetic-site-more", chip=line.chip, quantity=10, destination=line.destination, grade="B"
    )
    run()
    close(found())
    pk = more.pk
    more.delete()
    run()
    assert found().state == "reopened"
    assert f"shipment {pk}: no longer read" in events(found()).first().words


def test_a_line_behind_a_sum_that_is_not_named_opens_it_though_no_named_record_changed(item, monkeypatch):
    line = Shipment.objects.get(reference="synthetic-site-line")
    for number in range(8):
        factories.shipment(
            f"synthetic-small-{number}", chip=line.chip, quantity=10, destination=line.destination, grade="B"
        )
    monkeypatch.setattr(result, "EVIDENCE_BOUND", 6)
    monkeypatch.setattr(result, "MOST_EVIDENCE", 3)
    run()
    before = found().latest
    named = set(before.evidence.filter(model_name="shipment").values_list("object_id", flat=True))
    close(found())
    small = Shipment.objects.exclude(pk__in=named).filter(reference__startswith="synthetic-small").first()
    Shipment.objects.filter(pk=small.pk).update(quantity=9)
    after = run().findings.get(key=item.key)
    assert after.evidence_sha256 == before.evidence_sha256
    assert found().state == "reopened"
    assert (
        "not named one by one (the difference was 2,620 chips and is 2,621 chips)"
        in events(found()).first().words
    )


def test_a_run_of_an_earlier_day_changes_no_state(item):
    Shipment.objects.filter(reference="synthetic-site-line").update(quantity=2200)
    run(as_of=item.first_run.as_of - timedelta(days=30))
    assert found().state == "new"
    run()
    assert found().state == "changed"


def test_what_a_person_opened_again_is_told_apart_from_what_opened_by_itself(item):
    close(item)
    reopen(found(), User.objects.get(), "The count was of another hall.")
    assert [(e.made_by, e.run_key) for e in events(item)][:2] == [("zhang", ""), ("zhang", "")]
    run()
    assert found().state == "persisting"


def test_a_run_of_the_past_changes_no_state_and_writes_no_history(item):
    at = item.first_run.as_known_at
    Shipment.objects.filter(reference="synthetic-site-line").update(quantity=2200)
    run()
    before = [e.pk for e in events(item)]
    run(as_known_at=at)
    assert (found().state, [e.pk for e in events(item)]) == ("changed", before)


def test_the_days_for_resolving_are_a_parameter_of_the_method(chip):
    factories.method_parameter("timeliness_days", 30)
    site(chip, "synthetic-site", claimed=5000, received=2300)
    run()
    assert found().due_on == date(2026, 3, 2)


def test_what_is_renamed_keeps_its_identity_and_its_resolution(item, chip):
    close(item)
    first, old = item.first_run, item.key
    DataCenter.objects.filter(slug="synthetic-site").update(slug="synthetic-campus")
    Claim.objects.filter(slug="synthetic-site-claim").update(slug="synthetic-campus-claim")
    run()
    again = found("site:synthetic-campus")
    assert (again.pk, again.counterpart) == (item.pk, "synthetic-campus-claim")
    assert Discrepancy.objects.filter(check_code="GAP").count() == 1
    # the claim it rests on has another version, which a reader may want to look at; who found it first stays known
    assert (again.state, again.first_run) == ("reopened", first)
    (told,) = events(again).filter(what="name")
    assert (told.before, told.after) == (old, again.key)
    assert "Called site:synthetic-site, chip:synthetic-h, synthetic-site-claim until then." in told.words
    assert proven()
    repeated = services.repeat_run(first, "synthetic analyst")
    services.finish_here(repeated.id)
    assert repeated.findings.get(key=old).discrepancy == again
    assert proven()


def test_two_that_exchange_their_names_exchange_their_identities(item, chip):
    site(chip, "synthetic-other", claimed=4000, received=100)
    run()
    other = found("site:synthetic-other")
    DataCenter.objects.filter(slug="synthetic-site").update(slug="synthetic-between")
    DataCenter.objects.filter(slug="synthetic-other").update(slug="synthetic-site")
    DataCenter.objects.filter(slug="synthetic-between").update(slug="synthetic-other")
    run()
    assert (found("site:synthetic-other").pk, found("site:synthetic-site").pk) == (item.pk, other.pk)


def test_a_new_name_that_has_a_discrepancy_of_its_own_leaves_the_old_one(item, chip):
    site(chip, "synthetic-other", claimed=4000, received=100)
    run()
    other = found("site:synthetic-other")
    Claim.objects.filter(slug="synthetic-other-claim").delete()
    Claim.objects.filter(slug="synthetic-site-claim").update(slug="synthetic-other-claim")
    DataCenter.objects.filter(slug="synthetic-other").update(slug="synthetic-gone")
    DataCenter.objects.filter(slug="synthetic-site").update(slug="synthetic-other")
    run()
    assert Discrepancy.objects.filter(check_code="GAP").count() == 2
    assert {found("site:synthetic-other").pk, found("site:synthetic-gone").pk} == {item.pk, other.pk}
