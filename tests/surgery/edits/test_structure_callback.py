import shutil

import keras
import numpy as np
import pytest
from keras import layers
from surgery.conftest import EAGER

from keras_netopt import surgery
from keras_netopt.surgery.edits.structure_callback import StructureCallback

EPOCHS, STEPS = 5, 3


@keras.saving.register_keras_serializable("tests")
class Cutter(StructureCallback):
    """Cuts unit 0 of layers: at epoch ends that say so, and at a step."""

    def __init__(self, epochs=(0, 2), step=None, layer="inner"):
        super().__init__()
        self.epochs = list(epochs)
        self.step = step
        self.layer = layer
        self.reset()

    def reset(self):
        super().reset()
        self._pending = False
        self._stepped = False
        self.losses = []

    def plan_edits(self, epoch, logs):
        self.losses.append(logs["loss"])
        self._pending = epoch in self.epochs

    def has_due_edits(self):
        late = self.step is not None and self._progress.step >= self.step
        return self._pending or (late and not self._stepped)

    def due_edits(self):
        if not self._pending:
            self._stepped = True
        self._pending = False
        return [lambda model: surgery.remove(model, {self.layer: [0]})]

    def get_state(self):
        state = super().get_state()
        return {**state, "pending": self._pending, "stepped": self._stepped}

    def set_state(self, state):
        self._pending, self._stepped = state["pending"], state["stepped"]


class Crash(keras.callbacks.Callback):
    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch, self.batch, self._now = epoch, batch, -1

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch
        if epoch == self.epoch and self.batch is None:
            raise RuntimeError("crash")

    def on_train_batch_begin(self, batch, logs=None):
        if (self._now, batch) == (self.epoch, self.batch):
            raise RuntimeError("crash")


def build(**compile_arguments):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, activation="tanh", name="inner"),
            layers.Dense(5, activation="tanh", name="outer"),
            layers.Dense(3, name="out"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, 0.9), "mse", **compile_arguments)
    return model


def fit(callbacks, model=None, *, epochs=EPOCHS, **arguments):
    """Fits 48 samples; by default the model is new and steps are traced."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(48, size)) for size in (4, 3))
    options = {"batch_size": 48 // STEPS, "shuffle": False, "verbose": 0}
    model = model or build()
    model.fit(x, y, epochs=epochs, callbacks=callbacks, **options, **arguments)
    return model


def eager():
    return build(run_eagerly=EAGER)


def array(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def width(model):
    return model.get_layer("inner").units


def state(model):
    return [array(v) for v in (*model.variables, *model.optimizer.variables)]


class Recorder(keras.callbacks.Callback):
    """The kernel of the edited layer after each step."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(array(self.model.get_layer("inner").kernel))


@pytest.fixture(scope="module")
def edited():
    """A fit with edits at two epoch ends and between two batches."""
    recorder, cutter = Recorder(), Cutter(step=7)
    return fit([recorder, cutter]), recorder.kernels, cutter


def test_edits_are_made_when_the_next_epoch_begins_or_between_batches(edited):
    model, kernels, cutter = edited
    widths = [kernel.shape[-1] for kernel in kernels]
    assert widths == [6, 6, 6, 5, 5, 5, 5, 4, 4, 3, 3, 3, 3, 3, 3]
    for key in ("params", "macs"):
        sizes = model.history.history[key]
        assert sizes[0] > sizes[1] > sizes[2] > sizes[3] == sizes[4]
    assert [(e["epoch"], e["step"]) for e in cutter.history] == [
        (1, STEPS),
        (2, 7),
        (3, 3 * STEPS),
    ]


def test_training_goes_on_after_an_edit(edited):
    model, kernels, _ = edited
    for old, new in zip(kernels, kernels[1:], strict=False):
        assert old.shape != new.shape or np.abs(new - old).min() > 0
    assert int(model.optimizer.iterations) == EPOCHS * STEPS


@pytest.fixture(scope="module", params=["cutter", "backup"])
def crashed(request, tmp_path_factory):
    """A function that returns the callbacks that resume a crashed fit."""
    folder = tmp_path_factory.mktemp("crashed")

    def callbacks(folder, **settings):
        backup = keras.callbacks.BackupAndRestore(folder / "backup")
        pair = [Cutter(step=7, **settings), backup]
        return pair if request.param == "cutter" else pair[::-1]

    with pytest.raises(RuntimeError, match="crash"):
        fit([*callbacks(folder), Crash(3, 1)])

    def resumed(copy, **settings):
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        return callbacks(copy, **settings)

    return resumed


def test_a_crashed_fit_ends_bit_equal(crashed, edited, tmp_path):
    callbacks = crashed(tmp_path)
    model = fit(callbacks)
    for a, b in zip(state(edited[0]), state(model), strict=True):
        np.testing.assert_array_equal(a, b)
    cutter = next(c for c in callbacks if isinstance(c, Cutter))
    assert len(cutter.history) == 3
    assert cutter.spent() == edited[2].spent() > 0


def test_other_settings_on_resumption_raise_before_anything(crashed, tmp_path):
    model = build()
    before = model.get_weights()
    with pytest.raises(
        ValueError,
        match=r"^The saved state belongs to a Cutter with other settings: "
        r"layer='inner'. .* Received: layer='outer'$",
    ):
        fit(crashed(tmp_path, layer="outer"), model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_best_weights_of_early_stopping_are_carried_over():
    class Best(keras.callbacks.EarlyStopping):
        """The first epoch is the best one."""

        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {"score": -float(epoch)})
            if epoch == 0:
                self.kept = array(self.model.get_layer("outer").kernel)

    best = Best("score", mode="max", patience=2, restore_best_weights=True)
    model = fit([best, Cutter((0, 1))], eager())
    np.testing.assert_array_equal(
        array(model.get_layer("outer").kernel), best.kept[2:]
    )


def test_nothing_is_edited_after_the_last_epoch():
    assert width(fit([Cutter(epochs=[1])], eager(), epochs=2)) == 6


def test_a_second_fit_edits_the_smaller_model():
    cutter, model = Cutter(epochs=[0]), eager()
    for left in (5, 4):
        fit([cutter], model, epochs=2)
        assert width(model) == left


def test_training_macs_are_counted_at_every_size():
    model, cutter = eager(), Cutter(epochs=[0])
    before = surgery.ModelSize.of(model).macs
    fit([cutter], model, epochs=2, validation_split=1 / 3)
    after = surgery.ModelSize.of(model).macs
    assert cutter.spent() == 3 * 32 * (before + after)
