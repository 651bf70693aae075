"""Laws of the engine: stacks, determinism, stopping, divergence, teachers, threads."""

import dataclasses
import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from lab import (
    KD,
    OTHER,
    SMOOTH,
    TEACHER,
    Alone,
    Hard,
    Hiccup,
    Hint,
    Live,
    LoneHint,
    Members,
    Memory,
    Poison,
    PoisonedHint,
    Soft,
    Stages,
    assert_one_by_one,
    assert_same_weights,
    digits,
    network_of,
    run,
    teachers,
    weights,
)

from workbench import MODELS, Recipe, train
from workbench.base import BadInput, Outputs, Terms
from workbench.engine import begin, emits, joined, listen, pick_device
from workbench.events import Event

SHORT = {"steps": 12, "events": 4}


def base(**more):
    return Recipe(**{"data": digits(), **SHORT, **more})


def taught(method, *by, **more):
    return base(method=method, teachers=by or (TEACHER,), **more)


def mixed(**more):
    """Methods, knobs, rates and decays that differ, in an order that no stack has."""
    return [
        taught(KD(temperature=1), seed=1, learning_rate=3e-2, **more),
        base(seed=2, **more),
        taught(KD(temperature=8, alpha=1), seed=1, weight_decay=0.5, **more),
        base(method=SMOOTH(epsilon=0.3), seed=3, learning_rate=1e-1, **more),
        taught(KD(temperature=8, alpha=0), OTHER, seed=4, **more),
        base(seed=5, learning_rate=1e-3, **more),
        taught(KD(alpha=0.5), TEACHER, OTHER, seed=6, **more),
    ]


# ------------------------------------------------------------------------------- stacking


@pytest.mark.parametrize("more", [{}, {"batch_size": 16}, {"schedule": "cosine"}], ids=str)
def test_a_stack_of_mlps_is_its_students(more):
    state = assert_one_by_one(mixed(**more))
    assert len(state.stacks) == 1 and len(state.stacks[0].members) == 7


@pytest.mark.parametrize("more", [{}, {"batch_size": 16}], ids=str)
def test_a_stack_of_cnns_is_its_students(more):
    recipes = mixed(student="cnn-4", **more)
    recipes = [r.but(steps=6, events=2) for r in (recipes[0], recipes[1], recipes[3])]
    assert len(assert_one_by_one(recipes).stacks) == 1


@pytest.mark.parametrize("batch_size", [0, 16])
@pytest.mark.parametrize("student", ["mlp-16", "cnn-4"])
def test_students_with_own_transfer_sets_stack(batch_size, student):
    cuts = [digits(left_out=(3,)), digits(left_out=(4,)), digits(left_out=(4,), label_noise=0.5)]
    if batch_size:
        cuts += [digits(), digits(200), digits(labelled=10)]
    recipes = [base(data=cut, seed=i % 2, batch_size=batch_size) for i, cut in enumerate(cuts)]
    recipes[1] = recipes[1].but(method=KD(alpha=0.5), teachers=(TEACHER,))
    recipes = [r.but(student=student, steps=7, events=2) for r in recipes]
    assert len(assert_one_by_one(recipes).stacks) == 1


def test_shapes_that_do_not_stack_train_side_by_side():
    recipes = [
        base(),
        base(student="mlp-32"),
        base(data=digits(100)),
        base(data=digits(split=1)),
        base(batch_size=10),
        base(schedule="cosine"),
        base(student="cnn-4", seed=3),
        base(seed=1),
    ]
    state = assert_one_by_one(recipes)
    assert [one.members for one in state.stacks][0] == [0, 7] and len(state.stacks) == 7


def test_batches_larger_than_the_transfer_set_are_the_transfer_set():
    _, one = run(base(batch_size=64))
    _, two = run(base(batch_size=50))
    _, whole = run(base())
    assert_same_weights(weights(one, 0), weights(two, 0))
    assert_same_weights(weights(one, 0), weights(whole, 0), exact=False)


