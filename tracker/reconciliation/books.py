"""What the checks read and what they return: plain values, no tables.

``Books`` is the ledger as known at one instant, cut to one partition. A check is a pure function
``(Books, Parameters) -> list[Finding]``; everything that a finding says must rest on rows of the books, and names them as
:class:`Evidence` so that a reader can open the very record version that was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from tracker.chips.specs import ChipSpec
from tracker.core.period import Period
from tracker.core.quantity import Reported, StandardReading
from tracker.judgement.classes import ClassBook
from tracker.licences.account import Account, Double, Entry
from tracker.organizations.ownership import Stake
from tracker.rules.parameters import RuleBook


@dataclass(frozen=True, slots=True)
class RecordRef:
    """One version of one record: the table's model name (``claim``, ``shipment``...), primary key, version number."""

    model: str
    id: int
    version: int


@dataclass(frozen=True, slots=True)
class SourceRow:
    """Where a figure was read: enough to cite it."""

    ref: RecordRef
    slug: str
    title: str
    publisher: str
    url: str
    published_on: date | None
    grade: str


@dataclass(frozen=True, slots=True)
class ChipRow:
    """One chip with what its preferred specification says. Derived figures are None where a parameter is not known."""

    ref: RecordRef
    slug: str
    name: str
    vendor: str
    tpp: float | None
    tdp_w: float | None
    first_shipped_on: date | None
    spec: RecordRef | None = None
    source: SourceRow | None = None
    commodity: str = ""  # what makes two chips the same commodity; empty where a figure of it is not known


@dataclass(frozen=True, slots=True)
class Scope:
    """What a quantity counts: one chip, or a family (a name for an unspecified mix of its members).

    ``members`` are chip ids (a chip's own id for a chip). Empty: the family's members are not known.
    ``h100e_low`` and ``h100e_high`` bracket the H100-equivalents of one unit over the members with a known TPP
    (units x TPP / 15,832); None when no member has one.
    """

    kind: str  # chip | family
    id: int
    slug: str
    name: str
    members: frozenset[int]
    h100e_low: float | None
    h100e_high: float | None
    ref: RecordRef | None = None
    vendor: str = ""  # slug of the vendor of the chip or family; empty: any vendor, or not known
    vendor_country: str = ""  # headquarters of that vendor
    lowest_chip: int | None = None  # the chip whose performance h100e_low rests on


@dataclass(frozen=True, slots=True)
class OrganizationRow:
    ref: RecordRef
    slug: str
    name: str
    country: str
    is_aggregate: bool


@dataclass(frozen=True, slots=True)
class PowerRow:
    """One source's figure for the power of a site, in megawatts."""

    ref: RecordRef
    megawatts: float
    as_of: date | None
    basis: str  # installed | planned | permitted
    source: SourceRow


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A data center. ``parts`` are sites, phases or plans inside it: never added to it."""

    ref: RecordRef
    slug: str
    name: str
    operator_id: int | None
    country: str
    kind: str
    status: str
    powers: tuple[PowerRow, ...] = ()
    parts: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A reported quantity with everything a check may compare it by.

    ``reported`` is what was said in chips after units are applied by the check (see ``claims.combine``); ``key`` is the bias
    key (source house and method), ``origin`` the slug of the primary claim it repeats (its own slug if primary).
    """

    ref: RecordRef
    slug: str
    reported: Reported
    status: str
    kind: str
    allegation: str
    subject_id: int | None
    counterparty_id: int | None
    site_id: int | None
    origin_country: str
    destination_country: str
    scope: Scope | None
    period: Period  # as-of claims: the day or the vague range; period claims: the range
    is_flow: bool  # True: a flow over ``period``; False: a stock as of ``period``
    published_on: date | None
    key: str
    origin: str
    conflicts_with: frozenset[int]
    source: SourceRow
    original_text: str
    note: str = ""
    verification: str = ""
    reporter: str = ""  # of trade statistics: exporter | importer, whose count it is


