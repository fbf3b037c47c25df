"""The arms of the comparison: one function trains one row."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.channel_pruning import models

DENSE_EPOCHS = 5
PRUNING_EPOCHS = 8
RATIO = 0.75  # Of the MACs: a quarter is left.
SECOND = 1000  # Added to the seed for the order of the second fit.
SAMPLES = 1024  # For the scores that need data.

Row = dict[str, Any]


@dataclass
class Bench:
    """Data and trained starting points, one a seed.

    Args:
        folder: Where the starting points are kept.
        limit: Images to train on, for trying things out.
    """

    folder: Path
    limit: int | None = None
    data: models.Data = field(init=False)

    def __post_init__(self) -> None:
        self.data = models.load_data(self.limit)

    def start(self, seed: int) -> Any:
        """Returns the net after the dense epochs, optimizer state included."""
        import keras

        path = self.folder / f"channels-{self.limit or 'all'}-{seed}.keras"
        if not path.exists():
            keras.utils.set_random_seed(seed)
            model = models.build()
            models.fit(model, self.data, DENSE_EPOCHS, seed)
            model.save(path)
        return keras.saving.load_model(path)


def run_dense(bench: Bench, seed: int, earlier: Row | None) -> Row:
    """Trains on without a cut: the dense parent."""
    model = bench.start(seed)
    epochs = models.fit(model, bench.data, PRUNING_EPOCHS, SECOND + seed)
    return _row(bench, model, epochs)


def run_cut(**options: Any) -> Callable[[Bench, int, Row | None], Row]:
    """Makes an arm that cuts three quarters of the MACs in steps."""

    def run(bench: Bench, seed: int, earlier: Row | None) -> Row:
        from keras_netopt.callbacks import ChannelPruning

        model = bench.start(seed)
        after = AfterCut(bench.data[1])
        x, y = bench.data[0]
        choices = {"resource": "macs", "round_to": 4, **options}
        if choices.get("score") == "taylor":
            choices["calibration_data"] = (x[:SAMPLES], y[:SAMPLES])
        cut = ChannelPruning(
            choices.pop("sparsity", RATIO), seed=seed, **choices
        )
        epochs = models.fit(
            model, bench.data, PRUNING_EPOCHS, SECOND + seed, [cut, after]
        )
        return {**_row(bench, model, epochs), "after_cut": after.seen}

    return run


def run_scratch(bench: Bench, seed: int, earlier: Row | None) -> Row:
    """Trains the shape that magnitude has left, for all of the epochs."""
    import keras

    if earlier is None:
        raise ValueError(
            "Arm `scratch` needs the shape of arm `magnitude` of the same "
            f"seed: run that first. Received: seed={seed}"
        )
    keras.utils.set_random_seed(seed)
    model = models.build(earlier["widths"])
    models.fit(model, bench.data, DENSE_EPOCHS, seed)
    epochs = models.fit(model, bench.data, PRUNING_EPOCHS, SECOND + seed)
    return _row(bench, model, epochs)


def _row(bench: Bench, model: Any, epochs: list[float]) -> Row:
    from keras_netopt import cost

    report = cost.summarize(model)
    return {
        "accuracy": epochs[-1],
        "epoch_accuracy": epochs,
        "params": report.params,
        "macs": report.macs,
        "widths": models.widths_of(model),
        **_latency(model),
    }


def _latency(model: Any) -> Row:
    """LiteRT files of the model and the dense one, timed in one loop."""
    from keras_netopt import cost, export

    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, one in (("dense", models.build()), ("this", model)):
            files[name] = os.path.join(folder, f"{name}.tflite")
            export.to_litert(one, files[name])
        report = cost.measure_latency(files, rounds=200, warmup=20)
        size = os.path.getsize(files["this"])
    return {
        "latency_ms": report["this"].median,
        "latency_dense_ms": report["dense"].median,
        "litert_bytes": size,
    }


def _callback_base() -> Any:
    import keras

    return keras.callbacks.Callback


class AfterCut(_callback_base()):  # type: ignore[misc]
    """Measures the test accuracy right after each cut, before training.

    Args:
        test: Images and classes.
    """

    def __init__(self, test: Any) -> None:
        super().__init__()
        self.test = test
        self.seen: list[float] = []
        self._params = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras, after the cut."""
        params = self.model.count_params()
        if self._params and params != self._params:
            found = self.model.evaluate(*self.test, verbose=0)
            self.seen.append(round(float(found[1]), 4))
        self._params = params


@dataclass(frozen=True)
class Arm:
    """One line of the comparison.

    Args:
        run: Function of bench, seed and the magnitude row of the seed.
        title: Its name in tables.
        default: Whether it runs unless asked for. Defaults to `True`.
    """

    run: Callable[[Bench, int, Row | None], Row]
    title: str
    default: bool = True


def _once(**options: Any) -> Callable[[Bench, int, Row | None], Row]:
    def run(bench: Bench, seed: int, earlier: Row | None) -> Row:
        from keras_netopt.schedules import Constant

        ratio = Constant(RATIO, begin="1ep")
        return run_cut(sparsity=ratio, **options)(bench, seed, earlier)

    return run


ARMS = {
    "dense": Arm(run_dense, "dense, trained on"),
    "magnitude": Arm(run_cut(), '`ChannelPruning(0.75, resource="macs")`'),
    "bn_scale": Arm(run_cut(score="bn_scale"), '`score="bn_scale"`'),
    "taylor": Arm(run_cut(score="taylor"), '`score="taylor"`'),
    "random": Arm(run_cut(score="random"), '`score="random"`'),
    "scratch": Arm(run_scratch, "the same shape from scratch"),
    "global": Arm(run_cut(allocation="global"), '`allocation="global"`', False),
    "isomorphic": Arm(
        run_cut(allocation="isomorphic"), '`allocation="isomorphic"`', False
    ),
    "fpgm": Arm(run_cut(score="fpgm"), '`score="fpgm"`', False),
    "once": Arm(_once(), "one cut, after one epoch", False),
}
