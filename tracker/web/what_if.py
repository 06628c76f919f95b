"""Public pages of what would be if the law were another: the comparisons that were carried out, and the drafts."""

from __future__ import annotations

from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from tracker.judgement.comparison import Comparison
from tracker.judgement.services import sides_of
from tracker.judgement.telling import NOT_LAW, days, sentences, side, tables
from tracker.models import RuleComparison, RuleDraft
from tracker.reports.flips import flip_chart

LISTED = 200
"""Comparisons and drafts on the list, the latest first; the API has all."""


def _finished() -> QuerySet[RuleComparison]:
    return RuleComparison.objects.filter(status=RuleComparison.Status.FINISHED).select_related(
        "before_draft", "after_draft"
    )


@require_safe
def comparisons(request: HttpRequest) -> HttpResponse:
    """Finished comparisons over real records, without their tables, and all drafts."""
    found = (
        _finished()
        .filter(records=RuleComparison.Records.REAL)
        .defer("result")
        .annotate(judged=KT("result__judged"), changed=KT("result__changed"))[:LISTED]
    )
    rows = []
    for row in found:
        before, after = sides_of(row)
        rows.append(
            {
                "key": row.key, "before": before.label, "after": after.label, "as_known_at": row.as_known_at,
                "judged": f"{int(row.judged):,}", "changed": f"{int(row.changed):,}",
            }
        )  # fmt: skip
    drafts = RuleDraft.objects.select_related("source").defer("document").order_by("slug")[:LISTED]
    return render(request, "tracker/what_if.html", {"rows": rows, "drafts": drafts})


@require_safe
def comparison(request: HttpRequest, key: str) -> HttpResponse:
    """One finished comparison; one over SYNTHETIC records says so wherever it shows a figure."""
    row = get_object_or_404(_finished(), key=key)
    found = Comparison.from_dict(row.result)
    synthetic = found.records == RuleComparison.Records.SYNTHETIC
    title = f"Lines that come to another decision: {side(found.before)} against {side(found.after)}"
    picture = flip_chart(found.by_decision, title, synthetic=synthetic)
    context = {
        "row": row, "found": found, "synthetic": synthetic, "before": side(found.before), "after": side(found.after),
        "drafts": [draft for draft in (row.before_draft, row.after_draft) if draft], "sentences": sentences(found),
        "days": days(found), "tables": tables(found), "not_law": NOT_LAW,
        "picture": mark_safe(picture),  # noqa: S308 - drawn by our own function, which escapes every text in it
    }  # fmt: skip
    return render(request, "tracker/what_if_one.html", context)