def test_an_epoch_shows_every_image_once():
    state = begin([base(batch_size=10, steps=20)])
    feed = state.stacks[0].feed
    for epoch in range(3):
        batches = [feed.batch(epoch * 5 + k) for k in range(5)]
        assert sorted(torch.cat([b.index for b in batches]).tolist()) == list(range(50))
        assert all(b.epoch == epoch for b in batches)
    assert not torch.equal(feed.batch(0).index, feed.batch(5).index)
    assert torch.equal(
        feed.batch(7).index, begin([base(batch_size=10, steps=20)]).stacks[0].feed.batch(7).index
    )


def test_seeds_change_the_students_alone():
    state = begin([base(batch_size=10, seed=s) for s in range(3)])
    assert state.stacks[0].feed.batch(3).x.ndim == 4  # one batch, shared by the stack
    one, two = (begin([base(batch_size=10, seed=s)]).stacks[0].feed.batch(3).index for s in (0, 9))
    assert torch.equal(one, two)


def test_a_run_needs_recipes_of_one_length():
    with pytest.raises(BadInput, match="at least one recipe, got none"):
        begin([])
    for change in ({"steps": 13}, {"events": 5}):
        with pytest.raises(BadInput, match=f"need the same {next(iter(change))}"):
            begin([base(), base(**change)])


# ------------------------------------------------------------- methods with all their parts


ADAPTED = [Hint, Stages, Memory, PoisonedHint, LoneHint]


def adapted(method, **more):
    """Three students of one method, with a knob, rates and decays that differ."""
    by = (TEACHER,) if "teacher" in method.needs else ()
    knobs = {name: 0.7 for name in method.knobs() if name != "dose"}
    return [
        base(method=method(), teachers=by, seed=1, **more),
        base(method=method(**knobs), teachers=by, seed=2, learning_rate=3e-2, **more),
        base(method=method(), teachers=by, seed=3, weight_decay=1.0, **more),
    ]


@pytest.mark.parametrize("batch_size", [0, 16])
@pytest.mark.parametrize("method", [*ADAPTED, Alone, Live], ids=lambda m: m.__name__)
def test_methods_with_adapters_train_one_by_one_or_together(method, batch_size):
    state = assert_one_by_one(adapted(method, batch_size=batch_size))
    if not method.stackable:
        assert all(not one.stacked for one in state.stacks) and len(state.stacks) == 3
    elif method is not Stages:
        assert len(state.stacks) == 1


def test_a_student_that_trains_alone_is_that_of_a_stack():
    """Every row of every weight, too: a lone network has no leading axis to cut."""
    alone, one = (taught(method(temperature=1.0), steps=5) for method in (Alone, Soft))
    found = [run([recipe])[1].network(0).state_dict() for recipe in (alone, one)]
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", [Hint, Memory, Live], ids=lambda m: m.__name__)
def test_adapters_serve_students_with_own_transfer_sets(method):
    recipes = adapted(method, batch_size=16)
    cuts = [digits(left_out=(3,)), digits(left_out=(4,)), digits(100)]
    recipes = [r.but(data=cut) for r, cut in zip(recipes, cuts, strict=True)]
    assert len(assert_one_by_one(recipes).stacks) == 1


def test_methods_with_and_without_adapters_share_a_stack():
    recipes = [base(seed=4), *adapted(Hint)[:2], base(method=Memory(), seed=5)]
    assert len(assert_one_by_one([*recipes, taught(KD(), seed=6)]).stacks) == 1


def test_an_adapter_is_learnt():
    recipes = adapted(Hint, steps=60)
    before = begin(recipes, teachers()).stacks[0].parts[0].adapter.state_dict()
    events, state = run(recipes, dtype=torch.float32)
    after = state.stacks[0].parts[0].adapter.state_dict()
    assert before.keys() == after.keys() and len(before) == 6
    for name, value in before.items():
        assert not torch.equal(value, after[name]), name
    first, last = events[1].terms["hint"], events[-1].terms["hint"]
    assert all(b < a for a, b in zip(first, last, strict=True))


