"""Reported beside reproduced: verdicts, strict reading, deterministic output."""

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.thesis import comparison, comparison_text, number_tables
from cnnviz.thesis.number_tables import Reproduced
from cnnviz.thesis.printed_numbers import DIFFERS, MATCH, MISSING, WITHIN, verdict

FOLDER = Path(__file__).resolve().parents[1] / "thesis_tables"
REPORTED_PATHS = sorted((FOLDER / "reported").glob("*.csv"))
HEADER = "id,network,quantity,value,unit,page,tolerance,why\n"
ROWS = (
    "table_9_1.n1.parameters,n1,parameters,360,1,9,0,a count\n"
    "table_9_1.n1.accuracy,n1,accuracy,0.9971,1,9,0.0025,spread of the runs\n"
    "table_9_1.n2.accuracy,n2,accuracy,0.9764,1,9,0.0124,spread of the runs\n"
    "table_9_1.lowest,,lowest,>=0.97,1,9,0,a bound\n"
    'table_9_1.n2.spread,n2,spread,0.0110,1,9,0.0110,"extremes, of five"\n'
)
VALUES = [
    Reproduced("table_9_1.n1.parameters", 360, "1", "run a"),
    Reproduced("table_9_1.n1.accuracy", 0.99711789, "1", "run b | tail"),
    Reproduced("table_9_1.n2.accuracy", 0.9664123456, "1", "run b"),
    Reproduced("table_9_1.lowest", 0.9664123456, "1", "run b"),
]
REASONS = 'id,reason\ntable_9_1.*.spread,only one run here\ntable_9_1.lowest,"n2, that is"\n'


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def read_reported(folder, rows=ROWS, header=HEADER, name="table_9_1.csv"):
    return number_tables.read_reported([write(folder / name, header + rows)])


def read_reproduced(folder, values=VALUES):
    number_tables.write_reproduced(folder / "values.csv", values)
    return number_tables.read_reproduced([folder / "values.csv"])


def read_reasons(folder, text=REASONS):
    return number_tables.read_reasons(write(folder / "reasons.csv", text))


def compare(folder, rows=ROWS, values=VALUES, reasons=REASONS):
    return comparison.compare(
        read_reported(folder, rows), read_reproduced(folder, values), read_reasons(folder, reasons)
    )


@pytest.mark.parametrize(
    "reported, reproduced, tolerance, expected",
    [
        ("0.9971", "0.9971", "0", MATCH),
        ("0.9971", "0.99714999", "0", MATCH),
        # Halves go to the even digit.
        ("0.9972", "0.99715", "0", MATCH),
        ("0.9971", "0.99715", "0", DIFFERS),
        ("0.9970", "0.99705", "0", MATCH),
        ("0.9971", "0.99705", "0", DIFFERS),
        ("0.9971", "0.9970500000000001", "0", MATCH),
        # Trailing zeros are printed digits.
        ("0.9990", "0.9994", "0", DIFFERS),
        ("0.999", "0.9994", "0", MATCH),
        ("1.0000", "1.0", "0", MATCH),
        ("1.0000", "0.99995", "0", MATCH),
        ("1.0000", "0.99994", "0", DIFFERS),
        ("360", "360", "0", MATCH),
        ("360", "361", "0", DIFFERS),
        ("0.0002", "2e-04", "0", MATCH),
        ("-0.5", "-0.54", "0", MATCH),
        ("0", "-0.0", "0", MATCH),
        ("0", "1e308", "0", DIFFERS),
        # The end of the tolerance belongs to it, in decimal arithmetic.
        ("0.9971", "0.9946", "0.0025", WITHIN),
        ("0.9971", "0.99459999", "0.0025", DIFFERS),
        ("0.9971", "0.9996", "0.0025", WITHIN),
        ("0.9971", "0.9997", "0.0025", DIFFERS),
        # Bounds are kept by the unrounded value.
        (">=0.97", "0.97", "0", MATCH),
        (">=0.97", "1.0", "0", MATCH),
        (">=0.97", "0.9699999", "0", DIFFERS),
        (">=0.97", "0.96", "0.01", WITHIN),
        (">=0.97", "0.9599", "0.01", DIFFERS),
        ("<=3", "-7", "0", MATCH),
        ("<=3", "3.01", "0.01", WITHIN),
        ("<=3", "4", "0.01", DIFFERS),
        ("0.9971", "", "1", MISSING),
    ],
)
def test_verdict(reported, reproduced, tolerance, expected):
    assert verdict(reported, reproduced, tolerance) == expected


