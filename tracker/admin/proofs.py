"""Pages of the proofs of the ledger: when it was held against itself, and which rows did not hold."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from tracker.admin import marks
from tracker.admin.base import ReadOnlyAdmin, actor, choice_filters
from tracker.admin.findings import htmx_redirect
from tracker.models import LedgerProof
from tracker.tasks import verify_ledger

TONES = {
    "held": "good",
    "breached": "severity-critical",
    "broken off": "severity-high",
    "running": "severity-low",
}


class StartProofForm(BaseDialogForm):
    """Nothing to choose: a proof looks at everything."""


@admin.register(LedgerProof)
class LedgerProofAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at",
        "outcome_mark",
        "looked_at",
        "breached",
        "finished_at",
        "requested_by",
        "since",
    )
    list_filter = (*choice_filters("outcome"), ("started_at", RangeDateTimeFilter))
    actions_list = ("start_proof",)
    change_form_template = "tracker/admin/proof.html"
    fieldsets = ((None, {"fields": ()}),)  # the template shows the row

    def has_start_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("tracker.run_ledgerproof")

    @action(
        description="Prove the ledger",
        url_path="start",
        icon="verified",
        variant=ActionVariant.PRIMARY,
        permissions=["start"],
        dialog={
            "title": "Prove the ledger",
            "description": "A worker works every stored number out again and names rows that do not hold. Nothing is changed.",
            "form_class": StartProofForm,
            "form_submit_text": "Start",
        },
    )
    def start_proof(self, request: HttpRequest, form: StartProofForm) -> HttpResponse:
        verify_ledger.delay(actor(request))
        self.message_user(
            request, "A proof is queued; it shows here once a worker has begun it.", messages.SUCCESS
        )
        return htmx_redirect(reverse("admin:tracker_ledgerproof_changelist"))

    @admin.display(description="Outcome", ordering="outcome")
    def outcome_mark(self, obj: LedgerProof) -> SafeString:
        return marks.mark(obj.get_outcome_display(), TONES.get(obj.outcome, "none"), obj.error[:200])
