"""The seed files, one after another in the order in which they are written: each with its columns and what a row must obey.

The choices repeat those of the tables, word for word, because nothing here may know of tables; a test holds the two together.
"""

from __future__ import annotations

import itertools
from typing import Any

from tracker.imports.columns import (
    Column,
    Parser,
    choice,
    country,
    decimal,
    integer,
    iso_date,
    listed,
    pattern,
    slug,
    text,
    url,
    yes_no,
)
from tracker.imports.parse import Check, FileSpec, Values

QUANTITY = decimal(20, 3)
GRADES = ("A", "B", "C", "D", "E")
UNITS = (
    "chips",
    "cards",
    "units",
    "servers",
    "systems",
    "racks",
    "dies",
    "stacks",
    "GPU-equivalents",
    "A100-equivalents",
    "H100-equivalents",
    "GB300-equivalents",
    "chips per year",
    "chips per month",
    "data centers",
    "shipments",
    "listings",
    "USD",
)
ROLES = (
    "chip vendor",
    "foundry",
    "memory maker",
    "OSAT",
    "equipment maker",
    "server maker",
    "cloud operator",
    "data-center operator",
    "data-center developer",
    "AI lab",
    "intermediary",
    "case party",
    "trading company",
    "telecom operator",
    "government body",
    "university",
    "investor",
    "other",
)
SOURCE_KINDS = (
    "filing",
    "court",
    "government",
    "customs",
    "dataset",
    "datasheet",
    "research",
    "press",
    "other",
)
SITE_STATUSES = ("planned", "under construction", "operational", "closed")
CLAIM_KINDS = (
    "production",
    "sale",
    "purchase",
    "shipment",
    "order",
    "licence",
    "installed",
    "inventory",
    "planned",
    "diverted",
    "seized",
    "charge",
)
CLAIM_STATUSES = (
    "announced",
    "planned",
    "ordered",
    "contracted",
    "shipped",
    "delivered",
    "installed",
    "operational",
    "licensed",
    "produced",
    "stocked",
    "seized",
    "none",
)
ALLEGATIONS = ("disclosed", "admitted", "alleged", "estimated", "reported", "denied")
SHIPMENT_STATUSES = ("reported", "in transit", "received", "seized", "returned", "cancelled")


def _need(name: str, parser: Parser, meaning: str, refers_to: str = "") -> Column:
    return Column(name, parser, meaning, required=True, refers_to=refers_to)


def _may(name: str, parser: Parser, meaning: str, blank: Any = "", refers_to: str = "") -> Column:
    return Column(name, parser, meaning, blank=blank, refers_to=refers_to)


def _later(name: str, parser: Parser, meaning: str, blank: Any = "") -> Column:
    """A column that older files lack."""
    return Column(name, parser, meaning, blank=blank, may_lack=True)


def _names(name: str, kind: str, meaning: str, required: bool = False) -> Column:
    return Column(name, slug(120), meaning, required=required, blank=None, refers_to=kind)


def _day(name: str, meaning: str) -> Column:
    return _may(name, iso_date, meaning, None)


def _number(name: str, parser: Parser, meaning: str) -> Column:
    return _may(name, parser, meaning, None)


def _country(name: str, meaning: str) -> Column:
    return _may(name, country, meaning)


_SOURCE = _names("source", "source", "slug of the source (sources.csv)", required=True)
_SOURCE_IF_ANY = _names(
    "source", "source", "slug of the source (sources.csv); blank: a well-known fact or from memory"
)
_CONFIDENCE = _need(
    "confidence", choice("confirmed", "likely", "speculative"), "how sure the source is taken to be"
)
_VERIFICATION = _need(
    "verification", choice("read", "memory"), "read: the page was read; memory: not checked against a page"
)
_GRADE = _need("grade", choice(*GRADES), "how exact the figure can be taken to be, A (best) to E")
_UNIT = _need("unit", choice(*UNITS), "what the number counts; never assumed")
_NOTE = _may("note", text(), "remarks")
_CHIP = _names("chip", "chip", "slug of the chip (chips.csv)")
_FAMILY = _names("family", "family", "slug of the family (chip_families.csv) where the model is not named")


