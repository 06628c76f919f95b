"""Public pages between a number and its source: a finding with the tree below it, and a record with the words it rests on.

They show what the API gives as data, and are open to the same people.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from tracker.core.addresses import finding_tree_data, instant
from tracker.models import Report
from tracker.provenance.querysets import finding_tree, findings, has_book, record_shown
from tracker.reports.page import kept_numbers, number_rows, running_table
from tracker.reports.querysets import Reading

OPEN_RECORDS = 12
"""Trees of so few records are shown with every record open."""
RUNNING_ROWS = 300


def for_readers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Open to everybody, or where the operator has closed the API to those who have signed in."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not getattr(settings, "API_ANONYMOUS_READ", True) and not request.user.is_authenticated:
            return render(request, "tracker/closed.html", status=403)
        return view(request, *args, **kwargs)

    return guarded


def asked_instant(request: HttpRequest) -> datetime | None:
    """The instant in ``?known_at=``; None where the standing records are meant.

    Raises:
        Http404: it is no instant, or lies ahead.
    """
    text = request.GET.get("known_at", "")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at > timezone.now():
        raise Http404(f"{text!r} is no instant that has been: write 2026-03-01T00:00:00Z.")
    return at


def asked_place(request: HttpRequest) -> int:
    """The place in ``?after=``; before the first where none is given, or none that could be meant."""
    text = request.GET.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else -1


@require_safe
@for_readers
def finding(request: HttpRequest, pk: int) -> HttpResponse:
    """A finding: its text, its formula with the numbers put in, and the tree down to the words of the sources."""
    row = get_object_or_404(findings().select_related("discrepancy__first_run"), pk=pk)
    after = asked_place(request)
    page = finding_tree(row, after=after)
    reading = Reading(row.run.as_known_at)
    context = {
        "finding": row, "run": row.run, "tree": page.tree, "worked": page.worked, "next_after": page.next_after,
        "is_first": after < 0, "open_records": sum(len(term.children) for term in page.tree.children) <= OPEN_RECORDS,
        "numbers": [(name, value) for name, value in number_rows(row) if value != "–"], "kept": kept_numbers(row.numbers),
        "running": running_table(row.numbers, RUNNING_ROWS),
        "known_at": instant(row.run.as_known_at), "data": finding_tree_data(row.pk),
        "area": reading.area_names([row.area]).get(row.area, row.area),
        "scope": reading.scope_names([row.scope]).get(row.scope, row.scope),
        "has_book": has_book(row.run, row.area),
        "has_report": Report.objects.filter(run=row.run).exists(), "anchor": f"d-{row.key[:12]}",
    }  # fmt: skip
    return render(request, "tracker/finding.html", context)


@require_safe
@for_readers
def record(request: HttpRequest, model: str, pk: int) -> HttpResponse:
    """A record as known at an instant: what it says, in which words of which source, its versions, and what rests on it."""
    at = asked_instant(request)
    page = record_shown(model, pk, at)
    if page is None:
        when = f" as known at {instant(at)}" if at else ""
        raise Http404(f"There is no page of a {model} {pk}{when}.")
    return render(request, "tracker/record.html", {"page": page, "record": page.record, "at": at})
