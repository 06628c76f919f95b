"""Small pieces of HTML that many lists share: badges, links to records, a source with its grade. Everything is escaped."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tracker.models import Source

BLANK = "–"


def mark(text: str, tone: str, title: str = "") -> SafeString:
    """A badge. ``tone``: one of the classes ``mark--...`` of admin.css."""
    return format_html('<span class="mark mark--{}" title="{}">{}</span>', tone, title, text)


def marks(record: Any) -> SafeString | str:
    """What a reader must know before believing a record: made up, unchecked, alleged, denied."""
    found = []
    if getattr(record, "is_synthetic", False) or getattr(record, "verification", "") == "synthetic":
        found.append(mark("SYNTHETIC", "synthetic", "Made by the generator; says nothing about the world."))
    if is_unverified(record):
        found.append(
            mark("UNVERIFIED", "unverified", "From memory or a single mention, not checked against a page.")
        )
    match getattr(record, "allegation", ""):
        case "alleged":
            found.append(
                mark("alleged, not proven", "alleged", "Somebody alleges it; no court has found so.")
            )
        case "denied":
            found.append(mark("denied by a party", "alleged", "A party named in it denies it."))
    return format_html_join(" ", "{}", ((item,) for item in found)) if found else ""


def is_unverified(record: Any) -> bool:
    """Whether nobody has read it on a page. Rules say so in words of their own (from_memory, UNCONFIRMED...)."""
    said = getattr(record, "verification", "").lower()
    return said == "memory" or "memory" in said.replace("_", " ").split() or "unconfirmed" in said


def link(record: Model | None, text: str = "") -> SafeString | str:
    """A link to the page of a record, or its plain name if it has none."""
    if record is None:
        return BLANK
    name = text or str(record)
    try:
        return format_html(
            '<a class="text-link" href="{}">{}</a>', record_url(record._meta.model_name, record.pk), name
        )
    except NoReverseMatch:
        return name


def record_url(model_name: str | None, pk: Any, page: str = "change") -> str:
    """Address of a record's page; raises NoReverseMatch for a table without one."""
    return reverse(f"admin:tracker_{model_name}_{page}", args=[pk])


def list_url(model_name: str | None, **filters: Any) -> str:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return reverse(f"admin:tracker_{model_name}_changelist") + (f"?{query}" if query else "")


def source_with_grade(source: Source | None, grade: str = "") -> SafeString | str:
    """Who says so and how exact that is: the record's own grade, else that of the source."""
    if source is None:
        return mark("no source", "none")
    letter = grade or source.grade
    return format_html("{} {}", mark(letter, f"grade-{letter}", f"Grade {letter}"), link(source))


def severity(finding: Any) -> SafeString | str:
    if finding is None:
        return BLANK
    return mark(
        finding.get_severity_display(), f"severity-{finding.severity}", "By the size of the gap alone."
    )


def quantity(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A number for a list: thousands with commas, blank as a dash."""
    if value is None:
        return BLANK
    return f"{value:,.{digits}f} {unit}".strip()
