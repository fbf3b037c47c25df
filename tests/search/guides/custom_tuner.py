"""A script as in the guide "Tune hyperparameters in your training loop"."""

import keras
import keras_tuner
import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(32, 6)).astype("float32")
y_train = (x_train[:, 0] > 0).astype("int32")
x_val, y_val = x_train[:16], y_train[:16]


class MyHyperModel(keras_tuner.HyperModel):
    """A linear model trained by hand, and never compiled."""

    def build(self, hp):
        inputs = keras.Input((6,))
        bias = hp.Boolean("bias")
        outputs = keras.layers.Dense(1, use_bias=bias)(inputs)
        return keras.Model(inputs, outputs)

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        for callback in callbacks:
            callback.set_model(model)
        best_epoch_loss = float("inf")
        for epoch in range(2):
            kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel)
            errors = x @ kernel - y[:, None]
            model.layers[-1].kernel.assign(kernel - rate * x.T @ errors)
            inputs, targets = validation_data
            answers = keras.ops.convert_to_numpy(model(inputs))
            epoch_loss = float(np.mean((answers[:, 0] - targets) ** 2))
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_metric": epoch_loss})
            best_epoch_loss = min(best_epoch_loss, epoch_loss)
        return best_epoch_loss


tuner = keras_tuner.RandomSearch(
    objective=keras_tuner.Objective("my_metric", "min"),
    max_trials=2,
    hypermodel=MyHyperModel(),
    directory="results",
    project_name="custom_training",
    overwrite=True,
)
tuner.search(x=x_train, y=y_train, validation_data=(x_val, y_val))
best_hps = tuner.get_best_hyperparameters()[0]
best_model = tuner.get_best_models()[0]
best_model.summary()