def ordered(*names: str) -> Check:
    """The values of ``names`` do not decrease; empty cells are passed over."""

    def check(values: Values) -> tuple[str, str] | None:
        given = [(name, values[name]) for name in names if values[name] is not None]
        for (before, low), (name, high) in itertools.pairwise(given):
            if high < low:
                return (
                    name,
                    f"is less than {before} ({low}); {', '.join(names)} must not decrease: mend one of them.",
                )
        return None

    return check


def ends_after(start: str, end: str) -> Check:
    """A half-open stretch of days ends after it begins."""

    def check(values: Values) -> tuple[str, str] | None:
        if values[start] is not None and values[end] is not None and values[end] <= values[start]:
            return (
                end,
                f"is not after {start} ({values[start]}); write the first day on which it no longer held.",
            )
        return None

    return check


def _positive(name: str) -> Check:
    def check(values: Values) -> tuple[str, str] | None:
        return (
            (name, "is not more than 0; write the figure, or delete the row if there is none.")
            if values[name] == 0
            else None
        )

    return check


def _differ(one: str, other: str, message: str) -> Check:
    def check(values: Values) -> tuple[str, str] | None:
        return (other, message) if values[one] is not None and values[one] == values[other] else None

    return check


def _one_scope(values: Values) -> tuple[str, str] | None:
    if (values["chip"] is None) == (values["family"] is None):
        return "chip", "name a chip or a family, exactly one of the two."
    return None


def _claim_scope(values: Values) -> tuple[str, str] | None:
    if values["chip"] and values["family"]:
        return "family", "name a chip or a family, not both: empty one of the two."
    if values["subject"] is None and values["data_center"] is None and not values["destination_country"]:
        return "subject", "say of whom the quantity is: fill subject, data_center or destination_country."
    return None


def _claim_bound(values: Values) -> tuple[str, str] | None:
    figures = [values[name] for name in ("low", "best", "high")]
    none_given = all(figure is None for figure in figures)
    if none_given and values["bound"] != "words":
        return (
            "bound",
            "low, best and high are all empty: fill one, or write words for a claim without a number.",
        )
    if values["bound"] == "words" and not none_given:
        return (
            "bound",
            "words means no number at all: empty low, best and high, or write floor, ceiling or nothing here.",
        )
    if values["bound"] == "floor" and values["low"] is None:
        return "low", "is empty, but bound says floor: write the least number here."
    if values["bound"] == "ceiling" and values["high"] is None:
        return "high", "is empty, but bound says ceiling: write the greatest number here."
    return None


def _claim_not_own_echo(values: Values) -> tuple[str, str] | None:
    if values["echo_of"] == values["slug"]:
        return "echo_of", "a claim cannot repeat itself: name the primary claim or leave the cell empty."
    if values["slug"] in values["conflicts_with"]:
        return "conflicts_with", "a claim cannot conflict with itself: take its own slug out."
    return None


def _shipment_dates(values: Values) -> tuple[str, str] | None:
    for first, last in (("shipped_on", "shipped_on_latest"), ("received_on", "received_on_latest")):
        if values[last] is not None and values[first] is not None and values[last] < values[first]:
            return last, f"is before {first} ({values[first]}); a latest day cannot precede the first."
    received = "received_on_latest" if values["received_on_latest"] else "received_on"
    if values["shipped_on"] and values[received] and values[received] < values["shipped_on"]:
        return (
            received,
            f"is before shipped_on ({values['shipped_on']}); goods cannot arrive before they leave.",
        )
    return None


def _rate(name: str, words: str) -> Column:
    return _number(name, decimal(12, 3), f"dense peak rate (no sparsity) of one item in {words}")


