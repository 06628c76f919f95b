"""Addresses of the public pages."""

from django.urls import path

from tracker.web import law, views, what_if

app_name = "web"

urlpatterns = [
    path("", views.landing, name="landing"),
    path("reports/", views.reports, name="reports"),
    path("reports/<slug:key>/", views.report, name="report"),
    path("reports/<slug:key>.csv", views.report_csv, name="report-csv"),
    path("rules/", law.rules, name="rules"),
    path("rules/open-questions/", law.open_questions, name="open-questions"),
    path("rules/what-if/", what_if.comparisons, name="what-if"),
    path("rules/what-if/<slug:key>/", what_if.comparison, name="what-if-one"),
    path("rules/<str:rule_id>/", law.rule, name="rule"),
    path("chips/", law.chips, name="chips"),
    path("chips/<slug:slug>/", law.chip, name="chip"),
]