@dataclass(frozen=True, slots=True)
class NamedLine:
    """What a finding says of a shipment line that it names. ``shipped`` is a single day or a vague range; ``reported`` is in the
    line's own unit."""

    ref: RecordRef
    reference: str
    scope: Scope
    reported: Reported
    shipped: Period | None
    source: SourceRow


@dataclass(frozen=True, slots=True)
class MovementRow(NamedLine):
    """One shipment line. ``received`` is a single day or a vague range, as ``shipped`` is."""

    by_shipper: Reported | None
    by_receiver: Reported | None
    received: Period | None
    received_presumed: bool
    shipper_id: int | None
    consignee_id: int | None
    end_user_id: int | None
    origin_country: str
    destination_country: str
    origin_site_id: int | None
    destination_site_id: int | None
    onward_of_id: int | None
    licence_id: int | None
    status: str
    shipper_key: str
    receiver_key: str
    note: str = ""
    consignment: str = ""
    kind: str = "transfer"  # transfer | production | retirement


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow(MovementRow):
    """Lines that the claims of its books do not tell apart, added up by the database: read as one movement.

    It bears the name, unit and source of the ``largest`` of its ``lines``; all need a licence, or none does. Its days run from
    the first to the last of theirs; parties, sites and countries that no claim asks about are left out.
    ``chips``: their sum, 0 where they cannot be counted. ``systematic``: sum of the errors that their house makes alike;
    ``random``: variance of the others.
    """

    largest: MovementRow
    lines: int
    chips: float
    systematic: float
    random: float


@dataclass(frozen=True, slots=True)
class LicenceRow:
    """One item of a licence: so many chips of a scope, for a party or country, while valid."""

    ref: RecordRef
    reference: str
    authority: str
    scope: Scope | None
    reported: Reported
    consignee_id: int | None
    end_user_id: int | None
    country: str
    valid: Period
    source: SourceRow
    licence_id: int | None = None
    kind: str = "export licence"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn on licences, as far as it is told together. ``of``: by name of the item, those to be told. ``doubles``:
    goods drawn twice. ``twice``: what each line of them drew, by name of the line and with the items. ``scopes``: by the keys
    that uses name."""

    of: Mapping[str, Account]
    doubles: tuple[Double, ...]
    twice: Mapping[str, tuple[tuple[str, Entry], ...]]
    scopes: Mapping[str, Scope]


@dataclass(frozen=True, slots=True)
class ClosedBookRow:
    """Somebody's declaration that the ledger holds every movement of one area; ``scope`` None: of all chips."""

    ref: RecordRef
    slug: str
    organization_id: int | None
    site_id: int | None
    country: str
    scope: Scope | None
    valid: Period
    source: SourceRow


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """The rule engine's answer for one movement on its shipping date. ``missing`` and ``for_a_person`` call the parties by their
    roles."""

    answer: str  # required | not_required | undetermined
    result: str
    policy: str
    level: str
    missing: tuple[str, ...]
    reasons: tuple[str, ...]
    rule_ids: tuple[str, ...]
    citations: tuple[str, ...]
    rules: tuple[tuple[RecordRef, str], ...] = ()  # the rule records behind rule_ids, each with its citation
    decision: str = ""  # one of rules.licensing.DECISIONS
    for_a_person: tuple[str, ...] = ()  # those of ``missing`` that no record settles


@dataclass(frozen=True, slots=True)
class VerdictPart:
    """Movements of one sum on which the rules say the same. ``movement``: id of the largest, whose reasons stand for all."""

    movement: int
    lines: int
    chips: float