SOURCES = FileSpec(
    "sources.csv",
    (
        _need("slug", slug(120), "short name used by the other files"),
        _need("title", text(400), "title as printed"),
        _may("publisher", text(200), "who published the page that was read"),
        _may("original_publisher", text(200), "who said it first, where the page repeats somebody"),
        _may("url", url, "address of the page that was read"),
        _day("published_on", "day of publication"),
        _need(
            "published_on_basis",
            choice("page", "inferred", "package", "unknown"),
            "page: the date is on the page; inferred: from the event; package: month of the package version",
        ),
        _day("retrieved_on", "day on which the page was last read"),
        _need("kind", choice(*SOURCE_KINDS), "what sort of document it is"),
        _need("grade", choice(*GRADES), "taken for a figure from it that has no grade of its own"),
        _may(
            "archive_sha256",
            pattern(r"[0-9a-f]{64}", "write the SHA-256 digest as 64 lower-case hexadecimal digits"),
            "digest of the archived copy",
        ),
        _VERIFICATION,
        _may("licence_note", text(200), "licence and credit of a data set"),
        _NOTE,
    ),
    key=("slug",),
    meaning="documents and data sets that facts rest on, one row for each page",
)

ORGANIZATIONS = FileSpec(
    "organizations.csv",
    (
        _need("slug", slug(), "short name"),
        _need("name", text(250), "registered or usual name"),
        _may("aliases", listed(text(250)), "other names, separated by |, each in its own script", ()),
        _country("country", "headquarters"),
        _may("roles", listed(choice(*ROLES)), "what it does, separated by |", ()),
        _need("is_aggregate", yes_no, "yes: stands for several or unnamed parties"),
        _SOURCE_IF_ANY,
        _CONFIDENCE,
        _VERIFICATION,
        _NOTE,
    ),
    key=("slug",),
    meaning="companies, agencies, laboratories, and stand-ins for unnamed parties",
)

STAKES = FileSpec(
    "stakes.csv",
    (
        _names("owner", "organization", "who holds the share", required=True),
        _names("owned", "organization", "of whom", required=True),
        _number(
            "share_percent",
            decimal(6, 3, most=100),
            "percent, 0 to 100; blank: control reported, share not known",
        ),
        _day("valid_from", "first day; blank: as far back as the ledger reaches"),
        _day("valid_until", "first day on which it no longer held; blank: still held"),
        _SOURCE_IF_ANY,
        _VERIFICATION,
        _NOTE,
    ),
    key=("owner", "owned", "valid_from"),
    checks=(
        _differ("owner", "owned", "an organization cannot own itself: name two."),
        ends_after("valid_from", "valid_until"),
    ),
    meaning="who owns how much of whom, and when",
)

LIST_ENTRIES = FileSpec(
    "list_entries.csv",
    (
        _names("organization", "organization", "who is listed", required=True),
        _need("list_name", text(80), "which list, e.g. Entity List"),
        _may(
            "effect",
            choice("restricted", "approved"),
            "what the list does to those on it; blank: restricted",
            "restricted",
        ),
        _may("citation", text(80), "e.g. 84 FR 22961"),
        _may("footnote", text(80), "footnote of the Entity List that applies"),
        _day("listed_on", "first day on the list"),
        _day("removed_on", "first day no longer on it; blank: still listed"),
        _SOURCE_IF_ANY,
        _VERIFICATION,
        _NOTE,
    ),
    key=("organization", "list_name", "listed_on"),
    checks=(ends_after("listed_on", "removed_on"),),
    meaning="organizations on government lists, and when",
)

