"""Sample weights of a curriculum have the axes of the loss."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum, SelectiveBackprop
from keras_netopt.schedules import Linear
from keras_netopt.training import NotIntendedUseWarning
from keras_netopt.training.loss_trace import trace_loss

BATCH = 4
RNG = np.random.default_rng(0)
SCORES = np.arange(8.0)
HALF = Linear(initial=0.5, final=1.0, begin=0.5, end=1.0)
# Steps of the samples, and the cases that are tried with as many.
CASES = {
    BATCH: None,
    3: ("tokens", "masked tokens", "not built", "outputs by name"),
}


def sparse():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def dense():
    return keras.losses.CategoricalCrossentropy(from_logits=True)


def by_step(y, y_pred):
    return ops.square(y - y_pred)


def in_python(y, y_pred):
    """Cannot be traced on TensorFlow and JAX."""
    values = by_step(y, y_pred)
    total = ops.convert_to_numpy(ops.stop_gradient(ops.sum(values)))
    return values if total >= 0.0 else -values


def tokens_of(steps, classes):
    tokens = RNG.integers(0, classes, (8, steps)).astype("int32")
    tokens[0, 0] = classes - 1
    return tokens


def language_model(steps, classes=2, mask=False):
    return keras.Sequential(
        [
            keras.Input((steps,), dtype="int32"),
            layers.Embedding(classes, 3, mask_zero=mask),
            layers.Dense(classes),
        ]
    )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = layers.Embedding(2, 3), layers.Dense(2)

    def call(self, x):
        return self.head(self.hidden(x))


class OwnLoss(Subclassed):
    """Does not call the compiled loss, if there is one."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return ops.mean(sparse()(y, y_pred))


