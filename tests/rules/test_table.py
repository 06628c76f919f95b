"""Tables of chips: how headers and cells are read, what a row is answered, and what no text may ever do."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.conftest import documents, groups
from tracker.core.errors import BadInput
from tracker.core.interval import Interval
from tracker.rules import cells, table
from tracker.rules.answers import Answer, DailyLaw, Vendor, answer, safe
from tracker.rules.cells import Refused
from tracker.rules.schema import rule_files

LAW = DailyLaw(rule_files(documents(), groups()).book)
TODAY = date(2025, 6, 1)
VENDORS = table.vendor_names(
    [
        (Vendor("nvidia", "NVIDIA Corporation", "US"), ["Nvidia"]),
        (Vendor("amd", "Advanced Micro Devices, Inc.", "US"), ["AMD"]),
        (Vendor("intel", "Intel Corporation", "US"), ["Habana"]),
        (Vendor("huawei", "Huawei Technologies", "CN"), ["华为"]),
    ]
)


def told(day: date = TODAY, **row: str) -> Answer:
    columns = table.layout(list(row))
    return answer(table.read_row(list(row.values()), columns, VENDORS), LAW, day)


def spec(**row: str):
    return table.read_row(list(row.values()), table.layout(list(row)), VENDORS).spec


# --- cells ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4800", 4800), ("4,800", 4800), ("4 800", 4800), ("4\u00a0800.5", 4800.5), ("4'800", 4800), ("4.8e3", 4800),
        ("1,234,567", 1234567), ("814 mm2", 814), ("814mm²", 814), ("8.14 cm2", 814), (".5", 0.5), ("", None), (" n/a ", None),
        ("—", None), ("?", None), ("Unknown", None), ("4700-4900", (4700, 4900)), ("4700 – 4900", (4700, 4900)),
        ("4700..4900", (4700, 4900)), ("4,700 to 4,900", (4700, 4900)), (">=4800", (4800, math.inf)),
        ("≥ 4800", (4800, math.inf)),
        ("4800+", (4800, math.inf)), ("at least 4800", (4800, math.inf)), ("<=600", (0, 600)), ("up to 600", (0, 600)),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(text, value):
    expected = Interval(*map(float, value)) if isinstance(value, tuple) else value
    assert cells.number(text, cells.AREA) == expected


def test_a_limit_that_excludes_its_value_keeps_it_outside():
    assert cells.number("<4800", {}).high < 4800 < cells.number(">4800", {}).low


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("~4800", "write a range such as 4700-4900"), ("about 4800", "approximate"), ("-5", "is negative"),
        ("4,8", "more than one way"),
        ("4.800,5", "more than one way"), ("4900-4700", "smaller number first"), ("814 nm", "'nm' after its digits"),
        ("50%", "'%' after its digits"), ("five", "no number"), ("inf", "no number"), ("1e99", "too large"),
        ("1,000 000", "two ways"),
        ("9" * 70, "70 characters"), ("<0", "less than zero"), ("2x", "'x' after its digits"), ("=1+1", "no number"),
    ],
)  # fmt: skip
def test_what_may_mean_several_things_is_refused_with_the_mend(text, mend):
    with pytest.raises(Refused) as refused:
        cells.number(text, cells.AREA)
    assert mend in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3.35 TB/s", 3350), ("600 GB/s", 600), ("600GBps", 600), ("900000 MB/s", 900), ("3.35-4.8 TB/s", (3350, 4800))],
)  # fmt: skip
def test_transfer_rates_carry_their_units(text, value):
    expected = Interval(*map(float, value)) if isinstance(value, tuple) else value
    assert cells.number(text, cells.BANDWIDTH) == expected


@pytest.mark.parametrize("text", ["600 Gb/s", "600 gb/s", "600 Gbit/s", "600 Gbps"])
def test_bits_are_never_taken_for_bytes(text):
    with pytest.raises(Refused, match="may mean bits"):
        cells.number(text, cells.BANDWIDTH)


def test_a_zero_area_is_refused_and_a_zero_performance_is_not():
    with pytest.raises(table.Unreadable, match="cannot be zero; leave the cell blank"):
        spec(tpp="1", die_area_mm2="0")
    assert spec(tpp="0").tpp_published == 0


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2023-11-17", ("2023-11-17", "2023-11-17")), ("2023/11/17", ("2023-11-17", "2023-11-17")),
        ("17 Nov 2023", ("2023-11-17", "2023-11-17")), ("November 17, 2023", ("2023-11-17", "2023-11-17")),
        ("17-Nov-2023", ("2023-11-17", "2023-11-17")), ("20231117", ("2023-11-17", "2023-11-17")),
        ("2023-11-17 00:00:00", ("2023-11-17", "2023-11-17")), ("2024-02", ("2024-02-01", "2024-02-29")),
        ("Dec 2023", ("2023-12-01", "2023-12-31")), ("2023", ("2023-01-01", "2023-12-31")),
    ],
)  # fmt: skip
def test_a_day_is_read_as_people_write_it(text, days):
    assert cells.days(text) == tuple(map(date.fromisoformat, days))


@pytest.mark.parametrize(
    "text",
    ["11/17/2023", "05.06.2023", "2023-02-30", "2023-13", "2023-00-10", "1023-01-01", "soon", "17 2023"],
)
def test_a_day_that_is_none_or_two_is_refused(text):
    with pytest.raises(Refused):
        cells.days(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("IC", "ic"), ("package", "ic"), ("GPU", "ic"), ("PCIe", "card"), ("PCIe Gen5", "card"),
        ("SXM5", "board"), ("OAM", "board"),
        ("Baseboard", "board"), ("server", "system"), ("Rack", "system"), ("hbm", "stack"),
        ("5A992", "5A992"), ("5a992.c", "5A992"),
        ("3A090.a", "ic"), ("4A090.a", "card"), ("", ""), ("n/a", ""),
    ],
)  # fmt: skip
def test_the_form_of_an_item_is_read_by_its_usual_words(text, form):
    assert cells.form(text) == form


def test_a_form_or_a_flag_nobody_knows_is_refused_with_the_choices():
    with pytest.raises(Refused, match="write ic, card, board, system, hbm"):
        cells.form("thing")
    with pytest.raises(Refused, match="write yes or no"):
        cells.yes_no("maybe")
    assert [cells.yes_no(text) for text in ("Yes", "1", "x", "TRUE", "no", "0", "f", "", "?")] == [
        True
    ] * 4 + [False] * 3 + [None] * 2


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("HBM3E", True), ("SK hynix HBM3E 12-high", True), ("16GB HBM2E", True),
        ("H100 80GB HBM3", False), ("MI300X HBM3", False), ("H20", False),
    ],
)  # fmt: skip
def test_memory_is_told_from_a_chip_with_such_memory_by_its_name(name, memory):
    assert cells.names_memory(name) is memory


# --- headers -------------------------------------------------------------------------------------------------------------


def test_headers_are_read_in_any_case_with_units_and_signs():
    columns = table.layout(
        [
            "Chip",
            "TPP",
            "Die area (mm²)",
            "Data-Center",
            "Memory bandwidth (TB/s)",
            "I/O bandwidth (GB/s)",
            "Notes",
        ]
    )
    assert {field: scale for _, field, scale in columns.fields} == {
        "chip": 1, "tpp": 1, "die_area_mm2": 1, "datacenter": 1, "memory_bandwidth_gbs": 1000, "io_bandwidth_gbs": 1,
    }  # fmt: skip
    assert any(
        "not in the file, and taken as blank: item_form, vendor, date" in note for note in columns.notes
    )


@pytest.mark.parametrize(
    ("header", "field", "factor"),
    [
        ("fp8", "fp8_tflops", 1), ("int8", "int8_tops", 1), ("bf16_tflops_dense", "bf16_tflops", 1),
        ("tops_int8", "int8_tops", 1),
        ("FP16/BF16 Tensor TFLOPS", "fp16_tflops", 1), ("fp4_pflops", "fp4_tflops", 1000), ("nvfp4 dense", "fp4_tflops", 1),
    ],
)  # fmt: skip
def test_rates_are_read_by_their_format(header, field, factor):
    assert table.rate_column(table.plain_header(header)) == (field, Decimal(factor))


@pytest.mark.parametrize(
    "header", ["fp8_sparse", "fp8_tflops_with_sparsity", "fp8_fp16_tflops", "int8_price", "reason", "half"]
)
def test_rates_that_are_not_dense_or_not_of_one_format_are_not_read(header):
    assert table.rate_column(table.plain_header(header)) is None


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["chip", "TPP", "tpp "], "'TPP', 'tpp ' would all be read as tpp"),
        (["fp8", "FP8"], "'FP8' stands twice"),
        (["die size", "die area", "tpp"], "would all be read as die_area_mm2"),
        (["chip", "vendor"], "no column tells what a chip can do"),
        (["chip", "mac_tops"], "mac_tops needs bit_length"),
        (["chip", "tpp", "Level"], "column 'Level' is there already.*--overwrite-columns"),
        (["tpp", "Licence to CN"], "--overwrite-columns"),
    ],
)
def test_a_header_with_two_readings_or_none_is_refused(header, message):
    with pytest.raises(BadInput, match=message):
        table.layout(header)


def test_of_two_names_for_a_column_the_usual_one_is_read_and_the_other_carried_through():
    columns = table.layout(["die_size", "die_area_mm2", "tpp"])
    assert (1, "die_area_mm2", 1) in columns.fields
    assert columns.out_header == ["die_size", "die_area_mm2", "tpp", *table.ADDED]
    assert table.layout(["tpp", "reason", "x"], overwrite=True).out_header == ["tpp", "x", *table.ADDED]


# --- rows ----------------------------------------------------------------------------------------------------------------


def test_all_wrong_cells_of_a_row_are_told_at_once():
    with pytest.raises(table.Unreadable) as refused:
        spec(tpp="x", die_area_mm2="-1", datacenter="maybe", date="soon")
    assert [wrong.column for wrong in refused.value.wrong] == ["tpp", "die_area_mm2", "datacenter", "date"]


def test_a_row_with_more_cells_than_columns_is_refused_and_a_short_one_is_filled():
    columns = table.layout(["chip", "tpp", "vendor"])
    with pytest.raises(table.Unreadable, match="4 cells and the header 3"):
        table.read_row(["x", "4", "800", "nvidia"], columns, VENDORS)
    assert table.read_row(["x", "4800"], columns, VENDORS).spec.tpp_published == 4800


def test_a_given_tpp_counts_before_the_rates_and_the_other_figure_is_told():
    answered = told(tpp="4700", fp8="612.5", die_area_mm2="900", datacenter="yes")
    assert answered.level == "b"
    assert (
        "But the rates on the sheet: TPP 4,900.0 = 612.5 dense fp8 TOPS x 8 bits: level a instead of b"
        in answered.reason
    )
    assert "But " not in told(tpp="4900", fp8="612.5", die_area_mm2="900", datacenter="yes").reason


def test_a_printed_tpp_stands_behind_the_rates():
    answered = told(tpp_published="1677.76", fp16="839", die_area_mm2="1280", datacenter="yes")
    assert answered.level == "a"
    assert "level none instead of a" in answered.reason


def test_of_several_columns_for_one_format_the_highest_counts():
    assert spec(fp16_tflops="83", fp16_tensor_tflops="330").fp16_tflops == 330


def test_multiply_accumulates_count_twice_by_their_bits():
    answered = told(mac_tops="989.5", bit_length="8", datacenter="yes")
    assert answered.level == "a"
    assert "TPP 15,832 = 2 x 989.5 MacTOPS x 8 bits" in answered.reason
    with pytest.raises(table.Unreadable, match="give the bit length"):
        told(mac_tops="989.5", bit_length="")
    with pytest.raises(table.Unreadable, match="no bit length"):
        told(mac_tops="989.5", bit_length="8-16")


def test_single_precision_alone_is_a_lower_limit():
    assert told(fp32="104.8", die_area_mm2="750", datacenter="no").level == "undetermined"
    assert told(fp32="150", die_area_mm2="750", datacenter="no").level == "a"


def test_the_reason_tells_figure_margin_paragraph_rule_and_citation():
    answered = told(
        tpp="2368", die_area_mm2="814", datacenter="yes", memory_bandwidth_gbs="4000", io_bandwidth_gbs="900"
    )
    assert answered.level == "none"
    for part in (
        "3A090.b.1 fails: tpp >= 2400 (2,368, margin -32)",
        "US-3A090-2023, 88 FR 73458",
        "Performance density 2.9090909 TPP/mm2 = 2,368 / 814",
        "No vendor given, so no letter is read: US-LETTER-2025-04",
        "names such a chip of nvidia, amd, intel",
        "No vendor given: read as designed in the US",
        "No date given: 2025-06-01",
    ):
        assert part in answered.reason


def test_a_range_over_a_threshold_is_named_with_its_column():
    answered = told(tpp="2500", die_area_mm2="400-800", datacenter="yes", date="2024-06-01")
    assert answered.level == "undetermined"
    assert "not known: die_area_mm2 (given as 400 to 800, which spans the threshold)" in answered.reason
    assert told(tpp="2500", die_area_mm2="600-800", datacenter="yes", date="2024-06-01").level == "b"


def test_a_bandwidth_that_a_letter_asks_for_is_named():
    answered = told(tpp="1000", vendor="Habana Labs", die_area_mm2="800", datacenter="yes")
    assert answered.level == "undetermined"
    assert "letter to its vendor may name it: US-LETTER-2025-04" in answered.reason
    assert "not known: io_bandwidth_gbs, memory_bandwidth_gbs" in answered.reason


def test_days_on_which_the_law_differs_leave_the_answer_open_and_are_told():
    answered = told(tpp="4800", datacenter="yes", io_bandwidth_gbs="600", date="2023-11", item_form="ic")
    assert (answered.level, answered.eccn, answered.licence) == ("undetermined", "", "LICENCE")
    assert "2022 (3A090), LICENCE from 2023-11-01; a (3A090.a), LICENCE from 2023-11-17" in answered.reason
    assert "The same on every day from 2024-05-01 to 2024-05-31" in told(tpp="4800", date="2024-05").reason


def test_the_review_policy_of_2026_is_told():
    assert (
        "case-by-case"
        in told(tpp="15832", datacenter="yes", memory_bandwidth_gbs="4800", date="2026-02-01").reason
    )
    beyond = told(tpp="21000", datacenter="yes", memory_bandwidth_gbs="4800", date="2026-02-01").reason
    assert "presumption of denial" in beyond
    assert "case-by-case" not in beyond


def test_headquarters_that_are_not_known_never_free_a_chip_from_a_licence():
    given = {
        "die_area_mm2": "608",
        "datacenter": "yes",
        "vendor": "Synthetic Chips Ltd",
        "date": "2025-06-01",
    }
    assert told(tpp="4800", **given).licence == "LICENCE"
    assert told(tpp="2896", **given).licence == "UNKNOWN"
    assert told(tpp="2896", **given | {"vendor": "huawei"}).licence == "HUMAN_REVIEW"
    assert told(tpp="2896", **given | {"date": "2025-05-12"}).licence == "NAC"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "a\nb\x07c\u2028d"])
def test_added_cells_are_one_line_and_no_formula(text):
    assert safe(text)[0] not in "=+-@"
    assert "\n" not in safe(text)
    assert "\u2028" not in safe(text)


def test_the_same_row_is_answered_in_the_same_words():
    row = {"tpp": "1000", "vendor": "amd", "datacenter": "yes", "fp8": "300", "die_area_mm2": "400"}
    assert told(**row) == told(**row)


def test_semicolons_and_tabs_are_found_and_quotes_are_respected():
    for mark in (",", ";", "\t"):
        lines = [
            mark.join(["chip", "tpp", "note"]) + "\r\n",
            mark.join(["x", "4800", f'"a{mark}\nb"']) + "\r\n",
        ]
        assert [row for _, row in table.records(lines, "t.csv")][1] == ["x", "4800", f"a{mark}\nb"]


# --- whatever a file may hold --------------------------------------------------------------------------------------------

LEVELS = {"a", "b", "c", "2022", "letter", "none", "undetermined"}
LICENCES = {"LICENCE", "NAC", "ACA", "NO_LICENCE", "UNKNOWN", "HUMAN_REVIEW"}
FULL = [
    "chip",
    "tpp",
    "fp8",
    "die_area_mm2",
    "datacenter",
    "memory_bandwidth_gbs",
    "io_bandwidth_gbs",
    "item_form",
    "vendor",
    "date",
]
figures = st.one_of(
    st.just(""),
    st.floats(min_value=0.1, max_value=20000).map(lambda number: f"{number:.4g}"),
    st.integers(1, 5000).map(lambda number: f">={number}"),
    st.integers(1, 5000).map(lambda number: f"{number}-{number + 300}"),
)
rows = st.tuples(
    st.sampled_from(["x", "HBM3", ""]), figures, figures, figures, st.sampled_from(["yes", "no", ""]), figures, figures,
    st.sampled_from(["", "ic", "card", "hbm", "5A992"]), st.sampled_from(["", "nvidia", "huawei", "who"]),
    st.sampled_from(["", "2022-09-01", "2023-11", "2024-06-01", "2025-06-01", "2026-11"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(rows, max_size=4))
def test_every_row_is_answered_in_its_order_with_known_words(found):
    tally = table.Tally()
    columns = table.layout(FULL)
    answered = list(
        table.classified(
            map(list, found), columns, LAW, VENDORS, TODAY, tally, lambda *_: pytest.fail("unreadable")
        )
    )
    assert [tuple(row[: len(FULL)]) for row in answered] == found
    assert tally.rows == len(found)
    for row in answered:
        level, _, licence, reason = row[len(FULL) :]
        assert level in LEVELS
        assert licence in LICENCES
        assert reason.endswith(".")
        assert "\n" not in reason
        if level == "undetermined":
            assert "not known" in reason.casefold()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=12), max_size=3))
def test_no_text_in_a_cell_breaks_the_reading(found):
    told = []
    columns = table.layout(FULL)
    answered = list(
        table.classified(
            found, columns, LAW, VENDORS, TODAY, table.Tally(), lambda number, _: told.append(number) or True
        )
    )
    assert len(answered) == len(found)
    for number in told:
        assert answered[number - 2][-1].startswith("Not read: ")
        assert answered[number - 2][-4:-1] == ["", "", ""]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_break_the_reading(lines):
    with suppress(BadInput):
        header, *_ = [row for _, row in table.records(table.text_lines(lines, "t.csv"), "t.csv")]
        table.layout(header)
