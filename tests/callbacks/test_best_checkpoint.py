"""The saved epoch is the best one of those that are sparse enough."""

import errno

import keras
import pytest
from damaged_files import damage
from small_disk import fill, small_disk

from keras_netopt import sparsity
from keras_netopt.callbacks import BestCheckpoint, Pruning
from keras_netopt.schedules import Polynomial
from keras_netopt.training import NoEffectWarning


class Metric(keras.callbacks.Callback):
    """Writes a metric of our choice into the logs."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.values[epoch]


def run(model, data, path, values, *, pruning=None, **arguments):
    best = BestCheckpoint(path, monitor="score", mode="max", **arguments)
    callbacks = [Metric(values), best]
    if pruning is not None:
        callbacks.insert(0, pruning)
    model.fit(*data, epochs=len(values), verbose=0, callbacks=callbacks)
    return best


def early():
    """Reaches its target at the end of the second of four epochs."""
    return Pruning(Polynomial(final=0.8, begin=0.0, end=0.5))


def test_a_dense_epoch_is_never_saved(masked_mlp, toy_data, tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    run(masked_mlp(), toy_data, path, [9, 5, 6, 4], pruning=early())

    assert sorted(p.name for p in tmp_path.iterdir()) == ["2.keras", "3.keras"]
    saved = keras.saving.load_model(tmp_path / "3.keras")
    assert sparsity.report(saved).sparsity == pytest.approx(0.8, abs=0.005)


def test_an_explicit_sparsity_counts_from_the_logs(
    masked_mlp, toy_data, tmp_path
):
    path = str(tmp_path / "{epoch}.keras")
    values = [9, 8, 7, 6]
    run(masked_mlp(), toy_data, path, values, pruning=early(), sparsity=0.0)

    assert [p.name for p in tmp_path.iterdir()] == ["1.keras"]


def test_without_pruning_every_epoch_counts(traced_mlp, toy_data, tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    run(traced_mlp(), toy_data, path, [1, 3, 2])

    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.keras", "2.keras"]


@pytest.mark.filterwarnings("ignore:Pruning. training ended")
def test_a_fit_that_saves_nothing_is_told(masked_mlp, toy_data, tmp_path):
    late = Pruning(Polynomial(final=0.8, begin=0.5, end=1.0))

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    best = BestCheckpoint(str(tmp_path / "m.keras"), monitor="loss", mode="min")
    with pytest.warns(NoEffectWarning, match="no epoch reached the target"):
        masked_mlp().fit(
            *toy_data, epochs=4, verbose=0, callbacks=[late, best, Stop()]
        )

    assert not list(tmp_path.iterdir())


def test_a_second_fit_looks_for_its_own_best(traced_mlp, toy_data, tmp_path):
    path = tmp_path / "m.keras"
    best = run(traced_mlp(), toy_data, str(path), [9])
    path.unlink()
    callbacks = [Metric([1]), best]
    traced_mlp().fit(*toy_data, epochs=1, verbose=0, callbacks=callbacks)

    assert path.exists()


def test_a_checkpoint_of_an_earlier_fit_writes_nothing(
    traced_mlp, toy_data, tmp_path
):
    """Neither after a fit that ended, nor after one that raised."""
    model, path = traced_mlp(), tmp_path / "m.keras"

    class Backup(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.save_weights(tmp_path / "backup.weights.h5")

    for ends in (True, False):
        if ends:
            run(model, toy_data, str(path), [9])
        else:
            first = BestCheckpoint(path, monitor="score", mode="max")
            with pytest.raises(KeyError):
                model.fit(
                    *toy_data,
                    epochs=2,
                    verbose=0,
                    callbacks=[Metric({0: 1}), first],
                )
        path.unlink()
        model.fit(
            *toy_data,
            epochs=1,
            verbose=0,
            callbacks=[Metric([99]), Backup()],
        )
        assert not path.exists()


def test_a_failed_save_is_not_the_best(traced_mlp, toy_data, tmp_path, capsys):
    path = tmp_path / "m.keras"
    best = run(traced_mlp(), toy_data, str(path), [1], verbose=1)
    assert f"finished saving model to {path}" in capsys.readouterr().out
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        traced_mlp().fit(
            *toy_data, epochs=1, verbose=0, callbacks=[Metric([2]), best]
        )
    assert best.best is None


def test_a_resumed_fit_remembers_the_best_epoch(traced_mlp, toy_data, tmp_path):
    path = tmp_path / "m.keras"
    run(traced_mlp(), toy_data, str(path), [5, 9, 3])
    before = path.read_bytes()
    resumed = BestCheckpoint(path, monitor="score", mode="max")
    callbacks = [Metric([5, 9, 3, 7, 8]), resumed]
    traced_mlp().fit(
        *toy_data, epochs=5, initial_epoch=3, verbose=0, callbacks=callbacks
    )

    assert path.read_bytes() == before
    assert resumed.best == 9


def test_an_earlier_save_compares_the_epoch_but_no_question_does(
    traced_mlp, toy_data, tmp_path
):
    """A backup may be listed first; asking for the state saves nothing."""
    path, seen = tmp_path / "m.keras", []
    best = BestCheckpoint(path, monitor="score", mode="max")

    class Earlier(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.ask()
            self.model.save_weights(tmp_path / "backup.weights.h5")
            self.ask()

        def ask(self):
            seen.append((best.save_state()[0]["best"], path.exists()))

    callbacks = [Metric([5]), Earlier(), best]
    traced_mlp().fit(*toy_data, epochs=1, verbose=0, callbacks=callbacks)
    assert seen == [(None, False), (5.0, True)]


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_a_full_disk_keeps_the_former_best(
    traced_mlp, toy_data, tmp_path, name
):
    arguments = {"save_weights_only": name.endswith(".h5")}
    with small_disk(tmp_path / "disk") as disk:
        path = disk / name
        run(traced_mlp(), toy_data, str(path), [1], **arguments)
        before = path.read_bytes()
        fill(disk, leave=len(before) // 2)
        with pytest.raises(OSError) as caught:
            run(traced_mlp(), toy_data, str(path), [2], **arguments)
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == before
        assert f"The file '{path}' is as it was." in caught.value.__notes__
        assert {one.name for one in disk.iterdir()} <= {name, "ballast"}


def test_a_resumed_fit_goes_on_without_an_unreadable_file(
    traced_mlp, toy_data, tmp_path
):
    run(traced_mlp(), toy_data, str(tmp_path / "m.keras"), [5])
    for kind, path in damage(tmp_path / "m.keras"):
        if kind in ("a folder", "vanished"):
            continue
        best = BestCheckpoint(path, monitor="score", mode="max")
        with pytest.warns(NoEffectWarning) as warned:
            traced_mlp().fit(
                *toy_data,
                epochs=2,
                initial_epoch=1,
                verbose=0,
                callbacks=[Metric([5, 3]), best],
            )
        told = " ".join(str(one.message) for one in warned)
        assert str(path) in told, kind
        assert "the comparison starts anew" in told, kind
        assert best.best == 3
        keras.saving.load_model(path)


@pytest.mark.no_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"mode": "best"},
            "Argument `mode` must be 'auto', 'min' or 'max'. "
            "Received: mode='best'",
        ),
        (
            {"sparsity": 1.0},
            "Argument `sparsity` must be a float in [0, 1). "
            "Received: sparsity=1.0",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError) as error:
        BestCheckpoint("m.keras", **arguments)

    assert str(error.value) == message
