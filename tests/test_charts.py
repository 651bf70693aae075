"""Laws of every picture: valid, said in words, escaped, readable, and calm with missing data."""

import math
import re
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from workbench import charts
from workbench.charts import (
    Bin,
    Difference,
    Note,
    Opinion,
    Row,
    Score,
    Series,
    apart,
    interval,
    percent,
    signed,
    stacked,
    thousands,
)
from workbench.charts import grid as maps
from workbench.charts import inside as within
from workbench.charts import lineage as chain
from workbench.charts.along import Line, along
from workbench.charts.bars import Bar, bars
from workbench.charts.stacked import Term
from workbench.ui import theme

EVIL = "<script>alert(1)</script>\"'&${hit(1)}{{x}}`\x00\ud800"
STEPS = list(range(0, 305, 5))
SVG = "{http://www.w3.org/2000/svg}"


def rises(top, students=12, steps=STEPS):
    return [[top - (top - 0.1) * math.exp(-t / (30 + i)) for t in steps] for i in range(students)]


def series(n=2, students=12, length=61, state="finished", name=None):
    steps = STEPS[:length]
    roles = charts.roles([True] + [False] * 9)
    return [
        Series(roles[i], name or f"Run {i}", steps, rises(0.9 - i / 50, students, steps), state)
        for i in range(n)
    ]


def opinion(name="Teacher", role="teacher", peak=0.64):
    return Opinion(role, name, [(1 - peak) / 9] * 3 + [peak] + [(1 - peak) / 9] * 6)


def difference(name="Distilled", pairs=(0.118, 0.104, 0.112)):
    return Difference("kd", name, pairs, 0.1115, 0.1034, 0.1216, note="91.0 %")


def towers(name="Teacher"):
    sizes = [(f"{i}", f"{8 // i} × {8 // i} × {8 * i}") for i in (1, 2, 3)]
    return within.Tower("kd", name, [*sizes, (name, name)]), within.Tower("teacher", name, sizes)


