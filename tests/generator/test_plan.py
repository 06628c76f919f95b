"""The plan of a synthetic ledger: the same for a seed, honest but for what the truth names."""

from __future__ import annotations

import numpy as np
import pytest

from tests.generator.conftest import SETTINGS, Taken, take
from tracker.core.errors import BadInput
from tracker.generator import lines as moves
from tracker.generator.closing import KINDS
from tracker.generator.plan import Ledger, truth_text
from tracker.generator.tables import Settings
from tracker.generator.world import CHIPS, COUNTRIES, VENDORS


def leaks(taken: Taken, kind: str) -> list[dict]:
    return [leak for leak in taken.truth["leaks"] if leak["kind"] == kind]


def planted_lines(taken: Taken) -> set[str]:
    return {slug for leak in taken.truth["leaks"] for slug in leak["records"].get("shipment", [])}


def honest(taken: Taken) -> np.ndarray:
    planted = planted_lines(taken)
    return np.array([slug not in planted for slug in taken.columns["Shipment"]["reference"]])


def in_chips(taken: Taken) -> np.ndarray:
    return taken.column("Shipment", "quantity") * np.where(
        taken.column("Shipment", "unit") == "servers", 8, 1
    )


def organization(taken: Taken, area: str) -> int:
    return taken.columns["Organization"]["slug"].index(area.removeprefix("org:"))


def chip_of(taken: Taken, scope: str) -> int:
    return taken.columns["Chip"]["slug"].index(scope.removeprefix("chip:"))


# --- the same seed --------------------------------------------------------------------------------------------------


def test_the_same_seed_and_size_give_the_same_rows_and_the_same_truth_bytes(taken):
    again = take(SETTINGS)
    assert truth_text(again.truth) == truth_text(taken.truth)
    for model, columns in taken.columns.items():
        for name in columns:
            np.testing.assert_array_equal(
                taken.column(model, name), again.column(model, name), f"{model}.{name}"
            )


def test_another_seed_gives_other_quantities(taken):
    other = take(Settings(lines=2_000, seed=8))
    assert (other.column("Shipment", "quantity") != taken.column("Shipment", "quantity")).mean() > 0.5


def test_a_ledger_has_exactly_the_lines_asked_for_in_chunks(monkeypatch):
    monkeypatch.setattr(moves, "CHUNK", 700)
    ledger = Ledger(SETTINGS)
    counts = [table.count for table in ledger.tables() if table.model == "Shipment"]
    assert sum(counts) == 2_000
    assert len(counts) > 2
    assert max(counts) <= 700


# --- nothing to be confused with the world ----------------------------------------------------------------------------


def test_every_name_says_that_it_is_synthetic(taken):
    for model, columns in taken.columns.items():
        for name, start in (("slug", "synthetic-7-"), ("reference", "synthetic-7-"), ("name", "Synthetic ")):
            assert all(value.startswith(start) for value in columns.get(name, [])), f"{model}.{name}"
        assert all(value == "synthetic" for value in columns.get("verification", [])), model
        assert all(columns.get("is_synthetic", [])), model
    assert all(title.startswith("SYNTHETIC ledger, seed 7") for title in taken.columns["Source"]["title"])
    assert set(taken.columns["Source"]["kind"]) == {"synthetic"}


# --- honest lines -----------------------------------------------------------------------------------------------------


