"""`distill`: somebody's own networks, loaders and layers through the same engine."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from workbench import DATA, METHODS, distill
from workbench.base import BadInput, Method, Outputs, Trouble
from workbench.functional import cross_entropy


def net(*widths: int) -> nn.Sequential:
    sizes = [64, *widths, 10]
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def loader(part: str = "train", n: int = 100, labels: bool = True) -> DataLoader:
    found = DATA["digits"]().parts()[part]
    tensors = (found.x[:n], found.y[:n]) if labels else (found.x[:n],)
    return DataLoader(TensorDataset(*tensors), batch_size=50)


@dataclass(frozen=True)
class Hint(Method):
    """A method with a layer and a learnt projection, as feature methods have."""

    title = "hint"
    paper = "none"
    needs = frozenset({"teacher", "features"})

    def setup(self, student, teacher, sample, n, build):
        (mine,), (its,) = student.features.values(), teacher.features.values()
        return build(lambda: nn.Linear(mine.shape[-1], its.shape[-1]))

    def loss(self, student, teacher, batch, adapter):
        (mine,), (its,) = student.features.values(), teacher.features.values()
        gap = (adapter(mine) - its).square().mean()
        return {"hint": gap, "labels": cross_entropy(student.logits, batch.y)}


def test_it_equals_the_plain_loop_of_hinton_2015():
    torch.manual_seed(0)
    teacher, student = net(32), net(8)
    plain = copy.deepcopy(student)
    data = loader()
    distill(teacher, student, data, "kd", epochs=3, temperature=3, alpha=0.7)
    adam = torch.optim.AdamW(plain.parameters(), lr=1e-3)
    for _ in range(3):
        for x, y in data:
            with torch.no_grad():
                p = torch.softmax(teacher(x) / 3, -1)
            z = plain(x)
            soft = nn.functional.kl_div(torch.log_softmax(z / 3, -1), p, reduction="batchmean")
            loss = 0.3 * nn.functional.cross_entropy(z, y) + 0.7 * 9 * soft
            adam.zero_grad()
            loss.backward()
            adam.step()
    for mine, its in zip(student.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)


def test_the_teacher_comes_back_as_it_was_module_by_module():
    teacher = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 10))
    teacher[1].eval()
    before = copy.deepcopy(teacher.state_dict())
    modes = [m.training for m in teacher.modules()]
    student = distill(teacher, net(8), loader(), epochs=2)
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items())
    assert [m.training for m in teacher.modules()] == modes
    assert all(p.grad is None for p in teacher.parameters())
    assert not student.training


def test_layers_are_read_through_hooks_that_are_taken_off_again():
    teacher, student = net(32), net(8)
    seen = []
    distill(
        teacher, student, loader(), Hint(), epochs=30, layers=[("2", "2")], listener=seen.append
    )
    assert seen[-1].terms["hint"][0] < 0.8 * seen[1].terms["hint"][0]
    assert not any(m._forward_hooks for m in (*teacher.modules(), *student.modules()))


def test_convolution_maps_become_positions_by_channels():
    student = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    teacher = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 10))
    shapes = []

    class Looks(Hint):
        def setup(self, student: Outputs, teacher, sample, n, build):
            shapes.append((student.features["1"].shape, dict(student.grids)))
            return super().setup(student, teacher, sample, n, build)

    distill(teacher, student, loader(n=50), Looks(), epochs=1, layers=[("1", "1")])
    assert shapes == [(torch.Size([50, 36, 4]), {"1": (6, 6)})]


def test_unlabelled_batches_teach_through_the_teacher():
    seen = []
    distill(net(32), net(8), loader(labels=False), epochs=4, alpha=1.0, listener=seen.append)
    assert seen[-1].terms["teacher"][0] < seen[1].terms["teacher"][0]


def test_several_teachers_are_one_ensemble_and_validation_is_reported():
    seen = []
    teachers = [net(16), net(16)]
    distill(teachers, net(8), loader(), validation=loader("test", 200), listener=seen.append)
    assert 0 <= seen[-1].accuracy["validation"][0] <= 1


def test_labels_only_needs_no_teacher():
    seen = []
    distill(
        None, net(16), loader(), "scratch", epochs=20, learning_rate=1e-2, listener=seen.append
    )
    assert seen[-1].terms["labels"][0] < 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "kdd"}, "did you mean 'kd'"),
        ({"temperature": 0}, r"KD\(temperature=0\): expected a value in \[0.01, 1e6\]"),
        ({"temprature": 3}, "did you mean 'temperature'"),
        ({"learning_rate": float("nan")}, r"distill\(learning_rate=nan\): expected a value in"),
        ({"weight_decay": -1}, r"distill\(weight_decay=-1\)"),
        ({"schedule": "linear"}, r"distill\(schedule='linear'\)"),
        ({"events": 0}, r"distill\(events=0\)"),
        ({"seed": 1.5}, r"distill\(seed=1.5\)"),
        ({"epochs": None, "steps": True}, r"distill\(steps=True\)"),
        ({"epochs": True}, r"distill\(epochs=True\): expected a whole number"),
        ({"epochs": 0}, r"distill\(epochs=0\)"),
        ({"epochs": 2, "steps": 3}, r"epochs=2, steps=3\): expected one of the two"),
        ({"layers": "foo"}, "layers='foo'.*pairs"),
        ({"layers": ["ab"]}, "pairs"),
        ({"student": None}, r"student=None\): expected an nn.Module"),
        ({"student": nn.Linear}, "student=the class Linear"),
        ({"student": net(8).requires_grad_(False)}, "all are frozen"),
        ({"listener": 5}, r"listener=5\): expected a function"),
        ({"validation": 5}, r"validation=5\): expected batches"),
        ({"validation": iter(loader())}, "read only once"),
        ({"validation": loader(labels=False)}, "validation batches have no labels"),
        ({"epochs": None, "steps": 0}, r"distill\(steps=0\): expected a whole number"),
        ({"loader": [(torch.rand(2, 1, 8, 8), torch.tensor([1, -2]))]}, "label -2"),
        ({"loader": net(8), "student": loader()}, r"student=DataLoader\)"),
        ({"loader": 5}, r"loader=5\): expected batches"),
        ({"student": nn.Linear(3, 10)}, r"the student does not take .*\(50, 1, 8, 8\)"),
        ({"teacher": nn.Linear(3, 10)}, "the teacher does not take"),
        (
            {"loader": loader(n=50, labels=False)},
            "x alone, and kd learns from labels; say alpha=1",
        ),
        (
            {"loader": loader(n=50, labels=False), "method": "scratch"},
            "scratch learns from labels",
        ),
        ({"layers": [("nope", "1")], "method": "pkt"}, "layer 'nope' is not known"),
        ({"layers": [("1", "1")]}, "kd looks at no layer; leave layers out"),
        ({"teacher": None}, "needs a teacher"),
        ({"teacher": 3}, "Module"),
        ({"loader": []}, "empty"),
        ({"loader": [{"x": 1}]}, "expected x, "),
        ({"loader": [(torch.rand(4, 1, 8, 8), torch.rand(4))]}, "integers"),
        ({"loader": [(torch.rand(4, 1, 8, 8), torch.tensor([1, 2, 3, 11]))]}, "label 11"),
        ({"teacher": nn.Sequential(nn.Flatten(), nn.Linear(64, 7))}, "same classes"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_bad_input_is_one_sentence(change, message):
    given = {"teacher": net(8), "student": net(8), "loader": loader(n=50), "epochs": 1} | change
    with pytest.raises(BadInput, match=message):
        distill(**given)


def test_a_student_cannot_be_its_own_teacher():
    same = net(8)
    with pytest.raises(BadInput, match="same module"):
        distill(same, same, loader())


def not_finite(n):
    """A loader of four batches, the n-th with a NaN in its x."""
    batches = [(x.clone(), y) for x, y in loader(n=200)]
    batches[n][0][3, 0, 2, 2] = float("nan")
    return batches


def spoiled(value):
    made = net(8)
    with torch.no_grad():
        made[1].weight.fill_(value)
    return made


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"temperature": 1e6, "student": spoiled(1e36)}, Trouble, "before step .*smaller lea"),
        ({"student": spoiled(float("inf"))}, BadInput, "student's logits were not finite before"),
        ({"teacher": spoiled(float("nan"))}, BadInput, "teacher's logits .* are not finite"),
        ({"loader": not_finite(0)}, BadInput, "before step 1 has an x that is not finite"),
        ({"loader": not_finite(2)}, BadInput, "before step 3 has an x that is not finite"),
    ],
)
def test_an_infinite_loss_says_why(change, kind, message):
    given = {"teacher": net(8), "student": net(8), "loader": loader(n=200), "epochs": 1} | change
    with pytest.raises(kind, match=message):
        distill(**given)


def test_a_batch_of_one_sample_is_too_small_for_batch_norm():
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    found = DATA["digits"]().parts()["train"]
    data = TensorDataset(found.x[:9], found.y[:9])
    with pytest.raises(BadInput, match="batch of 1 sample, .*BatchNorm.*drop_last=True"):
        distill(None, student, DataLoader(data, batch_size=4), "scratch", epochs=1)
    distill(None, student, DataLoader(data, batch_size=4, drop_last=True), "scratch", epochs=1)
    with pytest.raises(ValueError, match="somebody else's"):  # any other error stays what it is
        distill(None, Other(), DataLoader(data, batch_size=1), "scratch", epochs=1)


class Other(nn.Linear):
    """A student that fails while it trains, for a reason of its own."""

    def __init__(self):
        super().__init__(64, 10)

    def forward(self, x):
        if self.training:
            raise ValueError("somebody else's")
        return super().forward(x.flatten(1))


def seeing(width, seed):
    """A small CNN of somebody's own."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, width, 3, padding=1), nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * width, 3),
    )  # fmt: skip


