"""Files of restricted parties become values: the Consolidated Screening List (CSV, JSON) and FollowTheMoney entities.

A file is understood as a whole or refused as a whole: what is wrong comes back as problems with line, column, value and mend, and
a file with a problem gives no parties, for half a list would clear the other half. Persons, vessels and aircraft are passed over
and counted: this ledger screens organizations. A row without a type counts as an organization, as BIS writes its own.

Formats, as their publishers write them: ``csl-csv`` and ``csl-json`` of the International Trade Administration (trade.gov,
Consolidated Screening List; JSON as one object with ``results`` or a bare array), ``csl-csv`` with the headings of before 2014
(``Source List, Entity Number, ...``, one row for each address), ``ftm``: one entity of FollowTheMoney in each line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from tracker.core.countries import COUNTRIES
from tracker.screening.names import folded

LARGEST_FILE = 200 * 1024 * 1024
"""Bytes; the whole Consolidated Screening List has some 20 MB."""
MOST_PARTIES = 500_000
MOST_PROBLEMS = 200
LONGEST_CELL = 200_000
LONGEST_NAME = 400

AUTO, CSL_CSV, CSL_JSON, FTM = FORMATS = ("auto", "csl-csv", "csl-json", "ftm")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. ``line`` counts from 1 (for a JSON document: the place of the entry, from 1)."""

    line: int | None
    column: str
    value: str
    message: str

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}"
        place += f"{', ' if place and self.column else ''}{self.column}"
        shown = f" {self.value[:200]!r}" if self.value else ""
        return f"{place}:{shown} {self.message}" if place else self.message


@dataclass(frozen=True, slots=True)
class ListedName:
    name: str
    kind: str = "alias"  # primary | alias | weak


@dataclass(frozen=True, slots=True)
class ListedParty:
    """What a list says of one party. Days are as the list tells them; None: it does not tell.

    ``list_name`` is the list within a consolidated file (Entity List), blank where the file is one list. ``digest`` names the
    content: equal digests, equal content.
    """

    key: str
    names: tuple[ListedName, ...]
    list_name: str = ""
    kind: str = "entity"
    countries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    citation: str = ""
    footnote: str = ""
    listed_on: date | None = None
    removed_on: date | None = None
    licence_requirement: str = ""
    licence_policy: str = ""
    addresses: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    source_url: str = ""
    remarks: str = ""

    @property
    def name(self) -> str:
        return self.names[0].name

    @property
    def digest(self) -> str:
        content = json.dumps(asdict(self), default=str, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class ParsedList:
    """``parties`` in the order of the file; empty where there is any problem. ``passed_over``: entries by kind."""

    format: str
    parties: tuple[ListedParty, ...]
    problems: tuple[Problem, ...]
    passed_over: Mapping[str, int]


class _Broken(Exception):
    """The file cannot be read on."""

    def __init__(self, message: str, line: int | None = None, column: str = "", value: str = ""):
        super().__init__(message)
        self.problem = Problem(line, column, value, message)


class _Problems(list[Problem]):
    """Stops the reading when there are too many: the file is of another kind, most likely."""

    def append(self, problem: Problem) -> None:
        super().append(problem)
        if len(self) >= MOST_PROBLEMS:
            raise _Broken(f"{MOST_PROBLEMS} problems so far; the rest of the file was not looked at.")


def parse(data: bytes, format: str = AUTO) -> ParsedList:
    """The parties of a file, or everything that is wrong with it (at most 200 problems)."""
    passed_over: Counter[str] = Counter()
    problems: list[Problem] = _Problems()
    parties: list[ListedParty] = []
    try:
        text = _decoded(data)
        format = _recognized(text) if format == AUTO else format
        read = _READERS[format]
        for found in read(text, problems, passed_over):
            parties.append(found)
            if len(parties) > MOST_PARTIES:
                raise _Broken(f"the file has more than {MOST_PARTIES:,} parties; split it.")
        if not problems and not parties:
            told = ", ".join(f"{count} {kind}" for kind, count in passed_over.items())
            raise _Broken(
                "the file names no organization"
                + (f" ({told} passed over)" if told else "")
                + "; is it the right one?"
            )
        parties = _with_own_keys(parties)
    except _Broken as broken:
        problems.extend([broken.problem])
    return ParsedList(format, () if problems else tuple(parties), tuple(problems), dict(passed_over))


def _with_own_keys(parties: Iterable[ListedParty]) -> list[ListedParty]:
    """Parties of one key told apart by their notice, and if that is the same too, by their order; equal entries count once."""
    made: dict[str, ListedParty] = {}
    for party in parties:
        for key in (
            party.key,
            f"{party.key[:80]}/{_key(party.citation)[:12]}",
            *(f"{party.key[:80]}/{n}" for n in range(2, 100)),
        ):
            if key not in made:
                made[key] = replace(party, key=key)
                break
            if replace(party, key=key) == made[key]:
                break
    return list(made.values())


# --- bytes --------------------------------------------------------------------------------------------------------------------


def _decoded(data: bytes) -> str:
    if len(data) > LARGEST_FILE:
        raise _Broken(f"the file has {len(data):,} bytes, more than {LARGEST_FILE:,}; split it.")
    if not data.strip():
        raise _Broken("the file is empty; fetch it again from its publisher.")
    save = "fetch the file again, or save it as UTF-8."
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Broken(f"the file is in UTF-16; {save}")
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"\xd0\xcf\x11\xe0")):
        raise _Broken(
            "the file is packed or a document (ZIP, GZIP, PDF, XLS); unpack it, or save it as CSV or JSON."
        )
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise _Broken(f"a NUL byte stands in this line: the file is damaged or not text; {save}", line)
    try:
        text = data.decode("utf-8-sig")
        if not text.strip():
            raise _Broken("the file is empty; fetch it again from its publisher.")
        return text
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        wrong = data[error.start : error.start + 1].hex()
        raise _Broken(
            f"byte 0x{wrong} is not UTF-8 (perhaps Latin-1 or Windows-1252); {save}", line
        ) from None