def test_an_adapter_starts_from_its_students_seed():
    def starts(*seeds):
        state = begin([taught(Hint(), seed=s) for s in seeds], teachers())
        return [copy.weight for copy in state.stacks[0].parts[0].adapter.each]

    random = torch.random.get_rng_state()
    one, two = starts(3, 8)
    assert torch.equal(two, starts(8)[0]) and not torch.equal(one, two)
    assert torch.equal(random, torch.random.get_rng_state())


def test_update_comes_after_every_step():
    _, state = run(adapted(Memory), dtype=torch.float32)
    for copy in state.stacks[0].parts[0].adapter.each:
        assert copy.count.item() == 12
        assert not bool((copy.said[:50] == 0.1).any()) and bool((copy.said[50:] == 0.1).all())


def test_stages_say_who_learns():
    state = begin([taught(Stages(), steps=8, events=8)], teachers())
    network, adapter = state.stacks[0].network, state.stacks[0].parts[0].adapter
    names, moved = [], []
    before = None
    for event in train(state):
        now = [torch.cat([p.detach().flatten() for p in m.parameters()])
               for m in (network, adapter)]  # fmt: skip
        if before is not None:
            moved.append(tuple(not torch.equal(a, b) for a, b in zip(before, now, strict=True)))
            names.append(event.stage)
        before = [value.clone() for value in now]
    assert names == ["regressor"] * 2 + ["hints"] * 2 + ["answers"] * 4
    assert moved == [(False, True)] * 2 + [(True, True)] * 2 + [(True, False)] * 4


def test_the_terms_of_a_stage_are_reported():
    events, _ = run(taught(Stages(), steps=8, events=8))
    assert events[0].terms == {}
    assert [set(e.terms) for e in events[1:]] == [{"hint"}] * 4 + [{"teacher", "labels"}] * 4


def test_students_of_one_method_never_share_a_call_across_methods():
    """A stack's parts are slices; every loss sees its own students, labels and teacher."""
    state = begin(mixed(), teachers())
    (one,) = state.stacks
    covered = [place for part in one.parts for place in one.members[part.where]]
    assert sorted(covered) == list(range(7))
    for part in one.parts:
        for place in one.members[part.where]:
            assert type(part.method) is type(state.recipes[place].method)


# ------------------------------------------------------------------------------ what decides


def restless(event):
    """A listener that draws, seeds and switches gradients off."""
    torch.manual_seed(event.step)
    torch.rand(1000)
    torch.set_grad_enabled(event.step % 2 == 0)


def numbers(event):
    return json.dumps(json.loads(event.to_json()), sort_keys=True)


@pytest.mark.parametrize("batch_size", [0, 16])
def test_a_second_live_run_is_the_same_whatever_the_listener_does(batch_size):
    recipes = [*mixed(batch_size=batch_size), *adapted(Hint, batch_size=batch_size)]
    recipes += [base(student="cnn-4", batch_size=batch_size)]
    calm, one = run(recipes, dtype=torch.float32)
    state, heard = begin(recipes, teachers()), []
    try:
        for event in train(state):
            heard.append(event)
            restless(event)
    finally:
        torch.set_grad_enabled(True)
    assert heard == calm
    for i in range(len(recipes)):
        assert_same_weights(weights(state, i), weights(one, i))


def test_how_often_a_run_reports_does_not_change_it():
    often, one = run(base(events=12, batch_size=10))
    once, two = run(base(events=1, batch_size=10))
    assert len(often) == 13 and len(once) == 1
    assert often[-1].accuracy == once[-1].accuracy and often[-1].terms == once[-1].terms
    assert_same_weights(weights(one, 0), weights(two, 0))


