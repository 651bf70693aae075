"""Stills of live pictures: the same lines, boxes and words, as a PNG."""

import io
import struct

import pytest
from test_charts import NAMES, pictures

from workbench import charts, plots


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


def test_relative_steps_follow_each_other():
    codes, points = plots._walked("M1,2l3,4h5v-1L0,0z")
    assert points == [(1, 2), (4, 6), (9, 6), (9, 5), (0, 0), (1, 2)]
    assert codes == [1, 2, 2, 2, 2, 79]