def _recognized(text: str) -> str:
    start = text.lstrip()[:4000]
    if start[:1] == "<":
        what = "a web page" if re.match(r"<(!doctype html|html|head|body)", start, re.I) else "XML"
        raise _Broken(
            f"this is {what}, not a list: the address may have moved or asks to sign in; "
            "fetch the CSV or JSON file itself.", 1, "", start[:60],
        )  # fmt: skip
    if start[:1] == "[":
        return CSL_JSON
    if start[:1] == "{":
        first = start.splitlines()[0]
        return FTM if '"schema"' in first and '"properties"' in first else CSL_JSON
    header = {cell.strip().casefold() for cell in next(csv.reader([start.splitlines()[0]]), [])}
    if {"source", "name", "alt_names"} <= header or {"source list", "name", "country"} <= header:
        return CSL_CSV
    raise _Broken(
        "no known list begins like this; known are the Consolidated Screening List (CSV with the columns source, name, "
        "alt_names..., or JSON) and FollowTheMoney entities (JSON lines).", 1, "", start.splitlines()[0][:120],
    )  # fmt: skip


# --- values -------------------------------------------------------------------------------------------------------------------

_COUNTRY_NAMES = {folded(name): code for code, name in COUNTRIES.items()} | {
    folded(name): code
    for name, code in {
        "United Kingdom": "GB", "UK": "GB", "Great Britain": "GB", "Korea, Republic of": "KR", "South Korea": "KR",
        "Korea, South": "KR", "North Korea": "KP", "Korea, North": "KP", "Russian Federation": "RU", "Burma": "MM",
        "Myanmar": "MM",
        "Viet Nam": "VN", "Czechia": "CZ", "Macao": "MO", "UAE": "AE", "Iran, Islamic Republic of": "IR", "Turkiye": "TR",
        "Syrian Arab Republic": "SY", "Taiwan, Province of China": "TW", "People's Republic of China": "CN", "China, PRC": "CN",
        "Lao People's Democratic Republic": "LA", "Moldova, Republic of": "MD", "Cote d Ivoire": "CI", "Ivory Coast": "CI",
        "Democratic Republic of the Congo": "CD", "The Netherlands": "NL", "Bosnia and Herzegovina": "BA",
        "Antigua and Barbuda": "AG",
        "Trinidad and Tobago": "TT", "Saint Lucia": "LC", "Palestinian": "PS", "Region: Gaza": "PS", "Region: Crimea": "UA",
    }.items()
}  # fmt: skip


