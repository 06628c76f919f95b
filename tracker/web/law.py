"""Public pages of the law as this ledger applies it: every rule, what is still open, every chip under them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any

from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from tracker.chips.services import derived
from tracker.core.errors import BadInput, UnknownName
from tracker.judgement.services import Catch, rule_catches
from tracker.models import Chip
from tracker.reports.picture import class_timeline, date_bar
from tracker.rules import services


def _today() -> date:
    return timezone.now().date()


def _drawn(svg: str) -> str:
    """A picture made by our own functions, which escape every text in it."""
    return mark_safe(svg)  # noqa: S308


def _if_readable(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page that says so, where a record of the law cannot be read."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except BadInput as error:
            return render(request, "tracker/law_refused.html", {"refusal": str(error)}, status=503)

    return guarded


@require_safe
@_if_readable
def rules(request: HttpRequest) -> HttpResponse:
    """All rules by regime, in the order of their days."""
    today = _today()
    return render(request, "tracker/rules.html", {"regimes": services.rule_lines(today), "today": today})


@require_safe
@_if_readable
def rule(request: HttpRequest, rule_id: str) -> HttpResponse:
    """One rule in all its versions, and the chips it catches on a day (``?on=2024-06-01``)."""
    today = _today()
    asked, on, refusal = request.GET.get("on", ""), None, ""
    try:
        on = date.fromisoformat(asked) if asked else None
    except ValueError:
        refusal = f"{asked!r} is no day; write one like 2024-06-01."
    try:
        page = services.rule_page(rule_id, today, on)
    except UnknownName as error:
        raise Http404(str(error)) from None
    versions = [
        (version, _drawn(date_bar(version.line.rule, today, f"days-{index}")))
        for index, version in enumerate(page.versions)
    ]
    names = services.chip_names() if page.caught or page.open else {}
    context = {
        "page": page, "versions": versions, "newest": page.versions[0].line, "today": today, "refusal": refusal,
        "lines": _lines(rule_id), "caught": [(names[item.chip], item) for item in page.caught],
        "open": [(names[item.chip], item) for item in page.open],
    }  # fmt: skip
    return render(request, "tracker/rule.html", context, status=400 if refusal else 200)


def _lines(rule_id: str) -> list[Catch] | None:
    """Lines of the ledger on whose verdict the rule bears; None where counting them takes too long for a page."""
    try:
        return rule_catches(rule_id)
    except OperationalError:
        return None


@require_safe
@_if_readable
def open_questions(request: HttpRequest) -> HttpResponse:
    """What a reader should not take for settled."""
    today = _today()
    return render(
        request, "tracker/open_questions.html", {"open": services.open_questions(today), "today": today}
    )


@require_safe
@_if_readable
def chips(request: HttpRequest) -> HttpResponse:
    """All chips with their class today."""
    today = _today()
    classes = services.chip_classes(today)
    rows = [
        (chip, classes.get(chip.slug))
        for chip in Chip.objects.select_related("vendor").order_by("vendor__name", "slug")
    ]
    return render(request, "tracker/chips.html", {"rows": rows, "today": today})


@require_safe
@_if_readable
def chip(request: HttpRequest, slug: str) -> HttpResponse:
    """One chip: what each source says of it, and how the law has taken it."""
    found = get_object_or_404(Chip.objects.select_related("vendor"), slug=slug)
    today = _today()
    law = services.chip_law(slug, today)
    sheets = []
    for row in found.specifications.select_related("source").order_by("rank", "id"):
        row.chip = found
        sheets.append((row, derived(row)))
    context = {
        "chip": found, "law": law, "sheets": sheets, "today": today,
        "picture": _drawn(class_timeline(law.stretches, today)),
    }  # fmt: skip
    return render(request, "tracker/chip.html", context)
