"""Views beside the resources: the list of them, the history of any record, the documentation, and addresses that lead nowhere."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api import parameters, rows
from api.base import Reading
from api.questions import QUESTIONS
from api.renderers import OrjsonRenderer
from api.schema import HistorySchema
from api.viewsets import RESOURCES, VERSIONED_MODELS, HistoryEnvelope, history_response


class Root(Reading):
    """Every resource with its address, its filters and orderings."""

    renderer_classes = (OrjsonRenderer,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        parameters.refuse_unknown(request, ["format"], versioned=True)
        resources = {
            name: {"api_url": f"{rows.ROOT}{name}/"} | view.summary() for name, view in RESOURCES.items()
        }
        return Response(
            {
                "resources": resources,
                "questions": {
                    name: {"api_url": f"{rows.ROOT}{name}", "about": " ".join((view.__doc__ or "").split())}
                    for name, view in QUESTIONS.items()
                },
                "docs": f"{rows.ROOT}docs/",
                "schema": f"{rows.ROOT}schema/",
                "records": sorted(VERSIONED_MODELS),
            }
        )


class Record(Reading):
    """The history of one record of any versioned table, also of those shown only within others (aliases, parts, powers)."""

    renderer_classes = (OrjsonRenderer,)
    schema = HistorySchema()

    @extend_schema(responses=HistoryEnvelope, operation_id="records_versions")
    def get(self, request: Request, table: str, record_id: int) -> Response:
        model = VERSIONED_MODELS.get(table)
        if model is None:
            raise NotFound(
                f"{table!r} is no kind of record with versions; there are: {', '.join(sorted(VERSIONED_MODELS))}."
            )
        return history_response(request, model, record_id)


class Unknown(Reading):
    """An address under the API that leads nowhere."""

    renderer_classes = (OrjsonRenderer,)

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise Http404(f"There is no resource at {request.path}; {rows.ROOT} lists them all.")

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        return OrjsonRenderer(), OrjsonRenderer.media_type


class Documentation(SpectacularSwaggerSplitView):
    """The interactive description. Its page holds no inline script or style, so the site's strict policy stays as it is."""

    template_name = "api/docs.html"
