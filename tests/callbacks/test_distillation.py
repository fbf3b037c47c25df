"""Distillation: losses, models, inputs and outputs, and bad input."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import depth
from keras_netopt.callbacks import (
    ChannelPruning,
    Curriculum,
    Distillation,
    Growing,
    Pruning,
    Quantization,
    SelectiveBackprop,
)
from keras_netopt.surgery import Widen

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6)).astype("float32")
Y = (np.arange(24) % 3).astype("int32")
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build(width=8, activation=None, name=None, units=3, norm=False, shape=(6,)):
    inside = [layers.Dense(width, activation="relu", name="hidden")]
    if norm:
        inside.append(layers.BatchNormalization())
    out = layers.Dense(units, activation=activation, name="out")
    return keras.Sequential([keras.Input(shape), *inside, out], name=name)


def compiled(model=None, loss=LOGITS, **arguments):
    model = model or build()
    if BACKEND == "tensorflow":
        arguments = {"run_eagerly": True, **arguments}
    model.compile(keras.optimizers.SGD(0.1), loss, **arguments)
    return model


def fit(model, *callbacks, x=X, y=Y, **changed):
    arguments = {"batch_size": 12, "epochs": 1, "shuffle": False, **changed}
    return model.fit(
        x, y, callbacks=list(callbacks), verbose=0, **arguments
    ).history


def still():
    """A student that does not move, so that its losses can be computed."""
    model = build()
    model.compile(keras.optimizers.SGD(0.0), LOGITS)
    return model


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def divergence(teacher, student, temperature):
    """Hinton's loss of logits, per sample."""
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    return temperature**2 * (p * np.log(p / q)).sum(-1)


def outputs(model, x=X):
    return keras.ops.convert_to_numpy(
        keras.ops.stop_gradient(model(x, training=False))
    ).astype("float64")


def weights(model):
    return [np.array(w) for w in model.get_weights()]


def assert_same(mine, other):
    assert len(mine) == len(other)
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_logs_hold_hintons_loss_and_the_students_own():
    model, teacher = still(), build(16)
    weight = RNG.uniform(0.5, 2.0, 24).astype("float32")
    history = fit(
        model,
        Distillation(teacher, temperature=3.0, weight=0.7),
        sample_weight=weight,
        validation_data=(X, Y),
    )
    apart = weight * divergence(outputs(teacher), outputs(model), 3.0)
    own = -np.log(softmax(outputs(model))[np.arange(24), Y])

    assert history["distillation_loss"] == pytest.approx([apart.mean()], 1e-4)
    assert history["student_loss"] == pytest.approx([(weight * own).mean()])
    mixed = 0.3 * (weight * own).mean() + 0.7 * apart.mean()
    assert history["loss"] == pytest.approx([mixed], 1e-4)
    assert history["val_loss"] == pytest.approx([own.mean()])
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(own.mean())


def test_logits_and_probabilities_of_a_teacher_give_the_same_loss():
    student, logits = still(), build(16)
    probabilities = build(16, "softmax")
    probabilities.set_weights(logits.get_weights())
    found = [
        fit(student, Distillation(t))["distillation_loss"]
        for t in (logits, probabilities)
    ]

    assert found[0] == pytest.approx(found[1], 1e-4)


def test_sigmoid_and_regression_outputs():
    x, z = outputs(still()), outputs(build(16))
    for loss, activation, expected in (
        ("mse", None, lambda t, s: ((t - s) ** 2).mean()),
        (
            "binary_crossentropy",
            "sigmoid",
            lambda t, s: np.mean(
                4 * (t * (np.log(t) - np.log(s)))
                + 4 * (1 - t) * (np.log(1 - t) - np.log(1 - s))
            ),
        ),
    ):
        student, teacher = build(8, activation), build(16, activation)
        student.compile(keras.optimizers.SGD(0.0), loss)
        x, z = outputs(student), outputs(teacher)
        if activation:  # At temperature 2.
            x, z = (1 / (1 + np.sqrt(1 / v - 1)) for v in (x, z))
        y = np.zeros((24, 3), "float32")
        history = fit(student, Distillation(teacher, temperature=2.0), y=y)
        assert history["distillation_loss"] == pytest.approx(
            [expected(z, x)], 1e-3
        )


def test_masked_tokens_do_not_count():
    def tokens(width):
        inputs = keras.Input((4,), dtype="int32")
        x = layers.Embedding(9, width, mask_zero=True)(inputs)
        return keras.Model(inputs, layers.Dense(3)(x))

    x = np.array([[1, 2, 0, 0], [3, 4, 5, 0]], "int32")
    y = np.zeros((2, 4), "int32")
    student, teacher = tokens(4), tokens(8)
    student.compile(keras.optimizers.SGD(0.0), LOGITS)
    history = fit(student, Distillation(teacher), x=x, y=y)
    apart = divergence(outputs(teacher, x), outputs(student, x), 4.0)

    expected = apart[x > 0].mean()
    assert history["distillation_loss"] == pytest.approx([expected], 5e-3)
    assert apart.mean() != pytest.approx(expected, 5e-2)


