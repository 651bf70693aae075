"""Stills of live pictures: the same lines, boxes and words, as a PNG."""

import io
import struct

import numpy as np
import pytest
from test_charts import NAMES, pictures

from workbench import charts, plots
from workbench.charts import grid as maps


def pixels(png):
    from matplotlib.image import imread

    return imread(io.BytesIO(png))


@pytest.mark.parametrize("which", NAMES)
def test_every_picture_has_a_still_of_its_size(which):
    svg = pictures()[which]
    png = plots.png(svg)
    wide, tall = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG") and wide > 100 and tall > 40
    seen = pixels(png)[..., :3]
    assert seen.std() > 0.01, "nothing was drawn"
    assert len(png) < 200_000


def test_two_makings_are_the_same_bytes():
    svg = pictures()["answer"]
    assert plots.png(svg) == plots.png(svg)
    assert plots.png(svg) != plots.png(svg, dark=True)


def test_a_box_lies_where_the_svg_says():
    box = '<rect x="10" y="20" width="30" height="40" fill="var(--teacher)"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">{box}</svg>'
    seen, scale, edge = pixels(plots.png(svg)), plots.SCALE, plots.MARGIN
    wanted = [int(charts.TOKENS["teacher"][0][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    inside = seen[(edge + 40) * scale, (edge + 25) * scale, :3]
    assert inside == pytest.approx(wanted, abs=0.01)
    for x, y in ((8, 40), (42, 40), (25, 18), (25, 62)):
        outside = seen[(edge + y) * scale, (edge + x) * scale, :3]
        assert outside != pytest.approx(wanted, abs=0.05)


def test_a_map_leaves_lines_their_colours():
    cells = [[maps.Cell([0.8 + 0.004 * (6 * i + j)]) for j in range(6)] for i in range(6)]
    axes = {name: maps.Axis(name, list("012345")) for name in ("rows", "columns")}
    over = maps.grid(cells, width=720, picked=(1, 4), span=(0.75, 0.95), **axes)
    runs = [charts.Series("labels", "Labels", [0, 5, 10], [[0.6, 0.7, 0.8]])]
    seen = pixels(plots.png(charts.below(over, charts.curves(runs, width=720))))[..., :3]
    for role in ("labels", "you"):
        wanted = [int(charts.TOKENS[role][0][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert abs(seen - np.array(wanted)).max(-1).min() < 0.06, role


def test_a_group_moves_and_scales_what_is_in_it():
    box = '<rect x="1" y="2" width="3" height="4" fill="var(--teacher)"/>'
    moved = f'<g transform="translate(5,10) scale(8)">{box}</g>'
    plain = '<rect x="13" y="26" width="24" height="32" fill="var(--teacher)"/>'
    frame = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="80">{}</svg>'
    assert plots.png(frame.format(moved)) == plots.png(frame.format(plain))


def test_a_curve_ends_where_it_says_and_steps_go_on_from_there():
    codes, points = plots._walked("M1,2c1,0 2,3 4,5l1,1")
    assert points == [(1, 2), (2, 2), (3, 5), (5, 7), (6, 8)] and codes == [1, 4, 4, 4, 2]


def test_relative_steps_follow_each_other():
    codes, points = plots._walked("M1,2l3,4h5v-1L0,0z")
    assert points == [(1, 2), (4, 6), (9, 6), (9, 5), (0, 0), (1, 2)]
    assert codes == [1, 2, 2, 2, 2, 79]