def country_code(text: str) -> str:
    """The ISO code of a country told by code or English name; blank where it is not understood.

    >>> country_code("ru"), country_code("Korea, South"), country_code("Nowhere")
    ('RU', 'KR', '')
    """
    plain = text.strip()
    if plain.upper() in COUNTRIES:
        return plain.upper()
    return _COUNTRY_NAMES.get(folded(plain), "")


def _day(text: str) -> date | None:
    """A day as lists write it: 2019-05-16 (or a longer instant), 5/16/2019, 16 May 2019 is not among them.

    Raises ValueError with the mend.
    """
    if not (plain := text.strip()):
        return None
    if found := re.match(r"(\d{4})-(\d{2})-(\d{2})(?:$|[T ])", plain):
        year, month, day = map(int, found.groups())
    elif found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", plain):
        month, day, year = map(int, found.groups())
    else:
        raise ValueError("write a day as 2019-05-16 or 5/16/2019; blank if not known.")
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError("there is no such day; write it as 2019-05-16 or 5/16/2019.") from None


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in (piece.strip() for piece in text.split(";")) if part))


_WEAK = re.compile(r"^(.*?)\s*[(\[]?\s*(?:weak a\.?k\.?a\.?|low quality a\.?k\.?a\.?)\s*[)\]]?$", re.I)


def _names(primary: str, aliases: Iterable[str], weak: Iterable[str] = ()) -> tuple[ListedName, ...]:
    """Names in order, each once; what a list calls a weak alias is one."""
    found = {primary: ListedName(primary, "primary")}
    for alias in aliases:
        marked = _WEAK.match(alias)
        name = marked[1].strip(" '\"") if marked else alias.strip()
        if name:
            found.setdefault(
                name[:LONGEST_NAME], ListedName(name[:LONGEST_NAME], "weak" if marked else "alias")
            )
    for alias in weak:
        if alias.strip():
            found.setdefault(alias.strip()[:LONGEST_NAME], ListedName(alias.strip()[:LONGEST_NAME], "weak"))
    return tuple(found.values())


_FOOTNOTE = re.compile(r"footnotes?\s+(\d+(?:\s*(?:,|and)\s*\d+)*)", re.I)


def footnote(*texts: str) -> str:
    """The footnote of the Entity List that a text names, such as "See Footnote 4".

    >>> footnote("For all items subject to the EAR (See §§ 734.9(e) and 744.11) with footnote 1")
    '1'
    """
    found = [
        part for text in texts for match in _FOOTNOTE.findall(text) for part in re.findall(r"\d+", match)
    ]
    return ", ".join(dict.fromkeys(found))


def _web_address(text: str) -> str:
    plain = text.strip()
    return plain[:600] if plain.startswith(("http://", "https://")) else ""


