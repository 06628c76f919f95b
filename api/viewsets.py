"""The resources. What they share is in :class:`Resource`; each of them then is a few lines of what is its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import JSONField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as drf
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from api import access, comparisons, errors, export, filters, judgements, parameters, rows, runs, serializers
from api.base import QuestionParser, Reading
from api.pagination import KeysetPagination, chosen_ordering
from api.schema import LedgerSchema
from tracker import models
from tracker.chips.services import derived
from tracker.core.addresses import finding_tree_data, record_data
from tracker.judgement.services import explain, kept_comparison
from tracker.organizations.models import OrganizationQuerySet
from tracker.provenance.querysets import MOST_ROWS, ROWS, finding_tree, findings
from tracker.provenance.sums.querysets import H100E, BookSum, book_sum
from tracker.reconciliation.priorities import Priority
from tracker.reconciliation.services import cancel_run
from tracker.reconciliation.tree import as_dict, digest
from tracker.reviews.services import life_of
from tracker.rules.services import classified
from tracker.runs.querysets import MOST, priorities
from tracker.runs.services import progress
from tracker.tasks import request_run

SomeResponse = TypeVar("SomeResponse", bound=HttpResponseBase)


class Resource(Reading, ReadOnlyModelViewSet):
    """A table, read only. ``orderings``: what a list may be ordered by, its own order first; ``key``: the name of a record."""

    row_class: ClassVar[type[rows.LedgerSerializer]]
    detail_class: ClassVar[type[rows.LedgerSerializer] | None] = None
    filterset_class: ClassVar[type[filters.LedgerFilterSet]]
    key: ClassVar[str] = "id"
    orderings: ClassVar[tuple[str, ...]] = ("id",)
    searched: ClassVar[tuple[str, ...]] = ()
    searched_names: ClassVar[tuple[tuple[type[models.Versioned], str, str], ...]] = ()

    filter_backends = (DjangoFilterBackend, filters.Search)
    pagination_class = KeysetPagination
    schema = LedgerSchema()
    lookup_value_regex = "[^/]+"

    @property
    def model(self) -> type[models.Versioned]:
        return self.row_class.Meta.model

    @property
    def versioned(self) -> bool:
        return issubclass(self.model, models.Versioned)

    @property
    def plan(self) -> rows.Plan:
        return rows.plan(self.get_serializer_class())

    @cached_property
    def known_at(self) -> datetime | None:
        """The instant asked for; None where the rows that stand now are meant."""
        return parameters.known_at(self.request) if self.versioned else None

    def get_serializer_class(self) -> type[rows.LedgerSerializer]:
        return self.detail_class or self.row_class if self.action == "retrieve" else self.row_class

    def get_queryset(self) -> QuerySet:
        queryset = self.model.objects.all()
        return queryset.known_at(self.known_at) if self.versioned else queryset

    def get_throttles(self) -> list[Any]:
        throttles = super().get_throttles()
        return (
            [*throttles, access.ExportThrottle()]
            if self.request.query_params.get("format") == "csv"
            else throttles
        )

    def list(  # type: ignore[override]  # a CSV is streamed, so it is no Response of the framework's
        self, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        parameters.refuse_unknown(request, self.known_parameters(), versioned=self.versioned)
        found = self.filter_queryset(self.get_queryset())
        if request.accepted_renderer.format == "csv":
            name = str(self.basename)
            return self._dated(export.csv_response(found, self.plan, chosen_ordering(request, self), name))
        paginator = self.paginator
        assert isinstance(paginator, KeysetPagination)
        with rows.short_planning():
            page = paginator.paginate_queryset(found, request, self)
        return self._dated(Response(paginator.envelope(page) | {"known_at": self.known_at}))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        parameters.refuse_unknown(request, self.detail_parameters(), versioned=self.versioned)
        with rows.short_planning():
            record = self.record(self.kwargs["pk"], self.plan)
            record |= rows.children(self.plan, self.children_of(record), self.known_at)
            self.complete(record)
        return self._dated(Response(record | {"known_at": self.known_at}))

    def record(self, name: str, plan: rows.Plan) -> dict[str, Any]:
        """The record of that key, or else of that id."""
        named = Q(**{self.key: name}) if self.key != "id" else Q()
        if name.isascii() and name.isdigit() and len(name) < 19:
            named = named | Q(pk=int(name)) if named else Q(pk=int(name))
        elif self.key == "id":
            raise NotFound(f"{name!r} is not an id: {self.basename} are named by number.")
        found = [
            plan.build(row)
            for row in self.get_queryset().filter(named).order_by("-id").values_list(*plan.paths)[:2]
        ]
        if not found:
            when = f" as known at {self.known_at.isoformat()}" if self.known_at else ""
            raise NotFound(f"There is no {self.model._meta.verbose_name} {name!r}{when}.")
        # A licence may bear a number for its name: the name goes before the id of another record.
        return next((record for record in found if str(record[self.key]) == name), found[0])

    def children_of(self, record: dict[str, Any]) -> int:
        """Id of the record whose child tables are shown: its own."""
        return record["id"]

    def complete(self, record: dict[str, Any]) -> None:
        """Fill what no column holds."""

    def known_parameters(self) -> Sequence[str]:
        own = ["cursor", "page_size", "ordering", "count", "format", *(["search"] if self.searched else [])]
        return [*own, *self.detail_parameters(), *self.filterset_class.base_filters]

    def detail_parameters(self) -> Sequence[str]:
        return ["format", "known_at"] if self.versioned else ["format"]

    def _dated(self, response: SomeResponse) -> SomeResponse:
        if self.known_at is not None:
            response["X-Known-At"] = self.known_at.isoformat()
        return response

    @classmethod
    def summary(cls) -> dict[str, Any]:
        """What the list of resources says of this one."""
        return {
            "about": " ".join((cls.__doc__ or "").split()),
            "key": cls.key,
            "versioned": issubclass(rows.model_of(cls.row_class), models.Versioned),
            "orderings": list(cls.orderings),
            "filters": sorted(cls.filterset_class.base_filters),
        }

    def describe(self) -> str:
        """What the OpenAPI description says."""
        return " ".join((type(self).__doc__ or "").split())


def history(model: type[models.Versioned], record_id: int, version: int | None) -> list[dict[str, Any]]:
    """Every version of a record, oldest first, or the one asked for; empty where there never was such a record."""
    table = model._meta.db_table
    only = {} if version is None else {"version": version}
    kept = models.RecordVersion.objects.filter(table_name=table, object_id=record_id, **only).order_by(
        "version", "id"
    )
    # Read as the trigger writes them, so that a version looks the same before and after it is superseded.
    whole_row = RawSQL(f'to_jsonb("{table}")', [], output_field=JSONField())  # noqa: S611 - a table name of ours
    standing = (
        model._base_manager.filter(pk=record_id, **only)
        .annotate(whole_row=whole_row)
        .values_list("whole_row", flat=True)
    )
    found = [_version(old.row, old) for old in kept[: rows.CHILD_LIMIT]]
    return [*found, *(_version(row, None) for row in standing)]


def _version(row: dict[str, Any], superseded: models.RecordVersion | None) -> dict[str, Any]:
    told = {name: row[name] for name in ("version", "recorded_by", "recorded_reason", "recorded_batch")}
    told["recorded_at"] = datetime.fromisoformat(row["recorded_at"])
    for name in ("superseded_at", "superseded_by", "superseded_reason", "superseded_batch", "operation"):
        told[name] = getattr(superseded, name, None)
    return told | {"row": row}


def asked_version(request: Request) -> int | None:
    text = request.query_params.get("version")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and 1 <= int(text[:12]) < 2**31:
        return int(text)
    raise errors.BadParameters({"version": f"version {text!r} is not a whole number from 1 on."})


class HistoryEnvelope(drf.Serializer):
    table = drf.CharField()
    id = drf.IntegerField()
    versions = serializers.RecordHistory(many=True)


def history_response(request: Request, model: type[models.Versioned], record_id: int) -> Response:
    parameters.refuse_unknown(request, ["version", "format"], versioned=True)
    versions = history(model, record_id, asked_version(request))
    if not versions:
        raise NotFound(f"There is no such version of {model._meta.verbose_name} {record_id}.")
    return Response({"table": model._meta.model_name, "id": record_id, "versions": versions})


class VersionedResource(Resource):
    """A table whose earlier versions are kept."""

    @extend_schema(responses=HistoryEnvelope)
    @action(detail=True, filter_backends=(), pagination_class=None)
    def versions(self, request: Request, pk: str) -> Response:
        """Every version of the record, with who wrote it, when and why; also of one that was deleted, by its id."""
        if pk.isascii() and pk.isdigit() and len(pk) < 19 and not self._is_key(pk):
            return history_response(request, self.model, int(pk))
        return history_response(request, self.model, self.record(pk, rows.plan(self.row_class))["id"])

    def _is_key(self, text: str) -> bool:
        return self.key != "id" and self.model.objects.filter(**{self.key: text}).exists()


# --- sources, chips, organizations, data centers ------------------------------------------------------------------------


class Sources(VersionedResource):
    """Documents and data sets that facts rest on."""

    row_class, filterset_class, key = serializers.SourceRow, filters.SourceFilter, "slug"
    orderings = ("slug", "published_on", "recorded_at", "id")
    searched = ("slug", "title", "publisher", "original_publisher")


class Chips(VersionedResource):
    """Accelerators as sold; the detail shows what each source says of them and the figures that follow."""

    row_class, filterset_class, key = serializers.ChipRow, filters.ChipFilter, "slug"
    detail_class = serializers.ChipDetail
    orderings = ("slug", "first_shipped_on", "recorded_at", "id")
    searched = ("slug", "name", "vendor__name")

    def complete(self, record: dict[str, Any]) -> None:
        figures = derived_figures(self.known_at, chip=record["id"])
        for specification in record["specifications"]:
            specification["derived"] = figures[specification["id"]]

    @extend_schema(responses=judgements.ChipClassification)
    @action(detail=True, filter_backends=(), pagination_class=None)
    def classification(self, request: Request, pk: str) -> Response:
        """What the chip is under the rules of a day, with every comparison that decided, and how that changed with the law."""
        parameters.refuse_unknown(request, ["format", "known_at", "on"], versioned=True)
        day = parameters.on(request)
        slug = self.record(pk, rows.plan(self.row_class))["slug"]
        found = classified(slug, day, self.known_at)
        return self._dated(Response(judgements.classification_body(slug, found, self.known_at)))


def derived_figures(at: datetime | None, **which: Any) -> dict[int, dict[str, Any]]:
    """Derived figures by id of specification, in one query."""
    found = models.ChipSpecification.objects.known_at(at).select_related("chip__vendor").filter(**which)
    return {row.pk: derived(row) for row in found[: rows.CHILD_LIMIT]}


class Specifications(VersionedResource):
    """What one source says of one chip: dense peak rates, die area, memory, power."""

    row_class, filterset_class = serializers.SpecificationRow, filters.SpecificationFilter
    detail_class = serializers.SpecificationDetail
    orderings = ("id", "recorded_at")
    searched = ("chip__slug", "chip__name")

    def complete(self, record: dict[str, Any]) -> None:
        record["derived"] = derived_figures(self.known_at, pk=record["id"])[record["id"]]


class ChipFamilies(VersionedResource):
    """Names that reports use for an unspecified mix of chips, with the chips they may stand for."""

    row_class, filterset_class, key = serializers.ChipFamilyRow, filters.ChipFamilyFilter, "slug"
    detail_class = serializers.ChipFamilyDetail
    orderings = ("slug", "recorded_at", "id")
    searched = ("slug", "name")


class Organizations(VersionedResource):
    """Companies, agencies, laboratories and stand-ins for unnamed ones; search reads their aliases too."""

    row_class, filterset_class, key = serializers.OrganizationRow, filters.OrganizationFilter, "slug"
    detail_class = serializers.OrganizationDetail
    orderings = ("slug", "name", "recorded_at", "id")
    searched = ("slug", "name")
    searched_names = ((models.Alias, "organization", "name"),)


class Vendors(Organizations):
    """The organizations that design and sell chips."""

    def get_queryset(self) -> QuerySet:
        return cast("OrganizationQuerySet", super().get_queryset()).vendors()


class Stakes(VersionedResource):
    """Shares of one organization held by another over some time."""

    row_class, filterset_class = serializers.StakeRow, filters.StakeFilter
    orderings = ("id", "valid_from", "recorded_at")
    searched = ("owner__name", "owned__name")


class ListEntries(VersionedResource):
    """Places of organizations on government lists, with their dates."""

    row_class, filterset_class = serializers.ListEntryRow, filters.ListEntryFilter
    orderings = ("id", "listed_on", "recorded_at")
    searched = ("organization__name", "list_name", "citation")


class ScreeningLists(VersionedResource):
    """Lists of restricted parties with publisher and terms; the detail shows which files were loaded."""

    row_class, filterset_class, key = serializers.ScreeningListRow, filters.ScreeningListFilter, "slug"
    detail_class = serializers.ScreeningListDetail
    orderings = ("slug", "name", "recorded_at", "id")
    searched = ("slug", "name", "publisher")


class ListedParties(VersionedResource):
    """Parties as the lists name them, ended ones too; search reads their aliases. Being alike is not being the same."""

    row_class, filterset_class = serializers.ListedPartyRow, filters.ListedPartyFilter
    detail_class = serializers.ListedPartyDetail
    orderings = ("id", "name", "listed_on", "recorded_at")
    searched = ("name",)
    searched_names = ((models.ListedName, "party", "name"),)


class ScreeningMatches(VersionedResource):
    """Organizations that may be listed parties, with score, reasons and what was decided; only confirmed ones are the same."""

    row_class, filterset_class = serializers.ScreeningMatchRow, filters.ScreeningMatchFilter
    orderings = ("id", "score", "screened_at", "recorded_at")
    searched = ("asked_name", "listed_name")


class DataCenters(VersionedResource):
    """Sites, their phases, plans and groups. Parts overlap their wholes: never add the two."""

    row_class, filterset_class, key = serializers.DataCenterRow, filters.DataCenterFilter, "slug"
    detail_class = serializers.DataCenterDetail
    orderings = ("slug", "recorded_at", "id")
    searched = ("slug", "name", "region", "operator__name")


# --- claims, licences, shipments ----------------------------------------------------------------------------------------


class Claims(VersionedResource):
    """Reported quantities, each with range, unit, period, source and grade. Conflicting claims stand side by side."""

    row_class, filterset_class, key = serializers.ClaimRow, filters.ClaimFilter, "slug"
    detail_class = serializers.ClaimDetail
    orderings = ("slug", "period_end", "period_start", "best", "recorded_at", "id")
    searched = ("slug", "subject__name", "counterparty__name", "original_text")


class Licences(VersionedResource):
    """Licences and approvals as far as they are publicly known, with what they allow."""

    row_class, filterset_class, key = serializers.LicenceRow, filters.LicenceFilter, "reference"
    detail_class = serializers.LicenceDetail
    orderings = ("reference", "valid_from", "valid_until", "recorded_at", "id")
    searched = ("reference", "authority", "exporter__name", "consignee__name", "end_user__name")


class Shipments(VersionedResource):
    """What moved, one line for each chip or family in a consignment."""

    row_class, filterset_class, key = serializers.ShipmentRow, filters.ShipmentFilter, "reference"
    detail_class = serializers.ShipmentDetail
    # Only what an index on (key, id) or a unique key serves: this table may hold ten million rows.
    orderings = ("id", "shipped_on", "reference")
    searched = ("reference", "consignment")

    @extend_schema(responses=judgements.ShipmentVerdict)
    @action(detail=True, filter_backends=(), pagination_class=None)
    def verdict(self, request: Request, pk: str) -> Response:
        """What the export rules of its day say of the line, with every reason; `as_if` judges it as if it had left on another."""
        parameters.refuse_unknown(request, ["format", "known_at", "as_if"], versioned=True)
        day = parameters.day(request, "as_if")
        reference = self.record(pk, rows.plan(self.row_class))["reference"]
        body = {
            "reference": reference,
            "as_if": day,
            "known_at": self.known_at,
            "verdict": judgements.VerdictRow(explain(reference, at=self.known_at, as_if=day)).data,
        }
        return self._dated(Response(body))


# --- rules --------------------------------------------------------------------------------------------------------------


class Rules(VersionedResource):
    """Export rules as dated records; several rows of one rule_id are its successive versions in law."""

    row_class, filterset_class, key = serializers.RuleRow, filters.RuleFilter, "rule_id"
    detail_class = serializers.RuleDetail
    orderings = ("rule_id", "published_on", "recorded_at", "id")
    searched = ("rule_id", "title", "citation", "summary")


class LicenceRequirements(VersionedResource):
    """Rows of the licence matrix, in the order in which they are tried."""

    row_class, filterset_class = serializers.RequirementRow, filters.RequirementFilter
    orderings = ("order", "recorded_at", "id")
    searched = ("words", "rule_id", "citation")


class RuleDrafts(VersionedResource):
    """Drafts of law, suppositions and bills: what the rules would be with some of them changed. None of them is law."""

    row_class, filterset_class, key = serializers.RuleDraftRow, filters.RuleDraftFilter, "slug"
    orderings = ("slug", "recorded_at", "id")
    searched = ("slug", "title")


class RuleComparisons(Resource):
    """Comparisons of two sides of the law over the whole ledger, as they were carried out; the detail holds what flips."""

    row_class, filterset_class = serializers.RuleComparisonRow, filters.RuleComparisonFilter
    detail_class, key = serializers.RuleComparisonDetail, "key"
    orderings = ("-created_at", "key", "id")

    def complete(self, record: dict[str, Any]) -> None:
        found = kept_comparison(record["id"])
        record["diff"] = found and comparisons.diff_body(found)


class CountryGroups(VersionedResource):
    """Country groups of the regulations and sets put together from them, with their members and days."""

    row_class, filterset_class, key = serializers.CountryGroupRow, filters.CountryGroupFilter, "name"
    detail_class = serializers.CountryGroupDetail
    orderings = ("name", "recorded_at", "id")
    searched = ("name", "label")


class CountryMembers(VersionedResource):
    """Countries in groups, with days: ``?group=D:5&on=2024-01-01``; and destinations that count as another one."""

    row_class, filterset_class = serializers.CountryMemberRow, filters.CountryMemberFilter
    orderings = ("id", "country", "recorded_at")


# --- runs, findings, reports, imports -----------------------------------------------------------------------------------


class Runs(Resource):
    """Reconciliations, each with all that is needed to make it again; the detail says how far it is."""

    row_class, filterset_class, key = serializers.RunRow, filters.RunFilter, "key"
    detail_class = serializers.RunDetail
    orderings = ("-created_at", "key", "as_of", "id")
    http_method_names = ("get", "head", "options", "post")
    parser_classes = (QuestionParser,)

    def get_authenticators(self) -> list[Any]:
        return (
            [SessionAuthentication(), BasicAuthentication()]
            if self._writes()
            else super().get_authenticators()
        )

    def get_permissions(self) -> list[Any]:
        return [access.MayStartRuns()] if self._writes() else list(super().get_permissions())

    def get_throttles(self) -> list[Any]:
        return (
            [*super().get_throttles(), access.StartThrottle()] if self._writes() else super().get_throttles()
        )

    def _writes(self) -> bool:
        """Asked before the framework knows the action, and by the description without any request."""
        return getattr(self.request, "method", "") == "POST" or getattr(self, "action", "") in (
            "create",
            "cancel",
        )

    def get_serializer_class(self) -> type[rows.LedgerSerializer]:
        return serializers.RunDetail if self._writes() else super().get_serializer_class()

    def complete(self, record: dict[str, Any]) -> None:
        record["progress"] = asdict(progress(models.ReconciliationRun.objects.get(pk=record["id"])))

    @extend_schema(
        request=runs.RunRequest,
        responses={202: serializers.RunDetail},
        parameters=[runs.IDEMPOTENCY_KEY],
        description="Start a run: 202 with its address. With a header `Idempotency-Key` a request that is sent again starts no "
        "second run. For users who may start runs.",
    )
    def create(self, request: Request) -> Response:
        parameters.refuse_unknown(request, ["format"], versioned=False)
        run = request_run(
            request.user.get_username(),
            runs.asked_instant(request),
            request_key=runs.idempotency_key(request),
        )
        return self._accepted(run.key)

    @extend_schema(
        request=None,
        responses={202: serializers.RunDetail},
        description="Stop a run: what is under way ends without effect, nothing of it is published. One that is over stays as it "
        "is.",
    )
    @action(detail=True, methods=["post"], filter_backends=(), pagination_class=None)
    def cancel(self, request: Request, pk: str) -> Response:
        parameters.refuse_unknown(request, ["format"], versioned=False)
        record = self.record(pk, self.plan)
        cancel_run(record["id"])
        return self._accepted(record["key"])

    @extend_schema(responses=serializers.Priorities)
    @action(detail=True, filter_backends=(), pagination_class=None)
    def priorities(self, request: Request, pk: str) -> Response:
        """The records and facts whose verification would settle most of what a finished run left open (``limit``: up to 200)."""
        parameters.refuse_unknown(request, ["limit", "format"], versioned=False)
        limit = parameters.whole_number(request, "limit", 50, least=1, most=MOST)
        run = models.ReconciliationRun.objects.get(pk=self.record(pk, self.plan)["id"])
        if run.status != models.ReconciliationRun.Status.FINISHED:
            raise NotFound(f"Run {run.key} has not finished, so it does not know yet what it leaves open.")
        return Response(
            {"run": run.key, "priorities": [_priority(line, run) for line in priorities(run, limit)]}
        )

    @extend_schema(
        responses=serializers.BookSumShown,
        parameters=[
            OpenApiParameter("area", str, required=True, description="E.g. `country:CN`, `site:colossus-1`, `world`."),
            OpenApiParameter("scope", str, description="`h100e` (default), or the key of a family."),
        ],
    )  # fmt: skip
    @action(detail=True, url_path="book-sums", filter_backends=(), pagination_class=None)
    def book_sums(self, request: Request, pk: str) -> Response:
        """The books of one area added up month by month: all chips in H100-equivalents, or the chips of a family."""
        parameters.refuse_unknown(request, ["area", "scope", "format"], versioned=False)
        run = models.ReconciliationRun.objects.get(pk=self.record(pk, self.plan)["id"])
        area, scope = request.query_params.get("area", ""), request.query_params.get("scope", H100E)
        finished = run.status == models.ReconciliationRun.Status.FINISHED
        found = book_sum(run, area[:100], scope[:100]) if finished else None
        if found is None:
            raise NotFound(
                f"Run {run.key} keeps no book of the area {area!r} that could be added up to {scope!r}. Areas are named as in "
                "`cells` (`country:CN`); the scope is h100e or the key of a family (`family:h100-any`)."
            )
        return Response(serializers.BookSumShown({"run": run.key, "area": area, **_book_sum(found)}).data)

    def _accepted(self, key: str) -> Response:
        record = self.record(key, self.plan)
        self.complete(record)
        return Response(record, status=202, headers={"Location": record["api_url"]})


def _book_sum(found: BookSum) -> dict[str, Any]:
    parts = ({"scope": one.key, "name": one.name, "worth": _range(one.worth)} for one in found.parts)
    return {
        "scope": found.scope, "unit": found.unit, "parts": list(parts),
        "months": [asdict(one.sums) | {"month": one.day} for one in found.months],
    }  # fmt: skip


def _range(worth: tuple[float, float] | None) -> dict[str, float] | None:
    return worth and {"low": worth[0], "high": worth[1]}


def _priority(line: Priority, run: models.ReconciliationRun) -> dict[str, Any]:
    return {
        **asdict(line),
        "record_url": None if line.id is None else record_data(line.model, line.id, run.as_known_at),
        "reasons": [
            {**asdict(one), "finding": f"{rows.ROOT}findings/{one.finding}/"} for one in line.reasons
        ],
    }


class Proofs(Resource):
    """Proofs of the ledger: whether every stored number that can be worked out again was what is stored."""

    row_class, filterset_class = serializers.ProofRow, filters.ProofFilter
    orderings = ("-started_at", "id")


class Partitions(Resource):
    """Units of work of a run."""

    row_class, filterset_class = serializers.PartitionRow, filters.PartitionFilter


class Cells(Resource):
    """Balances as one run computed them: one area, one scope, one month, in chips, with their uncertainty."""

    row_class, filterset_class = serializers.CellRow, filters.CellFilter
    orderings = ("id", "month")


def tree_response(request: Request, finding_id: Any) -> Response:
    """The tree below a finding, ``limit`` rows of evidence after place ``after`` at a time."""
    parameters.refuse_unknown(request, ["after", "limit", "format"], versioned=False)
    after = parameters.whole_number(request, "after", -1, least=-1, most=10**6)
    limit = parameters.whole_number(request, "limit", ROWS, least=1, most=MOST_ROWS)
    row = findings().filter(pk=finding_id).first()
    if row is None:
        raise NotFound("There is no finding of a finished run here, so there is no tree.")
    page = finding_tree(row, after=after, limit=limit)
    tree = as_dict(page.tree)
    more = page.next_after is not None
    query = f"?after={page.next_after}" + (f"&limit={limit}" if limit != ROWS else "")
    return Response(
        {
            "finding": row.pk,
            "run": row.run.key,
            "as_known_at": row.run.as_known_at,
            "worked": page.worked,
            "tree_sha256": digest(tree),
            "next": request.build_absolute_uri(f"{finding_tree_data(row.pk)}{query}") if more else None,
            "tree": tree,
        }
    )


class Discrepancies(Resource):
    """What does not add up, with one identity over all runs that see it, and its latest finding."""

    row_class, filterset_class = serializers.DiscrepancyRow, filters.DiscrepancyFilter
    detail_class = serializers.DiscrepancyDetail
    orderings = ("id", "area", "check_code", "due_on", "opened_at")
    searched = ("area", "scope", "latest__headline")

    def complete(self, record: dict[str, Any]) -> None:
        record |= life_of(record["id"])

    @extend_schema(responses=serializers.FindingTree)
    @action(detail=True, filter_backends=(), pagination_class=None)
    def tree(self, request: Request, pk: str) -> Response:
        """What its latest finding rests on: terms of the comparison, record versions, claims, sources with their words."""
        latest = self.record(pk, rows.plan(self.row_class))["latest"]
        return tree_response(request, latest and latest["api_url"].rstrip("/").rsplit("/", 1)[-1])


class Findings(Resource):
    """What one run found; the detail lists the record versions that it rests on."""

    row_class, filterset_class = serializers.FindingRow, filters.FindingFilter
    detail_class = serializers.FindingDetail
    orderings = ("id", "severity_rank", "sq", "gap")
    searched = ("headline", "area", "scope")

    def children_of(self, record: dict[str, Any]) -> int:
        """A run that goes on from another shows the evidence of the finding it carried over."""
        return models.Finding.objects.values_list(Coalesce("evidence_of_id", "id"), flat=True).get(
            id=record["id"]
        )

    def complete(self, record: dict[str, Any]) -> None:
        for evidence in record["evidence"]:
            name, number = evidence["model_name"].lower(), evidence["object_id"]
            resource = RESOURCE_OF.get(name)
            evidence["record_url"] = f"{rows.ROOT}{resource}/{number}/" if resource else None
            evidence["version_url"] = f"{rows.ROOT}records/{name}/{number}/?version={evidence['version']}"

    @extend_schema(responses=serializers.FindingTree)
    @action(detail=True, filter_backends=(), pagination_class=None)
    def tree(self, request: Request, pk: str) -> Response:
        """What it rests on: terms of the comparison, record versions, claims that document them, sources with their words."""
        return tree_response(request, self.record(pk, rows.plan(self.row_class))["id"])


class NetworkEstimates(Resource):
    """The most likely true flows and stocks given all reports, as one run's network reconciliation found them: estimates."""

    row_class, filterset_class = serializers.NetworkEstimateRow, filters.NetworkEstimateFilter


