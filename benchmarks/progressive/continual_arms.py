"""The arms: each learns a sequence of tasks and is measured after each."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.progressive import continual_tasks as bench
from benchmarks.progressive.continual_tasks import TaskData

Models = Iterator[tuple[list[Any], int]]
# As many as both phases of Progress & Compress.
LONG = bench.EPOCHS + bench.COMPRESS_EPOCHS
STRENGTHS = (1e2, 1e3, 1e4, 1e5)


def learn_in_turn(
    tasks: list[TaskData], strength: float = 0.0, epochs: int = bench.EPOCHS
) -> Models:
    """One network with a head per task; naive if the strength is 0."""
    from keras_netopt.callbacks import ElasticWeightConsolidation

    ewc = ElasticWeightConsolidation(strength)
    models = _with_heads(tasks)
    for number, (model, task) in enumerate(zip(models, tasks, strict=True)):
        held = [ewc] if strength and number else []
        bench.train(model, task, *held, epochs=epochs)
        if strength:
            ewc.consolidate(model, task.train[0])
        yield models[: number + 1], _count(models)


def progress_and_compress(tasks: list[TaskData], **options: Any) -> Models:
    """`ProgressCompress`: progress, then compress."""
    import keras

    from keras_netopt.progressive import ProgressCompress

    pc = ProgressCompress(bench.column, keras.Input((bench.SIZE,)), **options)
    for task in tasks:
        active = pc.add_task(keras.layers.Dense(task.classes), name=task.name)
        bench.compile_model(active)
        bench.train(active, task)
        pc.compress(
            task.train[0],
            epochs=bench.COMPRESS_EPOCHS,
            batch_size=bench.BATCH,
            optimizer=keras.optimizers.Adam(bench.RATE),
            verbose=0,
        )
        count = sum(pc.count_params().values())
        yield [pc[name] for name in pc.tasks], count


def learn_together(tasks: list[TaskData], epochs: int = bench.EPOCHS) -> Models:
    """All tasks at once, a batch of each per step: needs all data."""
    import keras
    import numpy as np

    models = _with_heads(tasks)
    trunk = keras.Model(models[0].input, models[0].layers[-1].input)
    inputs = [keras.Input((bench.SIZE,)) for _ in tasks]
    heads = [model.layers[-1] for model in models]
    outputs = [
        head(trunk(one)) for head, one in zip(heads, inputs, strict=True)
    ]
    joint = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    joint.compile(keras.optimizers.Adam(bench.RATE), [loss] * len(tasks))
    size = min(len(task.train[1]) for task in tasks)
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        rows = [rng.permutation(len(t.train[1]))[:size] for t in tasks]
        pairs = list(zip(tasks, rows, strict=True))
        joint.fit(
            [t.train[0][r] for t, r in pairs],
            [t.train[1][r] for t, r in pairs],
            batch_size=bench.BATCH,
            verbose=0,
        )
    for number in range(len(tasks)):
        yield models[: number + 1], _count(models)


def learn_apart(tasks: list[TaskData]) -> Models:
    """A network per task."""
    models: list[Any] = []
    for task in tasks:
        (model,) = _with_heads([task])
        bench.train(model, task)
        models.append(model)
        yield models, _count(models)


def grow_columns(tasks: list[TaskData]) -> Models:
    """`ProgressiveNetwork`: a column per task, nothing forgotten."""
    import keras

    from keras_netopt.progressive import ProgressiveNetwork

    net = ProgressiveNetwork(bench.column, keras.Input((bench.SIZE,)))
    for task in tasks:
        model = net.add_task(keras.layers.Dense(task.classes), name=task.name)
        bench.compile_model(model)
        bench.train(model, task)
        yield (
            [net[name] for name in net.tasks],
            _count([net[name] for name in net.tasks]),
        )


def run(name: str, order: str, seed: int) -> dict[str, Any]:
    """Trains one arm and returns its row."""
    import keras
    import numpy as np

    from keras_netopt.progressive import continual_metrics

    tasks = bench.ORDERS[order](seed)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    table = np.full((len(tasks), len(tasks)), np.nan)
    count = 0
    for number, (models, size) in enumerate(ARMS[name][1](tasks)):
        count = size
        for place, model in enumerate(models):
            table[number, place] = bench.score(model, tasks[place])
    found = continual_metrics(table)
    return {
        "accuracy": round(found.average_accuracy, 4),
        "backward_transfer": round(found.backward_transfer or 0.0, 4),
        "learned": round(float(np.mean(np.diag(table))), 4),
        "parameters": count,
        "accuracies": [
            [round(v, 4) for v in row[: i + 1]]
            for i, row in enumerate(table.tolist())
        ],
    }


def _with_heads(tasks: list[TaskData]) -> list[Any]:
    """Models with hidden layers in common and a head each."""
    import keras

    inputs = keras.Input((bench.SIZE,))
    hidden = bench.column(inputs)[-1]
    models = []
    for task in tasks:
        model = keras.Model(inputs, keras.layers.Dense(task.classes)(hidden))
        bench.compile_model(model)
        models.append(model)
    return models


def _count(models: list[Any]) -> int:
    held = {id(v): v for model in models for v in model.weights}
    return sum(int(v.value.size) for v in held.values())


def _power(strength: float) -> str:
    return f"1e{len(str(int(strength))) - 1}"


ARMS: dict[str, tuple[str, Callable[..., Models]]] = {
    "naive": ("fine-tuning in turn (control)", learn_in_turn),
    **{
        f"ewc {_power(s)}": (
            f"`ElasticWeightConsolidation({_power(s)})`",
            partial(learn_in_turn, strength=s),
        )
        for s in STRENGTHS
    },
    **{
        f"pc {_power(s)}": (
            f"`ProgressCompress(strength={_power(s)})`",
            partial(progress_and_compress, strength=s),
        )
        for s in (1e1, 1e2, 1e3)
    },
    "naive long": (
        f"fine-tuning in turn, {LONG} epochs per task",
        partial(learn_in_turn, epochs=LONG),
    ),
    "ewc 1e2 long": (
        f"`ElasticWeightConsolidation(1e2)`, {LONG} epochs per task",
        partial(learn_in_turn, strength=1e2, epochs=LONG),
    ),
    "joint": ("all tasks together (upper bound)", learn_together),
    "joint long": (
        f"all tasks together, {LONG} epochs (upper bound)",
        partial(learn_together, epochs=LONG),
    ),
    "apart": ("a network per task", learn_apart),
    "columns": ("`ProgressiveNetwork`", grow_columns),
}