CHIPS = FileSpec(
    "chips.csv",
    (
        _need("slug", slug(), "short name"),
        _need("name", text(200), "name as sold"),
        _names("vendor", "organization", "who designs and sells it", required=True),
        _need("form", choice("ic", "card", "board", "system", "stack"), "form in which it is counted"),
        _need("ics_per_item", integer(1, 32767), "packaged ICs in one item"),
        _day("first_shipped_on", "first day on which it can have shipped (release or launch)"),
        _may(
            "marketed_for_datacenters",
            yes_no,
            "designed or marketed for data centers; blank: not settled",
            None,
        ),
        _may("marketing_evidence", text(300), "where that can be read"),
        _may("foundry", text(80), "who makes the die"),
        _number("process_node_nm", decimal(5, 1), "process node in nm as marketed"),
        _NOTE,
    ),
    key=("slug",),
    meaning="accelerators as sold",
)

CHIP_SPECIFICATIONS = FileSpec(
    "chip_specifications.csv",
    (
        _names("chip", "chip", "which chip", required=True),
        _SOURCE,
        _need(
            "rank", integer(1, 32767), "1: the specification that calculations use; others stand beside it"
        ),
        _rate("int4_tops", "int4 TOPS"),
        _rate("int8_tops", "int8 TOPS"),
        _rate("fp4_tflops", "FP4 TFLOPS"),
        _rate("fp8_tflops", "FP8 TFLOPS"),
        _rate("fp16_tflops", "FP16 TFLOPS"),
        _rate("bf16_tflops", "BF16 TFLOPS"),
        _rate("tf32_tflops", "TF32 TFLOPS"),
        _rate("fp32_tflops", "FP32 TFLOPS"),
        _number("tpp_published", decimal(12, 2), "total processing performance as the source prints it"),
        _may("dies", integer(1, 32767), "logic dies in the package", None),
        _number("die_area_mm2", decimal(9, 2), "applicable die area in mm²"),
        _number("transistors_bn", decimal(9, 2), "billions of transistors"),
        _number("memory_gb", decimal(9, 2), "memory in GB"),
        _may("memory_type", text(40), "e.g. HBM3E"),
        _number("memory_bandwidth_gbs", decimal(10, 1), "GB/s between the IC and all its DRAM"),
        _number("io_bandwidth_gbs", decimal(10, 1), "aggregate bidirectional GB/s, memory excluded"),
        _number("tdp_w", decimal(8, 1), "thermal design power in watts"),
        _may("datasheet_url", url, "address of the datasheet or product page"),
        _CONFIDENCE,
        _VERIFICATION,
        _NOTE,
    ),
    key=("chip", "source"),
    meaning="what one source says of one chip",
)

CHIP_FAMILIES = FileSpec(
    "chip_families.csv",
    (
        _need("slug", slug(), "short name"),
        _need("name", text(200), "as reports say it"),
        _names("vendor", "organization", "blank: several or unknown"),
        _may("members", listed(slug()), "chips it may stand for, separated by |", (), "chip"),
        _NOTE,
    ),
    key=("slug",),
    meaning="names that reports use for an unspecified mix of chips",
)

DATA_CENTERS = FileSpec(
    "data_centers.csv",
    (
        _need("slug", slug(), "short name"),
        _need("name", text(250), "usual name"),
        _need(
            "kind",
            choice("site", "phase", "plan", "group"),
            "site, phase or earlier plan of one, or group of several",
        ),
        _names("operator", "organization", "who runs it"),
        _names("owner", "organization", "whose it is"),
        _may("users", listed(slug()), "who uses the chips, separated by |", (), "organization"),
        _country("country", "where it stands"),
        _may("region", text(200), "place in words"),
        _number("latitude", decimal(8, 5, least=-90, most=90), "degrees north"),
        _number("longitude", decimal(8, 5, least=-180, most=180), "degrees east"),
        _may("status", choice(*SITE_STATUSES), "what it is since status_from"),
        _day("status_from", "first day known to be so"),
        _SOURCE_IF_ANY,
        _CONFIDENCE,
        _VERIFICATION,
        _NOTE,
    ),
    key=("slug",),
    checks=(
        lambda values: (
            ("source", "is empty, but a status needs a source: name it in sources.csv.")
            if values["status"] and values["source"] is None
            else None
        ),
    ),
    meaning="where chips end up",
)

