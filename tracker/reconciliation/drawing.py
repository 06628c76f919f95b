"""What was drawn on licences: lines and items of the ledger as ``licences.account`` takes them, and the accounts as the check on
licences (``checks.licences``) tells of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tracker.chips.specs import H100_TPP
from tracker.claims.combine import quantity
from tracker.core.period import Period
from tracker.core.quantity import Quantity
from tracker.licences.account import Accounts, Entry, Terms, Use, accounts
from tracker.reconciliation import scopes
from tracker.reconciliation.books import ChipRow, Drawn, LicenceRow, Parameters, Scope

BASES = {
    "H100-equivalents": "h100-sxm5-80gb",
    "A100-equivalents": "a100-sxm4-80gb",
    "GB300-equivalents": "gb300-gpu",
}
"""Unit of a licence -> slug of the chip it counts in."""


def receivers(drawn: Drawn) -> set[int]:
    """Ids of those to whom the lines went."""
    uses = (entry.use for account in drawn.of.values() for entry in account.entries)
    return {int(pk) for use in uses for pk in (use.consignee, use.end_user) if pk is not None}


def draw(
    items: Sequence[LicenceRow],
    uses: Iterable[Use],
    spoken: Mapping[str, Scope],
    chips: Mapping[int, ChipRow],
    parameters: Parameters,
) -> Accounts:
    """The accounts of licence items, by name. ``spoken``: what the uses are of, by key."""
    based = bases(chips)
    terms = [_terms(item, spoken, chips, parameters) for item in sorted(items, key=lambda row: row.ref.id)]
    return accounts(terms, uses, _rates(spoken, based))


def told(drawn: Accounts, keys: Iterable[str], spoken: Mapping[str, Scope]) -> Drawn:
    """What was drawn on some items, with the goods drawn twice whose first draw was on one of them."""
    of = {key: drawn.of[key] for key in keys}
    doubled = {use.id for double in drawn.doubles for use in double.uses}
    twice: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    for key, account in drawn.of.items() if doubled else ():
        for entry in account.entries:
            if entry.use.id in doubled:
                twice[entry.use.id].append((key, entry))
    doubles = tuple(
        double for double in drawn.doubles if min(key for key, _ in twice[double.uses[0].id]) in of
    )
    mine = {use.id for double in doubles for use in double.uses}
    return Drawn(of, doubles, {line: tuple(twice[line]) for line in mine}, spoken)


def use_of(
    line: int,
    scope: Scope,
    amount: Quantity,
    shipped: Period | None,
    parties: tuple[int | None, int | None],
    country: str,
    licence: int | None,
    required: bool,
    onward_of: int | None,
    consignment: str,
) -> Use:
    """A line as the accounts take it."""
    return Use(
        id=name(line), scope=scopes.key(scope), amount=amount, shipped=shipped, consignee=parties[0], end_user=parties[1],
        country=country, licence="" if licence is None else str(licence), required=required,
        onward_of="" if onward_of is None else name(onward_of), consignment=consignment,
    )  # fmt: skip


def bases(chips: Mapping[int, ChipRow]) -> dict[str, tuple[float, ChipRow | None]]:
    """Unit -> TPP of the chip it counts in, and that chip; units whose chip has no known TPP are absent."""
    by_slug = {chip.slug: chip for chip in chips.values()}
    found: dict[str, tuple[float, ChipRow | None]] = {"H100-equivalents": (H100_TPP, None)}
    for unit, slug in BASES.items():
        if (chip := by_slug.get(slug)) and chip.tpp:
            found[unit] = chip.tpp, chip
    return found


def _rates(
    spoken: Mapping[str, Scope], based: Mapping[str, tuple[float, ChipRow | None]]
) -> dict[tuple[str, str], tuple[float, float] | None]:
    found: dict[tuple[str, str], tuple[float, float] | None] = {}
    for key, scope in spoken.items():
        span = scopes.h100e(H100_TPP, scope)  # TPP of one unit, low and high
        for unit in BASES:
            base = based.get(unit)
            found[unit, key] = (span[0] / base[0], span[1] / base[0]) if span and base else None
    return found


def _terms(
    item: LicenceRow, spoken: Mapping[str, Scope], chips: Mapping[int, ChipRow], parameters: Parameters
) -> Terms:
    covered: frozenset[str] = frozenset()
    if item.scope is not None and item.reported.unit not in BASES:  # computing power may be of any chip
        near = (key for key, scope in spoken.items() if scopes.may_overlap(item.scope, scope, chips))
        covered = frozenset({scopes.key(item.scope), *near})
    return Terms(
        id=name(item.ref.id), licence=str(item.licence_id or ""), reference=item.reference, valid=item.valid,
        authorised=authorised(item, parameters), unit=unit_of(item), scopes=covered, consignee=item.consignee_id,
        end_user=item.end_user_id, country=item.country, is_named_only="import" in item.kind,
    )  # fmt: skip


def unit_of(item: LicenceRow) -> str:
    """The unit an item is counted in: equivalents of a chip, or chips."""
    return item.reported.unit if item.reported.unit in BASES else "chips"


def authorised(item: LicenceRow, parameters: Parameters) -> float | None:
    """How much an item authorises, in its unit; None where it does not say, or says only "at least"."""
    if item.reported.unit in BASES:
        figures = (item.reported.best, item.reported.high)
        return next((figure for figure in figures if figure is not None), None)
    amount = quantity(item.reported, parameters)
    return amount.mu if isinstance(amount, Quantity) and amount.bound != "lower" else None


def name(line_or_item: int) -> str:
    """The id as text that sorts like the number."""
    return f"{line_or_item:012d}"
