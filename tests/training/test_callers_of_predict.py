"""Everything that predicts or evaluates, after `trainable` was changed.

Keras on JAX computes with exchanged weights if one layer was frozen and an
equal one unfrozen without `compile`. Each function of this package that calls
`predict` or `evaluate` of a model has a row, which is run so.
"""

import ast
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_netopt as netopt
from keras_netopt.compression.judge import Judge
from keras_netopt.curriculum.model_difficulty import predict_undisturbed
from keras_netopt.depth.exits.calibrate import measure_exits
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.progressive.distil import distil
from keras_netopt.progressive.task_scores import evaluate_tasks
from keras_netopt.rl import agent_model
from keras_netopt.search.morphism.child_trainer import ChildTrainer
from keras_netopt.search.supernet import compare_architectures

ROOT = Path(netopt.__file__).resolve().parent.parent
CALLS = {"predict", "evaluate", "predict_on_batch", "test_on_batch"}
# Functions whose results do not depend on `trainable`, with the reason.
EXEMPT = {
    "cli/evaluate_command.py run": "evaluates a file",
    "cost/measure_latency.py _runner": "only the time of the call is used",
    "demo/demo_model.py train_arm": "its own model",
    "depth/exits/calibrated_exits.py _compare_times": "only the time",
    "depth/exits/exit_costs.py _bind": "only the time of the call is used",
    "depth/exits/exit_costs.py _calls": "only the time of the call is used",
    "depth/exits/stage_runner.py time_stages": "only the time",
    "depth/ponder_model.py expected_steps": "a new model, nobody else has it",
    "progressive/transfer_training.py check_logs": "only the names of metrics",
    "rl/agent_model.py check_agent_model": "shapes; compiled afterwards",
    "rl/dqn.py _update": "TargetNetwork, which has its own values",
    "search/latency_table.py measure": "predicts milliseconds, by no model",
    "search/morphism/child_trainer.py metric_names": "only their names",
    "search/supernet/subnet_ranker.py values": "SubnetEvaluator, as below",
    "tf_keras_bridge/twin_training.py evaluate": "tf_keras has TensorFlow only",
    "tf_keras_bridge/twin_training.py predict": "tf_keras has TensorFlow only",
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
LOSS = "sparse_categorical_crossentropy"


def build(is_exchanged=False, options=None):
    """A classifier with two equal layers, whose weights can be exchanged."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), name="x")
    x = layers.Dense(4, "relu", name="first")(inputs)
    x = layers.Dense(4, "relu", name="second")(x)
    if options is not None:
        x = netopt.layers.Choice(options, name="edge")(x)
    x = layers.Dense(64, "relu", name="wide")(x)
    model = keras.Model(inputs, layers.Dense(2, "softmax", name="head")(x))
    if is_exchanged:
        first, second = (model.get_layer(n) for n in ("first", "second"))
        kept = first.get_weights()
        first.set_weights(second.get_weights())
        second.set_weights(kept)
    return compiled(model)


def compiled(model):
    model.compile(keras.optimizers.Adam(0.1), LOSS, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


# Each row gets a new classifier and returns the model whose flags are changed
# and the call.


def file_scores(model):
    loss = keras.metrics.SparseCategoricalCrossentropy()
    judge = Judge.create((X, Y), ("x",), loss, "auto")
    return model, lambda: judge.score_model(model)[1]


def model_losses(model):
    teacher = netopt.curriculum.Teacher(model, "confidence")
    curriculum = netopt.callbacks.Curriculum(X, Y, difficulty=teacher)

    def call():
        losses = netopt.curriculum.sample_losses(model, X, Y)
        curriculum.reset()
        both = np.stack([losses, curriculum.scores], -1)
        return [predict_undisturbed(model, X), both]

    return model, call


def add_exits(model):
    """Adds an exit behind both layers, so that one stage holds them."""
    return compiled(netopt.depth.add_exits(model, layers=["second"]))


def exit_outputs(model):
    exits = add_exits(model)

    def call():
        found = measure_exits(exits, X, Y, "confidence")
        return [found.scores, found.correct]

    return exits, call


def early_exits(mode):
    def row(model):
        exits = add_exits(model)
        found = netopt.depth.calibrate(exits, X, Y, max_macs=200)
        return exits, lambda: found.predict(X, mode=mode)

    return row


def exit_evaluation(model):
    exits = add_exits(model)
    found = netopt.depth.calibrate(exits, X, Y, max_macs=200)

    def call():
        report = found.evaluate(X, Y)
        return [report.cost, *report.fractions.values(), report.accuracy]

    return exits, call


def stage_scores(model):
    exits = add_exits(model)
    found = netopt.depth.calibrate(exits, X, Y, max_macs=200)
    stages = CalibratedStages(exits, found.calibration)
    return exits, lambda: stages.exit_scores({"x": X})


def column_features(model):
    task = netopt.progressive.next_task(model)
    cached = netopt.progressive.cache_features(task, X)
    return model, lambda: cached.transform(X)


def distilled(model):
    def call():
        student = build()
        history = distil(
            model,
            student,
            X,
            release=lambda: None,
            temperature=1.0,
            optimizer=keras.optimizers.SGD(0.1),
            epochs=1,
            batch_size=32,
            callbacks=(),
            verbose=0,
        )
        return history.history["loss"]

    return model, call


def task_scores(model):
    tasks, data = {"a": model}, {"a": (X, Y)}
    return model, lambda: [evaluate_tasks(tasks, data, "loss", 32)["a"]]


def actions(model):
    return model, lambda: agent_model.predict(model, X)


def child_logs(model):
    trainer = ChildTrainer({"x": X, "validation_data": (X, Y)}, None, 1.0)
    return model, lambda: list(trainer.train(model, 0, seed=0).last.values())


def network_logs(model):
    return model, lambda: [
        compare_architectures.evaluate(model, (X, Y))["loss"]
    ]


def subnet_logs(model):
    supernet = build(options=[layers.Dense(4), layers.Identity()])
    for name in ("first", "second", "wide", "head"):
        supernet.get_layer(name).set_weights(
            model.get_layer(name).get_weights()
        )
    return supernet, lambda: [
        netopt.search.evaluate_subnets(supernet, [{"edge": 1}], X, Y)[0]["loss"]
    ]


ROWS = {
    "compression/judge.py score_model": file_scores,
    "curriculum/model_difficulty.py predict_undisturbed": model_losses,
    "depth/exits/calibrate.py measure_exits": exit_outputs,
    "depth/exits/calibrated_exits.py predict": early_exits("full"),
    "depth/exits/calibrated_exits.py evaluate": exit_evaluation,
    "depth/exits/calibrated_stages.py exit_scores": stage_scores,
    "depth/exits/stage_runner.py _run_stage": early_exits("stages"),
    "progressive/cached_features.py transform": column_features,
    "progressive/distil.py distil": distilled,
    "progressive/task_scores.py evaluate_tasks": task_scores,
    "rl/agent_model.py predict": actions,
    "search/morphism/child_trainer.py _evaluate": child_logs,
    "search/supernet/compare_architectures.py evaluate": network_logs,
    "search/supernet/evaluate_subnets.py evaluate_subnets": subnet_logs,
}


# A column that a later task reads may be frozen again.
CHANGES = {"progressive/cached_features.py transform": {"flags"}}


@pytest.mark.no_backend
def test_every_caller_has_a_row():
    found = set()
    for folder in ("keras_netopt", "callbacks", "layers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found |= {
                f"{path.relative_to(ROOT / folder).as_posix()} {function.name}"
                for function in ast.walk(tree)
                if isinstance(function, ast.FunctionDef)
                for one in ast.walk(function)
                if isinstance(one, ast.Attribute) and one.attr in CALLS
            }
    assert found == {*ROWS, *EXEMPT}
    assert not ROWS.keys() & EXEMPT.keys()


def freeze(model, first, second):
    model.get_layer("first").trainable = first
    model.get_layer("second").trainable = second


def numbers(call):
    return np.concatenate(
        [np.ravel(np.asarray(one, "float64")) for one in _as_list(call())]
    )


def _as_list(value):
    return value if isinstance(value, list | tuple) else [value]


def state(model):
    """Everything of a model that a prediction leaves as it is."""
    return {
        "weights": [np.array(v) for v in model.variables],
        "slots": [np.array(v) for v in model.optimizer.variables],
        "flags": [v.trainable for v in model.variables],
        "objects": [id(model.optimizer), id(model.loss)],
        "metrics": [id(one) for one in model.metrics],
    }


def difference(before, after):
    return {
        name
        for name in before
        if not all(
            np.array_equal(one, two)
            for one, two in zip(before[name], after[name], strict=True)
        )
    }


@pytest.mark.parametrize("name", ROWS)
def test_results_are_those_of_a_freshly_compiled_model(name):
    expected, exchanged = (
        numbers(ROWS[name](build(is_exchanged=one))[1]) for one in (False, True)
    )
    assert np.abs(expected - exchanged).max() > 1e-3  # It would show.
    model, call = ROWS[name](build())
    freeze(model, False, True)
    model.predict(X, verbose=0)
    model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(numbers(call), expected, atol=1e-5)
    freeze(model, True, False)
    before = state(model)

    found = numbers(call)

    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert difference(before, state(model)) <= CHANGES.get(name, set())
