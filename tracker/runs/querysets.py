"""What a finished run leaves to do, read from what it kept: what stood resolved then, and which records to verify first."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import F, FloatField, Q, Sum
from django.db.models.functions import Cast, Coalesce, Power

from tracker.reconciliation.books import Parameters
from tracker.reconciliation.models import Discrepancy, DiscrepancyEvent, Evidence, Finding, ReconciliationRun
from tracker.reconciliation.priorities import Doubt, Priority, Question, rank

SPARE = 3
"""So many times as many records as are shown are read: the database ranks them by sums that may differ in the last digit."""
MOST = 200


def resolved_at_close(run: ReconciliationRun) -> set[int]:
    """Ids of the run's discrepancies that stood resolved when it was closed.

    Read from their history and not from their state, which has moved on since: what is said of a run stays the same.
    """
    states = DiscrepancyEvent.objects.filter(
        discrepancy__in=run.findings.filter(discrepancy__isnull=False).values("discrepancy"),
        what=DiscrepancyEvent.What.STATE,
        at__lte=run.finished_at,
    )
    last = dict(states.order_by("discrepancy_id", "at", "id").values_list("discrepancy_id", "after"))
    return {pk for pk, after in last.items() if after == Discrepancy.State.RESOLVED}


def priorities(run: ReconciliationRun, limit: int = 50) -> tuple[Priority, ...]:
    """The records and facts whose verification would settle most of what a finished run left open; at most ``limit`` and 200.

    Two queries over the evidence of its discrepancies and one over its undetermined questions. Equal runs give equal ranks.
    """
    limit = min(limit, MOST)
    size = float(run.parameters.get("significant_quantity_h100e", Parameters().significant_quantity_h100e))
    return rank(_doubts(run, limit), _questions(run), size, limit)


def _doubts(run: ReconciliationRun, limit: int) -> Iterator[Doubt]:
    told = _told(run)
    # a row that stands for a sum names its largest line, which can settle no more than its own part
    part = Coalesce("own_share", "variance_share")
    borne = Evidence.objects.annotate(part=part).filter(finding_id__in=list(told), part__gt=0)
    # a finding that was carried over says the same of the same records as the one whose evidence this is
    sigma_sq = F("finding__sigma") * F("finding__sq") / F("finding__gap")
    variance = Cast(F("part") * Power(sigma_sq, 2), FloatField())
    top = borne.values("model_name", "object_id").annotate(variance=Sum(variance))
    wanted = {
        (row["model_name"], row["object_id"])
        for row in top.order_by("-variance", "model_name", "object_id")[: SPARE * limit]
    }
    rows = borne.filter(object_id__in={pk for _, pk in wanted}).order_by("finding_id", "order")
    fields = (
        "model_name", "object_id", "label", "finding_id", "finding__headline", "part", "finding__sigma",
        "finding__sq", "finding__gap",
    )  # fmt: skip
    for model, pk, label, finding, headline, share, sigma, sq, gap in rows.values_list(*fields).iterator():
        if (model, pk) in wanted:
            yield Doubt(model, pk, label, told[finding], headline, share, abs(sigma * sq / gap))


def _told(run: ReconciliationRun) -> dict[int, int]:
    """Open discrepancies of a run whose size is known: id of the finding that has the evidence -> id of the run's own."""
    known = Q(sigma__gt=0, sq__isnull=False, gap__isnull=False) & ~Q(gap=0)
    rows = run.findings.filter(known, is_discrepancy=True).exclude(discrepancy__in=resolved_at_close(run))
    return dict(rows.values_list(Coalesce("evidence_of_id", "id"), "id"))


def _questions(run: ReconciliationRun) -> Iterator[Question]:
    rows = Finding.objects.filter(run=run, check_code="RULE", verdict="undetermined").order_by("key")
    fields = ("id", "area", "scope", "headline", "gap", "gap_h100e", "numbers")
    for pk, area, scope, headline, gap, gap_h100e, numbers in rows.values_list(*fields).iterator():
        person = set(numbers.get("for_a_person", ()))
        each = gap_h100e / gap if gap and gap_h100e is not None else None
        for fact, chips in sorted(numbers.get("chips_held_by", {}).items()):
            whom, what = numbers.get("consignee", area), numbers.get("kind_of_chip", scope)
            held = None if each is None else chips * each
            yield Question(fact, whom, what, pk, headline, held, fact in person)
