"""Data: what students are shown, augmentation, official sets, and data of one's own."""

import pytest
import torch

from workbench import DATA, METHODS, Recipe, Run
from workbench.base import BadInput
from workbench.engine import Ensemble, Teacher, begin, listen, train
from workbench.recipe import teacher
from workbench.runs import prepare

SCRATCH, KD = METHODS["scratch"], METHODS["kd"]
DIGITS = DATA["digits"]
SMALL = Recipe("mlp-8", seed=9, steps=3, events=1)
augments = pytest.mark.parametrize("augment", ["shift", "crop", "flip", "crop-flip"])
noises = pytest.mark.parametrize("shown", ["uniform", "pixels", "patches"])


def taught(data, **more):
    values = {"method": KD(alpha=1), "teachers": (SMALL,), "steps": 6, "events": 3} | more
    return Recipe("mlp-4", data, **values)


# ------------------------------------------------------------------------------ augmentation


@augments
def test_augmented_pictures_are_moved_and_mirrored_ones(augment):
    """Every one is the picture at some place, with black where nothing was; and they differ."""
    x = torch.rand(40, 2, 8, 16) + 0.5  # no black of its own
    data = DIGITS(augment=augment)
    found = data.augmented(x, step=3)
    assert found.shape == x.shape and found.is_contiguous()
    reach = {"shift": (1, 1), "flip": (0, 0)}.get(augment, (1, 2))
    seen = set()
    for one, plain in zip(found, x, strict=True):
        wide = torch.nn.functional.pad(plain, (reach[1], reach[1], reach[0], reach[0]))
        made = {
            (down, right, mirror): (wide.flip(-1) if mirror else wide)[
                :, down : down + 8, right : right + 16
            ]
            for down in range(2 * reach[0] + 1)
            for right in range(2 * reach[1] + 1)
            for mirror in ((False, True) if "flip" in augment else (False,))
        }
        same = [key for key, other in made.items() if torch.equal(one, other)]
        assert len(same) == 1
        seen.update(same)
    assert len(seen) > 1 + len(made) // 3


@augments
def test_augmentation_is_a_pure_function_of_split_and_step(augment):
    x = torch.rand(20, 1, 8, 8)
    data, other = DIGITS(augment=augment), DIGITS(augment=augment, split=1)
    torch.manual_seed(5)
    one = data.augmented(x, 7)
    drawn = torch.random.get_rng_state()
    assert torch.equal(one, data.augmented(x, 7))
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert not torch.equal(one, data.augmented(x, 8))
    assert not torch.equal(one, other.augmented(x, 7))
    many = data.augmented(torch.stack([x, x + 1]), 7)  # each student's own samples
    assert torch.equal(many[0], one) and torch.equal(many[1], data.augmented(x + 1, 7))
    assert torch.equal(data.augmented((x * 255).byte(), 7), (one * 255).byte())


@pytest.mark.parametrize("batch_size", [0, 16])
def test_a_resumed_run_sees_the_same_augmented_pictures(batch_size):
    recipes = [taught(DIGITS(images=40, augment="crop"), batch_size=batch_size, seed=s)
               for s in (0, 1)]  # fmt: skip
    whole = Run(recipes).drain()
    again = prepare(recipes)
    events = []
    for event in train(again):
        events.append(event)
        if event.step == 2:
            kept = {name: value.clone() for name, value in again.tensors().items()}
            again = prepare(recipes)
            again.restore(kept, 2)
            events += list(train(again))
            break
    assert [e.to_json() for e in events] == [e.to_json() for e in whole.events()]
    plain = prepare([r.but(data=DIGITS(images=40)) for r in recipes])
    assert list(train(plain))[-1].terms != events[-1].terms


def test_the_teacher_is_asked_about_the_augmented_pictures():
    recipe = taught(DIGITS(images=30, augment="shift"), batch_size=10)
    (one,) = prepare([recipe]).stacks
    network = one.parts[0].live
    for step in (0, 4):
        batch = one.feed.batch(step)
        rows = DIGITS().parts()["train"].x[batch.index]
        assert not torch.equal(batch.x, rows)
        _, said = one.parts[0].show(one.feed, batch, True, torch.zeros(1, 10, 10))
        torch.testing.assert_close(said.logits, listen(network, batch.x).logits.unsqueeze(0))


@pytest.mark.parametrize("same", [True, False])
def test_an_ensemble_asked_at_every_step_says_what_the_kept_answers_say(same):
    """With the teachers' answers kept, or asked for: the same training, where nothing moves."""
    method = METHODS["ensemble"](mean="logits", alpha=1)
    data = [DIGITS(images=30), DIGITS(images=30 if same else 40)]
    recipes = [Recipe("mlp-4", d, method, (SMALL, SMALL.but(seed=8)), steps=4, events=2,
                      batch_size=10, seed=i) for i, d in enumerate(data)]  # fmt: skip
    kept, live = prepare(recipes), prepare(recipes)
    (stack,) = live.stacks
    networks = [Run(t).student() for t in recipes[0].teachers]
    stack.parts[0].said, stack.parts[0].live = None, Ensemble(networks)
    a, b = list(train(kept))[-1].terms, list(train(live))[-1].terms
    assert a.keys() == b.keys()
    for name, row in a.items():
        assert b[name] == pytest.approx(row, rel=1e-4)


