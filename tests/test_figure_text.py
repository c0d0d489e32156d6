"""Figures show names in any script, and with any sign, without a word of complaint."""

import unicodedata
import warnings

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib import text as plt_text

from cnnviz.experiments import shown_features
from cnnviz.thesis.figures import fonts, style, visualize

NAMES = [
    "नमस्ते.png",
    "眼底照片.tif",
    "😀.png",
    "صورة.png",
    "Ωμέγα_ß_Ж.png",
    "a\nb\tc\x07\r.png",
    "$x^{2.png",
    "$\\frac$",
    "a\\b\\",
    "%s {0} {",
    "&<>\"'.png",
    "\udcff\udc80.png",
    "\u200b\u202e\u2028\u00ad.png",
    "\ue000\uffff",
    "_begins",
    "n" * 255,
    "न" * 85,
    "﷽" * 85,
    "",
]


def drawn(text, tmp_path, suffixes=(".png", ".pdf")):
    """A figure with a text wherever figures have one, written without a warning."""
    figure = style.new(1)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=f"line {text}")
    axes.set_title(text, weight="bold")
    axes.set_xlabel(text)
    axes.set_xticks([0, 1], [text, "1"])
    axes.legend()
    figure.suptitle(text)
    figure.text(0, 0, text)
    style.note(axes, text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        style.save(figure, tmp_path / "figure", suffixes)
    assert all((tmp_path / f"figure{suffix}").stat().st_size for suffix in suffixes)
    return figure


def texts(figure):
    return {each.get_text() for each in figure.findobj(plt_text.Text)}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[1:20])
def test_any_name_can_be_drawn(name, tmp_path):
    figure = drawn(name, tmp_path)
    assert fonts.printable(name) in texts(figure)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[1:20])
def test_any_name_can_stand_in_a_title(name, tmp_path):
    picture = visualize.Picture(np.zeros((1, 1, 8, 9)), np.zeros(1), np.ones(1))
    neuron = shown_features.Neuron(0, (1, 1), 1.0, (0, 0, 3, 3))
    figure = visualize.draw_maps(
        f"{name}, layer {name}",
        picture,
        [neuron],
        np.random.RandomState(0).randn(1, 8, 9),
        "gradient",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        style.save(figure, tmp_path / "figure")
    title = figure.texts[0].get_window_extent()
    assert title.x1 <= figure.bbox.x1 and title.y0 > figure.axes[0].bbox.y1


@pytest.mark.parametrize(
    "text, expected",
    [
        ("\u0928", "[U+0928]"),
        ("a\u4e2db", "a[U+4E2D]b"),
        ("\t", "[U+0009]"),
        ("\n", "\n"),
        ("\udcff", "[U+DCFF]"),
        ("\U0010ffff", "[U+10FFFF]"),
        ("$a_b$ \\x", "$a_b$ \\x"),
        ("−×²σ°é", "−×²σ°é"),
        ("\u202e", "[U+202E]"),
    ],
)
def test_what_no_font_has_is_written_out(text, expected, monkeypatch):
    monkeypatch.setattr(fonts, "_other_family", lambda character: None)
    assert fonts.printable(text) == expected


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_printable_text_stays_as_it_is(text):
    once = fonts.printable(text)
    assert fonts.printable(once) == once
    assert not any(unicodedata.category(each) in fonts._INVISIBLE - {"Cc"} for each in once)


@pytest.fixture
def devanagari(tmp_path):
    """An installed font that has one letter, drawn as a box."""
    pen = TTGlyphPen(None)
    for x, y in ((0, 0), (0, 700), (500, 700), (500, 0)):
        (pen.lineTo if (x, y) != (0, 0) else pen.moveTo)((x, y))
    pen.closePath()
    font = FontBuilder(1000)
    font.setupGlyphOrder([".notdef", "na"])
    font.setupCharacterMap({0x0928: "na"})
    font.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "na": pen.glyph()})
    font.setupHorizontalMetrics({".notdef": (600, 0), "na": (600, 0)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Test Devanagari", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(tmp_path / "test.ttf")
    before = list(font_manager.fontManager.ttflist)
    font_manager.fontManager.addfont(tmp_path / "test.ttf")
    fonts._other_family.cache_clear()
    yield "Test Devanagari"
    font_manager.fontManager.ttflist[:] = before
    fonts._other_family.cache_clear()


def test_other_installed_fonts_lend_their_letters(tmp_path, devanagari):
    assert fonts.printable("\u0928\u092e") == "\u0928[U+092E]"
    figure = drawn("eye \u0928", tmp_path)
    (title,) = {
        tuple(each.get_fontfamily())
        for each in figure.findobj(plt_text.Text)
        if each.get_text() == "eye \u0928"
    }
    assert title == ("DejaVu Sans", devanagari)
    assert not any("U+" in each for each in texts(figure))


def test_texts_that_the_font_has_are_left_alone(tmp_path):
    figure = drawn("σ = 3, activation −0.5\nand more", tmp_path)
    assert {tuple(each.get_fontfamily()) for each in figure.findobj(plt_text.Text)} == {
        ("DejaVu Sans",)
    }
