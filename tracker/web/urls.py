"""Addresses of the public pages."""

from django.urls import path

from tracker.web import books, evidence, law, views, what_if

app_name = "web"

urlpatterns = [
    path("", views.landing, name="landing"),
    path("proofz", views.proven, name="proofz"),
    path("reports/", views.reports, name="reports"),
    path("reports/<slug:key>/", views.report, name="report"),
    path("reports/<slug:key>.csv", views.report_csv, name="report-csv"),
    path("cells/<slug:run>/", books.areas, name="books"),
    path("cells/<slug:run>/<str:area>/", books.area, name="books-of-area"),
    path("cells/<slug:run>/<str:area>/sum/<str:scope>/", books.added_up, name="book-sum"),
    path("cells/<slug:run>/<str:area>/<str:scope>/", books.book, name="book"),
    path("cells/<slug:run>/<str:area>/<str:scope>/<slug:month>/", books.lines, name="book-lines"),
    path("lines/<slug:run>/", books.movements, name="lines"),
    path("findings/<int:pk>/", evidence.finding, name="finding"),
    path("records/<slug:model>/<int:pk>/", evidence.record, name="record"),
    path("rules/", law.rules, name="rules"),
    path("rules/open-questions/", law.open_questions, name="open-questions"),
    path("rules/what-if/", what_if.comparisons, name="what-if"),
    path("rules/what-if/<slug:key>/", what_if.comparison, name="what-if-one"),
    path("rules/<str:rule_id>/", law.rule, name="rule"),
    path("chips/", law.chips, name="chips"),
    path("chips/<slug:slug>/", law.chip, name="chip"),
]
