"""The way from a published number to the words of its source: three clicks, no script."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest

from tests import factories
from tests.web.test_views import pytestmark as _database
from tracker.models import Claim, Finding
from tracker.provenance.querysets import findings
from tracker.reconciliation import services
from tracker.reconciliation.books import Parameters
from tracker.reports.services import build_report

pytestmark = _database

PASSAGE = "about 115,000 chips stand in the desert"


@pytest.fixture
def desert():
    """A site said to hold 115,000 chips, into which two movements of 2,300 in all are recorded."""
    operator = factories.organization("synthetic-operator", country="SG")
    site = factories.data_center("synthetic-desert", operator=operator, country="MY")
    chip = factories.chip("synthetic-h", specified=False)
    factories.specification(chip, fp8_tflops=1979, die_area_mm2=814)
    paper = factories.source("synthetic-paper", title="A paper about the desert", archive_sha256="a" * 64)
    factories.claim(
        "synthetic-115000", data_center=site, chip=chip, low=None, best=115000, high=None, original_text=PASSAGE, source=paper,
    )  # fmt: skip
    letter = factories.claim(
        "synthetic-letter", data_center=site, chip=chip, kind="shipment", status="shipped", low=None, best=1500, high=None,
        original_text="fifteen hundred of them", source=factories.source("synthetic-letter-page"), period_end=None,
    )  # fmt: skip
    factories.shipment(
        "synthetic-line-1", (letter,), chip=chip, quantity=1500, destination=site, consignee=operator
    )
    factories.shipment("synthetic-line-2", chip=chip, quantity=800, destination=site, consignee=operator)
    return site


@pytest.fixture
def published(desert):
    run = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    run.refresh_from_db()
    return build_report(run)


@pytest.fixture
def gap(published) -> Finding:
    return findings().get(run=published.run, check_code="GAP", counterpart="synthetic-115000")


class Links(HTMLParser):
    """The links of a page with their words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.href: str | None = None
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.href, self.words = dict(attrs).get("href"), []

    def handle_data(self, data):
        self.words.append(data)

    def handle_endtag(self, tag):
        if tag == "a" and self.href:
            self.found.append((self.href, " ".join("".join(self.words).split())))
            self.href = None


def read(client, address: str) -> str:
    response = client.get(address.split("#")[0])
    assert response.status_code == 200, address
    return unescape(response.content.decode())


def test_every_number_of_a_discrepancy_in_a_report_leads_to_the_words_of_its_source_in_three_clicks(
    client, published, gap
):
    links = Links(published.html).found
    numbers = {words for href, words in links if href == f"/findings/{gap.pk}/"}
    assert {"115,000 chips", "2,300 chips", "+112,700 chips", "+112,700", "+113"} <= numbers

    tree = read(client, f"/findings/{gap.pk}/")  # first click
    assert PASSAGE in tree
    claim = Claim.objects.get(slug="synthetic-115000")
    (record,) = {href for href, _ in Links(tree).found if href.startswith(f"/records/claim/{claim.pk}/")}

    shown = read(client, record)  # second click
    assert PASSAGE in shown
    (source,) = {href for href, words in Links(shown).found if words == "A paper about the desert"}

    page = read(client, source)  # third click
    assert f"<blockquote>{PASSAGE}</blockquote>" in page
    assert "synthetic-115000" in source.partition("#")[2]
    assert 'id="synthetic-115000"' in page


def test_every_number_in_the_tables_of_a_report_is_a_link_that_works(client, published):
    assert 'class="num">' in published.html
    # a running table stands on the page that its heading leads to; shares are told beside the record they belong to
    page = re.sub(r'<table class="running">.*?</table>', "", published.html, flags=re.DOTALL)
    for cell in re.findall(r'<td class="num">(.*?)</td>', page, flags=re.DOTALL):
        said = re.sub(r"<.*?>", "", cell).strip()
        if re.search(r"\d", said) and "%" not in said:
            assert "<a " in cell, said
    inside = {href for href, _ in Links(published.html).found if href.startswith("/")}
    assert len(inside) > 10
    for href in sorted(inside):
        assert client.get(href.split("#")[0]).status_code == 200, href


