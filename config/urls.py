"""Every address of the site: the reports, the admin, the API and the two health checks."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path
from health_check.views import HealthCheckView


def alive(request: HttpRequest) -> HttpResponse:
    """This process answers; asks no other server, so that a database at rest does not restart the web."""
    return HttpResponse("ok\n", content_type="text/plain")


def icon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for this address on pages that name no icon, such as the admin's."""
    return HttpResponseRedirect(static("tracker/icon.svg"))


urlpatterns = [
    path("favicon.ico", icon),
    path("admin/", admin.site.urls),
    path("healthz", alive, name="healthz"),
    path(
        "readyz",
        HealthCheckView.as_view(checks=["health_check.checks.Database", "health_check.checks.Cache"]),
        name="readyz",
    ),
    path("api/", include("api.urls")),
    path("", include("tracker.web.urls")),
]