@dataclass(frozen=True, slots=True)
class VerdictSum:
    """Movements of one scope that the rules answer alike, added up: those that needed a licence of which none is recorded, or
    those for which it cannot be told.

    ``organization_id``: whom they went to (consignee, else end user); None: to ``country``, whoever received them there.
    ``quarter`` (empty where it is undetermined) and ``under`` (the rules, likewise) make a sum of its own. ``chips`` counts
    ``uncounted`` lines as none. ``shown``: ids of the largest lines. ``units``: units of the lines and chips per unit.
    ``parties``: how many consignees or end users there are.
    """

    required: bool
    organization_id: int | None
    country: str
    scope: Scope
    quarter: str
    under: str
    lines: int
    chips: float
    uncounted: int
    grade: str
    parties: int
    parts: tuple[VerdictPart, ...]
    shown: tuple[int, ...]
    units: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True, slots=True)
class FlowRow:
    """Lines of one route, scope and stretch of days, added up by the database.

    ``consignee_id`` None: lines to anybody. ``chips`` leaves out ``uncounted`` lines, whose unit does not tell chips.
    ``systematic``: sum of the errors that one ``house`` makes alike; ``random``: variance of the others. ``unpriced``: lines
    without a value. ``examples``: ids of the largest lines, which nobody has read yet (:func:`unread`).
    """

    scope: Scope
    origin: str
    destination: str
    shipped: Period | None
    house: str
    lines: int
    chips: float
    systematic: float
    random: float
    grade: str
    consignee_id: int | None = None
    use: str = "consignee"  # for which kind of limit: consignee | country | ratio; else hub inflow | hub outflow | network
    usd: float = 0.0
    uncounted: int = 0
    unpriced: int = 0
    at_least: int = 0
    examples: tuple[int, ...] = ()
    largest: float = 0.0  # chips of the first of them
    licensed: bool = False  # whether the lines name a licence
    received: Period | None = None  # this and the following: of sums for a network only
    shipper_id: int | None = None
    origin_site_id: int | None = None
    destination_site_id: int | None = None
    kind: str = "transfer"  # transfer | production | retirement | seized


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most likely true flow or stock given all reports of one network; an estimate, never evidence.

    ``status``: measured | observable | unobservable | pinned | left out. ``estimate`` None: the reports do not tell it.
    """

    component: str
    kind: str  # flow | stock | production | unrecorded
    from_node: str
    to_node: str
    scope: str
    status: str
    reported: float | None = None
    reported_sd: float | None = None
    estimate: float | None = None
    sd: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Law:
    """The rules with the classes of chips under them, and what they read: specifications, stakes, and the records behind the
    rules by rule id. ``traded``: ids of the chips whose ratios are asked for, if not all."""

    classes: ClassBook
    specs: Mapping[int, ChipSpec] = field(default_factory=dict)
    stakes: tuple[Stake, ...] = ()
    records: Mapping[str, Sequence[tuple[Period, RecordRef, str]]] = field(default_factory=dict)
    traded: frozenset[int] | None = None

    @property
    def rules(self) -> RuleBook:
        return self.classes.rules


@dataclass(frozen=True, slots=True)
class Books:
    """The part of the ledger that one partition of one run reads, as known at the run's ``as_known_at``."""

    as_of: date
    claims: tuple[ClaimRow, ...] = ()
    movements: tuple[MovementRow, ...] = ()
    licences: tuple[LicenceRow, ...] = ()
    chips: Mapping[int, ChipRow] = field(default_factory=dict)
    organizations: Mapping[int, OrganizationRow] = field(default_factory=dict)
    sites: Mapping[int, SiteRow] = field(default_factory=dict)
    verdicts: Mapping[int, VerdictRow] = field(default_factory=dict)  # by movement id
    flows: tuple[FlowRow, ...] = ()
    verdict_sums: tuple[VerdictSum, ...] | None = None  # None: the check adds the movements up
    drawn: Drawn | None = None  # None: the check lets the movements draw on the licences
    law: Law | None = None  # where limits of rules are held against flows
    closed: tuple[ClosedBookRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameters(StandardReading):
    """Numbers of the method that a run records with itself. Defaults are those of docs/method.md."""

    significant_quantity_h100e: float = 1000.0
    materiality_sq: float = 0.1
    alpha: float = 0.05
    false_discovery_rate: float = 0.05
    lead_time_days: int = 30
    server_watts_per_chip: Mapping[str, float] = field(
        default_factory=lambda: {"h100-sxm5-80gb": 1275.0, "h200-sxm-141gb": 1275.0, "h800-sxm5-80gb": 1275.0}
    )  # of eight-chip servers with 700 W chips: 10.2 kW / 8
    pue: float = 1.1
    least_coverage: float = 0.005  # share of a claim that the ledger must hold before the two are compared
    timeliness_days: int = 90
    page_k: float = (
        0.5  # allowance of Page's test in standard deviations: half the rise that it is quickest to see
    )
    page_h: float = 5.0  # its limit: one side alone raises a false alarm once in about 931 periods, both once in about 465
    bias_key_months: int = 24  # how long a house's error is taken to last before it is drawn afresh
    cif_fob: float = (
        0.06  # freight and insurance in an importer's values: the IMF's factor of 1.06 for mirror statistics
    )
    cumuf_z: float = 3.0  # |z| of a balance over a whole span beyond which it is a finding
    control: str = "BH"  # or BY, which holds however the tests depend on one another
    restricted_destinations: str = (
        "macau_or_d5"  # country group or set whose trade through hubs is told apart
    )
    records: str = (
        "real"  # which records are read: real, or synthetic; the two are never held against each other
    )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A record version a finding rests on, with its role and its share of difference and variance."""

    ref: RecordRef
    role: str  # e.g. claim, ledger, licence, rule, specification, power, source, echo
    label: str  # one line a person can read: figure, who said it, when, grade
    contribution: float | None = None  # to the difference, in units
    # of all records of a book together 1; negative where an error cancels another's
    variance_share: float | None = None
    own_share: float | None = (
        None  # of the record alone, where the row stands for a sum that it is the largest line of
    )


def unread(line: int, role: str, more: str = "", **given: float | None) -> Evidence:
    """A line behind a sum, named by its id alone. Few of them are told; only those are read (``Records.named``), which puts their
    version, and what they say before what ``more`` says of them."""
    return Evidence(RecordRef("shipment", line, UNREAD), role, more, **given)


UNREAD = 0
"""Version of a record that is named and was not read: true versions begin at 1."""


@dataclass(frozen=True, slots=True)
class Section:
    """One of the eight parts of a finding's text, in the fixed order of docs/method.md."""

    heading: str
    body: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check. Evaluated tests that show nothing are findings too, with ``verdict`` 'consistent'.

    ``family``: the group of tests among which false discoveries are controlled; None for arithmetic, which needs no
    p-value. ``sign`` of ``gap``: positive when more is claimed than the other side explains.
    """

    check: str
    area: str  # e.g. site:megaspeed-sites, country:CN, org:huawei
    scope: str  # e.g. chip:h20-96gb, family:h100-any
    period: str
    counterpart: str
    verdict: str
    headline: str
    expected: float | None = None
    reported: float | None = None
    gap: float | None = None
    unit: str = "chips"
    sigma: float | None = None
    statistic: float | None = None
    p: float | None = None
    threshold: float | None = None
    family: str | None = None
    is_finding: bool = False  # before false-alarm control
    gap_h100e: float | None = None
    sq: float | None = None
    mdg: float | None = None
    severity: str = "info"  # critical | high | medium | low | info
    strength: str = ""  # very strong | strong | moderate | weak | certain
    weakest_grade: str = ""
    formula: str = ""
    sections: tuple[Section, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    period_end: date | None = None  # last day of the period where its text does not name it
    q: float | None = None  # p adjusted for all tests of the family (significance.judge); None without a p
    estimates: tuple[Estimate, ...] = ()  # of the network that was judged
    accepted: bool = False  # a finding that also survived the control of false alarms (significance.judge)

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What makes it the same discrepancy in another run."""
        return (self.check, self.area, self.scope, self.period, self.counterpart)
