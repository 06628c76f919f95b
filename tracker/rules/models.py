"""Export rules as dated records: rules and their intervals, rows of the licence matrix, country groups and
their members."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, RangeOperators
from django.db import models
from django.db.models import Q

from tracker.core.models import CountryField, Versioned, country_check
from tracker.core.querysets import VersionedQuerySet

DATES_HELP = (
    "Days in force: from the first day up to the day it no longer holds. "
    "A text that says 'until 16 November' ends here on 17."
)
VERIFICATION_HELP = (
    "How far the text was checked, in words, e.g. verified, single_source, from_memory, UNCONFIRMED."
)
SOURCES_HELP = "All addresses and documents it was read from, the main one first."


class InForceQuerySet(VersionedQuerySet):
    """Records with a date range ``in_force``."""

    def in_force(self, on: date) -> Self:
        return self.filter(in_force__contains=on)


class ExportRule(Versioned):
    """One version of one rule: what it tests, where it reaches, from when to when, and where that can be
    read.

    The row states the law; it judges nothing. Tests are kept as text and read by ``tracker.rules.schema``.
    """

    class Enforcement(models.TextChoices):
        IN_FORCE = "in force", "in force"
        SUPERSEDED = "superseded", "superseded"
        NOT_ENFORCED = "not enforced", "in the text, not enforced"
        REPORTED = "reported", "reported, no legal text"
        LICENCE_SPECIFIC = "licence specific", "holds for single licences"
        NOTE = "note", "note, not a rule"

    rule_id = models.CharField(
        "rule", max_length=60, help_text="Name of ours that stays the same over versions, e.g. US-3A090-2023."
    )
    regime = models.CharField(max_length=20, help_text="Whose law it is, e.g. US-EAR, MY, CN.")
    kind = models.CharField(
        max_length=40, help_text="E.g. classification_and_licence, licence_exception, party_rule, notice."
    )
    title = models.CharField(max_length=300)
    summary = models.TextField(blank=True, help_text="What it changes, in a sentence or two of our own.")
    citation = models.CharField(
        max_length=300, help_text="Where the law says it, e.g. 88 FR 73458; 15 CFR 742.6(a)(6)(iii)."
    )
    published_on = models.DateField(null=True, blank=True)
    released_on = models.DateField(
        null=True, blank=True, help_text="Day the text was made known, where earlier than publication."
    )
    in_force = DateRangeField(help_text=DATES_HELP)
    compliance_from = models.DateField(
        null=True, blank=True, help_text="First day on which it had to be kept, if later."
    )
    enforcement = models.CharField(max_length=20, choices=Enforcement)
    enforcement_note = models.TextField(blank=True)
    addressees = ArrayField(
        models.CharField(max_length=80),
        default=list,
        blank=True,
        help_text="Slugs of the firms a letter went to; empty for everyone.",
    )
    supersedes = ArrayField(
        models.CharField(max_length=60),
        default=list,
        blank=True,
        help_text="Rules that it takes the place of; each must have ended by the day it begins.",
    )
    savings = models.JSONField(
        default=dict,
        blank=True,
        help_text="Savings clause for goods under way: aboard_by and until_inclusive (days), words.",
    )
    criteria = models.JSONField(
        default=dict,
        blank=True,
        help_text="Tests over chip parameters: classes with paragraphs, letter, presumption, bands; in_words is not evaluated.",
    )
    destinations = models.JSONField(default=dict, blank=True, help_text="Where it reaches, as its text says.")
    hq_rule = models.JSONField(
        default=dict, blank=True, help_text="Its test of headquarters, as its text says."
    )
    quantity_caps = models.JSONField(
        default=list, blank=True, help_text="Limits: metric, limit, per, window."
    )
    exceptions = models.JSONField(default=list, blank=True)
    licence_policy = models.TextField(
        blank=True, help_text="How applications are reviewed, e.g. presumption of denial."
    )
    note = models.TextField(blank=True)
    more = models.JSONField(default=dict, blank=True, help_text="What its text says beyond these fields.")
    verification = models.CharField(max_length=300, help_text=VERIFICATION_HELP)
    verified_on = models.DateField(
        null=True, blank=True, help_text="Day of the last official text in which it was seen unchanged."
    )
    source = models.ForeignKey(
        "tracker.Source",
        on_delete=models.PROTECT,
        related_name="rules",
        help_text="The main document it was read from.",
    )
    sources = models.JSONField(default=list, help_text=SOURCES_HELP)

    objects = InForceQuerySet.as_manager()  # type: ignore[misc]  # the stubs fix the manager of an abstract base

    class Meta:
        ordering = ["rule_id", "in_force"]
        constraints = [
            ExclusionConstraint(
                name="exportrule_versions_apart",
                expressions=[("rule_id", RangeOperators.EQUAL), ("in_force", RangeOperators.OVERLAPS)],
                violation_error_message="Another version of this rule is in force on some of these days; end that one first.",
            ),
            models.CheckConstraint(
                name="exportrule_in_force",
                condition=Q(in_force__isempty=False),
                violation_error_message="A rule must be in force on at least one day.",
            ),
        ]

    def __str__(self) -> str:
        return self.rule_id


class RuleInterval(Versioned):
    """A stretch of days on which a rule is active, stayed, or of a status nobody has confirmed."""

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        STAYED = "stayed", "stayed or suspended"
        NOT_ENFORCED = "not enforced", "not enforced"
        UNCONFIRMED = "unconfirmed", "UNCONFIRMED"
        ANNOUNCED = "announced", "announced, not yet in force"

    rule = models.ForeignKey(ExportRule, on_delete=models.CASCADE, related_name="intervals")
    period = DateRangeField(help_text=DATES_HELP)
    status = models.CharField(max_length=20, choices=Status)
    note = models.TextField(blank=True)
    citation = models.CharField(
        max_length=300, blank=True, help_text="Where the stay or suspension can be read, e.g. 90 FR 50857."
    )
    verification = models.CharField(max_length=300, blank=True, help_text=VERIFICATION_HELP)

    class Meta:
        ordering = ["rule", "period"]
        constraints = [
            ExclusionConstraint(
                name="ruleinterval_apart",
                expressions=[("rule", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
                violation_error_message="The rule has another status on some of these days already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.status}"


class LicenceRequirement(Versioned):
    """One row of the licence matrix: for these items, places and parties, this result. The first row that
    fits decides."""

    class Answer(models.TextChoices):
        REQUIRED = "required", "licence required"
        NOT_REQUIRED = "not_required", "no licence required"
        UNDETERMINED = "undetermined", "cannot be decided from the ledger"

    order = models.PositiveIntegerField(
        unique=True, help_text="Rows are read from the smallest number; leave gaps for later ones."
    )
    in_force = DateRangeField(help_text=DATES_HELP)
    rule_id = models.CharField(
        "rule",
        max_length=60,
        blank=True,
        help_text="Rule the row rests on; while that is stayed or not enforced the row is passed over.",
    )
    letter = models.CharField(
        max_length=60, blank=True, help_text="Letter whose chips the row is about; blank for none."
    )
    items = ArrayField(
        models.CharField(max_length=20), default=list, blank=True,
        help_text="Levels of classification (a, b, c, 2022, none ...), also a-datacenter and a-other; empty means any.",
    )  # fmt: skip
    destinations = ArrayField(
        models.CharField(max_length=60),
        default=list,
        blank=True,
        help_text="Country codes, groups or sets; empty means any.",
    )
    not_destinations = ArrayField(
        models.CharField(max_length=60),
        default=list,
        blank=True,
        help_text="Country codes, groups or sets left out.",
    )
    movements = ArrayField(
        models.CharField(max_length=20), default=list, blank=True,
        help_text="inside us, to us, in-country, export (from the US), reexport; empty means any.",
    )  # fmt: skip
    party = models.CharField(
        max_length=20, default="any",
        help_text="any, hq (a party or its ultimate parent in Macau or D:5), listed, affiliate, approved; "
        "'not ' before hq or approved.",
    )  # fmt: skip
    lists = ArrayField(
        models.CharField(max_length=80),
        default=list,
        blank=True,
        help_text="With party listed: only entries of these lists; empty means any.",
    )
    footnotes = ArrayField(
        models.CharField(max_length=80),
        default=list,
        blank=True,
        help_text="With party listed: only entries under these footnotes; empty means any.",
    )
    exporter_roles = ArrayField(
        models.CharField(max_length=40),
        default=list,
        blank=True,
        help_text="Only where the exporter is one of: front_end_fabricator, osat; empty means any.",
    )
    presumption = models.CharField(
        max_length=60,
        blank=True,
        help_text="Rule whose presumption about chips the row is about; blank for none.",
    )
    exception = models.CharField(
        max_length=60,
        blank=True,
        help_text="Licence exception that the row opens, e.g. US-NAC; blank for none.",
    )
    vendor_hq = models.CharField(
        max_length=60, blank=True, help_text="Group or country of the chip designer's headquarters."
    )
    jurisdiction = models.CharField(
        max_length=10, default="subject", help_text="subject: only items subject to the EAR; any: all."
    )
    when = models.TextField(blank=True, help_text="Test over chip parameters, e.g. tpp < 21000.")
    conditions = models.JSONField(
        default=list, blank=True, help_text="What else must be known before the answer holds."
    )
    result = models.CharField(max_length=40, help_text="E.g. LICENCE, NAC, ACA, NO_LICENCE.")
    answer = models.CharField(max_length=12, choices=Answer)
    policy = models.TextField(blank=True, help_text="How applications are reviewed.")
    words = models.TextField(help_text="The row in words; opens the reason that readers see.")
    citation = models.CharField(max_length=300, blank=True, help_text="Blank: the citation of the rule.")
    verification = models.CharField(max_length=300, help_text=VERIFICATION_HELP)
    source = models.ForeignKey(
        "tracker.Source", on_delete=models.PROTECT, related_name="licence_requirements"
    )
    sources = models.JSONField(
        default=list, blank=True, help_text=SOURCES_HELP + " Empty: those of the rule."
    )

    objects = InForceQuerySet.as_manager()  # type: ignore[misc]  # the stubs fix the manager of an abstract base

    class Meta:
        ordering = ["order"]

    def __str__(self) -> str:
        return f"{self.order}: {self.words}"


class CountryGroup(Versioned):
    """A country group of the regulations (A:5, D:1 ...), or a set that the rules put together from groups."""

    name = models.CharField(max_length=60, unique=True, help_text="E.g. D:5, or macau_or_d5 for a set.")
    label = models.CharField(max_length=200)
    is_set = models.BooleanField(
        default=False, help_text="Put together from other groups rather than listed."
    )
    union = ArrayField(
        models.CharField(max_length=60),
        default=list,
        blank=True,
        help_text="Groups that a set is put together from.",
    )
    minus = ArrayField(
        models.CharField(max_length=60), default=list, blank=True, help_text="Groups taken out of the set."
    )
    note = models.TextField(blank=True)
    source = models.ForeignKey("tracker.Source", on_delete=models.PROTECT, related_name="country_groups")
    sources = models.JSONField(default=list, help_text=SOURCES_HELP)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CountryGroupMember(Versioned):
    """One country in one group for a while; or, without a group, a destination that counts as another one."""

    group = models.ForeignKey(
        CountryGroup, on_delete=models.CASCADE, related_name="members", null=True, blank=True
    )
    treated_as = CountryField(
        help_text="For a destination that counts as another one: that other, e.g. CN for HK. Then no group."
    )
    country = CountryField(blank=False)
    period = DateRangeField(
        help_text=DATES_HELP + " Open at the start: a member since before this ledger begins."
    )
    is_contested = models.BooleanField(
        default=False,
        help_text="Sources disagree about this membership; whatever rests on it is undetermined.",
    )
    note = models.TextField(blank=True)
    verification = models.CharField(max_length=300, blank=True, help_text=VERIFICATION_HELP)
    source = models.ForeignKey(
        "tracker.Source", on_delete=models.PROTECT, related_name="country_group_members"
    )

    class Meta:
        ordering = ["group", "country", "period"]
        constraints = [
            country_check("countrygroupmember_country", "country", "treated_as"),
            models.CheckConstraint(
                name="countrygroupmember_either",
                condition=(Q(group__isnull=False) & Q(treated_as=""))
                | (Q(group__isnull=True) & ~Q(treated_as="")),
                violation_error_message="Name either the group or the destination it counts as.",
            ),
            ExclusionConstraint(
                name="countrygroupmember_once",
                expressions=[
                    ("group", RangeOperators.EQUAL),
                    ("country", RangeOperators.EQUAL),
                    ("period", RangeOperators.OVERLAPS),
                ],
                violation_error_message="This country is in this group on some of these days already.",
            ),
            ExclusionConstraint(
                name="countrygroupmember_alias_once",
                expressions=[("country", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
                condition=Q(group__isnull=True),
                violation_error_message="This country counts as another one on some of these days already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country} in {self.group or self.treated_as}"


class RuleDraft(Versioned):
    """A draft of law: what the rules would be with some of them changed. It judges nothing until somebody asks what it would
    do, and never touches the rules that stand."""

    slug = models.SlugField(
        max_length=80, unique=True, help_text="Short name used in links, e.g. diffusion-enforced."
    )
    title = models.CharField(max_length=200, help_text="What it would do, in a line.")
    document = models.TextField(
        help_text="The draft in YAML, in the language of rule files (docs/rules.md): change_rules, change_rows, remove_rules, "
        "remove_rows, members, leave, rules, matrix."
    )
    source = models.ForeignKey(
        "tracker.Source",
        on_delete=models.PROTECT,
        related_name="rule_drafts",
        null=True,
        blank=True,
        help_text="Bill or proposal it is made after; blank for a thought of our own.",
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.title