def test_the_listener_leaves_and_the_state_is_complete():
    whole, reference = run(mixed(batch_size=16))
    state = begin(mixed(batch_size=16), teachers(), dtype=torch.float64)
    generator = train(state)
    first = [next(generator), next(generator)]
    generator.close()
    assert state.step == whole[1].step and first == whole[:2]
    assert [*first, *train(state)] == whole
    for i in range(7):
        assert_same_weights(weights(state, i), weights(reference, i))
    assert list(train(state)) == []


@pytest.mark.parametrize("given", [3, None, Recipe(), "kd"])
def test_what_is_no_state_cannot_be_trained(given):
    with pytest.raises(
        BadInput, match=r"^train\(state=.*\): expected the State .* Run\(recipes\)"
    ):
        next(train(given))


def test_halt_ends_before_the_next_step():
    state = begin([base(steps=1000, events=10)])
    generator = train(state)
    next(generator), next(generator)
    state.halt = True
    assert list(generator) == [] and state.step == 100


# -------------------------------------------------------------------- stopping and resuming


def resumed(recipes, at):
    """The events and state of a training that was saved at some events and read back."""
    state = begin(recipes, teachers())
    heard = []
    for stop in (*at, None):
        for event in train(state):
            heard.append(event)
            if len(heard) == stop:
                break
        if stop is not None:
            saved = {k: v.clone() for k, v in state.tensors().items()}
            step = state.step
            state = begin(recipes, teachers())
            state.restore(saved, step)
            heard = [event for event in heard if event.step < step or step > 0]
    return heard, state


KINDS = {
    "full batch": mixed(),
    "minibatches": mixed(batch_size=16),
    "cosine": mixed(schedule="cosine", batch_size=16),
    "cnn": [base(student="cnn-4", batch_size=16, seed=s) for s in (0, 1)],
    "two shapes": [base(), base(student="cnn-4"), base(student="mlp-32")],
    "hint": adapted(Hint, batch_size=16),
    "stages": adapted(Stages),
    "memory": adapted(Memory, batch_size=16),
    "alone": adapted(LoneHint),
    "diverged": [base(method=Poison(dose=d)) for d in (0, 1, 0)],
    "diverged once": [base(method=Hiccup(dose=d)) for d in (0, 1, 0)],
    "diverged hint": [taught(PoisonedHint(dose=d), seed=s) for s, d in enumerate((0, 1, 0))],
}


