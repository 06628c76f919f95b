"""Sources made for the addresses that other records cite."""

import pytest

from tracker.models import Source
from tracker.sources.services import source_for_url, sources_for_urls

pytestmark = pytest.mark.django_db
ADDRESS = "https://www.ecfr.gov/current/title-15/part-774"


def test_an_address_becomes_one_source_however_often_it_is_cited():
    first = source_for_url(ADDRESS)
    assert source_for_url(ADDRESS) == first
    assert (first.url, first.publisher, first.kind, first.grade) == (ADDRESS, "ecfr.gov", "government", "A")
    assert Source.objects.count() == 1


def test_a_source_that_stands_is_left_as_it_is():
    standing = Source.objects.create(slug="ecfr-774", title="Commerce Control List", url=ADDRESS)
    assert source_for_url(ADDRESS, title="something else") == standing
    standing.refresh_from_db()
    assert standing.title == "Commerce Control List"


def test_a_document_named_in_words_has_no_address_and_memory_is_marked():
    dossier, memory = sources_for_urls(["third-party dossier", "from memory"]).values()
    by_title = {s.title: s for s in (dossier, memory)}
    assert by_title["third-party dossier"].url == ""
    assert by_title["from memory"].verification == "memory"
    assert sources_for_urls(["from memory"])["from memory"] == by_title["from memory"]


def test_two_addresses_that_begin_alike_have_two_slugs():
    long = "https://example.org/" + "a" * 200
    found = sources_for_urls([long + "/1", long + "/2"])
    assert len({source.slug for source in found.values()}) == 2


def test_many_addresses_cost_no_more_queries_than_one(django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        assert len(sources_for_urls(f"https://example.org/{i}" for i in range(50))) == 50
