"""Sources made on the way, for documents that other records cite by address."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.utils.text import slugify

from tracker.sources.models import Grade, Source, Verification

_GOVERNMENT = ("ecfr.gov", "federalregister.gov", "govinfo.gov", "bis.gov", "bis.doc.gov", "congress.gov")
_FILINGS = ("sec.gov",)


def source_for_url(url: str, **defaults: Any) -> Source:
    """The source at an address, or of a document named in words; made if there is none yet.

    ``defaults`` are fields for a new one (``title``, ``publisher``, ``published_on``...); an existing
    source is left as it is.
    """
    return sources_for_urls([url], **defaults)[url]


def sources_for_urls(references: Iterable[str], **defaults: Any) -> dict[str, Source]:
    """Sources by reference, read and made in three statements however many there are.

    A reference that begins with ``http`` is an address; anything else names a document in words and
    becomes its title. Where several sources share an address the one with the smallest slug is taken.
    Words that say 'from memory' make an unverified source.
    """
    wanted = sorted(set(references))
    found = _standing(wanted)
    new = [_new(reference, defaults) for reference in wanted if reference not in found]
    if new:
        # another loader may have made the same row meanwhile; the unique slug decides, and the row is read back
        Source.objects.bulk_create(new, ignore_conflicts=True)
        found = _standing(wanted)
    return found


def _standing(references: list[str]) -> dict[str, Source]:
    addresses = [r for r in references if _is_address(r)]
    slugs = {_slug(r): r for r in references if not _is_address(r)}
    found: dict[str, Source] = {}
    for source in Source.objects.filter(url__in=addresses).order_by("-slug"):
        found[source.url] = source
    for source in Source.objects.filter(slug__in=slugs):
        found[slugs[source.slug]] = source
    return found


def _is_address(reference: str) -> bool:
    return reference.startswith(("http://", "https://"))


def _slug(reference: str) -> str:
    """A short readable name, with six digits of a digest so that two long addresses never meet."""
    digest = hashlib.sha256(reference.encode()).hexdigest()[:6]
    words = reference.split("://", 1)[-1].removeprefix("www.").replace("/", "-").replace(".", "-")
    return f"{slugify(words)[:100].strip('-')}-{digest}"


def _new(reference: str, defaults: dict[str, Any]) -> Source:
    host = (urlsplit(reference).hostname or "").removeprefix("www.") if _is_address(reference) else ""
    fields: dict[str, Any] = {
        "title": reference[:400],
        "publisher": host,
        "url": reference if host else "",
        "kind": _kind(host),
        "grade": Grade.A if _kind(host) == Source.Kind.GOVERNMENT else Grade.C,
        "verification": Verification.MEMORY if "from memory" in reference else Verification.READ,
    }
    return Source(slug=_slug(reference), **(fields | defaults))


def _kind(host: str) -> str:
    if any(host == name or host.endswith(f".{name}") for name in _GOVERNMENT):
        return Source.Kind.GOVERNMENT
    if any(host == name or host.endswith(f".{name}") for name in _FILINGS):
        return Source.Kind.FILING
    return Source.Kind.OTHER