def test_features_that_would_fill_the_memory_are_asked_for_at_every_step(monkeypatch):
    recipe = Recipe("mlp-4", DIGITS(images=20), METHODS["pkt"](), (SMALL,), steps=3, events=1)
    kept = list(train(prepare([recipe])))[-1].terms
    monkeypatch.setattr("workbench.runs.FEATURES", 100)
    state = prepare([recipe])
    assert state.stacks[0].parts[0].live is not None
    for name, row in list(train(state))[-1].terms.items():
        assert row == pytest.approx(kept[name], rel=1e-4)


# ----------------------------------------------------------------------------------- noise


@noises
def test_noise_has_the_shape_of_the_data_and_nothing_of_its_labels(shown):
    data = DIGITS(images=30, shown=shown)
    x, real = data.seen(), DIGITS().parts()["train"].x
    index, y = data.transfer()
    assert x.shape == real.shape and len(index) == 30 and bool((y == -1).all())
    assert float(x.min()) >= 0 and float(x.max()) <= 1 and not torch.equal(x, real)
    assert torch.equal(x, DIGITS(shown=shown, augment="shift").seen())
    assert not torch.equal(x, DIGITS(shown=shown, split=1).seen())
    assert data.parts()["test"] is DIGITS().parts()["test"]
    if shown == "pixels":  # the distribution of every pixel is kept, what hangs together is not
        torch.testing.assert_close(x.mean(0), real.mean(0), atol=0.06, rtol=0)
        torch.testing.assert_close(x.std(0), real.std(0), atol=0.06, rtol=0)
        assert linked(x) < linked(real) / 2
    if shown == "patches":  # the same pixels, elsewhere
        torch.testing.assert_close(x.flatten(1).sort(1).values, real.flatten(1).sort(1).values)


def linked(x):
    """How much the pixels of pictures hang together: the mean of their correlations."""
    rows = x.flatten(1)
    found = torch.corrcoef(rows[:, rows.std(0) > 0.05].T)
    return float(found.abs().mean())


def test_labels_of_noise_are_refused_by_name():
    data = DIGITS(images=30, shown="uniform")
    for name in ("scratch", "label-smoothing", "dkd"):
        method = METHODS[name]()
        teachers = (SMALL,) if "teacher" in method.needs else ()
        with pytest.raises(BadInput, match=f"^{type(method).__name__}: learns from labels, and n"):
            Recipe("mlp-4", data, method, teachers)
    with pytest.raises(BadInput, match=r"^Digits\(label_noise=0.5, shown=pixels\): expected sho"):
        DIGITS(shown="pixels", label_noise=0.5)


def test_the_teacher_learns_from_images_and_is_asked_about_noise():
    data = DIGITS(images=30, shown="pixels", augment="crop")
    assert teacher(data) == teacher(DIGITS())
    recipe = taught(DIGITS(images=30, shown="pixels"))
    plain = taught(DIGITS(images=30))
    prepare([plain])  # what it said about the images lies beside it now
    state = prepare([recipe, plain])
    noise, images = (stack.parts[0] for stack in state.stacks)
    network = Run(SMALL).student()
    torch.testing.assert_close(noise.said.logits, listen(network, data.seen()).logits)
    torch.testing.assert_close(images.said.logits, listen(network, DIGITS().seen()).logits)
    again = prepare([recipe]).stacks[0].parts[0]
    assert torch.equal(again.said.logits, noise.said.logits)


# --------------------------------------------------------------------------- kept in memory


def test_pixels_kept_as_bytes_train_as_the_numbers_they_mean(monkeypatch):
    """uint8 in memory, or the same as float: the same run."""
    network, real = Run(SMALL).student(), DIGITS().parts()
    made = {k: type(v)((v.kept * 255).round().byte(), v.y) for k, v in real.items()}
    floats = {k: type(v)(v.x, v.y) for k, v in made.items()}
    found = []
    for parts in (made, floats):
        monkeypatch.setattr(DIGITS, "parts", lambda self, parts=parts: parts)
        for batch_size in (0, 8):
            recipe = taught(DIGITS(images=40, augment="crop"), batch_size=batch_size)
            one = Teacher(network, listen(network, recipe.data.seen()))
            state = begin([recipe], {(SMALL, "digits", 0): one})
            found.append([event.to_json() for event in train(state)])
    assert found[:2] == found[2:]


def test_on_the_way_a_run_looks_at_a_part_and_at_its_end_at_all(monkeypatch):
    monkeypatch.setattr("workbench.engine.LOOK", 50)
    state = prepare([Recipe("mlp-4", DIGITS(images=20), steps=4, events=2)])
    sizes = []
    for _ in train(state):
        sizes.append({name: logits.shape[-2] for name, logits in state.stacks[0].seen.items()})
    assert sizes[:-1] == [{"validation": 50, "test": 50}] * 2
    assert sizes[-1] == {"validation": 297, "test": 500}
