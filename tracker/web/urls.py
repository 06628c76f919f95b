"""Addresses of the public pages."""

from django.urls import path

from tracker.web import views

app_name = "web"

urlpatterns = [
    path("", views.landing, name="landing"),
    path("reports/", views.reports, name="reports"),
    path("reports/<slug:key>/", views.report, name="report"),
    path("reports/<slug:key>.csv", views.report_csv, name="report-csv"),
]
