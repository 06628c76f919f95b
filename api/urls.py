"""Addresses of the API, version 1."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

from api.comparisons import Diff
from api.questions import QUESTIONS
from api.views import Documentation, Record, Root, Unknown
from api.viewsets import RESOURCES

router = SimpleRouter()
for name, view in RESOURCES.items():
    router.register(name, view, basename=name)

v1: list[URLPattern | URLResolver] = [
    path("", Root.as_view(), name="root"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", Documentation.as_view(url_name="api:schema"), name="docs"),
    path("records/<slug:table>/<int:record_id>/", Record.as_view(), name="record"),
    path("rules/diff/", Diff.as_view(), name="diff"),
    *(
        re_path(f"^{address}/?$", view.as_view(), name=address.replace("/", "-"))
        for address, view in QUESTIONS.items()
    ),
    *router.urls,
    re_path("", Unknown.as_view()),
]

app_name = "api"
urlpatterns = [path("v1/", include(v1))]
