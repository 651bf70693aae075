"""SimKD: answer with the teacher's own classifier, and learn only to speak to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import BadInput, Batch, Build, Method, Outputs
from workbench.functional import square_gap
from workbench.methods._knobs import weighs
from workbench.methods._layers import resized

#: The feature which a student that re-uses a classifier gives beside its body's.
PROJECTED = "projected"


@dataclass(frozen=True)
class Simkd(Method):
    r"""$w\,\overline{(g(f_s)-f_t)^2}$, and the student answers with $h_t(\overline{g(f_s)})$

    with g a learnt projector from the student's last feature to the teacher's, before pooling, and
    $h_t$ the teacher's classifier, frozen.

    The teacher's judgement sits in its last layer; a student whose features are the teacher's may
    use it as it is, and needs no labels and no temperature. The price is that projector and
    classifier stay with the student: it becomes larger, which sizes and operations say.

    Shapes: features "projected" (*lead, B, P, D) of the student and the last (B, P', D) of the
    teacher, the larger grid averaged to the smaller one. Labels are not used. Term: features
    (*lead), the mean over samples, positions and width. No gradient reaches the classifier.
    Raises BadInput for networks that are not the workbench's, whose classifier nobody knows.
    """

    title: ClassVar[str] = "Re-used classifier"
    paper: ClassVar[str] = "Chen et al., 2022, arXiv:2203.14001"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features", "classifier"})

    weight: float = weighs(1.0, "w", "of the last features")

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """Nothing beside the student, which has the projector."""
        if PROJECTED not in student.features:
            raise BadInput(
                "Simkd: answers with the teacher's classifier, which only networks of the "
                "workbench name; expected a Recipe"
            )
        return None

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The mean square between the last features."""
        assert teacher is not None
        mine, its = PROJECTED, list(teacher.features)[-1]
        mine = mine if mine in student.features else list(student.features)[-1]
        f_s, f_t = student.features[mine], teacher.features[its].detach()
        if mine in student.grids and its in teacher.grids:
            f_s, f_t = resized((mine, its), student, teacher)
        return {"features": self.weight * square_gap(f_s, f_t)}
