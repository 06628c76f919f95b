"""Public pages: what this ledger is, the reports it has published, and each report byte for byte."""

from __future__ import annotations

import base64
import hashlib
import re

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from tracker.models import Report
from tracker.proof.services import standing
from tracker.reports.services import ledger_counts
from tracker.reports.tables import number

COUNTS_KEPT_SECONDS = 300
REPORTS_LISTED = 200


def _published() -> list[Report]:
    """Reports without their files, the one that looks at the latest state of the ledger first."""
    return list(
        Report.objects.defer("html", "csv")
        .select_related("run")
        .order_by("-run__as_known_at", "-id")[:REPORTS_LISTED]
    )


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What the ledger is, how much it holds, and where to go on. Counts may be some minutes old."""
    counts = cache.get_or_set("web-ledger-counts", ledger_counts, COUNTS_KEPT_SECONDS) or {}
    latest = next(iter(_published()), None)
    words = {name: number(count) for name, count in counts.items()}
    return render(request, "tracker/landing.html", {"counts": words, "latest": latest})


@require_safe
def proven(request: HttpRequest) -> HttpResponse:
    """Whether the ledger stands proven: 200, or 503 with what is wrong in a sentence. For monitors, not for load balancers: a
    ledger that does not hold is still served."""
    holds, words = standing()
    return HttpResponse(f"{words}\n", content_type="text/plain; charset=utf-8", status=200 if holds else 503)


@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    return render(request, "tracker/reports.html", {"reports": _published()})


@require_safe
def report(request: HttpRequest, key: str) -> HttpResponse:
    """The page as it was published. Its policy allows the very style sheet inside it, by digest, and nothing
    else."""
    html = get_object_or_404(Report, run__key=key).html
    response = HttpResponse(html)
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {_style_digests(html)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return response


@require_safe
def report_csv(request: HttpRequest, key: str) -> HttpResponse:
    """The CSV file as it was published."""
    response = HttpResponse(
        get_object_or_404(Report, run__key=key).csv, content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="report-{key}.csv"'
    return response


def _style_digests(html: str) -> str:
    sheets = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode() for sheet in sheets]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
