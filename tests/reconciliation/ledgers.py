"""A small standing cast as plain rows, for tests of the checks: a vendor, a reseller, an operator with a site, two chips."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import Any

from tracker.core.period import Period
from tracker.core.quantity import Reported
from tracker.reconciliation.books import (
    Books,
    ChipRow,
    ClaimRow,
    LicenceRow,
    MovementRow,
    OrganizationRow,
    PowerRow,
    RecordRef,
    Scope,
    SiteRow,
    SourceRow,
    VerdictRow,
)

VENDOR, RESELLER, OPERATOR, BUYERS = 1, 2, 3, 4
SITE, PART = 11, 12
CHIP, OTHER_CHIP = 21, 22

_ids = count(1000)


def ref(model: str, pk: int | None = None) -> RecordRef:
    return RecordRef(model, next(_ids) if pk is None else pk, 1)


def source(
    publisher: str = "Gazette", grade: str = "C", published: date | None = date(2026, 3, 1)
) -> SourceRow:
    return SourceRow(ref("source"), "gazette", "A report", publisher, "https://example.org", published, grade)


CHIPS = {
    CHIP: ChipRow(ref("chip", CHIP), "h-one", "H One", "vendor", 15832.0, 700.0, date(2022, 9, 20), ref("chipspecification")),
    OTHER_CHIP: ChipRow(
        ref("chip", OTHER_CHIP), "h-two", "H Two", "vendor", 7916.0, 400.0, date(2024, 1, 10), ref("chipspecification")
    ),
}  # fmt: skip
ONE = Scope("chip", CHIP, "h-one", "H One", frozenset({CHIP}), 1.0, 1.0, vendor="vendor")
TWO = Scope("chip", OTHER_CHIP, "h-two", "H Two", frozenset({OTHER_CHIP}), 0.5, 0.5, vendor="vendor")
MIXED = Scope("family", 1, "h-mixed", "H mixed", frozenset({CHIP, OTHER_CHIP}), 0.5, 1.0, vendor="vendor")
UNSPECIFIED = Scope("family", 2, "h-any", "H unspecified", frozenset(), None, None, vendor="vendor")
FOREIGN = Scope("family", 3, "x-any", "X unspecified", frozenset(), None, None, vendor="another")

ORGANIZATIONS = {
    VENDOR: OrganizationRow(ref("organization", VENDOR), "vendor", "Vendor Inc.", "US", False),
    RESELLER: OrganizationRow(ref("organization", RESELLER), "reseller", "Reseller Ltd", "SG", False),
    OPERATOR: OrganizationRow(ref("organization", OPERATOR), "operator", "Operator Co.", "MY", False),
    BUYERS: OrganizationRow(ref("organization", BUYERS), "buyers", "buyers not named", "CN", True),
}


def power(
    megawatts: float, basis: str = "installed", grade: str = "B", as_of: date | None = date(2026, 1, 1)
) -> PowerRow:
    return PowerRow(ref("sitepower"), megawatts, as_of, basis, source("Utility", grade))


def site(*powers: PowerRow, parts: frozenset[int] = frozenset()) -> SiteRow:
    return SiteRow(
        ref("datacenter", SITE), "desert", "Desert site", OPERATOR, "MY", "site", "operational", powers, parts
    )


def day(text: str) -> Period:
    only = date.fromisoformat(text)
    return Period.inclusive(only, only)


def days(first: str, last: str) -> Period:
    return Period.inclusive(date.fromisoformat(first), date.fromisoformat(last))


def claim(best: float | None = 115000, **given: Any) -> ClaimRow:
    slug = given.pop("slug", f"claim-{next(_ids)}")
    figure = {
        name: given.pop(name)
        for name in ("low", "high", "unit", "bound", "exact", "per_unit", "grade")
        if name in given
    }
    said: dict[str, Any] = {
        "ref": ref("claim"), "slug": slug, "reported": Reported(best=best, **figure), "status": "installed", "kind": "installed",
        "allegation": "reported", "subject_id": OPERATOR, "counterparty_id": None, "site_id": SITE, "origin_country": "",
        "destination_country": "MY", "scope": ONE, "period": day("2026-03-31"), "is_flow": False,
        "published_on": date(2026, 4, 1), "key": slug, "origin": slug, "conflicts_with": frozenset(),
        "source": source(f"Paper of {slug}"), "original_text": "as said",
    }  # fmt: skip
    return ClaimRow(**said | given)


def flow(best: float | None, **given: Any) -> ClaimRow:
    """A claim about what was shipped in the first quarter of 2026."""
    said = {
        "status": "shipped",
        "kind": "purchase",
        "period": days("2026-01-01", "2026-03-31"),
        "is_flow": True,
    }
    return claim(best, **said | given)


def movement(q: float = 1500, **given: Any) -> MovementRow:
    figure = {
        name: given.pop(name) for name in ("unit", "bound", "exact", "per_unit", "grade") if name in given
    }
    row: dict[str, Any] = {
        "ref": ref("shipment"), "reference": f"line-{next(_ids)}", "scope": ONE, "reported": Reported(best=q, **figure),
        "by_shipper": None, "by_receiver": None, "shipped": day("2026-01-10"), "received": day("2026-02-01"),
        "received_presumed": False, "shipper_id": VENDOR, "consignee_id": OPERATOR, "end_user_id": None, "origin_country": "US",
        "destination_country": "MY", "origin_site_id": None, "destination_site_id": SITE, "onward_of_id": None,
        "licence_id": None,
        "status": "received", "shipper_key": "org:vendor", "receiver_key": "org:operator", "source": source("Customs", "B"),
    }  # fmt: skip
    return MovementRow(**row | given)


def licence(q: float, **given: Any) -> LicenceRow:
    unit = given.pop("unit", "chips")
    row: dict[str, Any] = {
        "ref": ref("licenceitem"), "reference": "L1", "authority": "Authority", "scope": ONE,
        "reported": Reported(best=q, exact=True, grade="A", unit=unit), "consignee_id": OPERATOR,
        "end_user_id": None, "country": "MY",
        "valid": days("2026-01-01", "2026-06-30"), "source": source("Authority", "A"), "licence_id": 1,
    }  # fmt: skip
    return LicenceRow(**row | given)


def verdict(answer: str, **given: Any) -> VerdictRow:
    row: dict[str, Any] = {
        "answer": answer, "result": "LICENCE", "policy": "", "level": "a", "missing": (),
        "reasons": ("Chips of this class need a licence (15 CFR 742.6, in force since 2023-11-17): LICENCE.",),
        "rule_ids": ("US-AC-2023",), "citations": ("15 CFR 742.6(a)(6)",),
    }  # fmt: skip
    return VerdictRow(**row | given)


def books(
    *rows: Any, powers: tuple[PowerRow, ...] = (), verdicts: dict[int, VerdictRow] | None = None
) -> Books:
    """Claims, movements and licences sorted into their places."""
    return Books(
        as_of=date(2026, 6, 30),
        claims=tuple(row for row in rows if isinstance(row, ClaimRow)),
        movements=tuple(row for row in rows if isinstance(row, MovementRow)),
        licences=tuple(row for row in rows if isinstance(row, LicenceRow)),
        chips=CHIPS, organizations=ORGANIZATIONS, sites={SITE: site(*powers)}, verdicts=verdicts or {},
    )  # fmt: skip