printed_numbers = st.decimals(min_value=-(10**8), max_value=10**8, places=4).map(
    lambda value: f"{value:f}"
)
tolerances = st.decimals(min_value=0, max_value=100, places=5)


@given(printed_numbers, st.sampled_from(["", ">=", "<="]))
def test_reported_equals_itself(number, bound):
    assert verdict(bound + number, number, "0") == MATCH


@given(printed_numbers, tolerances, st.decimals(-1, 1, places=6), st.sampled_from(["", ">=", "<="]))
def test_within_tolerance_never_differs(number, tolerance, share, bound):
    value = Decimal(number) + tolerance * share
    assert verdict(bound + number, f"{value:f}", f"{tolerance:f}") != DIFFERS


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_rounding_as_python_does(value, decimals):
    # Python's own half-even rounding of the same decimal text.
    printed = f"{round(Decimal(repr(value)), decimals):f}"
    assert verdict(printed, repr(value), "0") == MATCH


def test_compare(tmp_path):
    result = compare(tmp_path)
    assert list(result.columns) == [
        "id",
        "network",
        "quantity",
        "unit",
        "page",
        "reported",
        "reproduced",
        "difference",
        "verdict",
        "reason",
        "command",
    ]
    assert result["verdict"].tolist() == [MATCH, MATCH, WITHIN, DIFFERS, MISSING]
    assert result["reason"].tolist() == [
        "",
        "",
        "spread of the runs",
        "n2, that is",
        "only one run here",
    ]
    assert result["difference"].tolist() == [
        "0",
        "0.00001789",
        "-0.0099876544",
        "-0.0035876544",
        "",
    ]
    assert result["reported"].tolist()[-2:] == [">=0.97", "0.0110"]
    assert result["command"].tolist()[-2:] == ["run b", ""]


def test_missing_reasons_are_all_listed(tmp_path):
    result = compare(tmp_path, reasons="id,reason\n")
    assert comparison.lacking_reasons(result) == ["table_9_1.lowest", "table_9_1.n2.spread"]
    assert (result["reason"] == comparison.NO_REASON).sum() == 2


def test_nothing_reproduced(tmp_path):
    result = comparison.compare(
        read_reported(tmp_path),
        number_tables.read_reproduced([]),
        read_reasons(tmp_path, "id,reason\n*,not trained\n"),
    )
    assert set(result["verdict"]) == {MISSING}
    assert set(result["reason"]) == {"not trained"}
    assert "not reproducible here" in comparison_text.to_markdown(result)


@pytest.mark.parametrize(
    "reasons, expected",
    [
        ("*,a\ntable_9_1.*,b\n", "b"),
        ("table_9_1.*,b\n*,a\n", "b"),
        ("table_9_1.*.spread,c\ntable_9_1.*,b\n", "c"),
        ("table_9_1.n2.spread,d\ntable_9_1.n2.spread*,c\n", "d"),
        ("table_9_1.n2.spread*,c\ntable_9_1.n2.spread,d\n", "d"),
        ("table_9_1.n[12].spread,e\ntable_9_1.*,b\n", "e"),
    ],
)
def test_most_specific_reason_wins(tmp_path, reasons, expected):
    result = compare(tmp_path, reasons="id,reason\ntable_9_1.lowest,n2\n" + reasons)
    assert result["reason"].iloc[-1] == expected


def test_equally_specific_reasons(tmp_path):
    with pytest.raises(ValueError, match="equally well"):
        compare(
            tmp_path,
            reasons="id,reason\ntable_9_1.lowest,n2\n*.n2.spread,a\ntable_9*ad,b\ntabl*spread,c\n",
        )