@pytest.mark.parametrize("at", [(1,), (2,), (4,), (1, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_state_continues_to_the_same_numbers(kind, at):
    recipes = KINDS[kind]
    whole, reference = run(recipes, dtype=torch.float32)
    heard, state = resumed(recipes, at)
    assert heard == whole
    for i in range(len(recipes)):
        one, two = weights(state, i), weights(reference, i)
        assert all(torch.equal(one[k].nan_to_num(), two[k].nan_to_num()) for k in one)
    for mine, theirs in zip(state.stacks, reference.stacks, strict=True):
        for part, other in zip(mine.parts, theirs.parts, strict=True):
            if part.adapter is not None:
                a, b = part.adapter.state_dict(), other.adapter.state_dict()
                assert all(torch.equal(a[k].nan_to_num(), b[k].nan_to_num()) for k in a)


# ------------------------------------------------------------------------------- diverging


@pytest.mark.parametrize("batch_size", [0, 16])
def test_a_diverged_student_is_frozen_and_its_neighbours_are_not(batch_size):
    def group(dose):
        doses = (0, dose, 0)
        poison = [base(method=Poison(dose=d), seed=s) for s, d in enumerate(doses)]
        return [
            r.but(batch_size=batch_size) for r in [*poison, base(seed=7), taught(KD(), seed=8)]
        ]

    healthy, one = run(group(0), dtype=torch.float32)
    events, two = run(group(1), dtype=torch.float32)
    assert [e.diverged for e in healthy] == [()] * 5
    assert [e.diverged for e in events] == [(), (), (), (1,), (1,)]
    for i in (0, 2, 3, 4):
        # the optimiser's kernel cuts the stack elsewhere, so the last digit may differ
        assert_same_weights(weights(one, i), weights(two, i), exact=False, atol=1e-6)
        for a, b in zip(healthy, events, strict=True):
            for term in a.terms:
                left, right = a.terms[term][i], b.terms[term][i]
                assert left == right or left == pytest.approx(right, rel=1e-5, abs=1e-6)
            assert all(a.accuracy[p][i] == b.accuracy[p][i] for p in a.accuracy)
    for event in events[3:]:
        assert event.accuracy["test"][1] is None and event.accuracy["validation"][1] is None
        assert event.terms["labels"][1] is None
        assert "NaN" not in event.to_json() and "null" in event.to_json()
    halfway, state = [], begin([r.but(steps=6, events=2) for r in group(0)], teachers())
    halfway = list(train(state))
    assert len(halfway) == 3
    assert_same_weights(weights(state, 1), weights(two, 1))  # frozen where it stood


def test_who_diverged_once_stays_frozen():
    events, state = run([base(method=Hiccup(dose=d)) for d in (0, 1)], dtype=torch.float32)
    assert [e.diverged for e in events] == [(), (), (), (1,), (1,)]
    assert events[-1].accuracy["test"][1] is None
    _, halfway = run([base(method=Poison(dose=d)) for d in (0, 1)], dtype=torch.float32)
    assert_same_weights(weights(state, 1), weights(halfway, 1))


@pytest.mark.parametrize("method", [Poison, PoisonedHint], ids=lambda m: m.__name__)
def test_all_students_may_diverge(method):
    by = (TEACHER,) if "teacher" in method.needs else ()
    events, state = run([base(method=method(dose=1), teachers=by, seed=s) for s in (0, 1)])
    assert events[-1].diverged == (0, 1) and len(events) == 5
    assert events[-1].accuracy["test"] == (None, None)
    assert all(bool(torch.isfinite(v).all()) for v in weights(state, 0).values())


def test_a_diverged_adapter_stops_learning_too():
    recipes = [taught(PoisonedHint(dose=d), seed=s) for s, d in enumerate((0, 1, 0))]
    healthy, one = run([r.but(method=PoisonedHint()) for r in recipes], dtype=torch.float32)
    events, two = run(recipes, dtype=torch.float32)
    assert events[-1].diverged == (1,)
    mine, theirs = (s.stacks[0].parts[0].adapter for s in (two, one))
    for i in (0, 2):
        pair = mine.each[i].state_dict(), theirs.each[i].state_dict()
        assert_same_weights(*pair, exact=False, atol=1e-6)
        assert_same_weights(weights(two, i), weights(one, i), exact=False, atol=1e-6)
    assert all(bool(torch.isfinite(p).all()) for p in mine.parameters())


@pytest.mark.parametrize("student", ["mlp-16", "cnn-4"])
def test_an_absurd_learning_rate_is_never_fatal(student):
    recipes = [base(student=student, learning_rate=rate) for rate in (10, 1e-2)]
    events, state = run([r.but(steps=60, weight_decay=10.0) for r in recipes], torch.float32)
    for event in events:
        assert Event.from_json(event.to_json()) == event
        assert event.accuracy["test"][1] is not None
    assert 1 not in events[-1].diverged
    assert all(bool(torch.isfinite(v).all()) for v in weights(state, 1).values())


# --------------------------------------------------------------------------------- teachers


@pytest.mark.parametrize("method", [KD, Live, Hint], ids=lambda m: m.__name__)
def test_the_teacher_is_untouched(method):
    student = taught(method(), seed=1, batch_size=16)
    found = teachers(TEACHER)
    network = found[TEACHER, "digits", 0].network
    before = {k: v.clone() for k, v in network.state_dict().items()}
    seen = []
    network.register_forward_hook(lambda module, x, y: seen.append((x[0].shape, module.training)))
    for _ in train(begin([student, student.but(seed=2)], found)):
        assert not network.training
    assert_same_weights(network.state_dict(), before)
    assert all(p.grad is None for p in network.parameters())
    if method is Live:
        assert len(seen) == 12 and {training for _, training in seen} == {False}
    else:
        assert seen == []  # what it said is known already


def test_a_live_teacher_is_heard_in_eval_mode():
    """A CNN's answers in train mode would depend on the batch, and move its statistics."""
    recipe = Recipe("cnn-4", seed=77, steps=3, events=1)
    found = teachers(recipe)
    found[recipe, "digits", 0].network.train()
    live, one = run(taught(Live(), recipe, batch_size=16), teachers=found)
    cached = dataclasses.replace(KD(temperature=1, alpha=1))
    known, two = run(taught(cached, recipe, batch_size=16), teachers=teachers(recipe))
    # float32 logits are cached, a live teacher speaks float64
    assert_same_weights(weights(one, 0), weights(two, 0), exact=False, atol=1e-5)
    assert live[-1].terms["teacher"] == pytest.approx(known[-1].terms["teacher"], rel=1e-5)


def test_listening_leaves_the_mode_and_takes_no_gradient():
    network, x = network_of(TEACHER.but(student="cnn-4")), digits().parts()["test"].x
    for training in (True, False):
        network.train(training)
        said = listen(network, x, features=True, rows=64)
        assert network.training == training and not said.logits.requires_grad
        whole = network.eval()(x, features=True)
        torch.testing.assert_close(said.logits, whole.logits)
        assert said.grids == whole.grids
        for name, seen in whole.features.items():
            torch.testing.assert_close(said.features[name], seen)


def test_listening_to_a_stack_in_parts_is_listening_at_once():
    network = MODELS["cnn-4"]((1, 8, 8), 10, [0, 1]).train()
    x = digits().parts()["test"].x
    one, two = listen(network, x, features=True), listen(network, x, features=True, rows=99)
    torch.testing.assert_close(one.logits, two.logits)
    for name, seen in one.features.items():
        torch.testing.assert_close(seen, two.features[name])


def test_several_teachers_are_one_with_their_mean_probability():
    found = teachers()
    a, b = (found[t, "digits", 0].said.logits.double() for t in (TEACHER, OTHER))
    said = joined([Outputs(a), Outputs(b)])
    torch.testing.assert_close(said.logits.exp(), (a.softmax(-1) + b.softmax(-1)) / 2)
    assert torch.equal(said.extra["members"], torch.stack([a, b]))
    one = joined([Outputs(a)])
    assert torch.equal(one.logits, a) and not one.extra
    _, twins = run(taught(KD(), TEACHER, TEACHER))
    _, lone = run(taught(KD(), TEACHER))
    assert_same_weights(weights(twins, 0), weights(lone, 0), exact=False, atol=1e-5)


@pytest.mark.parametrize("batch_size", [0, 16])
def test_a_method_can_see_every_member(batch_size):
    recipes = [
        taught(Members(weight=w), TEACHER, OTHER, seed=s, batch_size=batch_size)
        for s, w in enumerate((1, 0.5))
    ]
    assert len(assert_one_by_one(recipes).stacks) == 1
    cut = [r.but(data=digits(left_out=(s,))) for s, r in enumerate(recipes)]
    assert len(assert_one_by_one(cut).stacks) == 1


@pytest.mark.parametrize("batch_size", [0, 16])
def test_the_teachers_hard_labels_replace_the_references(batch_size):
    found = teachers(TEACHER)
    said = found[TEACHER, "digits", 0].said.logits.argmax(-1)
    state = begin([taught(Hard(), seed=s, batch_size=batch_size) for s in (0, 1)], found)
    part = state.stacks[0].parts[0]
    assert torch.equal(part.y, said[: len(part.y)]), "the rows that are shown"
    assert not torch.equal(said, digits().parts()["train"].y)
    assert_one_by_one([taught(Hard(), seed=s, batch_size=batch_size) for s in (0, 1)])
    cut = taught(Hard(), data=digits(labelled=0), batch_size=batch_size)
    _, unlabelled = run(cut)
    _, labelled = run(taught(Hard(), batch_size=batch_size))
    assert_same_weights(weights(unlabelled, 0), weights(labelled, 0))


def test_one_teacher_per_split():
    recipes = [taught(KD(alpha=1), data=digits(split=s)) for s in (0, 1)]
    found = teachers(TEACHER) | teachers(TEACHER, split=1)
    assert len(assert_one_by_one(recipes, teachers=found).stacks) == 2


@pytest.mark.parametrize("student", ["mlp-16", "cnn-4"])
def test_start_continues_from_a_trained_student(student):
    first = base(student=student, seed=3)
    _, done = run(first)
    starts = {first: done.network(0)}
    recipes = [base(student=student, seed=9, start=first), base(student=student, seed=1)]
    state = begin(recipes, starts=starts, dtype=torch.float64)
    assert_same_weights(weights(state, 0), weights(done, 0))
    _, fresh = run(base(student=student, seed=1))
    list(train(state))
    assert_same_weights(weights(state, 1), weights(fresh, 0), exact=False)
    assert_one_by_one(recipes, starts=starts)


# ---------------------------------------------------------------------------------- threads


def test_gradient_mode_never_leaks_into_any_thread():
    """Gradio advances one generator from several worker threads."""
    whole, _ = run([*adapted(Memory), taught(Live(), seed=3)], dtype=torch.float32)
    state = begin([*adapted(Memory), taught(Live(), seed=3)], teachers())
    generator, heard = train(state), []

    def advance(wanted):
        torch.set_grad_enabled(wanted)
        event = next(generator, None)
        return event, torch.is_grad_enabled(), torch.get_num_threads()

    pools = [ThreadPoolExecutor(1) for _ in range(3)]
    threads = [pool.submit(torch.get_num_threads).result() for pool in pools]
    for turn in range(6):
        i = turn % 3
        event, enabled, count = pools[i].submit(advance, i != 1).result()
        assert enabled == (i != 1) and count == threads[i]
        heard += [event] if event else []
    for pool in pools:
        assert pool.submit(torch.is_grad_enabled).result() == (pool is not pools[1])
        pool.shutdown()
    assert heard == whole


def test_tiny_models_train_on_one_thread_and_give_the_others_back():
    torch.set_num_threads(2)
    state = begin([base()])
    assert state.threads == 1
    for _ in train(state):
        assert torch.get_num_threads() == 2
    large = begin([Recipe("mlp-256-256", digits(1000), seed=s) for s in range(3)])
    assert large.threads is None


def test_no_inference_mode_or_default_type_escapes():
    generator = train(begin([base()]))
    next(generator)
    assert not torch.is_inference_mode_enabled() and torch.get_default_dtype() == torch.float32
    generator.close()


# ----------------------------------------------------------------------------------- events


@pytest.mark.parametrize("steps", [1, 2, 7, 60, 299, 300, 100_000])
@pytest.mark.parametrize("events", [1, 2, 3, 60, 199])
def test_a_run_reports_at_most_two_hundred_times(steps, events):
    found = emits(steps, events)
    assert len(found) <= 200 and found[-1] == steps and list(found) == sorted(set(found))
    assert found == (steps,) if events == 1 else found[0] == 0
    if 1 < events <= steps:
        gaps = [b - a for a, b in zip(found, found[1:], strict=False)]
        assert len(found) == events + 1 and max(gaps) - min(gaps) <= 1


def test_an_event_says_what_happened():
    recipes = [base(seed=1), taught(KD(), seed=2)]
    events, state = run(recipes)
    first, last = events[0], events[-1]
    assert first.step == 0 and first.terms == {} and last.step == last.steps == 12
    assert set(last.terms) == {"labels", "teacher"} and last.terms["teacher"][0] is None
    for part in ("validation", "test"):
        samples = digits().parts()[part]
        for i in range(2):
            said = state.network(i).eval()(samples.x.double()).logits
            rate = (said.argmax(-1) == samples.y).double().mean().item()
            assert last.accuracy[part][i] == rate
            torch.testing.assert_close(state.logits(i, part), said)
    assert state.logits(0, "train") is None
    with pytest.raises(IndexError, match="student 2 of 2"):
        state.network(2)


def test_the_terms_are_those_of_the_last_step():
    events, _ = run(base(steps=1, events=2, seed=4))
    data = digits()
    network = MODELS["mlp-16"](data.shape, 10, 4).double()
    index, y = data.transfer()
    x = data.parts()["train"].x[index].double()
    loss = torch.nn.functional.cross_entropy(network(x).logits, y)
    assert events[-1].terms["labels"][0] == pytest.approx(loss.item(), rel=1e-9)


def test_students_learn():
    events, _ = run([base(steps=300), taught(KD(), steps=300)], dtype=torch.float32)
    assert events[0].accuracy["test"][0] < 0.3 < 0.65 < events[-1].accuracy["test"][0]


def test_events_go_round_through_json():
    events, _ = run([*mixed(), base(method=Poison(dose=1)), base(student="cnn-4")])
    for event in events:
        assert Event.from_json(event.to_json()) == event and "\n" not in event.to_json()

        def refuse(word):
            raise AssertionError(word)

        json.loads(event.to_json(), parse_constant=refuse)
    with pytest.raises(ValueError):
        dataclasses.replace(events[0], terms={"a": (math.nan,)}).to_json()


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "5", "null", '{"step": 1}', '{"terms": 5}', '"x"', '{"a": 1}'],
)
def test_a_line_that_is_no_event_is_a_value_error(line):
    with pytest.raises(ValueError):
        Event.from_json(line)


# ----------------------------------------------------------------------------------- devices


@pytest.mark.parametrize(
    ("cuda", "mps", "size", "expected"),
    [
        (True, True, 1e9, "cuda"),
        (False, True, 1e9, "mps"),
        (False, False, 1e9, "cpu"),
        (True, True, 1e6, "cpu"),
        (False, True, 0, "cpu"),
    ],
)
def test_the_best_device_there_is_for_the_size(monkeypatch, cuda, mps, size, expected):
    """With fakes: neither CUDA nor MPS is run here."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto", size).type == expected
    assert pick_device("cpu", size).type == "cpu"
    for name, there in (("cuda", cuda), ("mps", mps)):
        if there:
            assert pick_device(name, 0).type == name
        else:
            with pytest.raises(BadInput, match=f"device '{name}' is not on this machine"):
                pick_device(name)


def test_an_unknown_device_is_refused():
    with pytest.raises(BadInput, match="'tpu' is not known: expected auto, cpu, cuda or mps"):
        pick_device("tpu")


def test_terms_that_lie_in_one_tensor_are_a_mapping():
    whole = torch.randn(2, 3)
    terms = Terms(("teacher", "labels"), whole)
    assert list(terms) == ["teacher", "labels"] and len(terms) == 2 and "hint" not in terms
    assert torch.equal(terms["labels"], whole[1]) and repr(terms) == repr(dict(terms))
    with pytest.raises(KeyError):
        terms["hint"]


def test_terms_in_one_tensor_train_as_their_parts_do(monkeypatch):
    recipes = [taught(KD(), seed=s) for s in range(3)]
    _, whole = run(recipes)
    plain = KD.loss
    monkeypatch.setattr(KD, "loss", lambda *given: dict(plain(*given)))
    _, apart = run(recipes)
    for i in range(3):
        assert_same_weights(weights(whole, i), weights(apart, i), exact=False)
