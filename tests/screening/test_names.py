"""Names in any script become words that can be compared."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.screening import lists, matching, names
from tracker.screening.names import forms, initials


def read(written: str, country: str = "") -> str:
    return forms(written, country)[0].text


@pytest.mark.parametrize("module", [names, matching, lists])
def test_the_examples_in_the_documentation_hold(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Huawei Technologies Co., Ltd.", "huawei technology"),
        ("Robert Bosch Gesellschaft mit beschränkter Haftung", "robert bosch"),
        ("Leonardo S.p.A.", "leonardo"),
        ("Speedmatrix Sdn. Bhd.", "speedmatrix"),
        ("PT Indosat Tbk", "indosat"),
        ("有限公司", "youxian"),
        ("ООО «Ангстрем»", "angstrem"),
        ("Общество с ограниченной ответственностью «Ангстрем»", "angstrem"),
        ("주식회사 삼성전자", "samsung electronic"),
        ("株式会社東芝", "toshiba"),
        ("Limited", "limited"),
    ],
)
def test_a_legal_form_is_left_out_unless_it_is_all_there_is(written, expected):
    assert read(written) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("华为技术有限公司", "華為技術有限公司"),
        ("ＨＵＡＷＥＩ　Technologies", "Huawei Technologies"),
        ("Société Générale", "Societe Generale"),
        (
            "China Electronics Technology Group No. 38 Institute",
            "China Electronics Technology Group 38th Institute",
        ),
    ],
)
def test_two_writings_of_one_name_are_read_alike(one, other):
    assert read(one) == read(other)


def test_chang_is_read_as_firms_read_it():
    assert read("长江存储") == "changjiang memory"


def test_han_characters_of_a_japanese_name_are_read_as_japanese():
    assert read("三菱電機", "JP") == "mitsubishi electric"
    assert "mitsubishi" not in read("三菱電機", "CN")


def test_two_names_in_one_writing_are_each_read_alone_but_a_place_is_no_name():
    found = {form.text for form in forms("Hon Hai Precision Industry (Foxconn)")}
    assert {"hon hai precision industry", "foxconn"} <= found
    assert [form.text for form in forms("Semiconductor Manufacturing International (Shenzhen) Corp.")] == [
        "semiconductor manufacture international shenzhen"
    ]


def test_initials_count_inner_capitals_and_one_legal_word():
    assert "cxmt" in initials("ChangXin Memory Technologies, Inc.")
    assert "catl" in initials("Contemporary Amperex Technology Co., Limited")
    assert "tsmc" in initials("Taiwan Semiconductor Manufacturing Company")


@given(st.text(max_size=80))
def test_any_text_gives_words_of_plain_letters_and_digits(text):
    for form in forms(text):
        assert form.words
        assert all(word.isascii() and word.isalnum() and word == word.lower() for word in form.words)


@given(st.text(alphabet=st.characters(codec="ascii"), min_size=1, max_size=40))
def test_reading_a_reading_changes_nothing_but_what_it_leaves_out(text):
    for form in forms(text):
        again = forms(form.text)
        assert not again or set(again[0].words) <= set(form.words) | set(" ".join(form.words).split())
