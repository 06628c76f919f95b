"""What worked cases of networks may leave out or write in another way."""

from __future__ import annotations

import pytest

from tracker.core.errors import BadInput
from tracker.reconciliation.books import Parameters
from tracker.reconciliation.explain import forbidden_words
from tracker.reconciliation.network_cases import network_case

STREAMS = [
    {"id": "in", "from": "env", "to": "n", "value": 100, "sd": 3},
    {"id": "out", "from": "n", "to": "env", "value": 90, "sd": 4},
]


def case(**given):
    return network_case({"streams": STREAMS, **given}, Parameters(), {})


def with_figure(**figure):
    return case(streams=[STREAMS[0], {"id": "out", "from": "n", **figure}])


def test_nodes_that_flows_enter_and_leave_are_implied():
    assert case() == case(nodes=["n"])
    assert case()["gamma"] == pytest.approx(4)


@pytest.mark.parametrize(
    "figure", [{"sd": 9}, {"rel": 0.1}, {"rr": 0.1}, {"var": 81}, {"sr": 9}, {"rel_sd": 0.1}, {"sigma": 9}]
)
def test_an_error_may_be_written_in_several_ways(figure):
    assert with_figure(value=90, **figure)["gamma"] == pytest.approx(100 / 90)


def test_a_value_without_an_error_is_a_constant_and_is_not_suspected():
    found = with_figure(value=90)
    assert found["reconciled"] == {"in": 90, "out": 90}
    assert list(found["glr"]) == list(found["z"]) == ["in"]
    assert found["sd"]["in"] == 0


def test_a_stream_without_a_value_is_unmeasured():
    found = with_figure()
    assert (found["observable"], found["unobservable"], found["dof"]) == (["out"], [], 0)
    assert found["chi2_crit"] is None
    assert "nothing to check against" in found["text"]


def test_a_spread_under_a_key_is_shared_by_half():
    streams = [{**row, "sd": 3, "key": "house"} for row in STREAMS]
    assert case(streams=streams)["gamma"] == pytest.approx(100 / 9)  # half of 9 + 9: the shared halves cancel


@pytest.mark.parametrize(
    "covariance",
    [[["in", "out", 6]], [{"a": "in", "b": "out", "rho": 0.5}], {"in": {"out": 6}}, [[9, 6], [6, 16]]],
)
def test_covariances_may_be_written_in_several_ways(covariance):
    assert case(covariance=covariance)["gamma"] == pytest.approx(100 / 13)


def test_a_one_sided_figure_counts_only_against_an_estimate_that_violates_it():
    roof = {"id": "roof", "terms": {"out": 1}, "at_most": 60, "grade": "A"}
    assert case(reports=[roof])["gamma"] > 100
    assert case(reports=[{**roof, "at_most": 200}])["gamma"] == pytest.approx(4)


def test_contradicting_constants_are_told():
    streams = [{key: value for key, value in row.items() if key != "sd"} for row in STREAMS]
    assert case(streams=streams)["contradictions"] == [
        {"nodes": ["n"], "streams": ["in", "out"], "amount": 10.0}
    ]


def test_the_explanation_blames_nobody():
    found = case(streams=[STREAMS[0], {**STREAMS[1], "value": 10}])
    assert "undecided" in found["text"]
    assert not forbidden_words(found["text"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"streams": [STREAMS[0], STREAMS[0]]}, "the same id"),
        ({"reports": [{"id": "r", "terms": {"in": 1}}]}, "'r' has no value"),
        ({"balances": [{"nowhere": 1}]}, "names the flow 'nowhere'"),
    ],
)
def test_a_malformed_network_is_refused(given, message):
    with pytest.raises(BadInput, match=message):
        case(**given)
