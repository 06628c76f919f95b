"""Public pages of a run's books: areas, the months of a book with their terms, and the lines behind a month."""

from __future__ import annotations

from datetime import date, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from tracker.core.addresses import instant
from tracker.core.countries import COUNTRIES
from tracker.models import BalanceArea, BalanceScope, ReconciliationRun
from tracker.provenance import querysets
from tracker.provenance.sums.querysets import book_sum, sums_of
from tracker.reports.querysets import Reading, plug_line
from tracker.web.evidence import asked_place, for_readers


def _run(name: str) -> ReconciliationRun:
    run = querysets.shown_run(name)
    if run is None:
        raise Http404(f"There is no finished run {name!r}.")
    return run


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        raise Http404(f"{text!r} is no month; write one like 2026-03.") from None


def _names(run: ReconciliationRun, area: str, scope: str = "") -> dict[str, str]:
    reading = Reading(run.as_known_at)
    return {
        "area_name": reading.area_names([area]).get(area, area),
        "scope_name": reading.scope_names([scope]).get(scope, scope) if scope else "",
    }


@require_safe
@for_readers
def areas(request: HttpRequest, run: str) -> HttpResponse:
    """The areas that have books in a run; ``?kind=`` shows those of one kind."""
    found = _run(run)
    kind = request.GET.get("kind", "")
    kinds = BalanceArea.Kind.choices
    lines, after = querysets.book_areas(
        found, kind=kind if kind in BalanceArea.Kind.values else "", after=request.GET.get("after", "")[:100]
    )
    context = {"run": found, "lines": lines, "next_after": after, "kinds": kinds, "kind": kind}
    return render(request, "tracker/books.html", context)


@require_safe
@for_readers
def area(request: HttpRequest, run: str, area: str) -> HttpResponse:
    """The books of one area: one for each chip, or family where lines name no chip."""
    found, place = _run(run), get_object_or_404(BalanceArea, key=area)
    plugs = [plug_line(plug, found.as_known_at) for plug in querysets.plugs_of(found, place)]
    context = {
        "run": found, "area": area, "books": querysets.books_of(found, area), "plugs": plugs,
        "sums": [one for key in sums_of(found, area) if (one := book_sum(found, area, key))],
    }  # fmt: skip
    return render(request, "tracker/books_area.html", context | _names(found, area))


@require_safe
@for_readers
def added_up(request: HttpRequest, run: str, area: str, scope: str) -> HttpResponse:
    """The months of an area's books added up: ``h100e`` for all chips in H100-equivalents, or a family with its members."""
    found, place = _run(run), get_object_or_404(BalanceArea, key=area)
    total = book_sum(found, place.key, scope)
    if total is None:
        raise Http404(f"Run {found.key} keeps no book of {area} that could be added up to {scope}.")
    context = {"run": found, "area": area, "total": total, "known_at": instant(found.as_known_at)}
    return render(request, "tracker/book_sum.html", context | _names(found, area))


@require_safe
@for_readers
def book(request: HttpRequest, run: str, area: str, scope: str) -> HttpResponse:
    """The months of one book: what it opened with, what came in, was made, went out and left, and what remains."""
    found, place = _run(run), get_object_or_404(BalanceArea, key=area)
    what = get_object_or_404(BalanceScope, key=scope)
    cells = querysets.book(found, area, scope)
    if not cells:
        raise Http404(f"Run {found.key} keeps no book of {scope} for {area}.")
    plugs = [plug_line(plug, found.as_known_at) for plug in querysets.plugs_of(found, place, what)]
    context = {
        "run": found, "area": area, "scope": scope, "cells": cells, "last": cells[-1], "plugs": plugs,
        "known_at": instant(found.as_known_at), "has_inventory": any(cell.close is not None for cell in cells),
    }  # fmt: skip
    return render(request, "tracker/book.html", context | _names(found, area, scope))


@require_safe
@for_readers
def lines(request: HttpRequest, run: str, area: str, scope: str, month: str) -> HttpResponse:
    """The shipment lines behind one month of a book."""
    found, day = _run(run), _month(month)
    place, what = get_object_or_404(BalanceArea, key=area), get_object_or_404(BalanceScope, key=scope)
    cell = next((cell for cell in querysets.book(found, area, scope) if cell.month == day), None)
    if cell is None:
        raise Http404(f"Nothing moved in the book of {scope} for {area} in {month}.")
    behind = querysets.book_lines(found, place, what, day, after=max(0, asked_place(request)))
    told = {term: chips for term, _, chips in behind.terms}
    moved = [
        (term, getattr(cell, term) - told.get(term, 0.0))
        for term in ("receipts", "dispatches")
        if place.kind == BalanceArea.Kind.GROUP and abs(getattr(cell, term) - told.get(term, 0.0)) >= 0.5
    ]
    context = {
        "run": found, "area": area, "scope": scope, "cell": cell, "lines": behind.lines, "next_after": behind.next_after,
        "terms": behind.terms, "moved": moved,
    }  # fmt: skip
    return render(request, "tracker/book_lines.html", context | _names(found, area, scope))


@require_safe
@for_readers
def movements(request: HttpRequest, run: str) -> HttpResponse:
    """Documented movements as the run's report counts them: all, ``?to=MY``, or ``?month=2026-03``."""
    found = _run(run)
    to, text = request.GET.get("to", ""), request.GET.get("month", "")
    month = _month(text) if text else None
    named = {name: request.GET.get(name, "")[:2000] for name in ("sites", "parties")}
    sites, parties = (tuple(filter(None, value.split(","))) for value in named.values())
    rows, after = querysets.movements(
        found, to=to[:4], month=month, into=sites, parties=parties, after=max(0, asked_place(request))
    )
    asked = {"to": to, "month": text, **named}
    context = {
        "run": found, "lines": rows, "next_after": after, "to": to, "month": month,
        "query": "".join(f"{name}={value}&" for name, value in asked.items() if value), "named": ", ".join((*sites, *parties)),
        "country": "a country not recorded" if to == "none" else COUNTRIES.get(to, to),
    }  # fmt: skip
    return render(request, "tracker/lines.html", context)