def matrix(n=30, k=3, noise=0.0):
    return [
        [1.0 if i // k == j // k else 0.2 + noise * (i % 2) for j in range(n)] for i in range(n)
    ]


def related(name="Teacher", values=None, role="teacher"):
    return within.Related(role, name, matrix() if values is None else values)


BY_CLASS = [str(i // 3) for i in range(30)]


def glances(name="Teacher", count=3):
    grids = [matrix(8), matrix(4), matrix(4)][:count]
    return within.Maps("teacher", name, grids), within.Maps(
        "kd", name, grids[:1] + [[]] * (count - 1)
    )


def a_map(name="Temperature"):
    """Cells of every state, with axes that somebody else named."""
    Cell = maps.Cell
    cells = [
        [Cell([0.8, 0.82]), Cell([0.9, None]), Cell([None, None])],
        [Cell([0.91], "running", 0.4), Cell([0.86, 0.88], "stopped", 0.5), Cell([], "queued")],
    ]
    axes = {"rows": maps.Axis(name, ["0", name]), "columns": maps.Axis(name, ["1", "4", "8"])}
    return cells, axes


def inside(width, name):
    """The pictures of what lies inside two networks."""
    pairs = [("1", "2"), (name, "3"), ("0", "1")]
    links = [
        chain.Generation("teacher", name, name, [0.97]),
        chain.Generation("third", name, "", []),
        chain.Generation("kd", name, "1 210", [0.9, 0.92, None]),
    ]
    return {
        "pairing": within.pairing(*towers(name), pairs, width=width),
        "attention": within.attention(
            [[0.0, 0.5], [1.0, 0.2]], name, *glances(name), [name, "b", "c"], width=width
        ),
        "relations": within.relations(
            related(name), related(name, [], "kd"), BY_CLASS, width=width
        ),
        "lineage": chain.lineage(links, width=width),
    }


def knob_lines(name="Distilled", values=((0.84, 0.86), (0.93, None))):
    return [Line("kd", name, values), Line("labels", name, [[0.82, 0.83]] * 2)]


def drawn_map(width=544, name="Temperature", **more):
    cells, axes = a_map(name)
    return maps.grid(cells, width=width, reference=0.805, **axes, **more)


def pictures(width=544, name="Distilled, T = 8"):
    """Every picture this module draws, with one name that somebody else wrote."""
    runs = series(2, name=name)
    terms = [Term("teacher", name, [3.0, 2.0, 1.25]), Term("labels", "labels", [None, math.nan])]
    change = [[5.0 if (i, j) == (2, 3) else -1.2 * (i == 9) for j in range(10)] for i in range(10)]
    bins = [Bin(0.55, 0.5, 20), Bin(0.95, 0.9, 300), Bin(None, None, 0)]
    both = opinion(name), opinion(name, "kd", 0.4)
    return {
        "curves": charts.curves(
            runs, width=width, teacher=0.975, you=0.86, title=name, note=Note(75, 0.8, name)
        ),
        "opinions": charts.opinions(*both, width=width, truth=3),
        "opinion_rows": charts.opinion_rows([*both, Opinion("x", name, [])], width=width, truth=3),
        "answer": charts.answer(
            both[0].probabilities, width=width, finding=[name], ghost=[0.9] * 10, bold=[3]
        ),
        "similarity": charts.similarity(change, width=width, peak=0.2, finding=[name]),
        "guess": charts.guess(0, 100, width=width, unit="%", you=70, truth=81.8, name=name),
        "gallery": charts.gallery(
            [[[0.0, 0.5], [1.0, 0.2]]] * 3, [name, "b", "c"], width=width, columns=2, label=name
        ),
        "digit": charts.digit([[0.0, 0.5], [1.0, math.nan]], 64, name),
        "losses": stacked.losses(terms, width=width, total=10),
        "spread": charts.spread(difference(name), width=width),
        "scores": charts.scores(
            [Score("kd", name, [0.92, None, 0.94], name), Score("labels", "b", [])], width=width
        ),
        "confusion": charts.confusion_difference(change, width=width, picked=(2, 3)),
        "reliability": charts.reliability(bins, width=width, name=name),
        "grid": drawn_map(width, name),
        "along": along(knob_lines(name), settings=["1", name], knob=name, width=width, title=name),
        "bars": bars(
            [Bar(name, [("teacher", 0.8), ("labels", math.nan)], name)], width=width, title=name
        ),
    } | inside(width, name)


def pages(width=544, name="Distilled, T = 8"):
    """Every piece of HTML: the pictures among words."""
    rows = [Row(name, [name, "80 %", name, name], "kd", "live"), Row("b", [])]
    return {
        "table": charts.table(["Run", name, "b", "c", "d"], rows, caption=name, note=name),
        "curves_table": charts.curves_table(series(2, name=name), caption=name),
        "opinions_table": charts.opinions_table([opinion(name)], caption=name),
        "differences": charts.differences([difference(name), difference()], width=width),
        "chip": charts.chip("beats", name),
        "marker": charts.marker("kd"),
        "data_table": charts.data_table("<p></p>"),
        "grid_table": maps.grid_table(a_map(name)[0], caption=name, **a_map(name)[1]),
        "grid_asked": drawn_map(width, name, ask=True, picked=(1, 2), guess=(0, 0)),
        "lineage_table": chain.lineage_table(
            [chain.Generation("kd", name, name, [0.9])], caption=name
        ),
    }


NAMES = list(pictures())
EVERYTHING = [*NAMES, *pages()]


def everything(width=544, name="Distilled, T = 8"):
    return pictures(width, name) | pages(width, name)


# ---------------------------------------------------------------- laws of every picture


@pytest.mark.parametrize("which", EVERYTHING)
@pytest.mark.parametrize("width", [320, 350, 390, 544, 768, 1120])
def test_is_valid_xml_without_nan_or_colour(which, width):
    text = everything(width)[which]
    ET.fromstring(text)
    assert not re.search(r"\bnan\b|\binf\b|None", text)
    assert not re.search(r"#[0-9A-Fa-f]{3,6}\b|rgb", text), "colours come from variables only"
    assert ' id="' not in text, "ids collide when a picture is shown twice"


@pytest.mark.parametrize("which", EVERYTHING)
def test_escapes_names(which):
    text = everything(name=EVIL)[which]
    assert "<script" not in text and "${" not in text and "{{" not in text and "`" not in text
    ET.fromstring(text)
    text.encode()


@pytest.mark.parametrize("which", NAMES)
def test_is_an_image_with_a_label(which):
    root = ET.fromstring(pictures()[which])
    assert root.tag == SVG + "svg" and root.get("role") == "img"
    assert len(root.get("aria-label", "")) > 5


@pytest.mark.parametrize("which, numbers", [
    ("curves", ["97.5", "86", "± 0.0", "Teacher", "step"]),
    ("opinions", ["3: Distilled, T = 8 64", "40", "4"]),
    ("opinion_rows", ["The answer is 3", "3 64", "3 40"]),
    ("answer", ["Distilled, T = 8", "3 64.0", "9 4.0"]),
    ("similarity", ["2 most for 3"]),
    ("guess", ["You said 70", "81.8", "Distilled, T = 8 81.8"]),
    ("losses", ["1.25", "labels –"]),
    ("along", ["1: 85.0", "Distilled, T = 8: 93.0", "82.5"]),
    ("bars", ["Distilled, T = 8: Distilled, T = 8."]),
    ("scores", ["93.0", "± 1.4", "b: –"]),
    ("spread", ["+11.2", "10.3 to 12.2", "3 pairs"]),
    ("confusion", ["2 read as 3 5.0", "9 read as 0 −1.2"]),
    ("grid", ["0: 1 81.0", "4 90.0", "8 diverged", "8 not yet", "Labels only 80.5"]),
    ("pairing", ["1 8 × 8 × 8", "Compared: 1 with 2, Distilled, T = 8 with 3."]),
    ("attention", ["alike 1.00", "Distilled, T = 8"]),
    ("relations", ["1.00 within a class, 0.20 between classes"]),
    ("lineage", ["97.0", "not trained yet", "91.0\u202f% ± 1.4, 1 210"]),
    ("reliability", ["55", "50", "20 images", "95", "300 images"]),
])  # fmt: skip
def test_label_states_the_numbers(which, numbers):
    label = ET.fromstring(pictures()[which]).get("aria-label", "")
    for number in numbers:
        assert number in label, label


@pytest.mark.parametrize("which", NAMES)
def test_width_is_the_given_one(which):
    if which != "digit":
        assert float(ET.fromstring(pictures(390)[which]).get("width")) == 390


def test_smallest_text_is_12_px():
    sizes = re.findall(r"font(?:-size)?:[^;}\"]*?(\d+)px", theme.CSS + "".join(
        everything(320).values()
    ))  # fmt: skip
    assert sizes and min(map(int, sizes)) >= 12


# ---------------------------------------------------------------- maps


def test_a_map_writes_each_mean_and_marks_what_has_none():
    root = ET.fromstring(drawn_map())
    texts = [t.text for t in root.iter(SVG + "text")]
    assert {"81.0", "90.0", "91.0", "87.0"} <= set(texts), "the mean of those that did not diverge"
    dashed = [r for r in root.iter(SVG + "rect") if r.get("stroke-dasharray")]
    assert len(dashed) == 1, "one cell is under way"
    table = maps.grid_table(a_map()[0], caption="x", **a_map()[1])
    for words in (
        "81.0\u202f% ± 1.4",
        "1 diverged",
        "Waiting",
        "Running, 40\u202f%",
        "Stopped at",
    ):
        assert words in table


def test_the_cells_of_a_map_are_buttons_when_asked():
    root = ET.fromstring(drawn_map(ask=True, picked=(1, 0), guess=(0, 2)))
    cells = [g for g in root.iter(SVG + "g") if g.get("data-cell")]
    assert root.get("role") == "group", "the children of a picture are not there for a reader"
    assert [c.get("data-cell") for c in cells] == ["0,0", "0,1", "0,2", "1,0", "1,1", "1,2"]
    assert [c.get("tabindex") for c in cells].count("0") == 1, "one stop for Tab, then arrows"
    assert [c.get("data-cell") for c in cells if c.get("aria-pressed") == "true"] == ["1,0"]
    assert all(c.get("aria-label") == c.find(SVG + "title").text for c in cells)
    assert "81.0\u202f% ± 1.4, 2 students" in cells[0].get("aria-label")
    assert [c for c in cells if c.find(SVG + "g") is not None] == [cells[2]], "your guess"
    plain = ET.fromstring(drawn_map())
    assert not [e for e in plain.iter() if e.get("data-cell") or e.get("tabindex")]


@pytest.mark.parametrize("count", [1, 2, 12, 40])
def test_a_map_of_any_size_keeps_its_width_and_its_cells(count):
    axis = maps.Axis("T", [str(k) for k in range(count)])
    cells = [[maps.Cell([0.5])] * count] * count
    root = ET.fromstring(maps.grid(cells, rows=axis, columns=axis, width=350))
    boxes = [r for r in root.iter(SVG + "rect") if "--bg" in r.get("style", "")]
    assert len(boxes) == count**2
    assert all(float(b.get("x")) + float(b.get("width")) <= 350 for b in boxes)


def test_the_colours_of_a_map_reach_around_its_values():
    assert maps.reach([0.801, 0.907]) == (0.8, 0.95)
    assert maps.reach([0.8, 0.95]) == (0.8, 0.95), "on an edge, not one further"
    assert maps.reach([0.9, None, math.nan]) == (0.9, 0.95) and maps.reach([]) == (0.0, 1.0)


@pytest.mark.parametrize("mode", [0, 1])
def test_equal_steps_of_a_map_look_equal(mode):
    """CIE lightness along the scale: no step is more than 1.4 times another."""

    def lightness(share):
        over, under = (charts.TOKENS[name][mode] for name in ("kd", "bg"))
        parts = [
            share * int(over[i : i + 2], 16) + (1 - share) * int(under[i : i + 2], 16)
            for i in (1, 3, 5)
        ]
        y = luminance("#" + "".join(f"{round(p):02X}" for p in parts))
        return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y

    top = float(charts.TOKENS["heat"][mode])
    levels = [lightness(top * k / 5) for k in range(6)]
    steps = [abs(b - a) for a, b in zip(levels, levels[1:], strict=False)]
    assert max(steps) < 1.4 * min(steps) and min(steps) > 5


# ---------------------------------------------------------------- numbers


def test_numbers_are_typeset():
    assert percent(0.91) == "91.0\u202f%"
    assert percent(None) == percent(math.nan) == percent(math.inf) == "–"
    assert signed(0.112) == "+11.2" and signed(-0.066) == "−6.6"
    assert signed(0.0) == signed(-0.0001) == "0.0" and signed(None) == "–"
    assert thousands(85002) == "85\u202f002" and thousands(-1210) == "−1\u202f210"
    assert charts.percent_sd([0.9, 0.92, None]) == "91.0\u202f% ± 1.4"
    assert charts.percent_sd([0.9]) == "90.0\u202f%" and charts.percent_sd([None]) == "–"


def test_interval_rounds_outwards():
    assert interval(0.103, 0.122) == "10.3 to 12.2"  # 0.103 * 100 is 10.299999…
    assert interval(0.1031, 0.1211) == "10.3 to 12.2"
    assert interval(-0.00001, 0.008) == "−0.1 to 0.8", "an interval that holds zero must show it"
    assert interval(-0.0781, -0.0001) == "−7.9 to 0.0"
    assert interval(math.nan, 1) == "–"
    for k in range(-400, 400, 7):
        low, high = k / 1000 + 0.0003, k / 1000 + 0.0213
        shown = interval(low, high).replace("−", "-").split(" to ")
        assert float(shown[0]) <= 100 * low and float(shown[1]) >= 100 * high


def test_mean_and_sample_standard_deviation():
    assert charts.mean_sd([1.0, 3.0]) == (2.0, pytest.approx(math.sqrt(2)), 2)
    assert charts.mean_sd([None, math.nan]) is None


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("targets", [
    [100.0] * 9, [30.0, 31.0, 200.0, 201.0], [250.0, 20.0, 22.0], [], [5.0], [-50.0, 400.0],
])  # fmt: skip
def test_apart_keeps_gap_order_and_bounds(targets):
    places = apart(targets, 38, 22, 394)
    ordered = [p for _, p in sorted(zip(targets, places, strict=True))]
    assert all(b - a >= 38 - 1e-9 for a, b in zip(ordered, ordered[1:], strict=False))
    assert all(22 - 1e-9 <= p <= 394 + 1e-9 for p in places)


def test_apart_leaves_free_labels_alone_and_opens_crowds_evenly():
    assert apart([50.0, 100.0, 300.0], 38, 0, 400) == [50.0, 100.0, 300.0]
    assert apart([100.0, 100.0], 38, 0, 400) == [81.0, 119.0]


def labels(svg):
    names = [t for t in ET.fromstring(svg).iter(SVG + "text") if "name" in t.get("class", "")]
    return sorted((float(t.get("y")), t.text) for t in names)


@pytest.mark.parametrize("width", [320, 350, 544])
@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("length, state", [(61, "finished"), (3, "running"), (30, "running")])
def test_labels_on_curves_do_not_touch(width, count, length, state):
    runs = series(count, length=length, state=state)
    svg = charts.curves(runs, width=width, teacher=0.975, you=0.9, last_step=300)
    ys = [y for y, _ in labels(svg)]
    assert len(ys) == count + 2
    assert all(b - a >= 38 - 0.11 for a, b in zip(ys, ys[1:], strict=False))
    assert ys[-1] + 17 < float(ET.fromstring(svg).get("height")) - 20


# ---------------------------------------------------------------- curves


def test_axes_do_not_move_while_a_run_grows():
    def ticks(length):
        svg = charts.curves(series(2, length=length, state="running"), width=544, last_step=300)
        found = ET.fromstring(svg).iter(SVG + "text")
        return [(t.text, t.get("x"), t.get("y")) for t in found if t.get("class") == "tick"]

    assert ticks(2) == ticks(30) == ticks(61)
    words = [text for text, *_ in ticks(2)]
    assert "50" in words and "100\u202f%" in words and "step 300" in words


def test_every_role_has_its_own_dash_and_marker():
    assert len(set(charts.DASH.values())) == len(charts.DASH)
    shapes = {re.sub(r'class="\w+"', "", charts.marker(role)) for role in charts.DASH}
    assert len(shapes) == len(charts.DASH)
    text = charts.curves(series(4), width=544)
    assert all(f'stroke-dasharray="{charts.DASH[r]}"' in text for r in ("labels", "kd", "third"))


def test_thin_students_up_to_two_series_only():
    assert charts.curves(series(2), width=544).count("var(--thin)") == 24
    assert "var(--thin)" not in charts.curves(series(3), width=544)


@pytest.mark.parametrize("values", [
    [], [[]], [[None, None, None]], [[0.9]], [[0.9, None, 0.91]], [[math.nan, math.inf, 0.8]],
    [[0.5, 0.6, 0.7], [None, None, None]], [[0.05, 0.06, 0.04], [0.05, 0.06]],
])  # fmt: skip
def test_missing_values_are_skipped(values):
    run = Series("kd", "Broken", [0, 5, 10], values, "failed")
    for width in (320, 544):
        text = charts.curves([run], width=width, last_step=300)
        ET.fromstring(text)
        assert "nan" not in text and "inf" not in text
    ET.fromstring(charts.curves_table([run], caption="x"))


def test_a_gap_in_the_data_is_a_gap_in_the_line():
    run = Series("kd", "Gap", [0, 5, 10, 15, 20], [[0.6, 0.7, None, 0.8, 0.9]])
    means = re.findall(r'd="([^"]*)"[^>]*stroke-width="2.5"|stroke-width="2.5"[^>]*d="([^"]*)"',
                       charts.curves([run], width=544))  # fmt: skip
    assert "".join(means[0]).count("M") == 2


def test_no_band_around_one_student_and_nothing_without_series():
    assert "var(--band)" not in charts.curves(series(1, students=1), width=544)
    empty = charts.curves([], width=320, teacher=0.975, last_step=300)
    assert "97.5" in ET.fromstring(empty).get("aria-label")
    ET.fromstring(charts.curves([], width=320))
    ET.fromstring(charts.curves([Series("kd", "None yet", [], [])], width=320))


def test_states_are_words_and_queued_is_pale():
    label = ET.fromstring(charts.curves(
        [Series("kd", "A", [0, 96], [[0.5, 0.8]], "stopped")], width=544, last_step=200
    )).get("aria-label")  # fmt: skip
    assert "A, stopped at step 96: 80.0" in label
    assert 'opacity="0.5"' in charts.curves(series(1, state="queued"), width=544)


def test_long_lines_are_thinned_and_keep_their_end():
    steps = list(range(5000))
    run = Series("kd", "Long", steps, [[0.6 + t / 20000 for t in steps]])
    text = charts.curves([run], width=544)
    assert max(d.count("L") for d in re.findall(r' d="([^"]*)"', text)) <= 800  # a band has two
    assert percent(run.values[0][-1]) in text


def test_a_long_name_is_shortened_but_said():
    name = "Distilled with a name that no margin has room for"
    text = charts.curves([Series("kd", name, STEPS, rises(0.9))], width=350)
    assert "…" in text and f"<title>{name}</title>" in text and name in text


@pytest.mark.parametrize("name", ["T = 4, α = 0.9", "ε = 0.1, 200 images"])
@pytest.mark.parametrize("length, state", [(61, "finished"), (30, "running")])
def test_a_name_wraps_on_a_phone_before_it_is_cut(name, length, state):
    runs = series(4, length=length, state=state, name=name)
    svg = charts.curves(runs, width=350, teacher=0.975, last_step=300)
    assert "…" not in svg and "= <" not in svg
    said = {"".join(t.itertext()) for t in ET.fromstring(svg).iter(SVG + "text")}
    assert name.replace(", ", ",") in said or name in said


def test_apart_gives_two_lines_more_room():
    assert apart([100.0, 100.0, 100.0], [38, 54, 38], 0, 400) == [54.0, 100.0, 146.0]


def test_is_quick_enough_for_ten_updates_a_second():
    runs = series(4)
    spent = []
    for _ in range(15):
        start = time.perf_counter()
        charts.curves(runs, width=544, teacher=0.975)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.01


@pytest.mark.parametrize("which", ["pairing", "attention", "relations", "lineage"])
def test_what_lies_inside_is_drawn_within_ten_milliseconds(which):
    full = related(values=matrix(noise=0.1)), related("Student", matrix(noise=0.3), "kd")
    draw = {
        "pairing": lambda: within.pairing(*towers(), [("1", "2")] * 3, width=544),
        "attention": lambda: within.attention(
            matrix(8), "3", *(glances()[0],) * 2, list("abc"), width=544
        ),
        "relations": lambda: within.relations(*full, BY_CLASS, width=640),
        "lineage": lambda: chain.lineage(
            [chain.Generation("kd", "A", "b", [0.9] * 12)] * 6, width=544
        ),
    }[which]  # fmt: skip
    spent = []
    for _ in range(9):
        start = time.perf_counter()
        draw()
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.01  # 2.5 ms here


def test_buttons_can_be_laid_on_every_layer():
    both = towers()
    for width in (320, 544, 900):
        places = within.boxes(both, width)
        assert [sum(one.who == who for one in places) for who in (0, 1)] == [4, 3]
        assert all(0 <= one.x and one.x + one.width <= width for one in places)
        assert all(
            a.y + a.height < b.y for a, b in zip(places, places[1:], strict=False)
            if a.who == b.who
        )  # fmt: skip


def test_a_heat_map_shades_by_value_and_calmly_drops_what_is_none():
    drawn = within.heat([[0.0, 1.0], [0.5, math.nan]], (0, 0, 10), (0.0, 1.0), "teacher")
    shades = dict(re.findall(r'd="(.*?)" fill-opacity="(.*?)"', drawn))
    assert {d.split("h")[0]: float(shade) for d, shade in shades.items()} == {
        "M0,1": 0.5, "M1,0": 1.0,
    }  # fmt: skip
    assert within.heat([], (0, 0, 10), (0, 1), "kd") and within.heat(
        [[1.0]], (0, 0, 1), (1, 1), "kd"
    )


def test_maps_and_matrices_are_compared_like_numpy_does():
    a, b = matrix(6), matrix(6, 2, 0.3)
    off = ~np.eye(6, dtype=bool)
    expected = np.corrcoef(np.array(a)[off], np.array(b)[off])[0, 1]
    assert math.isclose(within.correlation(a, b), expected)
    x, y = np.array(a).ravel(), np.array(b).ravel()
    expected = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert math.isclose(within.closeness(a, b), expected)
    assert within.correlation(a, a[:2]) is within.closeness(a, a[:2]) is None
    assert within.correlation([[1.0, 2.0], [2.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]) is None


# ---------------------------------------------------------------- the other pictures


def test_opinion_rows_shows_every_model_and_whether_it_is_right():
    models = [opinion(), opinion("A", "labels"), Opinion("kd", "B", [1.0] + [0.0] * 9),
              Opinion("third", "C", [])]  # fmt: skip
    for width in (320, 560, 900):
        text = charts.opinion_rows(models, width=width, truth=3)
        assert text.count("says 3, right") == 2 and "says 0, wrong" in text
        assert "no answer" in text
    ET.fromstring(charts.opinion_rows([], width=320))


@pytest.mark.parametrize("width", [350, 640])
def test_opinions_carry_whole_names(width):
    names = ["Distilled, T = 4, α = 0.9", "Label smoothing, ε = 0.1"]
    text = charts.opinion_rows([opinion(name) for name in names], width=width, truth=3)
    assert "…" not in text and all(name in text for name in names)
    pair = charts.opinions(opinion(), opinion("Label smoothing"), width=232)
    assert "…" not in pair and "smoothing" in pair


def test_a_student_without_an_answer_is_not_drawn_as_zeros():
    alone = charts.opinions(opinion(), Opinion("kd", "Distilled", []), width=232, truth=3)
    assert "Distilled" not in alone and "Teacher 64" in alone and ">0<" in alone
    assert alone.count(">0<") == 1, "the class, and no share of it"
    both = charts.opinions(opinion(), opinion("Distilled", "kd"), width=232, truth=3)
    assert ET.fromstring(alone).get("height") == ET.fromstring(both).get("height")


def test_digit_has_one_square_per_inked_pixel():
    root = ET.fromstring(charts.digit([[0, 1, 0.5], [2, -1, 0]], 30, "a 3"))
    assert root.get("viewBox") == "0 0 3 2" and root.get("height") == "20"
    assert len(root) == 3 and root.get("aria-label") == "a 3"
    ET.fromstring(charts.digit([], 30, "nothing"))


def test_verdicts_and_limits():
    clear = Difference("kd", "a", [0.1], 0.1, 0.05, 0.15)
    assert clear.decided == "beats"
    assert Difference("kd", "a", [], -0.1, -0.2, -0.01).decided == "loses"
    assert Difference("kd", "a", [], 0.1, -0.01, 0.2).decided == "inconclusive"
    assert Difference("kd", "a", [], 0.1, 0.01, 0.2, verdict="inconclusive").decided != "beats"
    assert "↑ BEATS" in charts.chip("beats") and "≈" in charts.chip("inconclusive")
    assert charts.limits([clear]) == pytest.approx((0, 0.15))
    assert charts.limits([]) == pytest.approx((0, 0.05))


@pytest.mark.parametrize("pairs", [[], [0.0] * 40, [-0.9, 0.95], [0.001, math.nan]])
def test_spread_holds_any_pairs(pairs):
    row = Difference("kd", "a", pairs, 0.0, -0.01, 0.01)
    for width in (272, 600):
        root = ET.fromstring(charts.spread(row, width=width))
        ys = [float(c.get("cy")) for c in root.iter(SVG + "circle")]
        assert all(0 < y < 71 for y in ys)
        assert len(ys) == sum(map(math.isfinite, pairs))


def test_confusion_shows_numbers_from_one_and_the_net():
    change = [[0.0] * 3 for _ in range(3)]
    change[0][1], change[0][2], change[1][0], change[1][1] = 4.2, -1.0, 0.5, 99.0
    root = ET.fromstring(charts.confusion_difference(change, width=350, classes="abc"))
    words = [t.text for t in root.iter(SVG + "text")]
    assert "4" in words and "−1" in words and "99" not in words
    assert words.count("3") == 1, "net of the first row: 4.2 − 1.0"
    assert [r.get("data-cell") for r in root.iter(SVG + "rect")][:1] == ["0,1"]


@pytest.mark.parametrize("width", [350, 440])
def test_confusion_names_the_run_that_fixed_something(width):
    change = [[0.0] * 10 for _ in range(10)]
    svg = charts.confusion_difference(change, width=width, by="Label smoothing, ε = 0.1")
    said = ["".join(t.itertext()) for t in ET.fromstring(svg).iter(SVG + "text")]
    assert said[-1].replace(" ", "") == "fixedbyLabelsmoothing,ε=0.1"


def test_roles_are_given_in_order_and_focus_borrows_third():
    assert charts.roles([True, False, False, False]) == ["labels", "kd", "third", "fourth"]
    assert charts.roles([False, True, False]) == ["kd", "labels", "third"]
    six = charts.roles([True] + [False] * 5, focus=5)
    assert six == ["labels", "kd", "muted", "fourth", "muted", "third"]


def test_table_has_scopes_and_hides_columns_on_a_phone():
    rows = [Row("A", ["1", "2", "3"], "kd"), Row("B", ["1"])]
    root = ET.fromstring(charts.table(["Run", "x", "y", "z"], rows, caption="All numbers"))
    assert [h.get("scope") for h in root.iter("th")] == ["col"] * 4 + ["row"] * 2
    assert root.find(".//caption").text == "All numbers"
    assert [d.text for d in root.iter("td")] == ["1", "2", "3", "1", "–", "–"]
    assert [d.get("class") for d in root.iter("td")][:3] == [None, None, "more"]
    assert root.find("./details/summary").text == "All columns"
    assert "details" not in charts.table(["Run", "x"], rows, caption="few")


def test_standalone_carries_its_style():
    for dark in (False, True):
        root = ET.fromstring(charts.standalone(pictures()["curves"], dark))
        assert "--kd:#0072B2" in root.find(SVG + "style").text
        assert ("dark" in root.get("class")) == dark


# ---------------------------------------------------------------- tokens and theme


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


TEXTS = ("ink", "muted", "teacher-text", "labels-text", "kd-text", "third-text", "fourth-text",
         "fail")  # fmt: skip
MARKS = ("teacher", "labels", "kd", "third", "fourth", "rule")


@pytest.mark.parametrize("mode", [0, 1])
def test_contrast(mode):
    colour = {name: pair[mode] for name, pair in charts.TOKENS.items()}
    for ground in ("bg", "surface"):
        for name in TEXTS:
            assert contrast(colour[name], colour[ground]) >= 4.5, (name, ground)
        for name in MARKS:
            assert contrast(colour[name], colour[ground]) >= 3, (name, ground)
    assert contrast(colour["you"], colour["you-edge"]) >= 3
    assert contrast(colour["bg"], colour["ink"]) >= 4.5, "the primary button's text"


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("role", ["kd", "labels"])
def test_ink_is_readable_on_the_strongest_cell(mode, role):
    share = float(charts.TOKENS["heat"][mode])
    over, under = charts.TOKENS[role][mode], charts.TOKENS["bg"][mode]
    mixed = "#" + "".join(
        f"{round(share * int(over[i : i + 2], 16) + (1 - share) * int(under[i : i + 2], 16)):02X}"
        for i in (1, 3, 5)
    )
    assert contrast(charts.TOKENS["ink"][mode], mixed) >= 4.5


def test_style_is_balanced_and_used():
    for css in (charts.PICTURE, charts.STYLE, theme.CSS):
        assert css.count("{") == css.count("}")
        assert "</" not in css
    assert theme.HEAD.startswith("<style>") and charts.STYLE in theme.CSS
    assert set(re.findall(r"var\(--([\w-]+)", charts.PICTURE)) <= {
        *charts.TOKENS, "serif", "sans", "c", "ct", "paper",
    }  # fmt: skip


def test_theme_carries_the_tokens_in_both_modes():
    wanted = theme.variables()
    assert wanted["body_text_color"] == "#1B1D21" and wanted["body_text_color_dark"] == "#ECEBE7"
    assert wanted["color_accent"].startswith("*"), "no dark twin: a hex hides the chosen tab"
    pytest.importorskip("gradio")
    made = theme.THEME
    assert all(getattr(made, name) == value for name, value in wanted.items())


# ---------------------------------------------------------------- what a knob does


def test_a_power_of_the_knob_is_a_straight_line():
    sizes = [[[1.0 / t**2]] for t in (1, 2, 4, 8)]
    rows = [Line("kd", "1/T²", [one[0] for one in sizes])]
    svg = along(rows, settings=list("1248"), knob="T", width=544, span=(1e-3, 1), log=True)
    found = list(ET.fromstring(svg).iter(SVG + "circle"))
    ys = [float(c.get("cy")) for c in found[:4]]
    steps = [b - a for a, b in zip(ys, ys[1:], strict=False)]
    assert max(steps) - min(steps) < 0.2 and steps[0] > 0
    texts = [t.text for t in ET.fromstring(svg).iter(SVG + "text")]
    assert "0.001" in texts and "1" in texts and "0.016" in texts


def test_what_the_knob_does_not_change_is_a_band_with_one_marker():
    svg = along(knob_lines(), settings=["1", "8"], knob="T", width=544)
    assert svg.count('fill-opacity="var(--band)"') == 1
    assert svg.count("var(--thin)") == 1, "one setting has two students that differ"


@pytest.mark.parametrize("values", [[], [[]], [[None], [math.nan]], [[0.0], [-1.0]]])
def test_a_line_without_numbers_is_drawn_nowhere(values):
    for log in (False, True):
        svg = along(
            [Line("kd", "Gone", values)], settings=["1", "8"], knob="T", width=390, log=log,
            span=(0.01, 1),
        )  # fmt: skip
        ET.fromstring(svg)
        assert "nan" not in svg


def test_parts_of_a_bar_add_up_and_the_longest_is_the_width():
    rows = [Bar("a", [("teacher", 3.0), ("labels", 1.0)], "4"), Bar("b", [("kd", 2.0)], "2")]
    svg = bars(rows, width=400)
    found = [r for r in ET.fromstring(svg).iter(SVG + "rect") if r.get("fill") == "var(--c)"]
    assert [float(r.get("width")) for r in found] == [300, 100, 200]
    assert [float(r.get("x")) for r in found] == [0, 300, 0]
    half = ET.fromstring(bars(rows[1:], width=400, most=4))
    assert [float(r.get("width")) for r in half.iter(SVG + "rect") if r.get("fill")] == [200]
