"""The tree below a finding: terms of the comparison, the record versions in each, the claims that document them, the sources.

A reader who doubts a number asks where it comes from. The answer has four levels:

1. **term**: a side of the comparison or a term of the book (reported, receipts, production, dispatches, exits, rules, ...), with
   what it adds to the difference and its share of the variance;
2. **record**: the very version of a record that the run read;
3. **claim**: a claim that documents a movement, or an echo of a claim;
4. **source**: who said it, when, in which words, with the grade, the mark of verification and the digest of the archived copy.

Nothing here reads a table: :func:`grow` makes the tree from plain values, in the order of the evidence. The tree names no run and
no finding, so a run made again gives the same tree, byte for byte (:func:`digest`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from tracker.core.quantity import MDG_FACTOR
from tracker.reconciliation.books import Evidence, Finding, RecordRef
from tracker.reconciliation.explain import chips, number, share

EXITS = ("seized",)
LEAST_SHARE = 0.001
CLOSE = 1e-6
"""How far a sum may lie from the number it should give, relative to it, to be shown as its sum."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source as a reader needs it to find the words again. ``archive``: SHA-256 of the archived copy, if one is kept."""

    slug: str
    title: str
    publisher: str
    original_publisher: str
    url: str
    published_on: date | None
    retrieved_on: date | None
    kind: str
    grade: str
    verification: str
    archive: str
    page: str
    data: str

    @property
    def link(self) -> str:
        """The address, if it is one that a browser may safely follow (http or https); else empty."""
        return self.url if self.url.lower().startswith(("http://", "https://")) else ""

    @property
    def archive_link(self) -> str:
        """Where a public web archive may have a copy from near the day the page was read; empty for made-up sources."""
        day = self.retrieved_on or self.published_on
        if not self.link or day is None or self.verification == "synthetic":
            return ""
        return f"https://web.archive.org/web/{day:%Y%m%d}/{self.link}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record version in words. ``said``: the words of the source; ``figure``: what it reports, empty if no quantity.

    ``claims`` document it, ``echoes`` only repeat it. ``is_found`` is false where this version could not be read.
    """

    ref: RecordRef
    name: str
    figure: str = ""
    said: str = ""
    note: str = ""
    grade: str = ""
    verification: str = ""
    allegation: str = ""
    is_synthetic: bool = False
    page: str = ""
    data: str = ""
    source: SourceFacts | None = None
    claims: tuple[Record, ...] = ()
    echoes: tuple[Record, ...] = ()
    is_found: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """A row of evidence in its place. ``kind`` and ``status`` are those of a movement, empty for other records.

    A row may stand for several lines of a ``month`` added up: ``count`` of them, listed at ``page``.
    """

    order: int
    evidence: Evidence
    kind: str = ""
    status: str = ""
    month: date | None = None
    count: int = 1
    page: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree. ``number`` in ``unit``; ``contribution`` to the difference, signed; ``variance_share`` from 0 to 1.

    ``count``: rows of evidence below it (lines, where a row adds several up), of which ``left_out`` are not among ``children``.
    """

    kind: str  # finding | term | record | claim | source
    label: str
    role: str = ""
    number: float | None = None
    unit: str = ""
    contribution: float | None = None
    variance_share: float | None = None
    month: date | None = None
    count: int | None = None
    left_out: int = 0
    figure: str = ""
    said: str = ""
    note: str = ""
    grade: str = ""
    verification: str = ""
    allegation: str = ""
    is_synthetic: bool = False
    record: RecordRef | None = None
    source: SourceFacts | None = None
    page: str = ""
    data: str = ""
    children: tuple[Node, ...] = ()

    @property
    def is_unverified(self) -> bool:
        return "memory" in (self.verification, self.source.verification if self.source else "")

    @property
    def amount(self) -> str:
        """The number with its unit; empty without one."""
        return "" if self.number is None else chips(self.number, self.unit)

    @property
    def effect(self) -> str:
        """What it adds to the difference, with its sign; empty where it adds nothing."""
        if self.contribution is None:
            return ""
        return f"{'+' if self.contribution > 0 else '−' if self.contribution < 0 else ''}{number(abs(self.contribution))}"

    @property
    def share(self) -> str:
        """Its part of the uncertainty; empty where none was computed, or too small to be told."""
        return (
            share(self.variance_share) if self.variance_share and self.variance_share >= LEAST_SHARE else ""
        )


