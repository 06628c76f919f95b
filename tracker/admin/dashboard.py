"""The first page: the latest run, what waits for somebody, and the quickest ways to type something in."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from tracker.admin import marks
from tracker.admin.findings import progress
from tracker.models import (
    Chip,
    Claim,
    DataCenter,
    Discrepancy,
    Finding,
    ImportRun,
    Licence,
    Organization,
    ReconciliationRun,
    Report,
    Shipment,
    Source,
)
from tracker.proof.services import standing
from tracker.reconciliation.lifecycle import OVER
from tracker.reconciliation.significance import SEVERITY_RANK

UNVERIFIED = (Source, Claim, Organization, DataCenter, Licence)
"""Tables small enough to be counted on each view; shipments are counted by runs."""

ENTRIES = (
    (Source, "menu_book"),
    (Claim, "format_quote"),
    (Shipment, "local_shipping"),
    (Licence, "approval"),
    (Organization, "apartment"),
    (Chip, "memory"),
    (DataCenter, "dns"),
)

WORST = 8

admin.site.index_template = "tracker/admin/desk.html"
admin.site.index_title = "Desk"


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the first page shows, cut to what this person may see."""
    may = request.user.has_perm
    context["entries"] = [
        {
            "name": model._meta.verbose_name,
            "icon": icon,
            "url": reverse(f"admin:tracker_{model._meta.model_name}_add"),
        }
        for model, icon in ENTRIES
        if may(f"tracker.add_{model._meta.model_name}")
    ]
    context["waiting"] = [line for line in _waiting(may) if line["count"]]
    if may("tracker.view_reconciliationrun") and (
        run := ReconciliationRun.objects.order_by("-created_at", "-id").first()
    ):
        context["run"] = run
        context["run_url"] = marks.record_url("reconciliationrun", run.pk)
        context["progress"] = progress(run)
        context["report"] = Report.objects.filter(run=run).defer("html", "csv").first()
    if may("tracker.view_ledgerproof"):
        context["proven"], context["proof_words"] = standing()
        context["proof_url"] = marks.list_url("ledgerproof")
    if may("tracker.view_discrepancy"):
        context["severities"] = _severities()
        context["worst"] = [
            {"row": row, "mark": marks.severity(row.latest), "url": marks.record_url("discrepancy", row.pk)}
            for row in _open().filter(latest__isnull=False).select_related("latest").order_by(
                "latest__severity_rank", "-latest__sq", "id"
            )[:WORST]
        ]  # fmt: skip
    return context


def _open() -> Any:
    return Discrepancy.objects.exclude(state__in=OVER)


def _severities() -> list[dict[str, Any]]:
    counted = dict(_open().values_list("latest__severity").annotate(n=Count("id")))
    return [
        {
            "name": Finding.Severity(name).label,
            "tone": f"severity-{name}",
            "count": counted.get(name, 0),
            "url": marks.list_url("discrepancy", severity=name),
        }
        for name in SEVERITY_RANK
        if name != "info"
    ]


def _waiting(may: Any) -> list[dict[str, Any]]:
    """What nobody has looked into yet."""
    lines = []
    if may("tracker.view_discrepancy"):
        nobody = _open().filter(assignee__isnull=True).count()
        lines.append(
            {
                "what": "open discrepancies with nobody on them",
                "count": nobody,
                "url": marks.list_url("discrepancy", whose="nobody"),
            }
        )
        late = _open().filter(due_on__lt=timezone.now().date()).count()
        lines.append(
            {
                "what": "open discrepancies overdue",
                "count": late,
                "url": marks.list_url("discrepancy", standing="overdue"),
            }
        )
        again = Discrepancy.objects.filter(state=Discrepancy.State.REOPENED).count()
        lines.append(
            {
                "what": "discrepancies reopened",
                "count": again,
                "url": marks.list_url("discrepancy", standing="reopened"),
            }
        )
    if may("tracker.view_finding") and (undetermined := _undetermined()):
        lines.append(undetermined)
    for model in UNVERIFIED:
        name = model._meta.model_name
        if may(f"tracker.view_{name}"):
            lines.append(
                {
                    "what": f"unverified {model._meta.verbose_name_plural}",
                    "count": model.objects.filter(verification="memory").count(),
                    "url": marks.list_url(name, verification__exact="memory"),
                }
            )
    if may("tracker.view_importrun"):
        refused = ImportRun.objects.filter(status=ImportRun.Status.REFUSED).count()
        lines.append(
            {
                "what": "loads refused",
                "count": refused,
                "url": marks.list_url("importrun", status__exact="refused"),
            }
        )
    return lines


def _undetermined() -> dict[str, Any] | None:
    """Verdicts of the latest finished run that the ledger could not decide."""
    run = (
        ReconciliationRun.objects.filter(status=ReconciliationRun.Status.FINISHED)
        .order_by("-created_at", "-id")
        .first()
    )
    if run is None:
        return None
    found = run.findings.filter(verdict__icontains="undetermined")
    url = marks.list_url("finding", run__id__exact=run.pk, verdict__icontains="undetermined")
    return {"what": "verdicts that cannot be determined yet", "count": found.count(), "url": url}
