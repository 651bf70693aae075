"""What is measured, in words, and what each number should be at most, or at least."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """What a row compares, its bound (None: it is only shown), which side of it, and its clock."""

    about: str
    bound: float | None = None
    least: bool = False
    clock: str = "CPU"  # a ratio of CPU seconds; wall: of wall time; else the number's own unit

    def met(self, value: float) -> bool:
        """Whether a number is where it should be."""
        if self.bound is None:
            return True
        return value >= self.bound if self.least else value <= self.bound

    @property
    def sign(self) -> str:
        """The bound as people write it: `≤ 1.05`, `≥ 8`; – where there is none."""
        if self.bound is None:
            return "–"
        return f"{'≥' if self.least else '≤'} {self.bound:g}"


#: The loop of the tutorials, whose every step reads pictures and asks the teacher.
_EPOCH = "per epoch of Fashion-MNIST, teacher `resnet-20`"
_PEER = "same images, order, weights and loss, teacher `resnet-20`"

#: Every row of every table: what is measured has an entry here.
GOALS: dict[str, Goal] = {
    "import_workbench_over_torch": Goal("`import workbench` / `import torch` alone", 1.10),
    "sweep24_over_one": Goal(
        "the first act's 12 + 12 students in one pass / one student by a plain loop", 1.6
    ),
    "kd_cached_over_scratch_mlp": Goal(
        "distillation from cached answers / labels only, same batches, `mlp-16`", 1.15
    ),
    "kd_cached_over_scratch_cnn": Goal("the same, `cnn-8`", 1.05),
    "app_up_over_imports": Goal(
        "the app until it answers / `import torch, gradio` alone", 1.5, clock="wall"
    ),
    "minibatch24_over_one": Goal(
        "24 students, minibatches of 64 of their own subsets / one by a plain loop", 2.5
    ),
    "shared16_over_one": Goal(
        "16 students 784-32-10, shared minibatches / one by a plain loop, cached answers", 2.0
    ),
    "shared36_over_one": Goal("36 students, likewise", 4.0),
    "cnn4_over_one": Goal("4 CNN students (`lenet-8`) in one pass / one of ours alone", 2.5),
    "cnn4_two_processes_over_one": Goal(
        "the same 4 as two processes of two / one of ours alone", clock="wall"
    ),
    "tutorial_over_ours_cnn": Goal(
        f"a tutorial's loop / ours, {_EPOCH}, student `lenet-8` (27k)", 8.0, least=True
    ),
    "tutorial_over_ours_mlp": Goal("the same, student 784-32-10", 45.0, least=True),
    "tutorial5_over_ours_cnn": Goal(
        "the same over 5 epochs, the teacher's answers collected inside the time, `lenet-8`",
        4.5,
        least=True,
    ),
    "tutorial5_over_ours_mlp": Goal("the same, 784-32-10", 6.0, least=True),
    "repdistiller_over_ours_cnn": Goal(
        f"a loop in the style of RepDistiller / ours, {_EPOCH}, `lenet-8`"
    ),
    "repdistiller_over_ours_mlp": Goal("the same, 784-32-10"),
    "teacher_with_grad_over_ours_cnn": Goal(
        f"a tutorial's loop that forgets no_grad / ours, {_EPOCH}, `lenet-8`"
    ),
    "teacher_with_grad_over_ours_mlp": Goal("the same, 784-32-10"),
    "torchdistill_over_ours_cnn": Goal(
        f"torchdistill's own loop / ours, {_PEER}, `lenet-8`", 1.0, least=True
    ),
    "torchdistill_over_ours_mlp": Goal("the same, 784-32-10", 1.0, least=True),
    "torchdistill_cached_inside_cnn": Goal(
        "the same, with our teacher's answers collected inside the time, `lenet-8`",
        1.0,
        least=True,
    ),
    "torchdistill_cached_inside_mlp": Goal("the same, 784-32-10", 1.0, least=True),
    "gpu1000_over_one": Goal(
        "1000 students 64-16-10 on a CUDA card in one pass / one there", clock="wall"
    ),
    "compare_empty_home": Goal(
        "`compare scratch kd`, six splits, eight seeds, five rates, teachers included",
        50.0,
        clock="CPU seconds",
    ),
    "compare_teachers_cached": Goal("the same, teachers there", 25.0, clock="CPU seconds"),
    "compare_all_cached": Goal("the same, all there", 5.0, clock="CPU seconds"),
    "first_act_cpu": Goal("the first act's 24 students, recorded", 2.0, clock="CPU seconds"),
    "from_nothing": Goal(
        "digits from nothing: a CNN teacher (`cnn-32`), then 10 + 10 students", 5.0,
        clock="CPU seconds",
    ),
    "from_nothing_teacher": Goal(
        "test accuracy of a CNN teacher from nothing", 0.99, least=True, clock="of the test images"
    ),
    "first_point": Goal(
        "`import torch, gradio` to the first point of a curve", 6.0, clock="CPU seconds"
    ),
    "page_to_first_picture": Goal("the page until its first picture", 2.0, clock="seconds"),
    "click_to_first_point": Goal("a click until the first point", 1.0, clock="seconds"),
    "slider_latency": Goal("the slider moved until its bars are", 0.016, clock="seconds"),
    "vmap16_over_ours": Goal("16 students 784-32-10 by `torch.func.vmap` / ours in one pass"),
    "vmap36_over_ours": Goal("36 students, likewise"),
    "vmap_cnn4_over_four": Goal("4 CNN students by `torch.func.vmap` / one after the other"),
    "grouped_over_slices": Goal(
        "4 CNN students as one grouped convolution / as four convolutions in one step"
    ),
    "channels_last_over_plain": Goal("a CNN student in channels_last / as it is"),
    "bf16_over_plain": Goal("a CNN student under bf16 autocast / as it is"),
    "channels_last_bf16_over_plain": Goal("both / as it is"),
    "compiled_over_plain": Goal("a CNN student by `torch.compile` / as it is"),
}  # fmt: skip

#: The second table: single tricks, each against without it.
TRICKS = ("vmap16_over_ours", "vmap36_over_ours", "vmap_cnn4_over_four", "grouped_over_slices",
          "channels_last_over_plain", "bf16_over_plain", "channels_last_bf16_over_plain",
          "compiled_over_plain")  # fmt: skip
#: What is measured in seconds of CPU time, and what people wait for.
SECONDS = tuple(name for name, goal in GOALS.items() if goal.clock == "CPU seconds")
BROWSER = ("page_to_first_picture", "click_to_first_point", "slider_latency")


def missed(measured: Mapping[str, float | None]) -> list[str]:
    """The names of what is beyond its goal; what was not measured is not."""
    return [
        name
        for name, value in measured.items()
        if value is not None and not GOALS[name].met(value)
    ]


def as_json() -> dict[str, Any]:
    """The goals as plain data: bound and whether it is a least one."""
    return {name: {"bound": goal.bound, "least": goal.least} for name, goal in GOALS.items()}
