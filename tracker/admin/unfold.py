"""How the admin site looks: name, colours, sidebar. The settings take :data:`UNFOLD` from here, so nothing is imported that
needs the registry of apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    def permitted(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return permitted


def _page(title: str, icon: str, model: str, app: str = "tracker") -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may(f"{app}.view_{model}"),
    }


def _stylesheet(request: HttpRequest) -> str:
    return static("tracker/admin.css")


NAVIGATION: list[dict[str, Any]] = [
    {
        "title": "Ledger",
        "items": [
            {"title": "Desk", "icon": "home", "link": reverse_lazy("admin:index")},
            _page("Claims", "format_quote", "claim"),
            _page("Shipments", "local_shipping", "shipment"),
            _page("Licences", "approval", "licence"),
        ],
    },
    {
        "title": "Catalogue",
        "separator": True,
        "items": [
            _page("Vendors", "factory", "vendor"),
            _page("Chips", "memory", "chip"),
            _page("Chip families", "category", "chipfamily"),
            _page("Specifications", "description", "chipspecification"),
            _page("Organizations", "apartment", "organization"),
            _page("Ownership", "account_tree", "ownershipstake"),
            _page("List entries", "playlist_remove", "listentry"),
            _page("Data centers", "dns", "datacenter"),
        ],
    },
    {
        "title": "Evidence",
        "separator": True,
        "items": [
            _page("Sources", "menu_book", "source"),
            _page("Conflicts", "compare_arrows", "claimconflict"),
            _page("Closed books", "inventory", "closedbook"),
            _page("Loads", "upload_file", "importrun"),
            _page("Earlier versions", "history", "recordversion"),
        ],
    },
    {
        "title": "Screening",
        "separator": True,
        "items": [
            _page("Matches", "person_search", "screeningmatch"),
            _page("Listed parties", "group_off", "listedparty"),
            _page("Lists", "checklist", "screeninglist"),
        ],
    },
    {
        "title": "Rules",
        "separator": True,
        "items": [
            _page("Export rules", "gavel", "exportrule"),
            _page("Licence matrix", "grid_on", "licencerequirement"),
            _page("Country groups", "public", "countrygroup"),
            _page("Drafts", "edit_note", "ruledraft"),
            _page("What if", "difference", "rulecomparison"),
        ],
    },
    {
        "title": "Reconciliation",
        "separator": True,
        "items": [
            _page("Discrepancies", "balance", "discrepancy"),
            _page("Runs", "play_circle", "reconciliationrun"),
            _page("Findings", "fact_check", "finding"),
            _page("Books", "account_balance", "balancecell"),
            _page("Plugs", "handyman", "balanceplug"),
            _page("Network estimates", "hub", "networkestimate"),
            _page("Parameters", "tune", "methodparameter"),
            _page("Reports", "summarize", "report"),
        ],
    },
    {
        "title": "Operations",
        "separator": True,
        "items": [
            _page("Schedule", "schedule", "periodictask", "django_celery_beat"),
            _page("Proofs", "verified", "ledgerproof"),
            _page("Sign-ins", "login", "accesslog", "axes"),
            _page("Refused sign-ins", "lock", "accessattempt", "axes"),
            _page("Users", "person", "user", "auth"),
            _page("Groups", "group", "group", "auth"),
        ],
    },
]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "AI chip ledger",
    "SITE_HEADER": "AI chip ledger",
    "SITE_SUBHEADER": "Who says what moved where",
    "SITE_SYMBOL": "memory",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "4px",
    "STYLES": [_stylesheet],
    "DASHBOARD_CALLBACK": "tracker.admin.dashboard.fill",
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": NAVIGATION},
    # A calm blue: red, orange and green are left to severities and marks, which must stand out.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        }
    },
}
