"""Heat maps are well-formed, say every value, and survive strange names."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from truing.report.heatmap import BELOW, HIGH, LOW, Heatmap, shade, svg

SVG = "{http://www.w3.org/2000/svg}"


def test_every_cell_is_drawn_with_its_value() -> None:
    page = svg([Heatmap("A <title>", ["a&b", "c"], [[0.0, 0.5], [0.25, -0.1]], "layer", "effect")])
    root = ElementTree.fromstring(page)
    titles = [each.text for each in root.iter(f"{SVG}title")]
    assert titles == [
        "a&b, layer 0: 0.000 effect",
        "a&b, layer 1: 0.500 effect",
        "c, layer 0: 0.250 effect",
        "c, layer 1: -0.100 effect",
    ]
    assert "A <title>" in "".join(root.itertext())


@given(st.floats(-1, 2), st.floats(0, 1))
def test_colours_stay_between_the_ends(value: float, top: float) -> None:
    for part, low, high in zip(shade(value, top), LOW, HIGH, strict=True):
        assert min(low, high) <= part <= max(low, high)


def test_nothing_at_all_is_light() -> None:
    assert shade(0.0, 0.0) == LOW
    assert shade(1.0, 1.0) == HIGH


def test_below_nothing_is_another_colour_and_columns_may_have_numbers() -> None:
    assert shade(-1.0, 1.0) == BELOW
    each = Heatmap("t", ["a"], [[-0.5, 0.25]], "layer", "nats", framed=(0, 1), numbers=(3, 7))
    assert each.top == 0.5
    root = ElementTree.fromstring(svg([each]))
    cells = [c for c in root.iter(f"{SVG}rect") if c.find(f"{SVG}title") is not None]
    titles = [cell.findtext(f"{SVG}title") for cell in cells]
    assert titles == ["a, layer 3: -0.500 nats", "a, layer 7: 0.250 nats"]
    assert ["stroke" in cell.attrib for cell in cells] == [False, True]
