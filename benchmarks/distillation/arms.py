"""The arms: one function trains one row."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.distillation import models
from benchmarks.distillation.models import Bench, Setting

Row = dict[str, Any]
EVERY = tuple(models.SETTINGS)


@dataclass(frozen=True)
class Arm:
    """An arm of the comparison.

    Args:
        title: For the tables.
        run: Trains and measures, from bench, setting and seed.
        settings: Where it is measured.
    """

    title: str
    run: Callable[[Bench, Setting, int], Row]
    settings: tuple[str, ...] = EVERY


def run_teacher(bench: Bench, setting: Setting, seed: int) -> Row:
    """The teacher itself."""
    return _row(bench, bench.teacher(seed))


def run_labels(bench: Bench, setting: Setting, seed: int) -> Row:
    """Trains on the labels alone: the baseline."""
    return _train(bench, setting, seed, bench.student(setting, seed))


def run_smoothed(bench: Bench, setting: Setting, seed: int) -> Row:
    """The control: soft targets that know nothing of the images."""
    import keras

    model = bench.student(setting, seed)
    smooth = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1)

    def smoothed(y: Any, y_pred: Any) -> Any:
        y = keras.ops.reshape(keras.ops.cast(y, "int32"), (-1,))
        return smooth.call(keras.ops.one_hot(y, models.CLASSES), y_pred)

    models.compile_model(model, setting.rate, setting.epochs, smoothed)
    return _train(bench, setting, seed, model)


def run_distilled(
    bench: Bench, setting: Setting, seed: int, **options: Any
) -> Row:
    """Trains with `Distillation`."""
    from keras_netopt.callbacks import Distillation

    model = bench.student(setting, seed)
    teacher = bench.teacher(seed)
    return _train(bench, setting, seed, model, Distillation(teacher, **options))


def run_distiller(
    bench: Bench, setting: Setting, seed: int, *, loss: Any = None
) -> Row:
    """Trains with `keras.distillation.Distiller`."""
    import keras

    student = bench.student(setting, seed)
    given = {} if loss is None else {"loss": loss()}
    distiller = keras.distillation.Distiller(
        teacher=bench.teacher(seed),
        student=student,
        distillation_losses=keras.distillation.LogitsDistillation(**given),
    )
    models.compile_model(distiller, setting.rate, setting.epochs)
    bench.train(distiller, models.FURTHER + seed, setting.epochs)
    return _row(bench, student)


def _divergence() -> Any:
    import keras

    return keras.losses.KLDivergence()


def _train(
    bench: Bench, setting: Setting, seed: int, model: Any, *callbacks: Any
) -> Row:
    used = [*_shrink(setting), *callbacks]
    bench.train(model, models.FURTHER + seed, setting.epochs, used)
    return _row(bench, model)


def _shrink(setting: Setting) -> list[Any]:
    from keras_netopt import callbacks

    made: dict[str, Callable[[], list[Any]]] = {
        "small": list,
        "pruned": lambda: [callbacks.Pruning(0.9)],
        "cut": lambda: [callbacks.ChannelPruning(0.875, resource="macs")],
        "4 bits": lambda: [callbacks.Quantization(4)],
    }
    name = next(k for k, v in models.SETTINGS.items() if v is setting)
    return made[name]()


def _row(bench: Bench, model: Any) -> Row:
    found = model.evaluate(
        *bench.data[1], batch_size=1000, verbose=0, return_dict=True
    )
    return {
        "accuracy": round(found["accuracy"], 4),
        "parameters": model.count_params(),
    }


ARMS = {
    "teacher": Arm("the teacher", run_teacher, ("small",)),
    "labels": Arm("labels alone", run_labels),
    "smoothed": Arm(
        "labels smoothed by 0.1 (control)", run_smoothed, ("small",)
    ),
    "distilled": Arm("`Distillation(teacher)`", run_distilled),
    "cool": Arm(
        "`Distillation(teacher, temperature=2.0)`",
        partial(run_distilled, temperature=2.0),
        ("small",),
    ),
    "keras": Arm(
        "Keras' `Distiller`, `LogitsDistillation()`", run_distiller, ("small",)
    ),
    "keras-kl": Arm(
        "Keras' `Distiller`, `LogitsDistillation(loss=KLDivergence())`",
        partial(run_distiller, loss=_divergence),
        ("small",),
    ),
}
