"""Every page of every table: it renders for whom it should, and nobody changes what they may not."""

from datetime import date

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from tests.admin.forms import filled_in
from tracker import models
from tracker.reviews.services import LAW, LISTS

pytestmark = pytest.mark.django_db

OURS = sorted(model._meta.model_name for model in admin.site._registry if model._meta.app_label == "tracker")


def _model(name):
    return next(m for m in admin.site._registry if m._meta.label_lower == f"tracker.{name}")


DECIDED = ["listedparty", "screeningmatch"]
"""Versioned, but loaded and decided, never typed in."""
LEDGER = [name for name in OURS if issubclass(_model(name), models.Versioned) and name not in DECIDED]
MACHINE = [name for name in OURS if name not in LEDGER]
BY_REVIEWERS = [name for name in LEDGER if name in LAW + LISTS]
BY_ANALYSTS = [name for name in LEDGER if name not in BY_REVIEWERS]


def url(name, page, *args):
    return reverse(f"admin:tracker_{name}_{page}", args=args)


@pytest.fixture(scope="module")
def rows(django_db_setup, django_db_blocker):
    """At least one row of every table, made once: what a test changes of them is undone after it, and all of them at the end."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield one_of_each()
        transaction.set_rollback(True)


@pytest.fixture
def world(rows, db):
    return rows


def one_of_each():
    cast = factories.cast()
    claim = factories.claim("a-claim", subject=cast.operator, data_center=cast.site, chip=cast.chip)
    factories.conflict(claim, factories.claim("b-claim", subject=cast.operator))
    factories.alias(cast.operator, "合成运营商")
    factories.list_entry(cast.reseller)
    factories.screening_match(cast.reseller, factories.listed_party("Synthetic listed party"))
    factories.site_power(cast.site)
    factories.data_center_status(cast.site)
    models.DataCenterUser.objects.create(data_center=cast.site, organization=cast.parent)
    models.DataCenterPart.objects.create(whole=cast.site, part=cast.other_site)
    licence = factories.licence(items=((cast.chip, 500), (cast.family, 100)))
    factories.shipment(
        "a-shipment", documented_by=(claim,), chip=cast.chip, licence=licence, shipper=cast.vendor
    )
    rule = factories.export_rule(
        enforcement="in force", verification="verified", sources=["https://example.org/synthetic-source"]
    )
    dates = (date(2024, 1, 1), None)
    models.RuleInterval.objects.create(rule=rule, period=dates, status="active")
    models.LicenceRequirement.objects.create(
        order=10,
        in_force=dates,
        result="LICENCE",
        answer="required",
        words="Chips to MY",
        verification="x",
        source=cast.source,
        sources=["https://example.org/synthetic-source"],
    )
    group = models.CountryGroup.objects.create(name="D:5", label="Arms embargoes", source=cast.source)
    models.CountryGroupMember.objects.create(group=group, country="CN", period=dates, source=cast.source)
    factories.rule_comparison(after_draft=factories.rule_draft())
    run = factories.run()
    factories.partition(run)
    factories.cell(run)
    factories.network_estimate(run)
    factories.closed_book(data_center=cast.site)
    factories.plug(data_center=cast.site, chip=cast.chip)
    factories.method_parameter()
    found = factories.finding(run, evidence=(claim, cast.site))
    factories.note(found.discrepancy)
    factories.report(run)
    factories.ledger_proof()
    loaded = factories.import_run()
    models.ImportProblem.objects.create(run=loaded, file="claims.csv", row=3, message="No such chip.")
    claim.note = "changed once"
    claim.save()
    return cast


def test_every_table_has_a_page_or_stands_on_that_of_its_owner():
    tables = {model._meta.model_name for model in apps.get_app_config("tracker").get_models()}

    on_the_page_of_their_owner = {
        "importproblem",
        "listversion",
        "listedname",
        "discrepancynote",
        "discrepancyevent",
        "balancearea",
        "balancescope",
    }
    marks_of_the_machinery = {"screenedorganization", "screenedparty"}
    assert tables - set(OURS) == on_the_page_of_their_owner | marks_of_the_machinery


@pytest.mark.parametrize("name", OURS)
def test_the_list_renders(reader, world, name):
    response = reader.get(url(name, "changelist"))

    assert response.status_code == 200
    assert len(response.context["cl"].result_list) >= 1


@pytest.mark.parametrize("name", OURS)
def test_the_list_can_be_searched_and_sorted_by_every_column(reader, world, name):
    view = admin.site._registry[_model(name)]
    if view.search_fields:
        assert reader.get(url(name, "changelist"), {"q": "1"}).status_code == 200
    for column in range(1, len(view.list_display) + 1):
        assert reader.get(url(name, "changelist"), {"o": column}).status_code == 200


@pytest.mark.parametrize("name", OURS)
def test_the_page_of_a_record_renders_for_a_reader_who_cannot_change_it(reader, world, name):
    row = _model(name)._base_manager.first() if name != "vendor" else models.Vendor.objects.first()

    response = reader.get(url(name, "change", row.pk))

    assert response.status_code == 200
    assert 'name="_save"' not in response.content.decode()
    assert reader.post(url(name, "change", row.pk), {"change_reason": "I want to."}).status_code == 403


@pytest.mark.parametrize("name", OURS)
def test_a_reader_adds_and_deletes_nothing(reader, world, name):
    row = _model(name).objects.first()

    assert reader.get(url(name, "add")).status_code == 403
    assert (
        reader.post(url(name, "delete", row.pk), {"post": "yes", "change_reason": "No."}).status_code == 403
    )


@pytest.mark.parametrize("name", BY_ANALYSTS)
def test_an_analyst_gets_the_empty_and_the_filled_form_and_the_history(analyst, world, name):
    row = _model(name).objects.first()

    assert analyst.get(url(name, "add")).status_code == 200
    form = analyst.get(url(name, "change", row.pk)).content.decode()
    assert 'name="_save"' in form
    assert 'name="change_reason"' in form
    assert analyst.get(url(name, "history", row.pk)).status_code == 200


@pytest.mark.parametrize("name", BY_ANALYSTS)
def test_every_record_can_be_saved_as_it_stands_without_a_new_version(analyst, world, name):
    """A form that loses or rounds a value on the way would make one."""
    row = _model(name).objects.order_by("pk").first()
    before = row.version

    response = analyst.post(
        url(name, "change", row.pk),
        filled_in(analyst, url(name, "change", row.pk)) | {"change_reason": "Nothing."},
    )

    assert response.status_code == 302, response.context["errors"]
    row.refresh_from_db()
    assert row.version == before


@pytest.mark.parametrize("name", BY_REVIEWERS)
def test_the_law_is_changed_by_reviewers_and_not_by_analysts(analyst, reviewer, world, name):
    row = _model(name).objects.first()

    assert analyst.post(url(name, "change", row.pk), {"change_reason": "x"}).status_code == 403
    assert 'name="_save"' in reviewer.get(url(name, "change", row.pk)).content.decode()
    assert reviewer.get(url(name, "add")).status_code == 200


@pytest.mark.parametrize("name", MACHINE)
def test_what_the_machinery_writes_is_changed_by_nobody(admin_client, world, name):
    row = _model(name).objects.first()

    assert admin_client.get(url(name, "add")).status_code == 403
    assert admin_client.post(url(name, "change", row.pk), {}).status_code == 403
    assert admin_client.post(url(name, "delete", row.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("name", LEDGER)
def test_every_foreign_key_is_searched_for_and_not_listed_whole(name):
    view = admin.site._registry[_model(name)]
    for owner in (view, *(inline(_model(name), admin.site) for inline in view.inlines)):
        typed = {f.name for f in owner.model._meta.fields if f.many_to_one and f.editable}
        if owner is not view:
            typed -= {getattr(owner, "fk_name", None)} | {
                f.name
                for f in owner.model._meta.fields
                if f.many_to_one
                and f.related_model in _model(name).__mro__
                and not getattr(owner, "fk_name", None)
            }
        shown = {
            part
            for _, options in (owner.fieldsets or ((None, {"fields": owner.fields or ()}),))
            for field in options["fields"]
            for part in ((field,) if isinstance(field, str) else field)
        }
        assert typed & shown <= set(owner.autocomplete_fields), owner


def _twenty(kind):
    for number in range(20):
        # Each with parties, chip and source of its own, so that a missing join shows.
        source = factories.source(f"synthetic-source-{kind}-{number}")
        match kind:
            case "organization":
                factories.organization(source=source)
            case "vendor":
                factories.chip(vendor=factories.vendor(source=source))
            case "chip":
                chip = factories.chip(vendor=factories.vendor(), specified=False)
                factories.specification(chip, source=source)
            case "chipspecification":
                chip = factories.chip(vendor=factories.vendor(), specified=False)
                factories.specification(chip, source=source)
            case "datacenter":
                site = factories.data_center(source=source, operator=factories.organization())
                factories.site_power(site)
                factories.data_center_status(site)
            case "claim":
                factories.claim(source=source, data_center=factories.data_center(), chip=factories.chip())
            case "shipment":
                parties = {"shipper": factories.organization(), "consignee": factories.organization()}
                factories.shipment(source=source, chip=factories.chip(), **parties)
            case "licence":
                factories.licence(source=source, consignee=factories.organization())
            case "ownershipstake":
                factories.stake(factories.organization(), factories.organization(), source=source)
            case "discrepancy":
                factories.finding(factories.run(), area=f"site:{number}")
            case "reconciliationrun":
                run = factories.run()
                factories.partition(run)
                factories.report(run)


@pytest.mark.parametrize(
    "kind",
    [
        "organization", "vendor", "chip", "chipspecification", "datacenter", "claim", "shipment", "licence", "ownershipstake",
        "discrepancy", "reconciliationrun",
    ],
)  # fmt: skip
def test_a_list_of_twenty_takes_no_more_questions_than_a_list_of_one(reader, kind):
    def questions():
        with CaptureQueriesContext(connection) as asked:
            response = reader.get(url(kind, "changelist"))
        return len(asked), len(response.context["cl"].result_list)

    _twenty(kind)
    many, rows = questions()

    assert rows >= 20
    assert many <= 16


@pytest.mark.parametrize("alias", ["中芯国际", "中芯"])
def test_an_organization_is_found_by_its_chinese_alias(reader, alias):
    found = factories.organization(name="Semiconductor Manufacturing International")
    factories.alias(found, "中芯国际集成电路制造有限公司", language="zh-Hans")
    factories.organization(name="Somebody Else")

    response = reader.get(url("organization", "changelist"), {"q": alias})

    assert [row.pk for row in response.context["cl"].result_list] == [found.pk]


def test_a_form_finds_an_organization_by_its_chinese_alias(analyst):
    found = factories.organization(name="Semiconductor Manufacturing International")
    factories.alias(found, "中芯国际集成电路制造有限公司")
    asked = {"term": "中芯国际", "app_label": "tracker", "model_name": "claim", "field_name": "subject"}

    response = analyst.get(reverse("admin:autocomplete"), asked)

    assert [row["id"] for row in response.json()["results"]] == [str(found.pk)]


def test_a_chip_shows_what_follows_from_its_specification(reader):
    chip = factories.chip(specified=False)
    factories.specification(chip, fp8_tflops=1000, fp16_tflops=500, die_area_mm2=800)

    in_list = reader.get(url("chip", "changelist")).content.decode()
    on_page = reader.get(url("chip", "change", chip.pk)).content.decode()

    for text in (in_list, on_page):
        assert "8,000" in text
        assert "10.00" in text


def test_a_new_vendor_is_a_chip_vendor(analyst):
    form = analyst.get(url("vendor", "add")).context["adminform"].form

    assert form["roles"].value() == ["chip vendor"]


def test_the_first_page_shows_what_waits(analyst, world):
    factories.claim("from-memory", verification="memory", is_synthetic=False)

    response = analyst.get(reverse("admin:index"))
    text = response.content.decode()

    assert "unverified claims" in text
    assert "400 chips more claimed than received" in text
    assert {"what": "unverified claims", "count": 1}.items() <= next(
        line for line in response.context["waiting"] if line["what"] == "unverified claims"
    ).items()


def test_every_address_on_the_first_page_answers(reviewer, world):
    context = reviewer.get(reverse("admin:index")).context
    addresses = [
        line["url"] for key in ("waiting", "severities", "entries", "worst") for line in context[key]
    ]

    assert len(addresses) > 10
    for address in addresses:
        assert reviewer.get(address).status_code == 200, address


def test_the_sidebar_shows_only_what_the_person_may_see(reader, admin_client, world):
    def titles(client):
        groups = client.get(reverse("admin:index")).context["sidebar_navigation"]
        return {item["title"] for group in groups for item in group["items"] if item["has_permission"]}

    assert {"Claims", "Discrepancies"} <= titles(reader)
    assert not {"Users", "Schedule"} & titles(reader)
    assert {"Users", "Schedule", "Sign-ins"} <= titles(admin_client)


@pytest.mark.parametrize(
    "address", ["auth_user", "auth_group", "axes_accessattempt", "django_celery_beat_periodictask"]
)
def test_pages_of_other_packages_wear_the_dress_of_the_site(admin_client, address):
    assert admin_client.get(reverse(f"admin:{address}_changelist")).status_code == 200
    if address.startswith(("auth", "django_celery")):
        assert admin_client.get(reverse(f"admin:{address}_add")).status_code == 200