def _key(*parts: str) -> str:
    """A key of a party whose list gives none: what tells it from others."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


NOT_ORGANIZATIONS = ("individual", "vessel", "aircraft")


# --- Consolidated Screening List ----------------------------------------------------------------------------------------------

SOURCES = {
    "EL": "Entity List", "ENTITY LIST": "Entity List", "DPL": "Denied Persons List", "DENIED PERSONS LIST": "Denied Persons List",
    "UVL": "Unverified List", "UNVERIFIED LIST": "Unverified List", "MEU": "MEU List", "MILITARY END USER": "MEU List",
    "SDN": "SDN List", "SPECIALLY DESIGNATED NATIONALS": "SDN List", "DTC": "AECA Debarred List",
    "ITAR DEBARRED": "AECA Debarred List",
    "ISN": "Nonproliferation Sanctions", "NONPROLIFERATION SANCTIONS": "Nonproliferation Sanctions",
    "FSE": "Foreign Sanctions Evaders", "FOREIGN SANCTIONS EVADERS": "Foreign Sanctions Evaders",
    "SSI": "Sectoral Sanctions Identifications", "SECTORAL SANCTIONS IDENTIFICATIONS LIST": "Sectoral Sanctions Identifications",
    "CAP": "CAPTA List", "CAPTA LIST": "CAPTA List", "CMIC": "CMIC List", "MBS": "Non-SDN Menu-Based Sanctions List",
    "PLC": "Palestinian Legislative Council List",
}  # fmt: skip


def list_name(source: str) -> str:
    """The list in a consolidated file, by the name this ledger uses for it.

    >>> list_name("Entity List (EL) - Bureau of Industry and Security"), list_name("EL")
    ('Entity List', 'Entity List')
    """
    plain = source.strip()
    if (code := re.search(r"\(([A-Z]{2,4})\)", plain)) and code[1] in SOURCES:
        return SOURCES[code[1]]
    head = re.split(r"\s+\(|\s+-\s+", plain)[0]
    return SOURCES.get(head.upper(), head)[:80]


HEADER = (
    "_id", "source", "entity_number", "type", "programs", "name", "title", "addresses", "federal_register_notice", "start_date",
    "end_date", "standard_order", "license_requirement", "license_policy", "call_sign", "vessel_type", "gross_tonnage",
    "gross_registered_tonnage", "vessel_flag", "vessel_owner", "remarks", "source_list_url", "alt_names", "citizenships",
    "dates_of_birth", "nationalities", "places_of_birth", "source_information_url", "ids",
)  # fmt: skip
"""Columns of the CSV of today; the first seven and those read below must be there, others may come or go."""
NEEDED = (
    "source", "type", "programs", "name", "addresses", "federal_register_notice", "start_date", "end_date", "license_requirement",
    "license_policy", "remarks", "source_list_url", "alt_names", "ids", "entity_number",
)  # fmt: skip
ADDRESS_BEFORE_2014 = ("Address", "City", "State/Province", "Postal Code", "Country")
NEEDED_BEFORE_2014 = (
    "Source List", "Name", "Address", "City", "Country", "Federal Register Notice", "Effective Date", "License Requirement",
    "License Policy", "Alternate Name", "Web Link",
)  # fmt: skip


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line each begins on."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise _Broken(
            f"the row cannot be read ({error}); the file may be cut off, fetch it again.", line
        ) from None


def _read_csl_csv(text: str, problems: list[Problem], passed_over: Counter[str]) -> Iterator[ListedParty]:
    rows = _csv_rows(text)
    _, header = next(rows)
    while header and not header[-1]:  # spreadsheets leave empty columns behind
        header.pop()
    if "Source List" in header:
        yield from _read_before_2014(header, rows, problems)
        return
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise _Broken(
            f"missing columns: {', '.join(missing)}; the Consolidated Screening List has: {', '.join(HEADER)}.",
            1, "", ",".join(header)[:120],
        )  # fmt: skip
    for line, row in _by_name(header, rows, problems):
        if (kind := row["type"].casefold()) in NOT_ORGANIZATIONS:
            passed_over[kind] += 1
            continue
        addresses = _split(row["addresses"])
        made = _csl_party(
            row, problems, line,
            addresses=addresses, places=[_place(address) for address in addresses], aliases=_split(row["alt_names"]),
            programs=_split(row["programs"]), identifiers=_identifiers_in(row["ids"]),
        )  # fmt: skip
        if made:
            yield made


def _by_name(
    header: list[str], rows: Iterable[tuple[int, list[str]]], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in rows:
        if len(cells) > len(header) and not any(cells[len(header) :]):
            cells = cells[: len(header)]
        if len(cells) != len(header):
            problems.append(
                Problem(
                    line,
                    "",
                    "",
                    f"the row has {len(cells)} cells, the header {len(header)}; the file may be cut off or edited.",
                )
            )
            continue
        yield line, dict(zip(header, cells, strict=True))


def _identifiers_in(text: str) -> tuple[str, ...]:
    """``Registration ID, 1021801671462, RU`` and the like: the cell's parts that hold a digit."""
    found = []
    for piece in _split(text):
        found += [
            part.strip()
            for part in piece.split(",")
            if any(map(str.isdigit, part)) and len(part.strip()) >= 5
        ]
    return tuple(dict.fromkeys(part for part in found if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", part)))


def _place(address: str) -> tuple[str, str]:
    """(city, country code) of an address in one line, as far as its ends tell."""
    parts = [part.strip() for part in address.split(",") if part.strip()]
    country = country_code(parts[-1]) if parts else ""
    rest = parts[:-1] if country else parts
    towns = [part for part in rest if not any(map(str.isdigit, part)) and len(part) > 2]
    return (towns[-1] if towns else "", country)


def _csl_party(
    row: Mapping[str, str],
    problems: list[Problem],
    line: int,
    *,
    addresses: Sequence[str],
    places: Sequence[tuple[str, str]],
    aliases: Iterable[str],
    programs: Iterable[str],
    identifiers: Iterable[str],
    weak: Iterable[str] = (),
) -> ListedParty | None:
    """What the CSV and the JSON of the list have in common."""
    if not row["name"]:
        problems.append(
            Problem(line, "name", "", "the entry has no name; without one nothing can be screened.")
        )
        return None
    days: dict[str, date | None] = {}
    for column in ("start_date", "end_date"):
        try:
            days[column] = _day(row[column])
        except ValueError as error:
            problems.append(Problem(line, column, row[column], str(error)))
            return None
    start, end = days["start_date"], days["end_date"]
    if start and end and end <= start:
        problems.append(
            Problem(
                line, "end_date", row["end_date"], f"is not after the start, {start}; correct one of the two."
            )
        )
        return None
    source = list_name(row["source"])
    told = [country_code(row.get("country", "")), *(country for _, country in places)]
    countries = tuple(dict.fromkeys(filter(None, told)))
    return ListedParty(
        # Not the file's own _id: its publisher makes that from the entry's content, so it may change whenever the entry does,
        # and a corrected address would look like one party removed and another added.
        key=(row["entity_number"] or _key(source, row["name"], *sorted(countries)))[:120],
        names=_names(row["name"][:LONGEST_NAME], aliases, weak),
        list_name=source,
        kind=row["type"].casefold() or "entity",
        countries=countries,
        programs=tuple(programs),
        citation=row["federal_register_notice"][:200],
        footnote=footnote(row["license_requirement"], row["license_policy"], row["remarks"]),
        listed_on=start,
        removed_on=end,
        licence_requirement=row["license_requirement"],
        licence_policy=row["license_policy"],
        addresses=tuple(addresses),
        cities=tuple(dict.fromkeys(city for city, _ in places if city)),
        identifiers=tuple(dict.fromkeys(identifiers)),
        source_url=_web_address(row.get("source_information_url", "")) or _web_address(row["source_list_url"]),
        remarks=row["remarks"],
    )  # fmt: skip


def _read_before_2014(
    header: list[str], rows: Iterable[tuple[int, list[str]]], problems: list[Problem]
) -> Iterator[ListedParty]:
    """The older CSV: a row for each address and alternate name; rows of one list, name and notice are one party."""
    missing = [name for name in NEEDED_BEFORE_2014 if name not in header]
    if missing:
        raise _Broken(f"missing columns: {', '.join(missing)}.", 1, "", ",".join(header)[:120])
    found: dict[tuple[str, str, str], ListedParty] = {}
    for line, row in _by_name(header, rows, problems):
        if not row["Name"]:
            problems.append(
                Problem(line, "Name", "", "the row has no name; without one nothing can be screened.")
            )
            continue
        try:
            start, end = _day(row["Effective Date"]), _day(row.get("Date Lifted/Waived/Expired", ""))
        except ValueError as error:
            problems.append(Problem(line, "Effective Date", row["Effective Date"], str(error)))
            continue
        address = ", ".join(
            part for part in (row[name] for name in ADDRESS_BEFORE_2014 if name in row) if part
        )  # fmt: skip
        source = list_name(row["Source List"])
        one = ListedParty(
            key=_key(source, row["Name"], row["Federal Register Notice"]),
            names=_names(row["Name"][:LONGEST_NAME], _split(row["Alternate Name"])),
            list_name=source,
            countries=tuple(filter(None, [country_code(row["Country"])])),
            programs=_split(row.get("Programs", "")),
            citation=row["Federal Register Notice"][:200],
            footnote=footnote(
                row["License Requirement"], row["License Policy"], row.get("Remarks/Notes", "")
            ),
            listed_on=start,
            removed_on=end,
            licence_requirement=row["License Requirement"],
            licence_policy=row["License Policy"],
            addresses=tuple(filter(None, [address])),
            cities=tuple(filter(None, [row["City"]])),
            source_url=_web_address(row["Web Link"]),
            remarks=row.get("Remarks/Notes", ""),
        )
        key = (source, row["Name"], row["Federal Register Notice"])
        found[key] = _merged(found[key], one) if key in found else one
    yield from found.values()


def _merged(one: ListedParty, other: ListedParty) -> ListedParty:
    def both(name: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys((*getattr(one, name), *getattr(other, name))))

    return replace(
        one,
        names=both("names"),
        countries=both("countries"),
        programs=both("programs"),
        addresses=both("addresses"),
        cities=both("cities"),
    )


def _read_csl_json(text: str, problems: list[Problem], passed_over: Counter[str]) -> Iterator[ListedParty]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        whole = text.rstrip().endswith(("}", "]"))
        mend = "correct it there" if whole else "the file is cut off; fetch it again"
        raise _Broken(
            f"the JSON cannot be read at column {error.colno} ({error.msg}); {mend}.", error.lineno
        ) from None
    except RecursionError:
        raise _Broken("the JSON is nested too deeply to be a list.") from None
    entries = document.get("results") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise _Broken(
            "the JSON has no list of entries; the Consolidated Screening List is an object with 'results' or an array."
        )
    total = document.get("total") if isinstance(document, dict) else None
    if isinstance(total, int) and total > len(entries):
        raise _Broken(
            f"the file holds {len(entries):,} of {total:,} entries: it is one page of an answer; load the whole file, "
            "for what is missing would count as removed."
        )  # fmt: skip
    for place, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            problems.append(Problem(place, "name", "", "the entry is no object with a name."))
            continue
        kind = str(entry.get("type") or "").casefold()
        if kind in NOT_ORGANIZATIONS:
            passed_over[kind] += 1
            continue
        if made := _json_party(entry, problems, place):
            yield made


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return list(_split(value))
    return [text for item in value if (text := _text(item))] if isinstance(value, list) else []


def _objects(
    entry: Mapping[str, Any], name: str, problems: list[Problem], place: int
) -> list[Mapping[str, Any]]:
    """The objects under a name that holds a list of them."""
    found = entry.get(name) or []
    if not isinstance(found, list):
        problems.append(Problem(place, name, _text(found)[:80], "this is no list of objects."))
        return []
    return [item for item in found if isinstance(item, dict)]


def _json_party(entry: Mapping[str, Any], problems: list[Problem], place: int) -> ListedParty | None:
    row = {
        name: _text(entry.get(name))
        for name in (*HEADER, "id", "country")
        if not isinstance(entry.get(name), list)
    }
    row |= {name: "" for name in NEEDED if name not in row}
    addresses, places = [], []
    for item in _objects(entry, "addresses", problems, place):
        parts = [_text(item.get(name)) for name in ("address", "city", "state", "postal_code", "country")]
        addresses.append(", ".join(filter(None, parts)))
        places.append((parts[1], country_code(parts[4])))
    identifiers = [
        _text(item.get("number")) for item in _objects(entry, "ids", problems, place) if item.get("number")
    ]
    return _csl_party(
        row, problems, place,
        addresses=[address for address in addresses if address], places=places, aliases=_texts(entry.get("alt_names")),
        programs=_texts(entry.get("programs")), identifiers=[text for text in identifiers if len(text) >= 5],
    )  # fmt: skip


# --- FollowTheMoney -----------------------------------------------------------------------------------------------------------

FTM_ORGANIZATIONS = ("Company", "Organization", "LegalEntity", "PublicBody")
_FTM_IDENTIFIERS = (
    "registrationNumber", "taxNumber", "innCode", "ogrnCode", "leiCode", "uniqueEntityId", "vatCode", "dunsCode", "uscCode",
    "idNumber",
    "swiftBic", "imoNumber", "okpoCode", "permId",
)  # fmt: skip


def _read_ftm(text: str, problems: list[Problem], passed_over: Counter[str]) -> Iterator[ListedParty]:
    """Organizations with the sanctions that name them. An organization nobody listed (``target`` false) is passed over."""
    entities: list[tuple[int, dict[str, Any]]] = []
    sanctions: dict[str, list[dict[str, list[str]]]] = {}
    addresses: dict[str, str] = {}
    for line, written in enumerate(
        text.split("\n"), 1
    ):  # splitlines would also part at separators within a name
        if not written.strip():
            continue
        entity = _entity(written, line, problems)
        if entity is None:
            continue
        schema, properties = entity["schema"], entity["properties"]
        if schema == "Sanction":
            for target in properties.get("entity", []):
                sanctions.setdefault(target, []).append(properties)
        elif schema == "Address":
            addresses[entity["id"]] = "; ".join(properties.get("full", []))
        elif schema in FTM_ORGANIZATIONS:
            entities.append((line, entity))
        else:
            passed_over[schema] += 1
    for line, entity in entities:
        mentioned = sanctions.get(entity["id"], [])
        if not entity.get("target", True) and not mentioned:
            passed_over["not listed"] += 1
            continue
        if made := _ftm_party(line, entity, mentioned, addresses, problems):
            yield made


def _entity(written: str, line: int, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        entity = json.loads(written)
    except (json.JSONDecodeError, RecursionError) as error:
        said = getattr(error, "msg", "nested too deeply")
        problems.append(
            Problem(
                line,
                "",
                written[:60],
                f"the line is no JSON ({said}); the file may be cut off, fetch it again.",
            )
        )
        return None
    wrong = ""
    if not isinstance(entity, dict):
        wrong = "the line is no entity"
    elif not isinstance(entity.get("id"), str) or not isinstance(entity.get("schema"), str):
        wrong = "the entity has no id or no schema"
    elif not isinstance(entity.get("properties"), dict):
        wrong = "the entity has no properties"
    elif not all(isinstance(values, list) for values in entity["properties"].values()):
        wrong = "a property is no list of values"
    if wrong:
        problems.append(
            Problem(line, "", written[:60], f"{wrong}; FollowTheMoney writes one entity in each line.")
        )
        return None
    entity["properties"] = {
        name: [value for value in values if isinstance(value, str)]
        for name, values in entity["properties"].items()
    }
    return entity


def _ftm_party(
    line: int,
    entity: Mapping[str, Any],
    sanctions: Sequence[Mapping[str, list[str]]],
    addresses: Mapping[str, str],
    problems: list[Problem],
) -> ListedParty | None:
    properties: Mapping[str, list[str]] = entity["properties"]
    listed_names = properties.get("name", [])
    primary = _text(entity.get("caption")) or next(iter(listed_names), "")
    if not primary:
        problems.append(
            Problem(
                line, "name", entity["id"], "the entity has no name; without one nothing can be screened."
            )
        )
        return None
    starts: list[date] = []
    ends: list[date] = []
    for sanction in sanctions:
        for column, found in (("listingDate", starts), ("startDate", starts), ("endDate", ends)):
            for value in sanction.get(column, []):
                # A year or a month alone (2014, 2014-07) names no day: the day stays unknown.
                if re.fullmatch(r"\d{4}(-\d{2})?", value):
                    continue
                try:
                    if day := _day(value):
                        found.append(day)
                except ValueError as error:
                    problems.append(Problem(line, column, value, str(error)))
                    return None
    told = [
        *properties.get("address", []),
        *(addresses.get(key, "") for key in properties.get("addressEntity", [])),
    ]
    start = min(starts, default=None)
    # Ended only when every mention has ended, and after it began.
    end = max(ends) if sanctions and all(sanction.get("endDate") for sanction in sanctions) and ends else None
    if start and end and end <= start:
        end = None

    def all_of(name: str) -> list[str]:
        return list(dict.fromkeys(value for sanction in sanctions for value in sanction.get(name, [])))

    return ListedParty(
        key=entity["id"][:120],
        names=_names(
            primary[:LONGEST_NAME],
            [*listed_names, *properties.get("alias", []), *properties.get("previousName", [])],
            [*properties.get("weakAlias", []), *properties.get("abbreviation", [])],
        ),
        kind=entity["schema"].casefold(),
        countries=tuple(
            dict.fromkeys(
                filter(
                    None,
                    map(country_code, [*properties.get("jurisdiction", []), *properties.get("country", [])]),
                )
            )
        ),
        programs=tuple(dict.fromkeys([*properties.get("programId", []), *all_of("program")])),
        citation="; ".join(all_of("authorityId"))[:200],
        listed_on=start,
        removed_on=end,
        licence_requirement="; ".join(all_of("provisions")),
        addresses=tuple(dict.fromkeys(address for address in told if address)),
        identifiers=tuple(
            dict.fromkeys(value for name in _FTM_IDENTIFIERS for value in properties.get(name, []))
        ),
        source_url=next(
            filter(None, map(_web_address, [*all_of("sourceUrl"), *properties.get("sourceUrl", [])])), ""
        ),
        remarks="; ".join([*all_of("authority"), *all_of("reason"), *properties.get("notes", [])]),
    )


_READERS: dict[str, Callable[[str, list[Problem], Counter[str]], Iterator[ListedParty]]] = {
    CSL_CSV: _read_csl_csv,
    CSL_JSON: _read_csl_json,
    FTM: _read_ftm,
}
