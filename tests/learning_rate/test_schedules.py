import json
import math

import keras
import numpy as np
import pytest

from keras_netopt.learning_rate import (
    InverseSquareRoot,
    OneCycle,
    Triangular,
    Warmup,
    WarmupStableDecay,
)

JIT = False if keras.backend.backend() == "tensorflow" else "auto"
COSINE = keras.optimizers.schedules.CosineDecay(0.5, decay_steps=90)


def at(schedule, *steps):
    return [float(schedule(step)) for step in steps]


def one_cycle(step):
    if step < 30:
        return 0.04 + (1.0 - 0.04) * (1 - math.cos(math.pi * step / 30)) / 2
    share = min((step - 30) / 70, 1.0)
    return 4e-6 + (1.0 - 4e-6) * (1 + math.cos(math.pi * share)) / 2


def triangular(step):
    cycle = step // 8
    height = 1 - abs((step - 8 * cycle) / 4 - 1)
    return 0.1 + (0.9 - 0.1) * height * 0.5**cycle


def warmed(step):
    if step < 10:
        return 0.1 + (0.5 - 0.1) * step / 10
    return 0.25 * (1 + math.cos(math.pi * min((step - 10) / 90, 1.0)))


def stable(shape):
    def rate(step):
        if step < 10:
            return 0.5 * step / 10
        share = min(max(step - 80, 0) / 20, 1.0)
        return 0.5 + (0.1 - 0.5) * shape(share)

    return rate


def inverse(step):
    return 0.5 * min(step / 16, (16 / max(step, 1e-9)) ** 0.5)


def wsd(**changed):
    arguments = {"warmup_steps": 10, "decay_steps": 20, "final": 0.1}
    return WarmupStableDecay(0.5, 100, **{**arguments, **changed})


CASES = {
    "one cycle": (OneCycle(1.0, 100), one_cycle),
    "triangular": (Triangular(0.1, 0.9, 4, cycle_factor=0.5), triangular),
    "warm-up": (Warmup(COSINE, 10, initial=0.1), warmed),
    "constant": (
        Warmup(0.5, 10),
        lambda step: 0.5 * min(step / 10, 1),
    ),
    "linear": (wsd(), stable(lambda share: share)),
    "cosine": (
        wsd(decay="cosine"),
        stable(lambda share: (1 - math.cos(math.pi * share)) / 2),
    ),
    "sqrt": (wsd(decay="sqrt"), stable(math.sqrt)),
    "inverse": (InverseSquareRoot(0.5, 16), inverse),
}
EACH = pytest.mark.parametrize("name", CASES)


@EACH
def test_rates_equal_the_closed_form(name):
    """At 0, at the ends of its phases, between and after them."""
    schedule, formula = CASES[name]
    steps = [0, 1, 4, 5, 8, 10, 16, 30, 31, 64, 80, 85, 99, 100, 150]

    np.testing.assert_allclose(
        at(schedule, *steps), [formula(s) for s in steps], rtol=2e-6, atol=1e-7
    )


@EACH
def test_a_config_builds_an_equal_schedule(name):
    schedule, _ = CASES[name]
    stored = keras.optimizers.schedules.serialize(schedule)
    assert stored["registered_name"].startswith("keras_netopt>")
    again = keras.optimizers.schedules.deserialize(
        json.loads(json.dumps(stored))
    )

    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert at(again, 0, 7, 60) == at(schedule, 0, 7, 60)


def test_a_saved_model_keeps_its_schedule(tmp_path):
    """Each in its turn rules an optimizer that is saved in the middle."""
    for name, (schedule, _) in CASES.items():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(schedule), "mse", jit_compile=JIT)
        model.optimizer.build(model.trainable_variables)
        model.optimizer.iterations.assign(4)
        path = tmp_path / f"{name}.keras"
        model.save(path)
        again = keras.saving.load_model(path)

        kept = again.optimizer.get_config()["learning_rate"]
        assert kept == model.optimizer.get_config()["learning_rate"], name
        now = float(again.optimizer.learning_rate)
        assert now == float(schedule(4)) == float(model.optimizer.learning_rate)


def test_each_compiled_step_uses_the_schedule():
    """Plain SGD on a constant gradient moves by the sum of the rates."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False)]
    )
    model.compile(
        keras.optimizers.SGD(OneCycle(0.5, 10)),
        lambda y, p: keras.ops.mean(p),
        jit_compile=JIT,
    )
    before = float(model.get_weights()[0][0, 0])
    x = np.ones((10, 1), "float32")
    model.fit(x, x, batch_size=1, verbose=0)

    moved = before - float(model.get_weights()[0][0, 0])
    total = sum(at(OneCycle(0.5, 10), *range(10)))
    assert moved == pytest.approx(total, rel=1e-5)


def test_a_plateau_without_decay_never_ends():
    assert at(wsd(decay_steps=0), 50, 100, 500) == [0.5] * 3
    assert at(wsd(warmup_steps=0), 0, 1) == [0.5] * 2


def test_a_cycle_may_begin_or_end_at_its_top():
    assert at(OneCycle(1.0, 10, warmup_fraction=0.0), 0) == [1.0]
    top = OneCycle(1.0, 10, warmup_fraction=1.0, final_div_factor=1.0)
    assert at(top, 9.999999) == pytest.approx([1.0])


def test_steps_beyond_what_half_precision_can_count():
    keras.config.set_floatx("float16")
    try:
        rate = OneCycle(1.0, 1_000_000)(600_000)
    finally:
        keras.config.set_floatx("float32")
    assert float(rate) == pytest.approx(0.61126, abs=1e-4)


@pytest.mark.no_backend
def test_a_schedule_shows_its_arguments():
    assert repr(Triangular(0.1, 0.9, 4)) == (
        "Triangular(min_learning_rate=0.1, max_learning_rate=0.9, "
        "half_cycle=4, cycle_factor=1.0)"
    )
