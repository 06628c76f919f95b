"""The score of two names, why, and the bands; how well all this does on the labelled set stands in test_accuracy."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.screening.matching import BANDS, Band, Bands, Index, Match, party


def best(asked: str, listed: str, country: str = "", listed_country: str = "", **more) -> Match | None:
    index = Index([party("listed", listed, more.pop("aliases", ()), listed_country, **more)])
    found = index.match([party("asked", asked, country=country)], least=0.0)[0]
    return found[0] if found else None


def score(*names: str, **more) -> float:
    found = best(*names, **more)
    return found.score if found else 0.0


def feature(match: Match | None, name: str):
    assert match is not None
    return next(feature for feature in match.features if feature.name == name)


def test_the_same_words_in_any_order_spacing_or_legal_form_are_a_match():
    for written in ("HUAWEI TECHNOLOGIES", "Technologies Huawei", "Hua Wei Technologies", "华为技术有限公司"):
        assert BANDS.of(score(written, "Huawei Technologies Co., Ltd.")) == Band.MATCH, written


def test_names_that_share_only_general_words_are_no_match():
    assert (
        BANDS.of(score("China Electronics Technology Group", "China Aerospace Technology Group")) == Band.NONE
    )


def test_a_rare_word_in_common_weighs_more_than_a_general_one():
    listed = [party(n, f"Synthetic{n} Trading") for n in range(100)] + [party("x", "Qoruvex Industries")]
    index = Index(listed)
    rare, general = index.match([party(0, "Qoruvex Logistics"), party(1, "Zubafine Trading")], least=0.0)
    assert rare[0].listed == "x"
    assert rare[0].score > BANDS.ask > max((match.score for match in general), default=0.0)


def test_other_numbers_and_places_tell_sister_institutes_apart():
    same = score("Synthetic Qoruvex 38th Research Institute", "Synthetic Qoruvex No. 38 Research Institute")
    other = best("Synthetic Qoruvex 54th Research Institute", "Synthetic Qoruvex No. 38 Research Institute")
    assert same > 0.95
    assert same - other.score > 0.2
    assert "38" in feature(other, "numbers").words
    assert (
        "jinan"
        in feature(
            best("National Supercomputing Center Jinan", "National Supercomputing Center Shenzhen"), "places"
        ).words
    )


def test_countries_move_a_score_and_say_so_while_an_unknown_one_does_not():
    unknown = best("Qoruvex Tradin", "Qoruvex Trading")
    agrees = best("Qoruvex Tradin", "Qoruvex Trading", "RU", "RU")
    differs = best("Qoruvex Tradin", "Qoruvex Trading", "RU", "US")
    assert differs.score < unknown.score <= agrees.score
    assert feature(unknown, "country").value is None
    assert feature(agrees, "country").words == "both in RU"
    assert feature(differs, "country").words == "RU and US"


def test_hong_kong_and_china_do_not_contradict_each_other():
    assert feature(best("Qoruvex", "Qoruvex", "HK", "CN"), "country").value == 1.0


def test_an_alias_ranks_like_the_name_and_a_weak_one_lower():
    plain = score("Qoruvex", "Zubafine Trading", aliases=["Qoruvex"])
    weak = score("Qoruvex", "Zubafine Trading", weak=["Qoruvex"])
    assert plain == 1.0
    assert BANDS.of(weak) == Band.ASK


def test_an_identifier_in_common_decides_whatever_the_names():
    index = Index([party("listed", "Zubafine Trading", identifiers=["772 440-4840"])])
    (found,) = index.match([party("asked", "Qoruvex", identifiers=["7724404840"])])
    assert found[0].band == Band.MATCH
    assert feature(found[0], "identifier").words == "the same identifier: 7724404840"


def test_an_abbreviation_is_for_a_person_to_judge():
    found = best("TSMC", "Taiwan Semiconductor Manufacturing Company")
    assert found.band == Band.ASK
    assert "initials" in feature(found, "abbreviation").words


def test_chinese_names_of_one_sound_in_other_characters_are_for_a_person():
    assert best("华为技术", "华威技术").band in (Band.ASK, Band.MATCH)
    assert best("花威", "华为").band == Band.ASK
    assert feature(best("花威", "华为"), "characters").words.startswith("read alike")


def test_the_effects_of_the_features_add_up_to_the_score():
    found = best("Qoruvex Tradin Limited", "Qoruvex Trading", "RU", "US")
    assert sum(feature.effect for feature in found.features) == pytest.approx(found.score, abs=0.001)


def test_every_feature_says_what_it_saw():
    found = best("Qoruvex Tradin", "Qoruvex Trading", "RU", "US")
    assert {feature.name for feature in found.features} >= {"spelling", "words", "contained", "country"}
    assert all(feature.words for feature in found.features)
    assert {"name", "value", "weight", "effect", "words"} == found.features[0].as_json().keys()


def test_bands_are_thresholds_in_one_place():
    strict = Bands(match=0.99, ask=0.95)
    index = Index([party("listed", "Qoruvex Trading")], bands=strict)
    assert index.match([party(0, "Qoruvex Tradin")]) == [[]]
    assert [strict.of(score) for score in (1.0, 0.96, 0.94)] == [Band.MATCH, Band.ASK, Band.NONE]
    with pytest.raises(dataclasses.FrozenInstanceError):
        strict.ask = 0.1


def test_an_empty_index_and_a_name_without_letters_find_nothing():
    assert Index([]).match([party(0, "Qoruvex")]) == [[]]
    nothing, found = Index([party("listed", "Qoruvex")]).match([party(0, "…!"), party(1, "Qoruvex")])
    assert nothing == []
    assert [match.listed for match in found] == ["listed"]


def test_answers_are_the_best_first_and_no_more_than_asked_for():
    index = Index([party(n, f"Qoruvex Trading {'Limited' * (n % 2)} {chr(97 + n)}x") for n in range(12)])
    (found,) = index.match([party(0, "Qoruvex Trading")], limit=4)
    assert len(found) == 4
    assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)


NAMES = st.text(alphabet="abcdefghij àé漢華д ", min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES)
def test_a_score_is_between_0_and_1_and_its_band_is_that_of_the_score(one, other):
    found = best(one, other)
    if found:
        assert 0 <= found.score <= 1
        assert found.band == BANDS.of(found.score)


@settings(max_examples=40, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=8))
def test_a_name_is_found_again_in_a_list_that_holds_it(listed):
    index = Index([party(n, name) for n, name in enumerate(listed)])
    found = index.match([party(n, name) for n, name in enumerate(listed)], limit=len(listed), least=0.0)
    for n, matches in enumerate(found):
        own = [match.score for match in matches if match.listed == n]
        assert not own or own[0] >= 0.5
