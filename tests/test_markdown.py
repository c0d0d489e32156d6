"""Tables in Markdown."""

import pytest

from cnnviz.thesis import markdown


def test_a_table_has_a_head_a_rule_and_its_rows():
    lines = markdown.table(["", "kappa"], [["a", 0.5], ("b", "–")])
    assert lines == ["|  | kappa |", "|---|---|", "| a | 0.5 |", "| b | – |"]
    assert markdown.text(["n"], [[1]]) == "| n |\n|---|\n| 1 |\n"
    assert markdown.table(["n"], []) == ["| n |", "|---|"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells below 2 heads"):
        markdown.table(["a", "b"], [["alone"]])
