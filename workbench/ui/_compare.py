"""Whether one run of a list is better than another: paired by seed, corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench import words
from workbench.evaluation import Scores, Verdict, corrected, verdict
from workbench.recipe import Recipe
from workbench.ui import _form
from workbench.ui._desk import Sight


@dataclass(frozen=True)
class Compared:
    """A run against the baseline: the verdict, its pairs, and the step if it is not the end."""

    verdict: Verdict
    pairs: tuple[float, ...]
    step: int | None
    fewer: bool  # not every student has a partner
    several: bool = False  # corrected for the number of comparisons


def scores(sight: Sight, step: int | None = None) -> tuple[float | None, ...]:
    """The share right on test of every student, at the last event up to a step."""
    events = [e for e in sight.events if step is None or e.step <= step]
    return events[-1].accuracy.get("test", ()) if events else ()


def compare(baseline: Sight | None, sights: Sequence[Sight]) -> dict[str, Compared]:
    """Every run against the baseline; one that did not reach its end at the last step both have.

    Holm's correction counts all that are over, stopped ones too: they were looked at like others.
    The same recipe run again gives the same numbers and counts once.
    """
    if baseline is None:
        return {}
    over: dict[str, tuple[Scores, Scores]] = {}
    looked: dict[str, str] = {}
    found: dict[str, Compared] = {}
    for sight in sights:
        if sight.run == baseline.run or not sight.events:
            continue
        whole = sight.state == baseline.state == "finished"
        step = None if whole else min(sight.step, baseline.step)
        ours, theirs = scores(sight, step), scores(baseline, step)
        n = min(len(ours), len(theirs))
        pair = [ours[:n]], [theirs[:n]]
        if not (sight.active or baseline.active):
            looked[sight.run] = f"{sight.take.folder.parent.name}/{step}"  # named by recipes
            over[looked[sight.run]] = pair
        pairs = tuple(
            a - b for a, b in zip(ours, theirs, strict=False) if a is not None and b is not None
        )
        found[sight.run] = Compared(verdict(*pair), pairs, step, len(ours) != len(theirs))
    if len(over) > 1:
        judged = corrected(over)
        for run, which in looked.items():
            found[run] = replace(found[run], verdict=judged[which], several=True)
    return found


def differences(one: Recipe, other: Recipe) -> list[str]:
    """In what two recipes differ besides seed, rate and steps; these are said or tuned apart."""
    found = [words.METHOD] if one.method != other.method else []
    found += [words.STUDENT] if one.student != other.student else []
    both = bool(one.teachers and other.teachers)
    if both and one.teachers[0].student != other.teachers[0].student:
        found.append(words.TEACHER)
    for name, knob in one.data.knobs().items():
        here, there = (_kept_labels(r) if name == "labelled" else getattr(r.data, name, None)
                       for r in (one, other))  # fmt: skip
        if here != there:
            found.append(knob.title)
    for name in ("batch_size", "weight_decay", "schedule"):
        if getattr(one, name) != getattr(other, name):
            found.append(one.knobs()[name].title)
    return found


def _kept_labels(recipe: Recipe) -> float:
    return min(1.0, recipe.data.labelled / max(1, recipe.data.images))


def tuned(sights: Sequence[Sight]) -> bool:
    """Whether the learning rate of every run was chosen on validation images."""
    return all(sight.take.recipe in _form.tuned() for sight in sights)
