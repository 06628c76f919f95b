"""Files of lists: what is read from each format, and what is said of a file that cannot be used."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.screening.files import company, csl_csv, csl_row, ftm, sanction
from tracker.screening import lists
from tracker.screening.lists import parse

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "facts" / "samples"


def problem(data: bytes, **more) -> str:
    found = parse(data, **more)
    assert found.parties == ()
    return str(found.problems[0])


def test_the_csv_of_the_consolidated_list_gives_names_days_citation_and_places():
    row = csl_row(
        "Synthetic Qoruvex Ltd",
        alt_names="SQL Trading; Qoruvex (weak aka)",
        license_requirement="For all items subject to the EAR; see Footnote 4",
        ids="Registration ID, 91440300MA5, CN",
        end_date="2025-01-02",
    )
    (party,) = parse(csl_csv(row)).parties
    assert [(name.name, name.kind) for name in party.names] == [
        ("Synthetic Qoruvex Ltd", "primary"), ("SQL Trading", "alias"), ("Qoruvex", "weak"),
    ]  # fmt: skip
    assert (party.list_name, party.citation, party.footnote) == ("Entity List", "99 FR 1", "4")
    assert (party.listed_on, party.removed_on) == (date(2023, 10, 17), date(2025, 1, 2))
    assert (party.countries, party.cities) == (("CN",), ("Shenzhen",))
    assert party.identifiers == ("91440300MA5",)
    assert party.source_url == "https://example.org/list"


def test_persons_vessels_and_aircraft_are_passed_over_and_counted():
    found = parse(csl_csv(csl_row("A"), csl_row("B", type="Individual"), csl_row("C", type="Vessel")))
    assert [party.name for party in found.parties] == ["A"]
    assert found.passed_over == {"individual": 1, "vessel": 1}


def test_a_party_keeps_its_key_when_its_address_changes_and_another_country_is_another_party():
    def key(**given: str) -> str:
        return parse(csl_csv(csl_row("Synthetic", **given))).parties[0].key

    assert key() == key(addresses="2 Other Road, Shenzhen, CN", _id="other")
    assert key() != key(addresses="1 Synthetic Road, Dubai, AE")
    assert key(entity_number="12345") == "12345"


def test_the_json_of_the_list_gives_what_the_csv_gives():
    entry = {
        "id": "abc",
        "source": "Entity List (EL) - Bureau of Industry and Security",
        "entity_number": None,
        "type": None,
        "programs": [],
        "name": "Synthetic Qoruvex Ltd",
        "addresses": [
            {
                "address": "1 Synthetic Road",
                "city": "Shenzhen",
                "state": None,
                "postal_code": None,
                "country": "CN",
            }
        ],
        "alt_names": ["SQL Trading"],
        "federal_register_notice": "99 FR 1",
        "start_date": "2023-10-17",
        "license_requirement": "For all items subject to the EAR (See §744.11 of the EAR)",
        "source_list_url": "https://example.org/list",
        "ids": [{"type": "Registration ID", "number": "91440300MA5", "country": "CN"}],
    }
    row = csl_row("Synthetic Qoruvex Ltd", alt_names="SQL Trading", ids="Registration ID, 91440300MA5, CN")
    (from_csv,) = parse(csl_csv(row)).parties
    for document in ({"total": 1, "results": [entry]}, [entry]):
        (from_json,) = parse(json.dumps(document).encode()).parties
        assert from_json == from_csv


def test_follow_the_money_entities_come_with_the_days_of_their_sanctions():
    data = ftm(
        company(
            "a", "Synthetic One", alias=["One"], weakAlias=["S1"], jurisdiction=["ru"], innCode=["7704484400"]
        ),
        sanction(
            "s1",
            "a",
            listingDate=["2023-02-24"],
            authority=["Synthetic Office"],
            sourceUrl=["https://example.org/1"],
        ),
        sanction("s2", "a", startDate=["2022"], program=["SYN"]),
        company("b", "Synthetic Two") | {"target": False},
        {"id": "p", "schema": "Person", "properties": {}},
    )
    found = parse(data)
    (party,) = found.parties
    assert found.format == "ftm"
    assert found.passed_over == {"Person": 1, "not listed": 1}
    assert party.listed_on == date(2023, 2, 24)  # a year alone names no day
    assert party.removed_on is None
    assert party.countries == ("RU",)
    assert [name.kind for name in party.names] == ["primary", "alias", "weak"]
    assert (party.identifiers, party.programs) == (("7704484400",), ("SYN",))
    assert party.source_url == "https://example.org/1"


def test_a_listing_has_ended_only_when_every_mention_has():
    ended = sanction("s1", "a", startDate=["2020-01-01"], endDate=["2024-01-01"])
    standing = sanction("s2", "a", startDate=["2021-01-01"])
    assert parse(ftm(company("a", "One"), ended)).parties[0].removed_on == date(2024, 1, 1)
    assert parse(ftm(company("a", "One"), ended, standing)).parties[0].removed_on is None


HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"  \n ", "the file is empty"),
        (HTML, "this is a web page, not a list"),
        (b"<?xml version='1.0'?><list/>", "this is XML"),
        (b"PK\x03\x04rest", "packed or a document"),
        ("source,name".encode("utf-16"), "UTF-16"),
        (b"a\0b", "NUL byte"),
        (csl_csv(csl_row("Soci\u00e9t\u00e9")).decode().encode("latin-1"), "line 2: byte 0xe9 is not UTF-8"),
        (b"first,second\n1,2\n", "no known list begins like this"),
        (b'{"results": [{"name": "A"', "the file is cut off; fetch it again"),
        (b'{"count": 3}', "the JSON has no list of entries"),
        (b'{"total": 900, "results": [{"name": "A"}]}', "1 of 900 entries: it is one page of an answer"),
        (csl_csv(), "the file names no organization"),
        (csl_csv(csl_row("A", type="Individual")), "1 individual passed over"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_what_it_is_and_what_to_do(data, said):
    assert said in problem(data)


@pytest.mark.parametrize(
    ("row", "place", "said"),
    [
        ({"name": ""}, "line 3, name", "the entry has no name"),
        ({"start_date": "17.10.2023"}, "line 3, start_date: '17.10.2023'", "write a day as 2019-05-16"),
        ({"start_date": "2023-02-30"}, "line 3, start_date", "there is no such day"),
        ({"end_date": "2023-10-17"}, "line 3, end_date", "is not after the start"),
    ],
)
def test_a_bad_cell_is_told_with_line_column_value_and_mend_and_nothing_is_kept(row, place, said):
    told = problem(csl_csv(csl_row("Good"), csl_row("Bad") | row))
    assert told.startswith(place)
    assert said in told


def test_a_row_cut_off_and_an_open_quotation_are_told_by_their_line():
    whole = csl_csv(csl_row("A"), csl_row("B"))
    assert problem(whole[:-40]).startswith("line 3")
    assert "line 3: the row cannot be read" in problem(whole.rstrip()[: whole.rindex(b"1 Synthetic") + 5])


def test_a_missing_column_is_named():
    data = csl_csv(csl_row("A")).replace(b"alt_names", b"other_names")
    assert "no known list begins like this" in problem(data)
    assert "missing columns: alt_names" in problem(data, format="csl-csv")


def test_a_line_that_is_no_entity_is_told():
    good = ftm(company("a", "One"))
    assert problem(good + b'\n{"id": 3}').startswith("line 2: '{\"id\": 3}' the entity has no id")
    assert "line 2" in problem(good + b'\n{"id": "b", "sche')


def test_a_file_of_absurd_size_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(lists, "LARGEST_FILE", 100)
    assert "more than 100; split it" in problem(b"x" * 101)
    monkeypatch.undo()
    monkeypatch.setattr(lists, "MOST_PARTIES", 1)
    assert "more than 1 parties" in problem(csl_csv(csl_row("A"), csl_row("B")))


def test_problems_are_told_up_to_a_number():
    bad = [csl_row("", addresses=f"{n} Road") for n in range(lists.MOST_PROBLEMS + 50)]
    assert len(parse(csl_csv(*bad)).problems) <= lists.MOST_PROBLEMS + 1


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_a_sentence(data):
    found = parse(data)
    assert bool(found.parties) != bool(found.problems)
    assert all(str(told).rstrip().endswith((".", "?")) for told in found.problems)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "results",
                        "name",
                        "addresses",
                        "alt_names",
                        "ids",
                        "source",
                        "start_date",
                        "type",
                        "total",
                        "id",
                        "schema",
                        "properties",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_list_or_a_sentence(document):
    found = parse(json.dumps(document).encode())
    assert bool(found.parties) != bool(found.problems)


@pytest.mark.parametrize("name", ["addresses", "ids"])
@pytest.mark.parametrize("value", [True, 7, "text", {"number": 1}])
def test_a_value_where_a_list_belongs_is_named_with_its_entry(name, value):
    entry = {
        "name": "Synthetic party",
        "source": "Entity List (EL) - Bureau of Industry and Security",
        name: value,
    }
    (told,) = parse(json.dumps([entry]).encode()).problems
    assert str(told).startswith(f"line 1, {name}: ")
    assert str(told).endswith("this is no list of objects.")


needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="the samples of real files are not here")


@needs_samples
def test_the_older_csv_makes_one_party_of_its_rows():
    found = parse((SAMPLES / "bis_entity_list_legacy_csl_format.csv").read_bytes())
    assert [party.name for party in found.parties] == [
        "Fazel Khalil Construction Company", "Zurmat Construction Company offices",
    ]  # fmt: skip
    zurmat = found.parties[1]
    assert (zurmat.list_name, zurmat.citation, zurmat.listed_on) == (
        "Entity List",
        "77 FR 25055",
        date(2012, 4, 27),
    )
    assert len(zurmat.addresses) == 7
    assert "Kandahar" in zurmat.cities
    assert zurmat.countries == ("AF",)


@needs_samples
def test_the_header_of_today_is_the_one_we_read():
    header = (SAMPLES / "csl_consolidated_header_only.csv").read_text().strip()
    assert tuple(header.split(",")) == lists.HEADER


@needs_samples
def test_real_entities_of_follow_the_money_are_read():
    found = parse((SAMPLES / "noncommercial" / "opensanctions_entities.ftm.json").read_bytes())
    assert found.problems == ()
    assert len(found.parties) == 4
    assert all(party.countries for party in found.parties)
    assert any(party.listed_on for party in found.parties)