@pytest.mark.parametrize(
    "values, reasons, message",
    [
        (
            [*VALUES, Reproduced("table_9_1.n9.accuracy", 1, "1", "run")],
            REASONS,
            r"values.csv, line 6: no reported number has the id 'table_9_1.n9.accuracy'",
        ),
        ([VALUES[0]._replace(unit="%")], REASONS, "line 2: .* is in '%' but .* '1'"),
        (
            VALUES,
            REASONS + "table_8*,typo\n",
            r"reasons.csv, line 4: 'table_8\*' fits no reported number",
        ),
    ],
)
def test_typo_guards(tmp_path, values, reasons, message):
    with pytest.raises(ValueError, match=message):
        compare(tmp_path, values=values, reasons=reasons)


ROW = "table_9_1.n1.parameters,n1,parameters,360,1,9,0,a count\n"


@pytest.mark.parametrize(
    "rows, message",
    [
        (ROW + ROW, "line 3: id 'table_9_1.n1.parameters' is already in .*line 2"),
        (ROW.replace("360", "4 644"), "line 2: value '4 644' is not a number"),
        (ROW.replace("360", "nan"), "value 'nan' is not a number"),
        (ROW.replace("360", "many"), "value 'many' is not a number"),
        (ROW.replace("360", "~360"), "value '~360' is not a number"),
        (ROW.replace("360", ""), "line 2: 'value' is empty"),
        (ROW.replace(",0,", ",-1,"), "tolerance '-1' is not"),
        (ROW.replace(",0,", ",inf,"), "tolerance 'inf' is not"),
        (ROW.replace(",9,", ",p. 9,"), "page 'p. 9' is not"),
        (ROW.replace("a count", " "), "'why' is empty"),
        (ROW.replace("a count", "a count, exact"), "line 2: 9 fields instead of 8"),
        (ROW.replace("a count", '"a count'), "mend the quotation marks"),
        (ROW.replace(".n1.", ".n2."), "instead of 'table_9_1.n1.parameters'"),
        (ROW.replace("table_9_1", "table_9_2"), "instead of 'table_9_1.n1"),
        (ROW.replace("n1", "n*"), "letters, digits"),
    ],
)
def test_reported_is_read_strictly(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message) as error:
        read_reported(tmp_path, rows)
    assert "table_9_1.csv" in str(error.value)


@pytest.mark.parametrize(
    "header",
    [
        "",
        HEADER.replace("quantity", "quantty"),
        HEADER.replace("id,network", "network,id"),
        HEADER.replace(",why", ""),
    ],
)
def test_misspelled_column(tmp_path, header):
    with pytest.raises(
        ValueError,
        match=r"table_9_1.csv, line 1: .* must be "
        "'id,network,quantity,value",
    ):
        read_reported(tmp_path, header=header)


def test_dot_in_file_name(tmp_path):
    with pytest.raises(ValueError, match="rename the file"):
        read_reported(tmp_path, name="table.9.csv")


def test_missing_and_foreign_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="write one with the header 'id,"):
        number_tables.read_reasons(tmp_path / "reasons.csv")
    (tmp_path / "reasons.csv").write_bytes(b"id,reason\n\xff,a\n")
    with pytest.raises(ValueError, match="byte 10 is not UTF-8"):
        number_tables.read_reasons(tmp_path / "reasons.csv")


def test_id_in_two_files(tmp_path):
    paths = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for path in paths:
        number_tables.write_reproduced(path, VALUES[:1])
    with pytest.raises(ValueError, match="two.csv, line 2: .* already in .*one.csv"):
        number_tables.read_reproduced(paths)


@pytest.mark.parametrize("value", ["nan", "inf", "", "0x1", "1e9999"])
def test_reproduced_value_must_be_finite(tmp_path, value):
    path = write(tmp_path / "values.csv", f"id,value,unit,command,note\nt.a,{value},1,run,\n")
    with pytest.raises(ValueError, match="line 2: .*value"):
        number_tables.read_reproduced([path])