TERMS: Mapping[str, str] = {
    "reported": "Reported",
    "opening": "Opening book",
    "receipts": "Receipts: came in",
    "production": "Production: made here",
    "dispatches": "Dispatches: went out",
    "exits": "Exits: retired or seized",
    "closing": "Closing inventory",
    "shipper": "Shipper's figures",
    "receiver": "Receiver's figures",
    "exporter": "Exporter's figures",
    "importer": "Importer's figures",
    "made": "Output it can have come from",
    "racks": "What the racks hold",
    "movements": "Movements compared",
    "declarations": "Declarations that the book is whole",
    "licences": "Licences recorded",
    "rules": "Rules applied",
    "power": "Power of the site",
    "specification": "Specifications behind H100-equivalents",
    "parties": "Parties and owners",
    "echoes": "Echoes, counted once with what they repeat",
}
"""Terms in the order of the tree, with their titles. A role that is none of them is a term by its own name, after these."""

_ROLES: Mapping[str, str] = {
    "claim": "reported", "used": "reported", "receipt": "receipts", "dispatch": "dispatches", "exit": "exits",
    "opening count": "opening", "closing count": "closing", "inflow": "receipts", "outflow": "dispatches",
    "ledger": "movements", "closed book": "declarations", "movement": "movements", "licence": "licences", "rule": "rules",
    "party": "parties", "parent": "parties", "echo": "echoes",
}  # fmt: skip
_SUMS = frozenset({"receipts", "production", "dispatches", "exits", "shipper", "receiver", "movements"})


LESS_BOOK = frozenset({"GAP"})
"""Checks whose difference is a claim less a book: there the sign of a movement's contribution tells which way it went."""


def term(piece: Piece, check: str) -> str:
    """The term that a row of evidence belongs to.

    What a movement takes off ``claim - book`` came in, what it adds went out; chips made or retired are told apart by the record.
    """
    role = piece.evidence.role
    if role == "ledger" and check in LESS_BOOK:
        if (piece.evidence.contribution or 0.0) <= 0:
            return "production" if piece.kind == "production" else "receipts"
        return "exits" if piece.kind == "retirement" or piece.status in EXITS else "dispatches"
    return _ROLES.get(role, role)


def grow(
    found: Finding,
    pieces: Sequence[Piece],
    records: Mapping[RecordRef, Record],
    *,
    after: int = -1,
    limit: int | None = None,
) -> Node:
    """The tree of a finding. ``pieces``: all its evidence in order; ``records``: those of the rows that are to be shown.

    Terms are summed over all rows; children are the ``limit`` rows after place ``after`` (all, unless given), so that a tree of
    many rows is read in pages.
    """
    shown = {piece.order for piece in page(pieces, after, limit)}
    groups: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: piece.order):
        groups.setdefault(term(piece, found.check), []).append(piece)
    names = [
        *(name for name in TERMS if name in groups),
        *sorted(name for name in groups if name not in TERMS),
    ]
    return Node(
        kind="finding",
        label=found.headline,
        number=found.gap,
        unit=found.unit,
        contribution=found.gap,
        count=sum(piece.count for piece in pieces),
        left_out=sum(piece.count for piece in pieces if piece.order not in shown),
        grade=found.weakest_grade,
        children=tuple(_term(name, groups[name], shown, records, found) for name in names),
    )


def page(pieces: Sequence[Piece], after: int = -1, limit: int | None = None) -> list[Piece]:
    """The rows of evidence of one page of a tree, in order."""
    later = sorted((piece for piece in pieces if piece.order > after), key=lambda piece: piece.order)
    return later if limit is None else later[:limit]


