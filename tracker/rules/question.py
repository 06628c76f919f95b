"""A question about a chip and a shipment, as somebody writes it down, read into the values that the rules are asked with.

Every wrong field is told by name with the mend, all of them at once. What is left out is not known, and never a no.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tracker.chips.specs import BITS_OF_MULTIPLY_INPUTS, ChipSpec
from tracker.core.countries import COUNTRIES
from tracker.core.errors import BadInput
from tracker.core.interval import Interval, Number, plain
from tracker.rules import cells
from tracker.rules.licensing import CONSIGNEE, END_USER, Case, Listing, Notice, Party
from tracker.rules.schema import EXPORTER_ROLES

ROLES = ("purchaser", "intermediate consignee", CONSIGNEE, END_USER)
NOTICE_ANSWERS = ("cleared", "refused")
MOST_PARTIES, MOST_LISTINGS, LONGEST_TEXT = 50, 50, 300
LARGEST = 1e12


class WrongFields(BadInput):
    """A question that cannot be read; ``fields``: name to what is wrong and the mend."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {text}" for name, text in fields.items()))
        self.fields = dict(fields)


@dataclass(frozen=True, slots=True)
class AskedParty:
    """A party as it was given. ``organization``: slug of a record that supplies what was not given."""

    party: Party
    organization: str = ""

    def completed(self, record: Party) -> Party:
        """The party as given, and as ``record`` has it where nothing was given."""
        given = self.party
        return replace(
            given,
            name=record.name if given.name == self.organization else given.name,
            hq=given.hq or record.hq,
            parent_hqs=record.parent_hqs if given.parent_hqs is None else given.parent_hqs,
            listings=given.listings or record.listings,
            listing_question=given.listing_question or record.listing_question,
            screening_question=given.screening_question or record.screening_question,
            affiliation=record.affiliation if given.affiliation is None else given.affiliation,
            approved=record.approved if given.approved is None else given.approved,
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``chip``: slug of a record, or ``spec`` for one that is described. ``on``: None means today."""

    chip: str = ""
    spec: ChipSpec | None = None
    on: date | None = None
    case: Case = field(default_factory=lambda: Case(destination=""))
    parties: tuple[AskedParty, ...] = ()
    quantity: float | None = None
    licence: str = ""


_RATES = tuple(BITS_OF_MULTIPLY_INPUTS)
_FIGURES = (*_RATES, "tpp", "tpp_published", "die_area_mm2", "memory_bandwidth_gbs", "io_bandwidth_gbs")
CHIP_FIELDS = (
    "name", *_FIGURES, "process_node_nm", "datacenter", "item_form", "vendor", "vendor_hq", "copackaged_with_dominant_logic",
)  # fmt: skip
PARTY_FIELDS = (
    "name", "role", "organization", "hq", "parent_hqs", "listings", "listing_question", "screening_question", "affiliation",
    "approved",
)  # fmt: skip
FIELDS = (
    "chip", "on", "origin", "destination", "parties", "notice", "subject_to_ear", "exporter_role", "aboard_on", "quantity",
    "licence",
)  # fmt: skip


class _Refused(ValueError):
    """A field is not understood; the text is the mend."""


class _Object:
    """A JSON object, read field by field; what is wrong is collected under the field's full name."""

    def __init__(self, data: Any, known: Sequence[str], at: str, wrong: dict[str, str]) -> None:
        self.at, self.wrong = at, wrong
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        if not isinstance(data, Mapping):
            wrong[at or "question"] = "Write an object with named fields."
        for name in self.data:
            if name not in known:
                wrong[self.name(str(name)[:80])] = f"Not a field here; there are {', '.join(known)}."

    def name(self, field: str) -> str:
        return f"{self.at}.{field}" if self.at else field

    def read(self, field: str, parse: Callable[[Any], Any], blank: Any = None) -> Any:
        """The field's value, ``blank`` where it is left out, null or wrong."""
        value = self.data.get(field)
        if value is None or value == "":
            return blank
        try:
            return parse(value)
        except _Refused as refusal:
            self.wrong[self.name(field)] = str(refusal)
            return blank


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise _Refused("Write a text in one line.")
    if len(value) > LONGEST_TEXT:
        raise _Refused(f"Has {len(value)} characters; shorten it to {LONGEST_TEXT} or fewer.")
    return value.strip()


def _choice(choices: Sequence[str]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise _Refused(f"Choose one of: {', '.join(choices)}.")
        return str(value)

    return parse


def _day(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise _Refused("Write a day that exists, such as 2024-06-01.") from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Refused("Write true or false, or null where it is not known.")
    return value


def _country(value: Any) -> str:
    if value not in COUNTRIES:
        raise _Refused(
            "Write an ISO 3166 code of two capital letters, such as CN; leave it out where it is not known."
        )
    return str(value)


def _plain_number(value: Any, what: str = "Write a number of zero or more") -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Refused(f"{what}, or an object with low and high.")
    if not 0 <= value <= LARGEST:
        raise _Refused(f"{what}, at most {LARGEST:,.0f}.")
    return float(value)


def _number(value: Any) -> Number:
    """A number, or ``{"low": ..., "high": ...}`` with ``high`` null for a lower limit."""
    if not isinstance(value, Mapping):
        return _plain_number(value)
    if extra := sorted(set(map(str, value)) - {"low", "high"}):
        raise _Refused(f"A range has low and high, and no {extra[0]!r}.")
    low = _plain_number(value.get("low") or 0)
    high = math.inf if value.get("high") is None else _plain_number(value["high"])
    if low > high:
        raise _Refused("The low end lies above the high end.")
    return plain(Interval(low, high))


def _area(value: Any) -> Number:
    found = _number(value)
    if (found.high if isinstance(found, Interval) else found) <= 0:
        raise _Refused("An area cannot be zero; leave it out where it is not known.")
    return replace(found, low=max(found.low, 1e-9)) if isinstance(found, Interval) else found


def _form(value: Any) -> str:
    try:
        return cells.form(_text(value))
    except cells.Refused as refusal:
        raise _Refused(f"This {refusal}.") from None


def read_question(data: Any) -> Question:
    """Read a question; the fields are :data:`FIELDS`. Raises WrongFields with all that is wrong."""
    wrong: dict[str, str] = {}
    read = _Object(data, FIELDS, "", wrong)
    chip = read.data.get("chip")
    slug, spec = "", None
    if isinstance(chip, Mapping):
        spec = _spec(_Object(chip, CHIP_FIELDS, "chip", wrong))
    elif chip in (None, ""):
        wrong["chip"] = (
            'Name a chip by its slug, or describe one as an object (such as {"tpp": 4800, "datacenter": true}).'
        )
    else:
        slug = read.read("chip", _text, "")
    parties = _parties(read, wrong)
    case = Case(
        destination=read.read("destination", _country, ""),
        origin=read.read("origin", _country, ""),
        parties=tuple(asked.party for asked in parties),
        notice=_notice(read, wrong),
        subject_to_ear=read.read("subject_to_ear", _flag),
        exporter_role=read.read("exporter_role", _choice(EXPORTER_ROLES), ""),
        aboard_on=read.read("aboard_on", _day),
    )
    question = Question(
        slug,
        spec,
        read.read("on", _day),
        case,
        parties,
        read.read("quantity", _plain_number),
        read.read("licence", _text, ""),
    )
    if wrong:
        raise WrongFields(wrong)
    return question


def _spec(read: _Object) -> ChipSpec:
    figures: dict[str, Any] = {
        name: read.read(name, _area if name == "die_area_mm2" else _number) for name in _FIGURES
    }
    given, printed, area = figures.pop("tpp"), figures.pop("tpp_published"), figures.pop("die_area_mm2")
    form = read.read("item_form", _form, "")
    is_stack = form == cells.STACK
    copackaged = read.read("copackaged_with_dominant_logic", _flag)
    return ChipSpec(
        slug=read.read("name", _text, ""),
        **figures,
        tpp_published=printed if given is None else given,
        printed_first=given is not None,
        die_area_mm2=None if is_stack else area,
        package_area_mm2=area if is_stack else None,
        is_hbm_stack=is_stack,
        copackaged_with_dominant_logic=bool(copackaged) if is_stack else copackaged,
        process_node_nm=read.read("process_node_nm", _plain_number),
        marketed_for_datacenters=read.read("datacenter", _flag),
        form=form,
        vendor=read.read("vendor", _text, ""),
        vendor_hq=read.read("vendor_hq", _country, ""),
    )


def _parties(read: _Object, wrong: dict[str, str]) -> tuple[AskedParty, ...]:
    given = read.data.get("parties") or []
    if not isinstance(given, list) or len(given) > MOST_PARTIES:
        wrong["parties"] = f"Write a list of at most {MOST_PARTIES} parties."
        return ()
    return tuple(_party(item, f"parties.{index}", wrong) for index, item in enumerate(given))


def _party(item: Any, at: str, wrong: dict[str, str]) -> AskedParty:
    """An object, or the slug of an organization alone."""
    part = _Object({"organization": item} if isinstance(item, str) else item, PARTY_FIELDS, at, wrong)
    slug = part.read("organization", _text, "")
    hqs = part.read("parent_hqs", _countries)
    return AskedParty(
        Party(
            name=part.read("name", _text, "") or slug or f"party {at.removeprefix('parties.')}",
            role=part.read("role", _choice(ROLES), END_USER),
            hq=part.read("hq", _country, ""),
            parent_hqs=hqs,
            listings=_listings(part, wrong),
            listing_question=part.read("listing_question", _text, ""),
            screening_question=part.read("screening_question", _text, ""),
            affiliation=part.read("affiliation", _text),
            approved=part.read("approved", _flag),
        ),
        slug,
    )


def _countries(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_PARTIES:
        raise _Refused('Write a list of country codes, "" for a parent whose headquarters is not known.')
    return tuple("" if item == "" else _country(item) for item in value)


def _listings(part: _Object, wrong: dict[str, str]) -> tuple[Listing, ...]:
    given = part.data.get("listings") or []
    if not isinstance(given, list) or len(given) > MOST_LISTINGS:
        wrong[part.name("listings")] = f"Write a list of at most {MOST_LISTINGS} entries."
        return ()
    found = []
    for index, item in enumerate(given):
        entry = _Object(item, ("list_name", "citation", "footnote"), part.name(f"listings.{index}"), wrong)
        name = entry.read("list_name", _text, "")
        if not name and isinstance(item, Mapping):
            wrong.setdefault(entry.name("list_name"), "Name the list, such as Entity List.")
        found.append(Listing(name, entry.read("citation", _text, ""), entry.read("footnote", _text, "")))
    return tuple(found)


def _notice(read: _Object, wrong: dict[str, str]) -> Notice | None:
    if read.data.get("notice") is None:
        return None
    part = _Object(read.data["notice"], ("made_on", "answer"), "notice", wrong)
    return Notice(part.read("made_on", _day), part.read("answer", _choice(NOTICE_ANSWERS), ""))