@pytest.mark.parametrize(
    "rows, message",
    [
        ([VALUES[0]._replace(value=np.nan)], "value of 'table_9_1.n1.parameters' is nan"),
        ([VALUES[0]._replace(value=np.inf)], "only finite"),
        ([VALUES[0]._replace(command="")], "lacks id, unit or command"),
        ([VALUES[0], VALUES[0]], "given twice"),
    ],
)
def test_write_refuses(tmp_path, rows, message):
    path = write(tmp_path / "values.csv", "as before")
    with pytest.raises(ValueError, match=message):
        number_tables.write_reproduced(path, rows)
    assert path.read_text() == "as before"


@given(
    value=st.one_of(
        st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-(10**30), 10**30),
        st.booleans(),
    )
)
def test_written_values_come_back(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    number_tables.write_reproduced(path, [Reproduced("a", value, "1", "run, twice")])
    row = number_tables.read_reproduced([path]).iloc[0]
    assert (
        type(value)(float(row["value"]) if isinstance(value, float) else int(row["value"])) == value
    )
    assert row["command"] == "run, twice"


@pytest.mark.parametrize(
    "value, text",
    [
        (np.float64(0.1), "0.1"),
        (np.int32(360), "360"),
        (np.bool_(True), "1"),
        (False, "0"),
        (1e-5, "1e-05"),
        (np.float32(0.5), "0.5"),
    ],
)
def test_number_types(tmp_path, value, text):
    number_tables.write_reproduced(tmp_path / "v.csv", [Reproduced("a", value, "1", "r")])
    assert (tmp_path / "v.csv").read_text() == f"id,value,unit,command,note\na,{text},1,r,\n"


def test_tables_in_natural_order(tmp_path):
    paths = [
        write(tmp_path / f"table_4_{n}.csv", HEADER + f"table_4_{n}.a,,a,1,1,9,0,a count\n")
        for n in (10, 2)
    ]
    frame = number_tables.read_reported(paths)
    assert frame["id"].tolist() == ["table_4_2.a", "table_4_10.a"]
    assert frame.equals(number_tables.read_reported(reversed(paths)))


def test_markdown(tmp_path):
    text = comparison_text.to_markdown(compare(tmp_path))
    lines = text.splitlines()
    summary = lines.index(
        "|  | match | within tolerance | differs | not reproducible here | numbers |"
    )
    assert lines[summary + 2 : summary + 4] == [
        "| Table 9.1 | 2 | 1 | 1 | 1 | 5 |",
        "| all | 2 | 1 | 1 | 1 | 5 |",
    ]
    assert "| n1 | parameters | 1 | 9 | 360 | 360 | 0 | match |  | `run a` |" in lines
    assert (
        r"| n1 | accuracy | 1 | 9 | 0.9971 | 0.99712 | +0.00002 | match |  "
        r"| `run b \| tail` |" in lines
    )
    assert (
        "| n2 | accuracy | 1 | 9 | 0.9764 | 0.96641 | -0.00999 | "
        "within tolerance | [1] | `run b` |" in lines
    )
    assert "|  | lowest | 1 | 9 | ≥ 0.97 | 0.966 | -0.004 | differs | [2] | `run b` |" in lines
    assert "| n2 | spread | 1 | 9 | 0.0110 |  |  | not reproducible here | [3] |  |" in lines
    assert "[2] n2, that is" in lines
    assert text.endswith("\n") and not text.endswith("\n\n")


def test_markdown_shares_reasons_and_shows_no_negative_zero(tmp_path):
    result = compare(
        tmp_path,
        values=[VALUES[0], VALUES[1]._replace(value=0.9970999999), VALUES[2]._replace(value=0.98)],
        reasons="id,reason\n*,not made\n",
    )
    text = comparison_text.to_markdown(result)
    assert "| 0.9971 | 0.99710 | 0.00000 | match |" in text
    assert text.count("not made") == 1
    assert text.count("[2]") == 3  # two rows and the reason itself


def test_output_is_deterministic(tmp_path):
    first, second = compare(tmp_path), compare(tmp_path)
    assert comparison.to_csv(first) == comparison.to_csv(second)
    assert comparison_text.to_markdown(first) == comparison_text.to_markdown(second)
    shuffled = compare(tmp_path, values=VALUES[::-1])
    assert comparison.to_csv(first) == comparison.to_csv(shuffled)


def test_csv(tmp_path):
    result = compare(tmp_path)
    lines = comparison.to_csv(result).split("\n")
    assert len(lines) == 7 and lines[-1] == ""
    assert lines[1] == "table_9_1.n1.parameters,n1,parameters,1,9,360,360,0,match,,run a"
    assert next(csv.reader([lines[4]]))[9] == "n2, that is"


# The transcribed tables of this repository.


def test_all_reported_files_load():
    assert {path.stem for path in REPORTED_PATHS} >= {"table_5_1", "text_chapter_5"}
    assert len(number_tables.read_reported(REPORTED_PATHS)) >= 61


def test_repository_reasons_fit():
    reported = number_tables.read_reported(REPORTED_PATHS)
    reasons = number_tables.read_reasons(FOLDER / "reasons.csv")
    # Reproducing every number exactly leaves only typos to complain about.
    reproduced = reported.assign(value=reported["value"].str.lstrip("<>="), command="none", note="")
    result = comparison.compare(reported, reproduced, reasons)
    assert set(result["verdict"]) == {MATCH}


@pytest.fixture(scope="module")
def table_5_1():
    frame = number_tables.read_reported([FOLDER / "reported" / "table_5_1.csv"])
    assert set(frame["unit"]) == {"1"} and set(frame["page"]) == {"47"}
    return frame.set_index("id")


@pytest.mark.parametrize(
    "name, value",
    [
        ("c1.validation_accuracy_mean", "0.9971"),
        ("c1.validation_accuracy_above", "0.0011"),
        ("c1.validation_accuracy_below", "0.0025"),
        ("c3.validation_accuracy_below", "0.0040"),
        ("c4.validation_accuracy_mean", "0.9764"),
        ("c4.validation_accuracy_above", "0.0110"),
        ("c9.validation_accuracy_above", "0.0009"),
        ("d5.validation_accuracy_below", "0.0011"),
        ("d10.validation_accuracy_mean", "0.9990"),
        ("d20.parameters", "20626"),
    ],
)
def test_table_5_1_as_printed(table_5_1, name, value):
    assert table_5_1.loc[f"table_5_1.{name}", "value"] == value


def parameters(convolutions, poolings):
    """Parameters of a convolutional network, counted by hand."""
    first, later = 3 * 1 * 9 + 3, 3 * 3 * 9 + 3
    features = 3 * (32 // 2**poolings) ** 2
    return first + (convolutions - 1) * later + features * 6 + 6


def test_table_5_1_parameters(table_5_1):
    rows = table_5_1[table_5_1["quantity"] == "parameters"]
    counts = dict(zip(rows["network"], rows["value"].astype(int)))
    expected = {f"c{n}": parameters(n, n) for n in (1, 2, 3, 4)}
    expected["c9"] = parameters(9, 3)
    expected.update({f"d{n}": 1024 * n + n + 6 * n + 6 for n in (5, 10, 20)})
    assert counts == expected
    assert sum(counts.values()) == 43867


def test_table_5_1_tolerances(table_5_1):
    networks = table_5_1[table_5_1["network"] != ""]
    assert len(networks) == 8 * 4
    for network, rows in networks.groupby("network"):
        value = dict(zip(rows["quantity"], rows["value"].map(Decimal)))
        tolerance = dict(zip(rows["quantity"], rows["tolerance"].map(Decimal)))
        above, below = (value[f"validation_accuracy_{side}"] for side in ("above", "below"))
        assert tolerance["parameters"] == 0, network
        assert tolerance["validation_accuracy_mean"] == max(above, below), network
        assert value["validation_accuracy_mean"] + above <= 1, network