class ClosedBooks(VersionedResource):
    """Declarations that the ledger holds every movement of an area: only there can a difference be read as a loss."""

    row_class, filterset_class, key = serializers.ClosedBookRow, filters.ClosedBookFilter, "slug"
    orderings = ("slug", "valid_from", "recorded_at", "id")


class Plugs(VersionedResource):
    """Made-up movements that let a displayed chain of balances close. No evidence, and part of no test."""

    row_class, filterset_class = serializers.PlugRow, filters.PlugFilter
    orderings = ("id", "month", "recorded_at")


class MethodParameters(VersionedResource):
    """Numbers of the method that were set from a day on. Where none was, the default of the method holds."""

    row_class, filterset_class = serializers.MethodParameterRow, filters.MethodParameterFilter
    orderings = ("id", "name", "valid_from", "recorded_at")


class Versions(Resource):
    """Versions of records that no longer stand, of all tables. The whole history of one: ``records/{table}/{id}/``."""

    row_class, filterset_class = serializers.RecordVersionRow, filters.RecordVersionFilter


class Reports(Resource):
    """Published reports; their files are kept byte for byte."""

    row_class, filterset_class = serializers.ReportRow, filters.ReportFilter
    orderings = ("-built_at", "id")

    @extend_schema(responses={(200, "text/html"): OpenApiTypes.BINARY})
    @action(detail=True, filter_backends=(), pagination_class=None, throttle_classes=(access.ExportThrottle,))
    def html(self, request: Request, pk: str) -> HttpResponse:
        """The report as one HTML file. An attachment: it carries its own styles, which this site's policy would refuse."""
        return self._file(request, pk, "html", "text/html; charset=utf-8")

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.BINARY})
    @action(detail=True, filter_backends=(), pagination_class=None, throttle_classes=(access.ExportThrottle,))
    def csv(self, request: Request, pk: str) -> HttpResponse:
        """The findings of the report as one CSV file."""
        return self._file(request, pk, "csv", "text/csv; charset=utf-8")

    def _file(self, request: Request, pk: str, kind: str, content_type: str) -> HttpResponse:
        parameters.refuse_unknown(request, [], versioned=False)
        record = self.record(pk, rows.plan(self.row_class))
        content = models.Report.objects.values_list(kind, flat=True).get(pk=record["id"])
        response = HttpResponse(content.encode(), content_type=content_type)
        response["Content-Disposition"] = f'attachment; filename="report-{record["run"]["key"]}.{kind}"'
        response["ETag"] = f'"{record[f"{kind}_sha256"]}"'
        return response


