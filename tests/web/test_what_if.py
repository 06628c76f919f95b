"""The public pages of what would be if the law were another."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tests import factories

pytestmark = pytest.mark.django_db

LIST, ONE = "/rules/what-if/", "/rules/what-if/2026-03-01-1/"


@pytest.fixture
def made():
    draft = factories.rule_draft("safe-act", title="Introduced, not law: a bill", source=factories.source())
    factories.chip("synthetic-chip")
    return factories.rule_comparison(
        "2026-03-01-1", after_draft=draft, before_day=None, after_day=None,
        found=factories.comparison(
            before=factories.Side("law"), after=factories.Side("draft:safe-act"),
            by_decision=(
                factories.flip("NO_LICENCE", "LICENCE: denial <of all>", 1000),
                factories.flip("UNKNOWN", "LICENCE", 0, uncounted=2),
            ),
        ),
    )  # fmt: skip


def text(client, address, status=200):
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def test_the_list_shows_finished_comparisons_of_real_records_and_all_drafts(client, made):
    factories.rule_comparison("synthetic-one", records="synthetic")
    factories.rule_comparison("waiting", status="queued", result={})
    page = text(client, LIST)
    assert f'href="{ONE}"' in page
    assert "draft:safe-act" in page
    assert "synthetic-one" not in page
    assert "waiting" not in page
    assert "Introduced, not law: a bill" in page
    assert 'href="/api/v1/rule-drafts/safe-act/"' in page
    assert f'href="{LIST}"' in text(client, "/rules/")


def test_the_list_stands_empty(client):
    page = text(client, LIST)
    assert "No comparison of the recorded shipments has been carried out yet" in page
    assert "No draft is recorded" in page


def test_a_comparison_shows_words_picture_tables_chips_digests_and_instant(client, made):
    page = text(client, ONE)
    assert "<h1>The law as it stands against draft safe-act</h1>" in page
    assert "<b>Introduced, not law: a bill</b>" in page
    assert "Of 5 lines judged, 2 come to another decision or policy." in page
    assert "2 lines from NO_LICENCE to LICENCE: denial &lt;of all&gt;: 1,000 (900 to 1,100) chips" in page
    assert "2 lines are in no sum of H100-equivalents" in page
    assert '<td class="num number">1,000<br><span class="soft ledger-note">900 to 1,100</span></td>' in page
    assert 'href="/chips/synthetic-chip/"' in page
    assert "3 smaller rows not shown" in page
    assert made.result["after_digest"] in page
    assert "2026-03-01 00:00:00 UTC" in page
    assert 'href="/api/v1/rule-comparisons/2026-03-01-1/"' in page
    assert "SYNTHETIC:" not in page
    assert "SYNTHETIC records" not in page


def test_lines_of_which_no_sum_is_known_are_not_shown_as_none(client, made):
    page = text(client, ONE)
    assert "2 lines from UNKNOWN to LICENCE: not known chips, not known H100-equivalents" in page
    assert '<td class="num number">0</td>' not in page
    assert "amount not known" in page


def test_the_picture_has_a_title_a_description_and_a_bar_for_each_row_with_a_sum(client, made):
    (drawn,) = re.findall(r"<svg.*?</svg>", text(client, ONE), flags=re.DOTALL)
    svg = ET.fromstring(drawn)
    space = {"s": "http://www.w3.org/2000/svg"}
    assert "the law as it stands against draft safe-act" in svg.find("s:title", space).text
    assert "NO_LICENCE to LICENCE: denial <of all>: 1,000 (900 to 1,100) H100-equivalents in 2 lines" in (
        svg.find("s:desc", space).text
    )
    assert len(svg.findall("s:rect[@class='flip']", space)) == 1
    assert len(svg.findall("s:line[@class='whisker']", space)) == 3


def test_where_nothing_flips_the_page_says_so_and_draws_nothing(client):
    found = factories.comparison(
        changed=0, chips=(), by_decision=(), by_chip=(), by_consignee=(), by_destination=()
    )
    factories.rule_comparison("2026-03-01-1", found=found)
    page = text(client, ONE)
    assert "<svg" not in page
    assert "Nothing flips: every line comes to the same decision" in page
    assert "No chip is of another level" in page


def test_synthetic_records_say_so_in_the_title_on_the_page_and_in_the_picture(client):
    factories.rule_comparison("2026-03-01-1", records="synthetic")
    page = text(client, ONE)
    assert "<title>SYNTHETIC: " in page
    assert "<h1>SYNTHETIC: " in page
    assert "SYNTHETIC records, made by a generator" in page
    (drawn,) = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert ">SYNTHETIC: " in drawn
    assert ">SYNTHETIC records<" in drawn


def test_who_asked_is_not_told(client, made):
    for address in (LIST, ONE):
        assert "synthetic analyst" not in text(client, address)


def test_what_is_not_finished_or_not_there_is_not_found(client):
    factories.rule_comparison("waiting", status="queued", result={})
    for key in ("waiting", "none"):
        text(client, f"/rules/what-if/{key}/", 404)


@pytest.mark.parametrize("address", [LIST, ONE])
def test_pages_have_nothing_inline_the_strict_policy_and_are_only_read(client, made, address):
    response = client.get(address)
    assert not re.search(r"<style|<script|style=|onclick=|javascript:", response.content.decode())
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "Not legal advice" in response.content.decode()
    assert client.post(address).status_code == 405


def test_the_list_takes_two_queries_however_much_there_is(client, made, django_assert_num_queries):
    for _ in range(3):
        factories.rule_comparison()
    with django_assert_num_queries(2):
        client.get(LIST)