def _term(
    name: str,
    pieces: Sequence[Piece],
    shown: set[int],
    records: Mapping[RecordRef, Record],
    found: Finding,
) -> Node:
    contributions = [p.evidence.contribution for p in pieces if p.evidence.contribution is not None]
    shares = [p.evidence.variance_share for p in pieces if p.evidence.variance_share is not None]
    total = math.fsum(contributions) if contributions else None
    children = tuple(_piece(p, records.get(p.evidence.ref), found.unit) for p in pieces if p.order in shown)
    amount = _amount(name, total, len(contributions), found)
    return Node(
        kind="term",
        label=TERMS.get(name, name.replace("_", " ").capitalize()),
        role=name,
        number=amount,
        unit="" if amount is None else found.unit,
        contribution=None if amount is None else _cut(total),
        variance_share=_cut(math.fsum(shares)) if shares else None,
        count=sum(p.count for p in pieces),
        left_out=sum(p.count for p in pieces if p.order not in shown),
        children=children,
    )


def _amount(name: str, total: float | None, rows: int, found: Finding) -> float | None:
    """What a term amounts to. Figures that contradict one another, or stand side by side, have no sum."""
    if total is None:
        return None
    if name in _SUMS or rows == 1:
        return _cut(abs(total))
    for side in (found.reported, found.expected):
        if side is not None and is_close(abs(total), side):
            return side
    return None


def _cut(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.9g}")


def is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)


def _piece(piece: Piece, record: Record | None, unit: str) -> Node:
    row = piece.evidence
    node = Node(
        kind="record",
        label=row.label,
        role=row.role,
        number=None if row.contribution is None else abs(row.contribution),
        unit="" if row.contribution is None else unit,
        contribution=row.contribution,
        variance_share=row.variance_share,
        month=piece.month,
        count=piece.count,
        record=row.ref,
        page=piece.page,
    )
    if record is None or not record.is_found:
        return node if piece.page else replace(node, note="This version of the record could not be read.")
    below = [_claim(claim, "documents") for claim in record.claims]
    below += [_claim(claim, "echo") for claim in record.echoes]
    return replace(
        node,
        figure=record.figure,
        said=record.said,
        note=record.note,
        grade=record.grade,
        verification=record.verification,
        allegation=record.allegation,
        is_synthetic=record.is_synthetic,
        page=piece.page or record.page,
        data=record.data,
        children=(*below, *(() if _is_told(record) else _source(record))),
    )


def _is_told(record: Record) -> bool:
    """Whether a claim that documents the record already leads to its source, and to words that the record itself lacks."""
    return (
        not record.said
        and record.source is not None
        and record.source.slug in {claim.source.slug for claim in record.claims if claim.source}
    )


def _claim(record: Record, role: str) -> Node:
    return Node(
        kind="claim",
        label=f"{record.name}: {record.figure}" if record.figure else record.name,
        role=role,
        figure=record.figure,
        said=record.said,
        note=record.note,
        grade=record.grade,
        verification=record.verification,
        allegation=record.allegation,
        is_synthetic=record.is_synthetic,
        record=record.ref,
        page=record.page,
        data=record.data,
        children=_source(record),
    )


def _source(record: Record) -> tuple[Node, ...]:
    """The source of a record with the words that were taken from it."""
    source = record.source
    if source is None:
        return ()
    when = source.published_on.isoformat() if source.published_on else "date not known"
    return (
        Node(
            kind="source",
            label=f"{source.publisher or source.title}, {when}",
            role="source",
            said=record.said,
            grade=record.grade or source.grade,
            verification=record.verification or source.verification,
            source=source,
            page=source.page,
            data=source.data,
        ),
    )


# --- the formula with its numbers ----------------------------------------------------------------------------------------------


def worked(found: Finding, tree: Node) -> tuple[str, ...]:
    """The formula with its numbers put in, one line for each step that the stored numbers bear out.

    A step whose result is not the stored one is left out rather than printed wrong; the formula itself is the check's.

    >>> one = Finding("GAP", "", "", "", "", "", "", expected=2300, reported=115000, gap=112700, sigma=11504, statistic=9.7966)
    >>> worked(one, Node("finding", ""))[0]
    'difference = reported - explained = 115,000 - 2,300 = 112,700 chips'
    """
    return tuple(step for step in (_sides(found), _terms_added(found, tree), *_sizes(found)) if step)