class Imports(Resource):
    """Loads of files: what was read, with which digest and outcome; the detail lists what was wrong."""

    row_class, filterset_class, key = serializers.ImportRunRow, filters.ImportRunFilter, "key"
    detail_class = serializers.ImportRunDetail
    orderings = ("-started_at", "key", "id")


RESOURCES: dict[str, type[Resource]] = {
    "sources": Sources,
    "chips": Chips,
    "specifications": Specifications,
    "chip-families": ChipFamilies,
    "organizations": Organizations,
    "vendors": Vendors,
    "stakes": Stakes,
    "list-entries": ListEntries,
    "screening-lists": ScreeningLists,
    "listed-parties": ListedParties,
    "screening-matches": ScreeningMatches,
    "data-centers": DataCenters,
    "claims": Claims,
    "licences": Licences,
    "shipments": Shipments,
    "rules": Rules,
    "licence-requirements": LicenceRequirements,
    "rule-drafts": RuleDrafts,
    "rule-comparisons": RuleComparisons,
    "country-groups": CountryGroups,
    "country-members": CountryMembers,
    "runs": Runs,
    "partitions": Partitions,
    "proofs": Proofs,
    "cells": Cells,
    "discrepancies": Discrepancies,
    "findings": Findings,
    "network-estimates": NetworkEstimates,
    "closed-books": ClosedBooks,
    "plugs": Plugs,
    "method-parameters": MethodParameters,
    "versions": Versions,
    "reports": Reports,
    "imports": Imports,
}

# Vendors are organizations: their records are found under that name.
RESOURCE_OF = {
    rows.model_of(view.row_class)._meta.model_name: name
    for name, view in RESOURCES.items()
    if name != "vendors"
}
VERSIONED_MODELS = {
    str(model._meta.model_name): model
    for model in vars(models).values()
    if isinstance(model, type)
    and issubclass(model, models.Versioned)
    and not model._meta.proxy
    and not model._meta.abstract
}