def test_a_movement_leads_to_the_claim_that_documents_it_and_to_its_words(client, gap):
    tree = read(client, f"/findings/{gap.pk}/")
    assert "fifteen hundred of them" in tree
    (line,) = {href for href, words in Links(tree).found if href.startswith("/records/shipment/") and "version" in words
               and "synthetic-line-1" in read(client, href).split("<h1")[1].split("</h1>")[0]}  # fmt: skip
    assert "fifteen hundred of them" in read(client, line)


def test_a_finding_shows_its_text_its_formula_with_numbers_and_how_to_cite_it(client, gap):
    page = read(client, f"/findings/{gap.pk}/")
    for part in gap.sections:
        assert part["heading"] in page
        assert part["body"] in page
    assert "difference = reported - explained = 115,000 - 2,300 = 112,700 chips" in page
    assert f"line d-{gap.key[:12]}" in page
    assert "SYNTHETIC DATA" in page


def test_later_corrections_change_nothing_on_the_page_of_a_finding(client, gap):
    before = read(client, f"/findings/{gap.pk}/")
    Claim.objects.filter(slug="synthetic-115000").update(original_text="corrected", best=7)
    assert read(client, f"/findings/{gap.pk}/") == before


def test_a_record_shows_the_version_asked_for_and_leads_to_the_others(client, gap):
    claim = Claim.objects.get(slug="synthetic-115000")
    Claim.objects.filter(pk=claim.pk).update(original_text="corrected")
    now = read(client, f"/records/claim/{claim.pk}/")
    assert "<blockquote>corrected</blockquote>" in now
    (old,) = {href for href, words in Links(now).found if words == "show"}
    assert PASSAGE in read(client, old)
    assert gap.headline in now


def test_the_source_tells_where_the_archived_copy_can_be_checked(client, gap):
    claim = Claim.objects.get(slug="synthetic-115000")
    page = read(client, f"/records/claim/{claim.pk}/")
    assert "a" * 64 in page
    assert "SYNTHETIC" in page


def test_markup_in_a_record_stays_text(client, desert):
    evil = '<script>alert("x")</script>'
    claim = factories.claim(
        "evil", original_text=evil, note=evil, source=factories.source("evil", title=evil, publisher=evil)
    )
    page = client.get(f"/records/claim/{claim.pk}/").content.decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert 'href="javascript:' not in page


def test_the_pages_have_no_inline_style_or_script(client, published, gap):
    claim = Claim.objects.get(slug="synthetic-115000")
    run = published.run.key
    for address in (
        f"/findings/{gap.pk}/", f"/records/claim/{claim.pk}/", f"/cells/{run}/", f"/cells/{run}/country:MY/",
        f"/cells/{run}/country:MY/chip:synthetic-h/", f"/lines/{run}/",
    ):  # fmt: skip
        assert not re.search(r"<style|<script|style=|onclick=", client.get(address).content.decode()), address


@pytest.mark.parametrize(
    "address",
    [
        "/findings/999999/", "/records/claim/999999/", "/records/user/1/", "/records/claim/1/?known_at=yesterday",
        "/records/claim/1/?known_at=2999-01-01T00:00:00Z", "/cells/none/", "/lines/none/",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(client, address):
    assert client.get(address).status_code == 404


def test_where_the_api_is_closed_these_pages_are_too(client, gap, settings, admin_client):
    settings.API_ANONYMOUS_READ = False
    response = client.get(f"/findings/{gap.pk}/")
    assert response.status_code == 403
    assert PASSAGE not in response.content.decode()
    assert admin_client.get(f"/findings/{gap.pk}/").status_code == 200


def test_a_long_tree_is_shown_in_pages_without_script(client, desert):
    chip = Claim.objects.get(slug="synthetic-115000").chip
    for number in range(120):
        factories.shipment(f"synthetic-more-{number:03}", chip=chip, quantity=10, destination=desert)
    run = services.start_run("synthetic analyst", parameters=Parameters(records="synthetic"))
    services.finish_here(run.id)
    found = findings().get(run=run, check_code="GAP", counterpart="synthetic-115000")
    first = read(client, f"/findings/{found.pk}/")
    (after,) = {href for href, words in Links(first).found if words == "Next records"}
    rest = read(client, f"/findings/{found.pk}/{after}")
    names = {f"synthetic-more-{number:03}" for number in range(120)}
    shown = [set(re.findall(r"synthetic-more-\d{3}", page)) for page in (first, rest)]
    assert shown[0] | shown[1] == names
    assert shown[0] & shown[1] == set()
