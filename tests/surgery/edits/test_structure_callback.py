import keras
import numpy as np
import pytest

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


@pytest.fixture
def fit(residual, images):
    def run(callbacks, model=None, epochs=EPOCHS, **arguments):
        model = model or residual()
        model.fit(
            *images,
            batch_size=16,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
            **arguments,
        )
        return model

    return run


def width(model, name="inner"):
    return model.get_layer(name).filters


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def test_edits_are_made_when_the_next_epoch_begins(fit):
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(width(self.model))

    cutter = Cutter()
    model = fit([Recorder(), cutter])
    assert seen == [5, 4, 4, 3, 3]
    history = model.history.history
    assert history["params"][0] > history["params"][1] > history["params"][3]
    assert history["macs"][0] > history["macs"][1] == history["macs"][2]
    assert [(e["epoch"], e["step"]) for e in cutter.history] == [
        (1, STEPS),
        (3, 3 * STEPS),
    ]


def test_nothing_is_edited_after_the_last_epoch(fit):
    assert width(fit([Cutter(epochs=[EPOCHS - 1])])) == 5


def test_edits_between_two_batches_train_on(fit):
    seen = {}

    class Recorder(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernel = self.model.get_layer("inner").kernel
            seen[len(seen)] = np.array(keras.ops.convert_to_numpy(kernel))

    model = fit([Cutter(epochs=[], step=4), Recorder()], epochs=2)
    assert [seen[k].shape[-1] for k in range(6)] == [5, 5, 5, 5, 4, 4]
    assert np.abs(seen[5] - seen[4]).min() > 0
    assert int(model.optimizer.iterations) == 2 * STEPS


@pytest.mark.parametrize("first", ["cutter", "backup"])
@pytest.mark.parametrize("crash", [(3, None), (3, 1)])
def test_a_crashed_fit_ends_bit_equal(fit, tmp_path, first, crash):
    expected = state(fit([Cutter(step=7)]))

    def callbacks(*more):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        pair = [Cutter(step=7), backup]
        return [*(pair if first == "cutter" else pair[::-1]), *more]

    with pytest.raises(RuntimeError, match="crash"):
        fit(callbacks(Crash(*crash)))
    resumed = callbacks()
    model = fit(resumed)
    for a, b in zip(expected, state(model), strict=True):
        np.testing.assert_array_equal(a, b)
    cutter = next(c for c in resumed if isinstance(c, Cutter))
    assert len(cutter.history) == 3


def test_other_settings_on_resumption_raise_before_anything(fit, tmp_path):
    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(RuntimeError, match="crash"):
        fit([Cutter(), backup(), Crash(2)])
    with pytest.raises(
        ValueError,
        match=r"^The saved state belongs to a Cutter with other settings: "
        r"layer='inner'. .* Received: layer='hidden'$",
    ):
        fit([Cutter(layer="hidden"), backup()])


def test_the_best_weights_of_early_stopping_are_carried_over(fit, images):
    class Best(keras.callbacks.EarlyStopping):
        """The first epoch is the best one."""

        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {"score": -float(epoch)})
            if epoch == 0:
                kernel = self.model.get_layer("outer").kernel
                self.kept = np.array(keras.ops.convert_to_numpy(kernel))

    best = Best("score", mode="max", patience=3, restore_best_weights=True)
    model = fit([best, Cutter()])
    kernel = keras.ops.convert_to_numpy(model.get_layer("outer").kernel)
    np.testing.assert_array_equal(kernel, best.kept[:, :, 2:])


def test_a_second_fit_edits_the_smaller_model(fit):
    cutter = Cutter(epochs=[0])
    model = fit([cutter], epochs=2)
    fit([cutter], model, epochs=2)
    assert width(model) == 3


def test_training_macs_are_counted_at_every_size(fit, residual):
    model, cutter = residual(), Cutter(epochs=[0])
    before = surgery.ModelSize.of(model).macs
    fit([cutter], model, epochs=2, validation_split=1 / 3)
    after = surgery.ModelSize.of(model).macs
    assert cutter.spent() == 3 * 32 * (before + after)
