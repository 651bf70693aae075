"""Data: what students are shown, augmentation, official sets, and data of one's own."""

import gzip
import hashlib
import io
import json
import math
import urllib.error
import urllib.request
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from workbench import DATA, METHODS, MODELS, Recipe, Run, vision
from workbench.__main__ import main
from workbench.base import BadInput, Trouble
from workbench.data import _official, _read, own
from workbench.data._official import Sums
from workbench.data._read import SetAsideWarning
from workbench.engine import Ensemble, Teacher, begin, listen, train
from workbench.recipe import teacher
from workbench.runs import prepare
from workbench.said import pack, unpack

SCRATCH, KD = METHODS["scratch"], METHODS["kd"]
DIGITS, Own = DATA["digits"], DATA["own"]
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


@pytest.mark.parametrize("batch_size", [0, 10])
def test_versions_come_in_turn_and_the_teacher_is_asked_about_each_once(batch_size, monkeypatch):
    data = DIGITS(images=30, left_out=(3,), augment="crop", views=3)
    (one,) = prepare([taught(data, batch_size=batch_size, steps=40)]).stacks
    part, network, seen = one.parts[0], Run(SMALL).student(), data.seen()
    assert part.live is None and len(seen) == 90
    real, counts = DIGITS().parts()["train"], []
    for step in (0, 1, 2, 3, 4, 8, 9, 35):
        batch = one.feed.batch(step)
        each = batch.index % 30
        assert bool((batch.index // 30 == batch.epoch % 3).all())
        assert torch.equal(batch.x, seen[batch.index])
        assert not torch.equal(batch.x, real.x[each])
        mine, said = part.show(one.feed, batch, True, torch.zeros(1, 10, 10))
        assert torch.equal(mine.y, real.y[each]) and not bool((mine.y == 3).any())
        torch.testing.assert_close(
            said.logits[0] if said else heard(part, batch), kept(network, batch.x)
        )
        counts.append(batch.epoch % 3)
    assert set(counts) == {0, 1, 2}


def heard(part, batch):
    return part.said.logits[batch.index]


def test_versions_of_ones_own_pictures_are_as_many_as_there_are(tmp_path, monkeypatch):
    """`images` is by default more than anybody has."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    x = np.random.RandomState(0).randint(0, 256, (60, 8, 8), np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(60) % 3)
    data = own.Own(path=str(tmp_path / "own.npz"), augment="flip", views=3)
    train_part = len(data.parts()["train"])
    assert len(data.seen()) == 3 * train_part == data.reach()
    taught_ = Recipe("mlp-4", data, KD(), (Recipe("mlp-8", data.whole(), steps=2, events=1),),
                     steps=9, events=1, batch_size=10)  # fmt: skip
    assert len(list(train(prepare([taught_])))) == 1


def test_versions_of_an_image_share_its_place_in_a_memory():
    data = DIGITS(images=20, left_out=(0,), augment="shift", views=2)
    (part,) = (
        prepare([taught(data, method=METHODS["own-predictions"](), teachers=())]).stacks[0].parts
    )
    index, _ = data.transfer()
    assert part.place.tolist() == part.place[:20].tolist() * 2
    assert part.place[index].tolist() == list(range(len(index)))


def test_who_has_other_versions_is_another_stack_and_another_name():
    made = [
        DIGITS(images=20, augment="shift", **more) for more in ({}, {"views": 2}, {"views": 3})
    ]
    assert len({data.rows for data in made}) == 3
    assert len(prepare([taught(data) for data in made]).stacks) == 3
    assert len({taught(data).name for data in made}) == 3
    with pytest.raises(BadInput, match="views=2, augment=none"):
        DIGITS(views=2)


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
        assert b[name] == pytest.approx(row, rel=1e-3)  # what is kept is rounded


def test_features_that_would_fill_the_memory_are_asked_for_at_every_step(monkeypatch):
    recipe = Recipe("mlp-4", DIGITS(images=20), METHODS["pkt"](), (SMALL,), steps=3, events=1)
    kept = list(train(prepare([recipe])))[-1].terms
    monkeypatch.setattr("workbench.runs.ROOM", 100)
    state = prepare([recipe])
    assert state.stacks[0].parts[0].live is not None
    for name, row in list(train(state))[-1].terms.items():
        assert row == pytest.approx(kept[name], rel=2e-3)  # what is kept is rounded


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
    assert torch.equal(noise.said.logits, kept(network, data.seen()[:1000])[:30])
    assert torch.equal(images.said.logits, kept(network, DIGITS().seen())[:30])
    again = prepare([recipe]).stacks[0].parts[0]
    assert torch.equal(again.said.logits, noise.said.logits)


def kept(network, x):
    """A network's logits as they are kept."""
    return unpack(pack(listen(network, x).logits))


def test_a_teacher_is_asked_about_the_images_that_are_shown_and_no_more(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setattr("workbench.runs.ROWS", 64)
    asked = []

    def listening(network, x, *rest, **more):
        asked.append(len(x))
        return listen(network, x, *rest, **more)

    Run(SMALL).drain()
    monkeypatch.setattr("workbench.runs.listen", listening)
    network = Run(SMALL).student()
    for images, whole in ((30, 64), (60, 0), (100, 128), (30, 0)):
        asked.clear()
        (said,) = [part.said for part in prepare([taught(DIGITS(images=images))]).stacks[0].parts]
        torch.testing.assert_close(said.logits, kept(network, DIGITS().seen()[:images]))
        assert (
            sum(asked) == whole
        )  # more are asked about than are shown, so that parts are the same


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


# --------------------------------------------------------------------------- published sets

KINDS = pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])


def idx(folder, name, array):
    """Write a packed IDX file, and give its checksums."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    packed = gzip.compress(head + array.tobytes())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(packed)
    return Sums(hashlib.md5(packed).hexdigest())


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """60 + 20 pictures where torchvision's cache would have 60 000 + 10 000."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(_official, "VALIDATION", 20)
    draw, made = np.random.RandomState(3), {}
    for kind in (DATA["mnist"], DATA["fashion-mnist"]):
        sums = {}
        for (pixels, labels), n in zip(_official.NAMES.values(), (60, 20), strict=True):
            x = draw.randint(0, 256, (n, 28, 28)).astype(np.uint8)
            y = (np.arange(n) % 10).astype(np.uint8)
            made[kind.key(), n] = x
            folder = tmp_path / "cache" / kind.TORCHVISION / "raw"
            sums |= {pixels: idx(folder, pixels, x), labels: idx(folder, labels, y)}
        monkeypatch.setattr(kind, "SUMS", sums)
        monkeypatch.setattr(kind, "FOLDERS", ())
    for cached in (_official._read, _official._parts):
        cached.cache_clear()
    yield made
    for cached in (_official._read, _official._parts):
        cached.cache_clear()


@KINDS
def test_a_published_set_is_cut_by_the_split_and_its_test_part_kept_whole(tiny, name):
    data = DATA[name](images=10)
    parts = data.parts()
    assert {k: len(v) for k, v in parts.items()} == {"train": 40, "validation": 20, "test": 20}
    assert all(part.kept.dtype == torch.uint8 for part in parts.values())
    for published, mine in ((60, ("train", "validation")), (20, ("test",))):
        rows = torch.cat([parts[k].kept for k in mine]).flatten(1)
        assert sorted(rows.tolist()) == sorted(
            tiny[name, published].reshape(published, -1).tolist()
        )
    assert data.transfer()[1].bincount().tolist() == [1] * 10  # stratified and nested
    assert parts["validation"].y.bincount().tolist() == [2] * 10
    assert parts["train"].x.dtype == torch.float32 and float(parts["train"].x.max()) <= 1
    other = DATA[name](split=1).parts()
    assert not torch.equal(other["train"].kept, parts["train"].kept)
    assert sorted(other["test"].kept.flatten(1).tolist()) == sorted(
        parts["test"].kept.flatten(1).tolist()
    )


@KINDS
def test_a_file_that_is_not_the_published_one_is_refused_by_its_path(tiny, name):
    folder = DATA[name].folder()
    path = folder / "t10k-images-idx3-ubyte.gz"
    for content, said in (
        (gzip.compress(bytes(20)), "checksum is not that of the published"),
        (path.read_bytes()[:-20], "cannot be read"),
        (b"", "checksum|cannot be read"),
    ):
        path.write_bytes(content)
        _official._read.cache_clear()
        with pytest.raises(Trouble, match=f"^{path}: .*({said}).*remove it, and it is"):
            DATA[name].read()


def test_a_set_that_is_not_here_says_so_where_there_is_no_network(tmp_path, monkeypatch):
    """torchvision's own code, which finds no network here; what it prints is kept quiet."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(DATA["fashion-mnist"], "FOLDERS", ())
    for name in ("mnist", "fashion-mnist", "cifar10", "cifar100"):
        assert not DATA[name].here()
        DATA[name](images=500, left_out=(3,))  # a recipe can be read without its data

    def refuse(*args, **more):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    for name in ("mnist", "cifar10"):
        with pytest.raises(Trouble, match=f"^{name}: is not on this machine and cannot be down"):
            DATA[name].read()


def test_cifar_is_read_by_torchvision_and_only_with_its_checksums(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    for name in ("cifar10", "cifar100"):
        folder = tmp_path / DATA[name].FOLDER
        folder.mkdir()
        for file in ("data_batch_1", "train", "test", "test_batch"):
            (folder / file).write_bytes(b"cos\nsystem\n(S'false'\ntR.")  # a pickle that would run
        assert DATA[name].here()
        with pytest.raises(Trouble, match=f"^{name}: its files in .* are not those that were pub"):
            DATA[name].read()
    x = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)
    made = SimpleNamespace(data=x, targets=[7, 99])
    fake = SimpleNamespace(datasets=SimpleNamespace(CIFAR100=lambda root, train: made))
    monkeypatch.setattr(vision, "torchvision", lambda: fake)
    train, test = DATA["cifar100"].read()
    assert train.y.tolist() == test.y.tolist() == [7, 99]
    assert torch.equal(train.kept, torch.from_numpy(x).permute(0, 3, 1, 2))


@pytest.mark.skipif(not DATA["fashion-mnist"].here(), reason="needs dataset-fashion-mnist")
def test_fashion_mnist_is_the_published_one():
    data = DATA["fashion-mnist"](images=50)
    parts = data.parts()
    assert {k: len(v) for k, v in parts.items()} == {
        "train": 55_000, "validation": 5000, "test": 10_000
    }  # fmt: skip
    both = torch.cat([parts["train"].kept, parts["validation"].kept])
    shares = torch.bincount(both.flatten(), minlength=256).double() / both.numel()
    values = torch.arange(256) / 255
    mean = float(shares @ values.double())
    std = float((shares @ (values.double() - mean) ** 2) ** 0.5)
    assert abs(mean - 0.2860) < 5e-5 and abs(std - 0.3530) < 5e-5  # as everybody normalises it
    assert data.transfer()[1].bincount().tolist() == [5] * 10
    assert parts["test"].y.bincount().tolist() == [1000] * 10


# -------------------------------------------------------------------------------- own data


def picture(shade, size=(12, 10), mode="L", kind="PNG", **more):
    """The bytes of a picture of one shade."""
    buffer = io.BytesIO()
    Image.new(mode, size, shade).save(buffer, kind, **more)
    return buffer.getvalue()


def pets(n=6, **more):
    """name -> bytes: cats are dark, dogs are bright."""
    return {f"{pet}/{i}.png": picture(shade + i, **more)
            for pet, shade in (("cat", 20), ("dog", 200)) for i in range(n)}  # fmt: skip


def folder_of(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def zip_of(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def npz_of(path, **arrays):
    np.savez(path, **arrays)
    return path


def csv_of(path, text):
    path.write_text(text)
    return path


TABLE = "age,kind,size\n" + "".join(f"{i},{'ab'[i % 2]},{i * i}\n" for i in range(20))


@pytest.fixture(autouse=True)
def forgotten():
    """What one test read is not known to the next."""
    own._found.cache_clear()
    own._parts.cache_clear()


def test_a_folder_and_a_zip_of_the_same_pictures_are_the_same_data(tmp_path):
    files = pets()
    one = Own(path=str(folder_of(tmp_path / "pets", files)), images=5)
    two = Own(path=str(zip_of(tmp_path / "a.zip", files)), images=5)
    deep = {f"pets/{name}": content for name, content in files.items()}
    more = {"__MACOSX/._1.png": b"x", "pets/readme.txt": b"hello", "pets/.hidden.png": b"x"}
    three = Own(path=str(zip_of(tmp_path / "b.zip", deep | more)), images=5)
    assert one == two == three and len({one.path, two.path, three.path}) == 3
    names = {Recipe(data=data).name for data in (one, two, three)}
    assert len(names) == 1 and one.content.endswith("-12-1x32x32-2")
    assert one.names == ("cat", "dog") and one.shape == (1, 32, 32) and one.classes == 2
    parts = two.parts()
    assert {k: len(v) for k, v in parts.items()} == {"train": 7, "validation": 2, "test": 3}
    for part in parts.values():  # every picture with its own label
        assert torch.equal((part.x.mean((1, 2, 3)) > 0.5).long(), part.y)
    assert Own(path=one.path, side=16) != one and Own(path=one.path, side=16).shape == (1, 16, 16)
    changed = files | {"dog/1.png": picture(3)}
    assert Own(path=str(zip_of(tmp_path / "c.zip", changed))).content != one.content


def test_colour_turning_and_transparency_are_respected(tmp_path):
    files = pets() | {f"fox/{i}.png": picture((200, 90, 0), mode="RGB") for i in range(5)}
    files["fox/clear.png"] = picture((0, 0, 0, 0), mode="RGBA")
    wide = Image.new("RGB", (40, 20))
    wide.paste((255, 0, 0), (0, 0, 20, 20))  # left half red
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: left is up
    buffer = io.BytesIO()
    wide.save(buffer, "JPEG", exif=exif, quality=95)
    files["fox/turned.jpg"] = buffer.getvalue()
    data = Own(path=str(zip_of(tmp_path / "a.zip", files)), side=16)
    assert data.shape == (3, 16, 16)
    every = torch.cat([part.x for part in data.parts().values()])
    assert bool((every.flatten(1) == 1).all(1).any())  # nothing over white is white
    turned = [x for x in every if x[0].amax() > 0.9 and x[1].amax() < 0.2]
    (x,) = turned
    assert float(x[0, :4].mean()) > 0.9 and float(x[0, -4:].mean()) < 0.1


def test_pictures_that_cannot_be_read_are_named_counted_and_set_aside(tmp_path):
    files = pets(8)
    files |= {"cat/half.png": files["cat/1.png"][:40], "dog/odd.jpg": b"no picture",
              "dog/0.png": picture(1, size=(6000, 5000))}  # fmt: skip
    with pytest.warns(SetAsideWarning) as caught:
        data = Own(path=str(folder_of(tmp_path / "pets", files)))
    (said,) = (str(one.message) for one in caught)
    assert "because they cannot be read: 3 of 18 pictures: cat/half.png (" in said
    assert "dog/0.png (more than 25 million pixels)" in said and "\n" not in said
    assert data.content.split("-")[1] == "15"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "expected a folder of pictures .* for each class, such as cat/1.png, and found none"),
        ({"1.png": picture(3)}, "such as cat/1.png, and found none"),
        ({k: v for k, v in pets().items() if "cat" in k}, "one class only, expected at least two"),
        (pets(4), "class 'cat' has 4, expected at least 5"),
        (dict.fromkeys(pets(), b"x"), "none of 12 pictures can be read: cat/0.png"),
        (pets() | {"../../evil.png": picture(1)}, "'../../evil.png', which leads out of it"),
        (pets() | {"/etc/evil.png": picture(1)}, "which leads out of it"),
        (pets() | {"cat\\..\\evil.png": picture(1)}, "which leads out of it"),
    ],
)
def test_a_zip_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, files, said):
    path = zip_of(tmp_path / "pets.zip", files)
    with pytest.raises(BadInput, match=f"^{path}: .*{said}") as caught:
        Own(path=str(path))
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*evil*")) == []


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(_read, "BYTES", 2_000_000)
    path = zip_of(tmp_path / "bomb.zip", pets() | {"cat/big.png": bytes(3_000_000)})
    assert path.stat().st_size < 20_000
    with pytest.raises(BadInput, match="unpacks to more than is read here"):
        Own(path=str(path))
    monkeypatch.setattr(_read, "COUNT", 10)
    with pytest.raises(BadInput, match="expected at most 10"):
        Own(path=str(zip_of(tmp_path / "many.zip", pets())))
    with pytest.raises(BadInput, match="expected at most 10 pictures"):
        Own(path=str(folder_of(tmp_path / "many", pets())))
    bomb = npz_of(tmp_path / "bomb.npz", x=np.zeros((1000, 3000)), y=np.zeros(1000, int))
    with pytest.raises(BadInput, match="x unpacks to 24 MB|24 MB, expected at most 2 MB"):
        Own(path=str(bomb))
    np.savez_compressed(bomb, x=np.zeros((1000, 3000)), y=np.zeros(1000, int))
    with pytest.raises(BadInput, match="x unpacks to 24 MB, expected at most 2 MB"):
        Own(path=str(bomb))


def test_links_are_not_followed(tmp_path):
    secret = folder_of(tmp_path / "secret", {"a.png": picture(1), "b.png": picture(2)})
    root = folder_of(tmp_path / "pets", pets())
    (root / "cat" / "link.png").symlink_to(secret / "a.png")
    (root / "spy").symlink_to(secret)
    assert Own(path=str(root)).content.split("-")[1] == "12"
    path = zip_of(tmp_path / "a.zip", pets())
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("cat/link.png")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, str(secret / "a.png"))
    assert Own(path=str(path)).content.split("-")[1] == "12"


def test_arrays_are_pictures_or_features(tmp_path):
    y = np.arange(20) % 2
    draw = np.random.RandomState(0)
    grey = draw.randint(0, 256, (20, 8, 6)).astype(np.uint8)
    colour = draw.rand(20, 8, 6, 3)
    for x, shape, dtype in (
        (grey, (1, 8, 6), torch.uint8),
        (grey.astype(np.int64), (1, 8, 6), torch.uint8),
        (colour, (3, 8, 6), torch.float32),
        (colour.transpose(0, 3, 1, 2), (3, 8, 6), torch.float32),
        (colour * 255, (3, 8, 6), torch.float32),
        (draw.randn(20, 7) * 5, (7,), torch.float32),
        (grey > 100, (1, 8, 6), torch.float32),
    ):
        data = Own(path=str(npz_of(tmp_path / "a.npz", x=x, y=y + 3)))
        own._found.cache_clear()
        assert data.shape == shape and data.names == ("3", "4")
        kept = torch.cat([part.kept for part in data.parts().values()])
        assert kept.dtype == dtype
        if len(shape) == 3:
            whole = torch.cat([part.x for part in data.parts().values()])
            assert 0 <= float(whole.min()) and 0.5 < float(whole.max()) <= 1
    words = Own(path=str(npz_of(tmp_path / "a.npz", x=grey, y=np.array(["no", "yes"])[y])))
    assert words.names == ("no", "yes")


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_pictures_whose_white_is_16_are_not_taken_for_black(tmp_path, kind):
    x = np.random.RandomState(0).randint(0, 17, (20, 8, 8))
    path = npz_of(tmp_path / "a.npz", x=x.astype(kind), y=np.arange(20) % 2)
    with pytest.warns(UserWarning, match="brightest pixel is 16, which is taken for white"):
        data = Own(path=str(path))
    assert max(float(part.x.max()) for part in data.parts().values()) == 1


X, Y = np.zeros((10, 3)), np.arange(10) % 2


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": X, "y": Y}, "holds a, y: expected the arrays x"),
        ({"x": X, "y": Y[:9]}, r"x \(10, 3\) and y \(9,\): expected"),
        ({"x": X, "y": Y / 2}, "y holds float64: expected whole numbers or words"),
        ({"x": X, "y": Y * 0}, "one class only"),
        ({"x": X, "y": np.arange(10)}, "class '0' has 1, expected at least 5"),
        ({"x": X + np.eye(10)[:, :3] * math.nan, "y": Y}, "hold NaN or an infinite number, the f"),
        ({"x": np.zeros((10, 200, 200)), "y": Y}, r"expected \(n, D\), \(n, H, W\)"),
        ({"x": np.zeros((10, 8, 8, 2)), "y": Y}, r"shape \(10, 8, 8, 2\): expected"),
        ({"x": np.full((10, 8, 8), 300), "y": Y}, "pixels from 300 to 300: expected them in"),
        ({"x": X.astype(str), "y": Y}, "x holds <U.*: expected numbers"),
        ({"x": np.zeros((0, 8, 8)), "y": Y[:0]}, "holds no sample"),
        ({"x": np.array([{}] * 10), "y": Y}, "x is no array that can be read .objects, which"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused_in_a_sentence(tmp_path, arrays, said):
    path = npz_of(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match=f"^{path}: .*{said}") as caught:
        Own(path=str(path))
    assert "\n" not in str(caught.value)


def test_a_header_that_lies_takes_no_memory(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    path = zip_of(tmp_path / "a.npz", {"x.npy": buffer.getvalue(), "y.npy": b"x"})
    with pytest.raises(BadInput, match="its header does not fit its content"):
        Own(path=str(path))


def test_a_table_is_standardised_by_its_training_part(tmp_path):
    named = Own(path=str(csv_of(tmp_path / "a.csv", TABLE)), label="kind")
    assert named.shape == (2,) and named.names == ("a", "b")
    parts = named.parts()
    torch.testing.assert_close(parts["train"].x.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(parts["train"].x.std(0), torch.ones(2))
    every = torch.cat([part.x for part in parts.values()])
    raw = torch.tensor([[i, i * i] for i in range(20)]).float()
    torch.testing.assert_close(torch.corrcoef(every.T), torch.corrcoef(raw.T))
    last = TABLE.replace("kind,size", "size,kind").splitlines()
    bare = "\n".join(
        ";".join((r.split(",")[0], r.split(",")[2], r.split(",")[1])) for r in last[1:]
    )
    plain = Own(path=str(csv_of(tmp_path / "b.csv", bare)))  # no header, the label last
    assert plain.names == ("a", "b") and plain.shape == (2,)
    for name, part in plain.parts().items():
        assert torch.equal(part.x, parts[name].x) and torch.equal(part.y, parts[name].y)
    front = csv_of(tmp_path / "d.csv", "".join(f"{'ab'[i % 2]},{i},{i * i}\n" for i in range(20)))
    assert Own(path=str(front), label="1").names == ("a", "b")
    same = csv_of(tmp_path / "c.csv", "".join(f"7,{i},{i % 2 + 9}\n" for i in range(20)))
    assert bool((Own(path=str(same)).parts()["test"].x[:, 0] == 0).all())  # a constant column
    assert Own(path=str(same)).names == ("9", "10")


@pytest.mark.parametrize(
    ("text", "label", "said"),
    [
        ("", "", "expected rows of at least two columns"),
        ("1\n2\n", "", "expected rows of at least two columns"),
        (TABLE, "kin", "column 'kin' is not known: expected one of age, kind, size; did you mean"),
        ("1,2,a\n" * 9, "kind", "column 'kind': it has no header, expected a number from 1 to 3"),
        ("1,2,a\n" * 9, "4", "column .4. is not known: expected one of 1, 2, a"),
        ("age,kind\n", "", "holds no sample"),
        (TABLE + "1,a\n", "kind", "row 22 has 2 columns, expected 3 as in the first"),
        (TABLE + "old,a,3\n", "kind", "row 22, column 'age': expected a number, got 'old'"),
        (TABLE + ",a,3\n", "kind", "row 22, column 'age': expected a number, got ''"),
        (TABLE + "1,a,nan\n", "kind", "1 of 21 samples hold NaN or an inf.*is sample 21"),
        (TABLE + "1,a,1e60\n", "kind", "1 of 21 samples hold NaN or an infinite"),
        (TABLE, "", "row 2, column 'kind': expected a number, got 'a'; the last column is"),
        (
            "1,2\n" * 9 + "1,3\n",
            "",
            "class '3' has 1, expected at least 5 .*the last column is the label, unless",
        ),
        (TABLE.replace(",b,", ",a,"), "kind", "one class only"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, text, label, said):
    path = csv_of(tmp_path / "a.csv", text)
    with pytest.raises(BadInput, match=f"^{path}: .*{said}") as caught:
        Own(path=str(path), label=label)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing.zip", "No such file"), ("a.pkl", "expected a folder, .zip, .npz or .csv"),
     ("b.zip", "is no zip file"), ("b.csv", "no table in UTF-8"), ("b.npz", "is no zip file")],
)  # fmt: skip
def test_files_that_are_not_what_they_seem_are_refused(tmp_path, name, said):
    path = tmp_path / name
    if name != "nothing.zip":
        path.write_bytes(b"\x80\x04\x95\xff\xfe junk")
    with pytest.raises(BadInput, match=f"^{path}: .*{said}"):
        Own(path=str(path))


def test_own_data_go_through_json_and_say_when_they_are_gone_or_changed(tmp_path, call):
    path = csv_of(tmp_path / "a.csv", TABLE)
    data = Own(path=str(path), label="kind", images=8)
    recipe = Recipe("mlp-4", data, KD(alpha=1), (SMALL.but(data=data.whole()),), steps=3, events=1)
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe and again.name == recipe.name and again.data.path == str(path)
    assert len(Run(recipe).drain().events()) == 2 - 1
    moved = path.rename(tmp_path / "b.csv")
    own._found.cache_clear()
    own._parts.cache_clear()
    gone = Run.at(Run(recipe).folder)
    assert gone.status.status == "done" and gone.events()  # what happened is still known
    with pytest.raises(BadInput, match=f"own data: {path} is gone; put it back, or"):
        gone.logits()
    with pytest.raises(BadInput, match="is gone"):
        prepare([recipe])
    found = Own(path=str(moved), label="kind", images=8)
    assert (
        Run(recipe.but(data=found, teachers=(SMALL.but(data=found.whole()),))).folder
        == gone.folder
    )
    path.write_text(TABLE.replace("19,b,361", "19,b,362"))
    with pytest.raises(BadInput, match=f"own data: {path} has changed since this run"):
        prepare([recipe])
    code, out, _ = call("runs", "list")
    assert code == 0 and "done" in out


def test_networks_that_need_pictures_refuse_features_by_name(tmp_path):
    data = Own(path=str(csv_of(tmp_path / "a.csv", TABLE)), label="kind")
    for name, size in MODELS.items():
        if size.family.misfit(data.shape, size.options):
            with pytest.raises(BadInput, match=f"^{name}: expected pictures .*; take an MLP"):
                Recipe(name, data)
        else:
            assert size(data.shape, data.classes)(data.parts()["test"].x).logits.shape == (4, 2)
    for knobs, said in (({"augment": "crop"}, "augment=crop"), ({"shown": "patches"}, "patches")):
        with pytest.raises(BadInput, match=rf"^Own\(.*{said}\): expected pictures"):
            Own(path=data.path, label="kind", **knobs)
    noise = Own(path=data.path, label="kind", shown="uniform")
    assert noise.seen().shape == (12, 2)


def test_knobs_are_right_for_each_data_set(tmp_path):
    path = str(csv_of(tmp_path / "a.csv", TABLE))
    for knobs, said in (
        ({"images": 13}, r"images=13\): expected at most the 12 of its training part"),
        ({"left_out": (2,)}, r"left_out=\[2\]\): expected classes in \[0, 1\]"),
        ({"left_out": (1,)}, "at least two classes to stay"),
    ):
        with pytest.raises(BadInput, match=said):
            Own(path=path, label="kind", **knobs)
    assert DATA["cifar100"](left_out=(99,), images=45_000).classes == 100
    with pytest.raises(BadInput, match=r"different class numbers in \[0, 9\]"):
        DATA["cifar10"](left_out=(99,))
    with pytest.raises(BadInput, match=r"batch_size=0, images=45000\): expected a batch_size"):
        Recipe(data=DATA["cifar10"](images=45_000))
    for use in (lambda: Own().shape, lambda: Own().parts(), lambda: Recipe(data=Own())):
        with pytest.raises(BadInput, match=r"^Own\(path=\): expected a folder, .zip"):
            use()
    with pytest.raises(BadInput, match=r"^Own\(content=abc\)"):
        Own(path=path, content="abc")


def test_what_arrives_as_bytes_is_kept_by_its_content(tmp_path):
    folder = tmp_path / "kept"
    content = zip_of(tmp_path / "a.zip", pets()).read_bytes()
    data = own.received(content, "../../my pets.ZIP", folder)
    assert data == Own(path=str(tmp_path / "a.zip")) and data.classes == 2
    assert [path.parent for path in tmp_path.rglob("*.zip") if path.name != "a.zip"] == [folder]
    for bad, name, said in (
        (b"junk", "pets.zip", "^pets.zip: is no zip"),
        (content, "pets.exe", "^pets.exe: expected a .zip, .npz or .csv"),
        (content * 900, "pets.zip", "^pets.zip: 2 MB, expected at most 1 MB"),
    ):
        with pytest.raises(BadInput, match=said):
            own.received(bad, name, folder, most=1_000_000)
    assert len(list(folder.iterdir())) == 1


# ------------------------------------------------------------------------- the command line


@pytest.fixture
def call(capsys):
    """The command line: exit code, output, messages."""

    def ask(*words):
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return ask


def test_own_data_train_from_the_command_line(tmp_path, call):
    path = folder_of(tmp_path / "pets", pets(9) | {"cat/odd.png": b"x"})
    words = ["--student", "mlp-4", "--teacher", "mlp-8", "--steps", "4", "--seeds", "2",
             "--images", "6", "--augment", "flip"]  # fmt: skip
    code, out, err = call("train", "kd", "--data", str(path), *words)
    assert code == 0 and "kd" in out
    assert err.count("left out, because they cannot be read: 1 of 19 pictures: cat/odd.png") == 1
    code, again, _ = call("train", "kd", "--data", f"own:path={path},images=6", *words[:-4],
                          "--augment", "flip", "--json")  # fmt: skip
    assert code == 0 and json.loads(again)["runs"][0]["folder"] in out
    for bad, said in (
        (["--data", f"own:path={path},images=6", "--images", "7"], "given twice (6 and 7)"),
        (["--data", f"own:path={path}x"], "cannot be read (No such file or directory)"),
        (["--data", f"{path}x.zip"], "x.zip: no such file or folder"),
        (["--data", "own"], "Own(path=): expected a folder, .zip, .npz or .csv"),
        (["--data", "digits", "--side", "16"], "Digits: has no knob 'side'"),
        (["--data", "digist"], "did you mean 'digits'?"),
    ):
        code, out, err = call("train", "scratch", *bad)
        assert code == 2 and out == "" and said in err and len(err.splitlines()) == 1


def test_the_command_line_compares_on_published_data(tiny, call):
    words = ["--data", "fashion-mnist", "--images", "20", "--splits", "2", "--seeds", "1",
             "--student", "mlp-4", "--teacher", "mlp-8", "--steps", "2",
             "--workers", "1"]  # fmt: skip
    code, out, _ = call("compare", "scratch", "kd", *words, "--learning-rate", "0.01")
    assert code == 0 and "best of five on 20 labelled validation images" in out
    assert "The teacher saw 40 labels; each student saw 20 images." in out
    code, out, _ = call("list")
    assert code == 0 and out.count("(not on this machine; fetched when it is used)") == 2
