"""Writing books: the names of areas and scopes, and the cells of a run."""

from __future__ import annotations

from collections.abc import Iterable

from tracker.balances.models import BalanceArea, BalanceScope

Named = tuple[str, int, str]
"""Kind, key of the object, and the key that readers see."""


def area_ids(named: Iterable[Named]) -> dict[tuple[str, int], int]:
    """(kind, object) -> id of the balance area, made where there is none yet; a new name replaces the old one."""
    return _ids(BalanceArea, named)


def scope_ids(named: Iterable[Named]) -> dict[tuple[str, int], int]:
    """(kind, object) -> id of the balance scope, made where there is none yet; a new name replaces the old one."""
    return _ids(BalanceScope, named)


def _ids(model: type[BalanceArea] | type[BalanceScope], named: Iterable[Named]) -> dict[tuple[str, int], int]:
    wanted = sorted(
        set(named)
    )  # in one order, so that two runs that name the same areas do not wait for each other
    model.objects.bulk_create(
        (model(kind=kind, object_id=pk, key=key) for kind, pk, key in wanted),
        update_conflicts=True,
        unique_fields=["kind", "object_id"],
        update_fields=["key"],
        batch_size=5000,
    )
    kinds = sorted({kind for kind, _, _ in wanted})
    found = model.objects.filter(kind__in=kinds).values_list("kind", "object_id", "id")
    asked = {(kind, pk) for kind, pk, _ in wanted}
    return {(kind, pk): area for kind, pk, area in found.iterator() if (kind, pk) in asked}