class OwnWeights(Subclassed):
    """Gives the compiled loss a weight for each step."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        steps = ops.ones_like(y_pred[..., 0]) * sample_weight[:, None]
        return super().compute_loss(x, y, y_pred, steps)


class OwnStep(Subclassed):
    """Reads no `compute_loss`; on JAX a step has another signature."""

    def train_step(self, *data):
        raise AssertionError("Only the check runs.")


def regression(steps):
    return keras.Sequential([keras.Input((steps,)), layers.Dense(steps)])


def two_outputs(steps, structure):
    inputs = keras.Input((steps,))
    hidden = layers.Dense(steps, name="whole")(inputs)
    shape = (steps, 1)
    outputs = [hidden, layers.Reshape(shape, name="step")(hidden)]
    if structure is dict:
        outputs = {"whole": outputs[0], "step": outputs[1]}
    return keras.Model(inputs, outputs)


def fit(model, x, y, loss, **options):
    """Trains one epoch; the arguments of `dataset` are in `options`."""
    names = ("token_weights", "irreducible_loss")
    given = {k: options.pop(k) for k in names if k in options}
    eager = options.pop("run_eagerly", True)
    model.compile("sgd", loss, run_eagerly=eager, jit_compile=False)
    settings = {"ordering": engine.SelfPaced("linear"), **options}
    curriculum = Curriculum(
        x,
        y,
        difficulty=SCORES,
        pacing=HALF,
        labels=False,
        **settings,
    )
    data = curriculum.dataset(BATCH, **given)
    return model.fit(data, verbose=0, callbacks=[curriculum]).history


def refused_cases(steps):
    tokens, many = tokens_of(steps, 2), tokens_of(steps, 5)
    x = RNG.normal(size=(8, steps)).astype("float32")
    of_step = x[..., None]
    one_hot = np.eye(5, dtype="float32")[many]
    option = "Argument `token_weights` of `dataset\\(\\)` must be {}"
    yes, no, omitted = (option.format(one) for one in (True, False, None))
    reduce = "The loss must have one value per sample: .* output 'step'"
    return {
        "tokens": (language_model(steps), tokens, tokens, sparse(), {}, yes),
        "without weights": (
            *(language_model(steps), tokens, tokens, sparse()),
            {"ordering": "easy_first"},
            yes,
        ),
        "masked tokens": (
            *(language_model(steps, mask=True), tokens, tokens, sparse()),
            {},
            yes,
        ),
        "tokens of 5 classes": (
            *(language_model(steps, 5), many, many, sparse()),
            {"token_weights": False},
            yes,
        ),
        "one-hot tokens": (
            *(language_model(steps, 5), many, one_hot, dense()),
            {"token_weights": False},
            omitted,
        ),
        "one-hot tokens with a weight per class": (
            *(language_model(steps, 5), many, one_hot, dense()),
            {"token_weights": True},
            omitted,
        ),
        "SuperLoss": (
            *(language_model(steps), tokens, tokens),
            *(engine.SuperLoss(sparse()), {}, yes),
        ),
        "not built": (Subclassed(), tokens, tokens, sparse(), {}, yes),
        "function": (regression(steps), x, x, by_step, {}, yes),
        "Python": (regression(steps), x, x, in_python, {}, yes),
        "reduced": (
            *(regression(steps), x, x, "mse", {"token_weights": True}, no),
        ),
        "weights of steps": (
            *(regression(steps), x, x, "mse"),
            {"sample_weight": np.ones((8, steps), "float32")},
            "Argument `sample_weight` must have the axes of the loss",
        ),
        "outputs by name": (
            two_outputs(steps, dict),
            *(x, {"whole": x, "step": of_step}),
            *({"whole": "mse", "step": "mse"}, {}, reduce),
        ),
        "one loss for all outputs": (
            *(two_outputs(steps, list), x, (x, of_step), "mse", {}, reduce),
        ),
        "one output without loss": (
            *(two_outputs(steps, list), x, (x, of_step)),
            *([None, "mse"], {}, reduce),
        ),
        "one target": (
            *(two_outputs(steps, dict), x, {"step": of_step}),
            *({"step": "mse"}, {}, reduce),
        ),
    }


@pytest.mark.parametrize("steps", CASES)
def test_weights_of_other_axes_are_refused_before_the_first_step(steps):
    wrong, cases = [], refused_cases(steps)
    for name in CASES[steps] or cases:
        model, x, y, loss, options, text = cases[name]
        trained = pytest.raises(ValueError, match=rf"{text}.*Received: ")
        try:
            with trained:
                fit(model, x, y, loss, **options)
        except BaseException as error:  # All cases, not the first alone.
            wrong.append(f"{name}: {error!r:.300}")
        if model.optimizer.built and int(model.optimizer.iterations):
            wrong.append(f"{name}: trained")
    assert not wrong, "\n".join(wrong)


def accepted_cases(steps):
    tokens, many = tokens_of(steps, 2), tokens_of(steps, 5)
    x = RNG.normal(size=(8, steps)).astype("float32")
    one_hot = np.eye(5, dtype="float32")[many]
    return {
        "tokens": (
            *(language_model(steps, mask=True), tokens, tokens, sparse()),
            {"token_weights": True},
        ),
        "one-hot": (language_model(steps, 5), many, one_hot, dense(), {}),
        "mean over the steps": (regression(steps), x, x, "mse", {}),
        "one value in its own axis": (
            *(regression(1), x[:, :1], x[:, :1], by_step, {}),
        ),
        "mean of the batch, equal weights": (
            *(regression(steps), x, x, lambda y, p: ops.mean(by_step(y, p))),
            {"ordering": "easy_first"},
        ),
        "output without loss": (
            *(two_outputs(steps, list), x, (x, x[..., None])),
            *(["mse", None], {}),
        ),
        "own weights": (OwnWeights(), tokens, tokens, sparse(), {}),
        "control flow in Python": (
            *(regression(steps), x, x),
            lambda y, y_pred: ops.mean(in_python(y, y_pred), axis=-1),
            # Keras traces it on JAX before it trains.
            {} if keras.backend.backend() != "jax" else {"skip": True},
        ),
    }


def test_weights_with_the_axes_of_the_loss_train():
    for model, x, y, loss, options in accepted_cases(3).values():
        if not options.pop("skip", False):
            assert np.isfinite(fit(model, x, y, loss, **options)["loss"][0])


def test_weights_of_samples_reach_as_many_steps():
    """Zeros for four of eight samples; the others have one loss per step."""
    tokens = tokens_of(BATCH, 2)
    model = language_model(BATCH)
    own = np.repeat([2.0, 0.0], 4).astype("float32")
    values = sparse().call(tokens[:4], model(tokens[:4]))
    expected = float(ops.convert_to_numpy(ops.mean(values)))
    model.compile(keras.optimizers.SGD(0.0), sparse(), run_eagerly=True)
    curriculum = Curriculum(
        tokens, tokens, sample_weight=own, ordering="shuffle", labels=False
    )
    history = model.fit(
        curriculum.dataset(BATCH, token_weights=True),
        verbose=0,
        callbacks=[curriculum],
    )
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_a_mean_of_the_batch_has_no_weights_of_samples():
    x = RNG.normal(size=(8, 3)).astype("float32")
    text = r"one value per sample: .*shape \(\).*Omit the reduction"
    with pytest.raises(ValueError, match=text):
        fit(regression(3), x, x, lambda y, p: ops.mean(by_step(y, p)))


def test_irreducible_losses_need_one_value_per_sample():
    tokens, many = tokens_of(3, 2), tokens_of(3, 5)
    given = {"irreducible_loss": SCORES}
    text = "`irreducible_loss` needs a loss with one value per sample"
    with pytest.raises(ValueError, match=rf"{text}.*Received: "):
        fit(language_model(3, 5), many, many, sparse(), **given)
    text = "The loss must have one value per sample.*Average its values"
    with pytest.raises(ValueError, match=text):
        fit(language_model(3), tokens, tokens, sparse(), **given)


def test_compare_arms_refuses_them_too():
    tokens = tokens_of(3, 2)

    def build():
        model = language_model(3)
        model.compile("sgd", sparse(), run_eagerly=True)
        return model

    with pytest.raises(ValueError, match=r"`token_weights`.*one value per"):
        engine.compare_arms(
            build,
            tokens,
            tokens,
            validation_data=(tokens, tokens),
            epochs=1,
            batch_size=BATCH,
        )


@pytest.mark.parametrize("loss", [None, "compiled"])
def test_a_loss_of_the_users_own_is_said_to_be_unknown(loss):
    tokens = tokens_of(3, 2)
    text = r"not known how the loss .*\(batch,\).*\(batch, 3, 2\).*`token_w"
    with pytest.warns(NotIntendedUseWarning, match=text):
        fit(OwnLoss(), tokens, tokens, loss and sparse())
    for options in ({"token_weights": True}, {"ordering": "easy_first"}):
        fit(OwnLoss(), tokens, tokens, loss and sparse(), **options)


def test_the_trace_reads_the_step_and_changes_nothing():
    x = RNG.normal(size=(4, 3)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.BatchNormalization(),
            layers.Dropout(0.5, seed=1),
            layers.Dense(3),
        ]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    before = [np.array(one) for one in model.variables]

    (call,) = trace_loss(model, x, x, np.ones(4, "float32")).calls

    assert (call.name, call.values, call.weights) == ("mse", (4,), (4,))
    assert len(model.variables) == len(before)
    for one, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(one), old)
    assert model.loss == "mse" and model.evaluate(x, x, verbose=0)[0] > 0
    tokens = tokens_of(3, 2)
    step = OwnStep()
    step.compile("sgd", sparse())
    found = trace_loss(step, tokens, tokens, None)
    assert not found.calls and found.outputs == [(8, 3, 2)]


def test_selective_backprop_selects_samples_by_the_mean_of_their_steps():
    """It needs no weights: each sample is taken with all of its steps."""
    tokens = tokens_of(BATCH, 2)
    model = language_model(BATCH)
    model.compile("sgd", sparse(), run_eagerly=True)
    selective = SelectiveBackprop(0.5, begin=0.0, end=1.0, interrupt=0)
    history = model.fit(
        tokens, tokens, batch_size=BATCH, verbose=0, callbacks=[selective]
    )
    assert history.history["backward_fraction"] == [0.5]