def test_the_teacher_never_changes_and_training_moves_to_it():
    teacher = build(16, norm=True)
    teacher.get_layer("out").bias.assign([6.0, 0.0, 0.0])
    teacher.trainable = True
    before = weights(teacher)
    model = compiled(build(norm=True))
    count = len(model.variables)
    history = fit(model, Distillation(teacher, weight=1.0), epochs=6)

    assert_same(weights(teacher), before)
    assert teacher.trainable and all(
        w.trainable for w in teacher.trainable_weights
    )
    losses = history["distillation_loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert len(model.variables) == count


def test_regularizers_keep_their_strength():
    teacher = build(16)
    strong = keras.regularizers.L2(0.5)
    hidden = layers.Dense(3, kernel_regularizer=strong)
    model = keras.Sequential([keras.Input((6,)), hidden])
    model.compile(keras.optimizers.SGD(0.0), LOGITS)
    history = fit(model, Distillation(teacher, weight=0.6))
    penalty = 0.5 * float(np.square(model.get_weights()[0]).sum())
    own = history["student_loss"][0] - penalty

    mixed = 0.4 * own + 0.6 * history["distillation_loss"][0] + penalty
    assert history["loss"] == pytest.approx([mixed], 1e-4)


def test_a_fit_without_it_trains_on_the_own_loss_again():
    teacher = build(16)
    model, plain = compiled(run_eagerly=False), compiled(run_eagerly=False)
    start = weights(model)
    plain.set_weights(start)
    fit(model, Distillation(teacher))
    model.set_weights(start)
    fit(model)
    fit(plain)

    assert_same(weights(model), weights(plain))


class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


def test_an_interrupted_fit_leaves_no_teacher_behind():
    model, plain = compiled(run_eagerly=False), compiled(run_eagerly=False)
    start = weights(model)
    plain.set_weights(start)
    count = len(model.variables)
    with pytest.raises(KeyboardInterrupt):
        fit(model, Distillation(build(16)), Interrupt())
    model.set_weights(start)
    fit(model)
    fit(plain)

    assert_same(weights(model), weights(plain))
    assert len(model.variables) == count


def test_a_teacher_that_learned_meanwhile_is_taken_up():
    teacher, model = build(16), compiled(run_eagerly=False)
    callback = Distillation(teacher)
    fit(model, callback)
    teacher.set_weights([w + 1 for w in teacher.get_weights()])
    expected = divergence(outputs(teacher), outputs(model), 4.0).mean()
    model.optimizer.learning_rate = 0.0
    found = fit(model, callback)["distillation_loss"]

    assert found == pytest.approx([expected], 1e-3)


def test_the_teacher_is_released():
    model, teacher = compiled(), build(16)
    fit(model, Distillation(teacher))
    gone = weakref.ref(teacher)
    model.train_function = None
    del teacher
    gc.collect()

    assert gone() is None


BESIDE = {
    "Pruning": lambda: [Pruning(0.5)],
    "ChannelPruning": lambda: [ChannelPruning(0.5)],
    "Quantization": lambda: [Quantization(4, activations=0.5)],
    "Growing": lambda: [Growing([Widen("hidden", add=4)], {0.5: [0]})],
    "SelectiveBackprop": lambda: [SelectiveBackprop(begin=0.0)],
    "all": lambda: [Pruning(0.5), ChannelPruning(0.5), Quantization(8)],
}


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.filterwarnings("ignore:.*should come before")
def test_other_callbacks_work_beside_it(name, first):
    teacher, model = build(32), compiled(build(16), run_eagerly=False)
    before = weights(teacher)
    others = BESIDE[name]()
    own = Distillation(teacher, weight=0.9)
    callbacks = [own, *others] if first else [*others, own]
    history = fit(model, *callbacks, epochs=4)

    assert np.isfinite(history["distillation_loss"]).all()
    assert all(others[i].is_complete for i in range(len(others)))
    assert_same(weights(teacher), before)


def test_a_curriculum_works_beside_it():
    curriculum = Curriculum(
        X, Y, difficulty=np.linspace(0, 1, 24), ordering="random"
    )
    history = (
        compiled()
        .fit(
            curriculum.dataset(4),
            callbacks=[curriculum, Distillation(build(16))],
            verbose=0,
        )
        .history
    )

    assert history["distillation_loss"][0] > 0


def test_each_exit_learns_from_the_teacher():
    exits = depth.add_exits(build(8), layers=["hidden"])
    exits.compile(keras.optimizers.SGD(0.0), LOGITS)
    teacher = build(16)
    callback = Distillation(teacher, temperature=2.0)
    history = fit(exits, callback)
    found = exits(X, training=False)
    expected = sum(
        exits.exit_loss_weights[name]
        * divergence(
            outputs(teacher),
            np.array(
                keras.ops.convert_to_numpy(keras.ops.stop_gradient(found[name]))
            ),
            2.0,
        ).mean()
        for name in exits.exit_names
    )

    assert [row.student_output for row in callback.report().rows] == [
        "exit1",
        "final",
    ]
    assert history["distillation_loss"] == pytest.approx([expected], 1e-3)


def two_sided(width, names=("image", "aux"), order=(0, 1)):
    inputs = [keras.Input((n,), name=names[i]) for i, n in enumerate((6, 2))]
    x = layers.Concatenate()([layers.Dense(width)(one) for one in inputs])
    out = [layers.Dense(3, name="a")(x), layers.Dense(2, name="b")(x)]
    return keras.Model([inputs[i] for i in order], out)


def test_inputs_and_outputs_are_found_by_name_or_order():
    student = two_sided(4)
    student.compile(keras.optimizers.SGD(0.0), [LOGITS, LOGITS])
    other = two_sided(8, ("first", "second"))
    swapped = two_sided(8, order=(1, 0))
    swapped.set_weights(other.get_weights())
    x = [X, X[:, :2]]
    y = [Y, Y % 2]
    found = [
        fit(student, Distillation(t), x=x, y=y)["distillation_loss"]
        for t in (other, swapped)
    ]
    assert found[0] == pytest.approx(found[1], 1e-5)
    given = dict(zip(("image", "aux"), x, strict=True))
    again = fit(student, Distillation(swapped), x=given, y=y)
    assert again["distillation_loss"] == pytest.approx(found[0], 1e-5)
    single = keras.Model(other.inputs, other.outputs[1])
    callback = Distillation(single, student_output="b")
    fit(student, callback, x=x, y=y)
    assert [r.student_output for r in callback.report().rows] == ["b"]


class Silent(keras.Model):
    """Trains without `compute_loss`."""

    def train_step(self, *data):
        raise AssertionError("the first step ran")


class Helper(keras.Model):
    def train_step(self, *data):
        return self._do(*data)

    def _do(self, *data):
        return super().train_step(*data)


class OldLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return super().compute_loss(x, y, y_pred, sample_weight)


def as_class(kind):
    plain = build()
    return compiled(kind(plain.inputs, plain.outputs))


def test_steps_of_ones_own():
    assert fit(as_class(Helper), Distillation(build(16)))["distillation_loss"]
    model = as_class(OldLoss)
    history = fit(model, Distillation(build(16)), validation_data=(X, Y))
    assert history["val_loss"][0] == pytest.approx(
        model.evaluate(X, Y, verbose=0), 1e-5
    )
    with pytest.raises(ValueError, match="which does not"):
        fit(as_class(Silent), Distillation(build(16)))


def softmax_inside():
    inputs = keras.Input((6,))
    out = layers.Lambda(lambda x: x, output_shape=(3,))(build()(inputs))
    return keras.Model(inputs, out)


WRONG = {
    "input shape": (lambda: build(shape=(5,)), {}, "teacher shape"),
    "output shape": (lambda: build(units=4), {}, "must have the shape"),
    "unbuilt": (
        lambda: keras.Sequential([layers.Dense(3)]),
        {},
        "must be built",
    ),
    "unclear": (softmax_inside, {}, "`teacher_from_logits` must tell"),
    "sigmoid for softmax": (
        lambda: build(units=1),
        {"loss": "softmax"},
        "must have the shape",
    ),
    "output name": (build, {"teacher_output": "no"}, "`teacher_output` must"),
}


def test_wrong_teachers_are_refused_before_training():
    for name, (teacher, options, text) in WRONG.items():
        model = compiled()
        before = weights(model)
        with pytest.raises(ValueError, match=text) as error:
            fit(model, Distillation(teacher(), **options))
        assert "Received: " in str(error.value), name
        assert_same(weights(model), before)


def test_a_teacher_that_shares_weights_is_refused():
    model = compiled()
    shared = keras.Model(model.inputs, model.outputs)
    for teacher in (model, shared):
        with pytest.raises(ValueError, match="must not share weights"):
            fit(model, Distillation(teacher))


def test_unclear_outputs_of_the_student_are_refused():
    for activation, loss in (
        (None, "sparse_categorical_crossentropy"),
        ("softmax", LOGITS),
    ):
        model = compiled(build(8, activation), loss)
        with pytest.raises(ValueError, match="`from_logits` must tell"):
            fit(model, Distillation(build(16)))
        if activation is None:
            fit(model, Distillation(build(16), from_logits=True))
    model = compiled(build(8), lambda y, z: keras.ops.mean(z, axis=-1))
    with pytest.raises(ValueError, match="`loss`, one of"):
        fit(model, Distillation(build(16)))


def test_the_teacher_of_a_checkpoint_must_be_the_same(tmp_path):
    path = str(tmp_path / "saved.weights.h5")
    model, teacher = compiled(), build(16)
    save = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    fit(model, Distillation(teacher), save)
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: model.load_weights(path)
    )
    fit(model, load, Distillation(teacher), epochs=2, initial_epoch=1)
    with pytest.raises(ValueError, match="its weights differ"):
        fit(model, load, Distillation(build(16)), epochs=2, initial_epoch=1)