@pytest.mark.parametrize(
    "index", [torch.arange(1, 25), torch.zeros(24), torch.zeros(24, 1).long()]
)
def test_an_index_that_names_no_sample_is_refused(index):
    batches = DataLoader(TensorDataset(torch.randn(24, 16), torch.zeros(24).long(), index), 8)
    with pytest.raises(BadInput, match="a batch's index is .*whole numbers from 0 to 23"):
        distill(seeing(6, 0), seeing(4, 1), batches, epochs=1)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_serves_networks_of_ones_own(name):
    teacher, student = seeing(6, 0).eval(), seeing(4, 1)
    x, y = torch.randn(24, 16), torch.randint(0, 3, (24,))
    batches = DataLoader(TensorDataset(x, y), batch_size=8)
    before = [p.clone() for p in student.parameters()]
    pairs = [("2", "2"), ("4", "4")] if "features" in METHODS[name].needs else []
    heard = teacher if "teacher" in METHODS[name].needs else None
    if name == "simkd":
        with pytest.raises(BadInput, match="only networks of the workbench name"):
            distill(heard, student, batches, name, epochs=1, layers=pairs)
        return
    if name in ("own-predictions", "crd"):
        with pytest.raises(
            BadInput, match=r"batches do not say which they hold; .*\(x, y, index\)"
        ):
            distill(heard, student, batches, name, epochs=1, layers=pairs)
        batches = DataLoader(TensorDataset(x, y, torch.arange(24)), batch_size=8)
    seen = []
    back = distill(heard, student, batches, name, epochs=2, layers=pairs, listener=seen.append)
    assert back is student and not any(event.diverged for event in seen)
    assert not any(m._forward_hooks for m in student.modules())
    assert any(
        not torch.equal(p, was) for p, was in zip(student.parameters(), before, strict=True)
    )