def _sides(found: Finding) -> str:
    if found.reported is None or found.expected is None or found.gap is None:
        return ""
    if not is_close(found.reported - found.expected, found.gap):
        return ""
    sides = f"{number(found.reported)} - {number(found.expected)}"
    return f"difference = reported - explained = {sides} = {number(found.gap)} {found.unit}"


def _sizes(found: Finding) -> Iterator[str]:
    """The difference in standard errors, in H100-equivalents and significant quantities, and the smallest that could be seen."""
    gap, sigma, mdg = found.gap, found.sigma, found.mdg
    z = found.statistic
    if gap is not None and sigma and z is not None and math.isclose(gap / sigma, z, rel_tol=1e-4):
        yield f"z = difference / its standard error = {number(gap)} / {number(sigma)} = {z:.3g}"
    if gap and found.gap_h100e is not None and found.unit == "chips":
        each = f"{found.gap_h100e / gap:.4g}"
        yield f"H100-equivalents = chips x {each} = {number(gap)} x {each} = {number(found.gap_h100e)}"
    if found.gap_h100e and found.sq:
        size = number(found.gap_h100e / found.sq)
        yield f"significant quantities = {number(found.gap_h100e)} / {size} = {number(found.sq)}"
    if mdg is not None and sigma and is_close(mdg / sigma, MDG_FACTOR):
        yield f"smallest gap it could see = {MDG_FACTOR} x {number(sigma)} = {number(mdg)} {found.unit}"


def _terms_added(found: Finding, tree: Node) -> str:
    """The terms with their signs, where all of them together are the difference."""
    terms = [node for node in tree.children if node.contribution is not None]
    if (
        found.gap is None
        or len(terms) < 2
        or not is_close(math.fsum(t.contribution or 0 for t in terms), found.gap)
    ):
        return ""
    first, *rest = terms
    words = [f"{_short(first.label)} {number(first.contribution)}"]
    for node in rest:
        sign = "-" if (node.contribution or 0) < 0 else "+"
        words.append(f"{sign} {_short(node.label)} {number(abs(node.contribution or 0))}")
    return f"{' '.join(words)} = {number(found.gap)} {found.unit}"


def _short(title: str) -> str:
    return title.split(":")[0].lower()


# --- as data -------------------------------------------------------------------------------------------------------------------


def as_dict(node: Node) -> dict[str, Any]:
    """A node and all below it as plain values: dates as ISO text, the same members in each node."""
    return {
        "kind": node.kind,
        "label": node.label,
        "role": node.role,
        "number": node.number,
        "unit": node.unit,
        "contribution": node.contribution,
        "variance_share": node.variance_share,
        "month": node.month.isoformat() if node.month else None,
        "count": node.count,
        "left_out": node.left_out,
        "figure": node.figure,
        "said": node.said,
        "note": node.note,
        "grade": node.grade,
        "verification": node.verification,
        "allegation": node.allegation,
        "is_synthetic": node.is_synthetic,
        "record": asdict(node.record) if node.record else None,
        "source": _source_dict(node.source) if node.source else None,
        "page_url": node.page,
        "api_url": node.data,
        "children": [as_dict(child) for child in node.children],
    }


def _source_dict(source: SourceFacts) -> dict[str, Any]:
    days = {"published_on": source.published_on, "retrieved_on": source.retrieved_on}
    return {
        "slug": source.slug, "title": source.title, "publisher": source.publisher,
        "original_publisher": source.original_publisher, "url": source.url, "kind": source.kind, "grade": source.grade,
        "verification": source.verification, "archive_sha256": source.archive, "archive_url": source.archive_link,
        **{name: day.isoformat() if day else None for name, day in days.items()},
    }  # fmt: skip


def digest(tree: Mapping[str, Any]) -> str:
    """SHA-256 of a tree as :func:`as_dict` gives it: equal trees have equal digests."""
    text = json.dumps(tree, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