def test_a_few_operators_vendors_and_chips_take_most(taken):
    for name in ("consignee", "shipper", "chip"):
        counts = np.sort(np.bincount(taken.column("Shipment", name)[taken.column("Shipment", name) >= 0]))[
            ::-1
        ]
        used = counts[counts > 0]
        assert used[: max(1, len(used) // 5)].sum() > 0.4 * used.sum(), name


def test_no_line_arrives_before_it_left_and_none_moves_nothing(taken):
    shipped, received = taken.column("Shipment", "shipped_on"), taken.column("Shipment", "received_on")
    latest = taken.column("Shipment", "shipped_on_latest")
    assert (received[~np.isnat(received)] >= shipped[~np.isnat(received)]).all()
    assert (latest[~np.isnat(latest)] >= shipped[~np.isnat(latest)]).all()
    assert (taken.column("Shipment", "quantity") > 0).all()


def test_every_line_names_a_chip_or_a_family_and_never_both(taken):
    chip, family = taken.column("Shipment", "chip"), taken.column("Shipment", "family")
    assert ((chip >= 0) ^ (family >= 0)).all()


def test_an_honest_line_never_leaves_before_its_chip_first_shipped(taken):
    chip, shipped = taken.column("Shipment", "chip"), taken.column("Shipment", "shipped_on")
    first = taken.column("Chip", "first_shipped_on")[chip]
    assert (shipped >= first)[honest(taken) & (chip >= 0)].all()


def test_an_onward_line_carries_no_more_than_came_in_and_leaves_after_it_arrived(taken):
    onward, quantity = taken.column("Shipment", "onward_of"), taken.column("Shipment", "quantity")
    lines = onward >= 0
    before = onward[lines]
    assert lines.sum() > 100
    assert (quantity[lines] <= quantity[before]).all()
    assert (
        taken.column("Shipment", "shipped_on")[lines] > taken.column("Shipment", "received_on")[before]
    ).all()
    assert (taken.column("Shipment", "shipper")[lines] == taken.column("Shipment", "consignee")[before]).all()
    assert len(set(before)) == lines.sum(), "no goods are carried on twice"


def test_shipper_and_receiver_of_honest_lines_differ_within_their_stated_errors(taken):
    sent, got = (
        taken.column("Shipment", "quantity_by_shipper"),
        taken.column("Shipment", "quantity_by_receiver"),
    )
    sd = {"A": 0.01, "B": 0.03, "C": 0.10}
    relative = np.hypot(
        [sd[g] for g in taken.column("Shipment", "grade_by_shipper")],
        [sd[g] for g in taken.column("Shipment", "grade_by_receiver")],
    )
    both = honest(taken) & np.isfinite(sent) & np.isfinite(got)
    z = (sent - got)[both] / np.hypot(relative * sent, 0.6)[both]
    assert np.abs(z).max() < 2.6
    assert 0.3 < z.std() < 1.2, "there is noise, and not more than stated"
    assert (sent == got)[both & taken.column("Shipment", "is_exact")].all()


def test_full_errors_are_normal_and_as_large_as_stated():
    full = take(Settings(lines=6_000, seed=7, errors="full", leaks=0))
    sent, got = (full.column("Shipment", f"quantity_by_{end}") for end in ("shipper", "receiver"))
    sd = {"A": 0.01, "B": 0.03, "C": 0.10}
    spreads = [[sd[g] for g in full.column("Shipment", f"grade_by_{end}")] for end in ("shipper", "receiver")]
    first = full.column("Shipment", "onward_of") < 0  # what is sent on is also limited by what came in
    both = np.isfinite(sent) & np.isfinite(got) & ~full.column("Shipment", "is_exact") & (sent > 200) & first
    z = ((sent - got) / np.hypot(spreads[0] * sent, spreads[1] * got))[both]
    assert both.sum() > 500
    assert 0.85 < z.std() < 1.15
    assert np.abs(z).max() > 2.6


def test_controlled_chips_reach_watched_countries_only_under_a_licence_for_them(taken):
    world = taken.ledger.world
    chip, consignee = taken.column("Shipment", "chip"), taken.column("Shipment", "consignee")
    operator = consignee - world.first_operator
    watched = (operator >= 0) & world.watched[np.maximum(operator, 0)]
    controlled = watched & ((chip < 0) | world.controlled[np.maximum(chip, 0)])
    licence = taken.column("Shipment", "licence")
    assert (controlled & honest(taken)).sum() > 20
    assert (((licence >= 0) == controlled) | ~honest(taken)).all()
    under = (licence >= 0) & honest(taken)
    assert (taken.column("Licence", "consignee")[licence[under]] == consignee[under]).all()
    assert (taken.column("LicenceItem", "chip")[licence[under]] == chip[under]).all()


def book(taken: Taken, column: str, wanted: int, day: str, scope: str, scope_place: int) -> float:
    """Chips received by ``day``, added up from the rows alone."""
    received = taken.column("Shipment", "received_on")
    counts = (taken.column("Shipment", column) == wanted) & (received <= np.datetime64(day))
    counts &= taken.column("Shipment", "status") != "cancelled"
    inside = taken.column("Shipment", "chip") == scope_place
    if scope == "family":
        members = np.flatnonzero(taken.column("ChipFamilyMember", "family") == scope_place)
        inside = np.isin(taken.column("Shipment", "chip"), members) | (
            taken.column("Shipment", "family") == scope_place
        )
    return float(in_chips(taken)[counts & inside].sum())


def test_honest_claims_agree_with_the_lines_within_their_grade(taken):
    planted = {slug for leak in taken.truth["leaks"] for slug in leak["records"].get("claim", [])}
    sd = {"A": 0.01, "B": 0.03, "C": 0.10, "D": 0.25}
    rows = {name: taken.column("Claim", name) for name in taken.columns["Claim"]}
    checked = 0
    for i, slug in enumerate(rows["slug"]):
        if slug in planted or rows["status"][i] != "installed" or rows["echo_of"][i] >= 0:
            continue
        column, wanted = next(
            pair
            for pair in (
                ("consignee", rows["subject"][i]),
                ("destination", rows["data_center"][i]),
                ("destination_country", rows["destination_country"][i]),
            )
            if pair[1] != "" and (isinstance(pair[1], str) or pair[1] >= 0)
        )
        scope = "chip" if rows["chip"][i] >= 0 else "family"
        held = book(taken, column, wanted, str(rows["period_end"][i]), scope, int(rows[scope][i]))
        assert held >= 256
        assert not rows["low"][i] > held * 1.3
        assert not rows["high"][i] < held * 0.7
        if np.isfinite(rows["best"][i]):
            assert abs(rows["best"][i] - held) <= 1.96 * sd[rows["grade"][i]] * held + 1, slug
        checked += 1
    assert checked > 100


def test_echoes_repeat_an_earlier_claim_with_its_figure(taken):
    echo = taken.column("Claim", "echo_of")
    repeats = np.flatnonzero(echo >= 0)
    assert len(repeats) > 10
    published = taken.column("Source", "published_on")[taken.column("Claim", "source")]
    for name in ("best", "low", "high"):
        column = taken.column("Claim", name)
        np.testing.assert_array_equal(column[repeats], column[echo[repeats]])
    assert (published[repeats] > published[echo[repeats]]).all()


# --- the truth --------------------------------------------------------------------------------------------------------


def test_the_truth_has_every_kind_as_often_as_asked_and_its_records_exist(taken):
    own = [leak["kind"] for leak in taken.truth["leaks"] if not leak["follows_from"]]
    # one commodity goes to China, so its ratio is exceeded once
    assert {kind: own.count(kind) for kind in KINDS} == dict.fromkeys(KINDS, 3) | {"ratio exceeded": 1}
    models = {"shipment": "Shipment", "claim": "Claim", "licence": "Licence", "shipper": "Organization"}
    for leak in taken.truth["leaks"]:
        assert leak["units"] > 0
        for kind, slugs in leak["records"].items():
            assert slugs
            assert set(slugs) <= taken.slugs(models[kind]), leak["id"]


def test_planted_differences_and_early_dates_stand_in_the_rows(taken):
    rows = {slug: i for i, slug in enumerate(taken.columns["Shipment"]["reference"])}
    sent, got = (
        taken.column("Shipment", "quantity_by_shipper"),
        taken.column("Shipment", "quantity_by_receiver"),
    )
    for leak in leaks(taken, "shipper-receiver difference"):
        lot = [rows[slug] for slug in leak["records"]["shipment"]]
        assert (sent - got)[lot].sum() == leak["units"]
    for leak in leaks(taken, "date before first shipping"):
        (line,) = [rows[slug] for slug in leak["records"]["shipment"]]
        chip = taken.column("Shipment", "chip")[line]
        assert taken.column("Shipment", "shipped_on")[line] < taken.column("Chip", "first_shipped_on")[chip]
        assert taken.column("Shipment", "quantity")[line] == leak["units"]


def test_what_is_lost_from_a_closed_book_is_what_its_counts_lack(taken):
    """An honest count is what came in; after a loss it is less by the size in the truth, to the chip."""
    received, amount = taken.column("Shipment", "received_on"), in_chips(taken)
    chip, consignee = taken.column("Shipment", "chip"), taken.column("Shipment", "consignee")
    books = {
        (o, c)
        for o, c in zip(
            taken.columns["ClosedBook"]["organization"], taken.columns["ClosedBook"]["chip"], strict=True
        )
    }
    lost = {}
    for leak in (*leaks(taken, "loss in a closed book"), *leaks(taken, "steady loss")):
        lost[organization(taken, leak["area"]), chip_of(taken, leak["scope"])] = leak["units"]
    assert len(books) == 10
    assert len(lost) == 6
    assert lost.keys() < books
    rows = {name: taken.column("Claim", name) for name in ("subject", "chip", "best", "period_end", "grade")}
    for place, kind in books:
        mine = (rows["subject"] == place) & (rows["chip"] == kind)
        day = rows["period_end"][mine].max()
        (count,) = rows["best"][mine & (rows["period_end"] == day)]
        came = amount[(consignee == place) & (chip == kind) & (received <= day)].sum()
        assert came - count == pytest.approx(lost.get((place, kind), 0.0), abs=1)


def test_mirror_statistics_agree_but_for_the_planted_gaps(taken):
    gaps = {slug for leak in leaks(taken, "mirror gap") for slug in leak["records"]["claim"]}
    slugs, reporter = taken.column("Claim", "slug"), taken.column("Claim", "reporter")
    exporter, importer = np.flatnonzero(reporter == "exporter"), np.flatnonzero(reporter == "importer")
    best = taken.column("Claim", "best")
    for one, other in zip(exporter, importer, strict=True):
        for name in ("origin_country", "destination_country", "chip", "period_start"):
            assert taken.column("Claim", name)[one] == taken.column("Claim", name)[other]
        ratio = best[one] / (best[other] / 1.06)
        assert ratio == pytest.approx(1, abs=1e-6) or (slugs[one] in gaps and ratio > 1.3)
    assert len(gaps) == 6
    assert len(exporter) == 23


def test_a_planted_negative_balance_is_exactly_as_deep_as_the_truth_says(taken):
    chip, amount = taken.column("Shipment", "chip"), in_chips(taken)
    for leak in leaks(taken, "negative balance"):
        reseller, scope = organization(taken, leak["area"]), chip_of(taken, leak["scope"])
        came = amount[(taken.column("Shipment", "consignee") == reseller) & (chip == scope)].sum()
        went = amount[(taken.column("Shipment", "shipper") == reseller) & (chip == scope)].sum()
        assert went - came == leak["units"]
        assert VENDORS <= reseller < taken.ledger.world.first_operator


def test_planted_licence_breaches_are_exactly_as_large_as_the_truth_says(taken):
    licence, world = taken.column("Shipment", "licence"), taken.ledger.world
    under = (licence >= 0) & (taken.column("Shipment", "status") != "cancelled")
    shipped = np.bincount(licence[under], weights=in_chips(taken)[under], minlength=world.licensed.sum())
    over = np.maximum(0, shipped - taken.column("LicenceItem", "quantity"))
    names = taken.columns["Licence"]["reference"]
    assert {names[i]: over[i] for i in np.flatnonzero(over)} == {
        leak["records"]["licence"][0]: leak["units"] for leak in leaks(taken, "over licence")
    }
    rows = {slug: i for i, slug in enumerate(taken.columns["Shipment"]["reference"])}
    for leak in leaks(taken, "licence missing"):
        line = rows[leak["records"]["shipment"][0]]
        assert world.controlled[taken.column("Shipment", "chip")[line]]
        assert taken.column("Shipment", "destination_country")[line] in {"CN", "AE", "SA", "VN", "KZ"}
        assert licence[line] == -1


def test_only_the_planted_sites_lack_power_for_what_is_claimed_there(taken):
    site, chip = taken.column("Claim", "data_center"), taken.column("Claim", "chip")
    best, megawatts = taken.column("Claim", "best"), taken.column("SitePower", "megawatts")
    tdp = taken.column("ChipSpecification", "tdp_w")
    at = (site >= 0) & (chip >= 0) & np.isfinite(best)
    bare = best[at] * tdp[chip[at]] / 1e6 / megawatts[site[at]]
    sites = taken.columns["DataCenter"]["slug"]

    def named(chosen: np.ndarray) -> set[str]:
        return {f"site:{sites[i]}" for i in site[at][chosen]}

    assert named(bare > 1) == {leak["area"] for leak in leaks(taken, "power impossible")}
    assert named(bare * 0.5 > 1) == named(bare > 1), "too little even if the claim is twice too high"


def test_planted_claims_depart_from_the_lines_by_the_size_in_the_truth(taken):
    rows = {slug: i for i, slug in enumerate(taken.columns["Claim"]["slug"])}
    day = taken.truth["last_day"]
    for sign, kind in ((1, "claim above ledger"), (-1, "claim below ledger")):
        for leak in leaks(taken, kind):
            if leak["follows_from"]:
                continue
            (row,) = [rows[slug] for slug in leak["records"]["claim"]]
            held = book(
                taken,
                "consignee",
                organization(taken, leak["area"]),
                day,
                "chip",
                chip_of(taken, leak["scope"]),
            )
            assert sign * (taken.column("Claim", "best")[row] - held) == leak["units"]


def test_no_other_claim_is_made_of_a_planted_conflict(taken):
    subject, chip = taken.column("Claim", "subject"), taken.column("Claim", "chip")
    for leak in leaks(taken, "conflict of claims"):
        about = (
            (subject == organization(taken, leak["area"]))
            & (chip == chip_of(taken, leak["scope"]))
            & (taken.column("Claim", "echo_of") < 0)
        )
        assert set(np.array(taken.columns["Claim"]["slug"])[about]) == set(leak["records"]["claim"])


def test_a_ledger_without_leaks_has_an_empty_truth():
    empty = take(Settings(lines=2_000, seed=7, leaks=0))
    assert empty.truth["leaks"] == []
    assert len(empty.columns["Shipment"]["reference"]) == 2_000


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lines": 10}, "lines is 10; give a whole number from 1,000 to 50,000,000"),
        ({"lines": 2_000, "seed": -1}, "seed is -1"),
        ({"lines": 2_000, "months": 13}, "multiple of 3"),
        ({"lines": 2_000, "months": 48}, "months is 48; give a whole number from 12 to 36"),
        ({"lines": 2_000, "organizations": 300}, "too few for 300 organizations"),
        ({"lines": 2_000, "organizations": 40, "leaks": 3}, "at least 60 organizations"),
        ({"lines": 20_000, "leaks": 61}, "leaks is 61"),
        ({"lines": 2_000, "errors": "none"}, "errors is .none."),
        ({"lines": 2_000, "sizes": (1.0, 13.0)}, "up to 12"),
    ],
)
def test_bad_parameters_are_refused_with_what_to_give_instead(wrong, words):
    with pytest.raises(BadInput, match=words):
        Settings(**wrong)


def test_a_ledger_too_small_for_its_leaks_says_so():
    with pytest.raises(BadInput, match="give more lines"):
        take(Settings(lines=2_000, organizations=200, leaks=10))


@pytest.mark.parametrize("months", [12, 36])
@pytest.mark.parametrize("lines", [1_000, 51_000])
def test_every_length_and_size_can_be_planned(lines, months):
    made = take(Settings(lines=lines, months=months, leaks=1, organizations=60))
    assert len(made.columns["Shipment"]["reference"]) == lines
    assert len(set(made.columns["Shipment"]["reference"])) == lines
    assert made.truth["leaks"]


def test_all_countries_are_known_and_all_chips_have_a_launch(taken):
    assert set(taken.columns["Shipment"]["destination_country"]) <= set(COUNTRIES)
    assert len(taken.column("Chip", "first_shipped_on")) == CHIPS