DATA_CENTER_PARTS = FileSpec(
    "data_center_parts.csv",
    (
        _names("whole", "data_center", "the site or group", required=True),
        _names("part", "data_center", "what lies wholly or partly inside it", required=True),
        _may("note", text(200), "remarks"),
    ),
    key=("whole", "part"),
    checks=(_differ("whole", "part", "a data center cannot be a part of itself: name two."),),
    meaning="which data centers overlap, so that their figures are never added",
)

SITE_POWERS = FileSpec(
    "site_powers.csv",
    (
        _names("data_center", "data_center", "which data center", required=True),
        _need("megawatts", decimal(9, 2), "site power in MW as the source gives it"),
        _need("basis", choice("installed", "planned", "permitted"), "what the figure is"),
        _day("as_of", "day for which it holds"),
        _SOURCE,
        _NOTE,
    ),
    key=("data_center", "source", "as_of", "basis"),
    checks=(_positive("megawatts"),),
    meaning="what one source says of the power of a data center",
)

LICENCES = FileSpec(
    "licences.csv",
    (
        _need("reference", slug(), "number if public, else a short name of ours"),
        _need("authority", text(80), "who granted it"),
        _need("kind", text(40), "export licence, import approval, authorisation..."),
        _names("exporter", "organization", "who may send"),
        _names("consignee", "organization", "who may receive"),
        _names("end_user", "organization", "who may use"),
        _country("destination_country", "where to"),
        _day("valid_from", "first day"),
        _day("valid_until", "first day on which it can no longer be used"),
        _may("conditions", text(), "conditions in words"),
        _SOURCE,
        _GRADE,
        _CONFIDENCE,
        _VERIFICATION,
        _NOTE,
    ),
    key=("reference",),
    checks=(ends_after("valid_from", "valid_until"),),
    meaning="licences and approvals as far as publicly known",
)

LICENCE_ITEMS = FileSpec(
    "licence_items.csv",
    (
        _names("licence", "licence", "reference of the licence (licences.csv)", required=True),
        _CHIP,
        _FAMILY,
        _need("quantity", QUANTITY, "how many, in the unit"),
        _may("bound", choice("floor", "ceiling"), "floor: at least; ceiling: at most; blank: exactly"),
        _UNIT,
    ),
    key=("licence", "chip", "family"),
    checks=(_one_scope,),
    meaning="how many of which chip under a licence",
)

CLAIMS = FileSpec(
    "claims.csv",
    (
        _need("slug", slug(), "short name"),
        _need("kind", choice(*CLAIM_KINDS), "what kind of quantity is reported"),
        _need("status", choice(*CLAIM_STATUSES), "how far the chips are said to have come"),
        _need("allegation", choice(*ALLEGATIONS), "in what way it is said"),
        _names("subject", "organization", "whose quantity it is"),
        _names("counterparty", "organization", "the other party"),
        _names("data_center", "data_center", "where"),
        _country("origin_country", "where from"),
        _country("destination_country", "where to, or where the chips are"),
        _CHIP,
        _FAMILY,
        _number("low", QUANTITY, "least figure as written"),
        _number("best", QUANTITY, "the figure as written"),
        _number("high", QUANTITY, "greatest figure as written"),
        _may(
            "bound",
            choice("floor", "ceiling", "words"),
            "floor: more than; ceiling: at most; words: no number",
        ),
        _need("is_exact", yes_no, "yes: a serial-level count or the like, without error"),
        _UNIT,
        _number("chips_per_unit", decimal(9, 2), "only where the source names the server or rack model"),
        _day("period_start", "first day of the period; blank: as of period_end"),
        _day("period_end", "last day of the period, or the as-of day"),
        _may("original_text", text(), "the words as written in the source"),
        _SOURCE,
        _GRADE,
        _may("method", text(80), "how the figure was made"),
        _may(
            "bias_key",
            text(160),
            "house and method whose error it shares; blank: original publisher and method",
        ),
        _CONFIDENCE,
        _VERIFICATION,
        _names("echo_of", "claim", "the primary claim that this one only repeats"),
        _later("reporter", choice("exporter", "importer"), "of trade statistics: which country counted"),
        _may(
            "conflicts_with", listed(slug()), "claims that cannot both be right, separated by |", (), "claim"
        ),
        _NOTE,
    ),
    key=("slug",),
    checks=(
        _claim_scope,
        _claim_bound,
        _claim_not_own_echo,
        ordered("low", "best", "high"),
        ordered("period_start", "period_end"),
    ),
    meaning="who said how many of what, where and when",
)

