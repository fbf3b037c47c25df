"""A script as in the older guide about training loops in `run_trial`.

The loop calls the hooks of the tuner, and returns nothing.
"""

import keras
import keras_tuner
import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(16, 4)).astype("float32")
y_train = x_train[:, :1] - x_train[:, 1:2]


def build_model(hp):
    """A subclassed model that is never compiled, and built by its data."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = keras.layers.Dense(1, use_bias=hp.Boolean("bias"))

        def call(self, inputs):
            return self.out(inputs)

    return Net()


class MyTuner(keras_tuner.RandomSearch):
    """Trains by hand; the last epoch is worse than the one before."""

    def run_trial(self, trial, data):
        hp = trial.hyperparameters
        x, y = data
        size = hp.Int("batch_size", 4, 8, step=4, default=8)
        model = self.hypermodel.build(hp)
        model(x[:size])
        rate = hp.Float("learning_rate", 1e-3, 1e-2, sampling="log")
        for epoch, factor in enumerate((1.0, 1.0, -3.0)):
            self.on_epoch_begin(trial, model, epoch, logs={})
            for batch in range(len(x) // size):
                self.on_batch_begin(trial, model, batch, logs={})
                part = slice(batch * size, (batch + 1) * size)
                answers = keras.ops.convert_to_numpy(model(x[part]))
                kernel = keras.ops.convert_to_numpy(model.out.kernel)
                errors = answers - y[part]
                model.out.kernel.assign(
                    kernel - factor * rate * x[part].T @ errors
                )
                logs = {"loss": float(np.mean(errors**2))}
                self.on_batch_end(trial, model, batch, logs=logs)
            answers = keras.ops.convert_to_numpy(model(x))
            loss = float(np.mean((answers - y) ** 2))
            self.on_epoch_end(trial, model, epoch, logs={"loss": loss})


tuner = MyTuner(
    hypermodel=build_model,
    objective=keras_tuner.Objective("loss", "min"),
    max_trials=3,
    directory="results",
    project_name="older_loop",
)
tuner.search_space_summary()
tuner.search(data=(x_train, y_train))
best_hps = tuner.get_best_hyperparameters()[0]
best_model = tuner.get_best_models()[0]