SHIPMENTS = FileSpec(
    "shipments.csv",
    (
        _need("reference", slug(100), "unique name of this line"),
        _may("consignment", text(100), "waybill shared by lines that travel together"),
        _later(
            "kind",
            choice("transfer", "production", "retirement"),
            "transfer; or chips made (booked in with the consignee) or taken out of use; blank: transfer",
            "transfer",
        ),
        _CHIP,
        _FAMILY,
        _need("quantity", QUANTITY, "as reported, in the unit"),
        _may("bound", choice("floor", "ceiling"), "floor: at least; ceiling: at most"),
        _need("is_exact", yes_no, "yes: counted without error"),
        _UNIT,
        _number("chips_per_unit", decimal(9, 2), "where the server or rack model is named"),
        _number("quantity_by_shipper", QUANTITY, "shipper's own figure, same unit"),
        _number("quantity_by_receiver", QUANTITY, "receiver's own figure, same unit"),
        _need("grade_by_shipper", choice(*GRADES), "grade of the shipper's figure"),
        _need("grade_by_receiver", choice(*GRADES), "grade of the receiver's figure"),
        _day("shipped_on", "day of shipping, or first possible day"),
        _day("shipped_on_latest", "last possible day"),
        _need("shipped_on_presumed", yes_no, "yes: presumed, not reported"),
        _day("received_on", "day of receipt"),
        _day("received_on_latest", "last possible day"),
        _need("received_on_presumed", yes_no, "yes: presumed, not reported"),
        _names("shipper", "organization", "who sent it"),
        _names("consignee", "organization", "who receives it"),
        _names("end_user", "organization", "who uses it"),
        _country("origin_country", "where from"),
        _country("destination_country", "where to"),
        _names("origin", "data_center", "site it left"),
        _names("destination", "data_center", "site it went to"),
        _names("onward_of", "shipment", "the earlier line whose goods this one carries on"),
        _names("licence", "licence", "licence it moved under"),
        _number("value_usd", decimal(18, 2), "value in US dollars"),
        _need("status", choice(*SHIPMENT_STATUSES), "what became of it"),
        _SOURCE,
        _GRADE,
        _CONFIDENCE,
        _VERIFICATION,
        _may("claims", listed(slug()), "claims that document it, separated by |", (), "claim"),
        _NOTE,
    ),
    key=("reference",),
    checks=(
        _one_scope,
        _positive("quantity"),
        _shipment_dates,
        _differ("reference", "onward_of", "a shipment cannot carry on its own goods: name the earlier line."),
    ),
    meaning="movements that a claim documents with parties, quantity and time",
)

FILES: dict[str, FileSpec] = {
    spec.name: spec
    for spec in (
        SOURCES,
        ORGANIZATIONS,
        STAKES,
        LIST_ENTRIES,
        CHIPS,
        CHIP_SPECIFICATIONS,
        CHIP_FAMILIES,
        DATA_CENTERS,
        DATA_CENTER_PARTS,
        SITE_POWERS,
        LICENCES,
        LICENCE_ITEMS,
        CLAIMS,
        SHIPMENTS,
    )
}
"""All seed files by name."""
