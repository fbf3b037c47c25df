"""A script as in KerasTuner's guide "Getting started with KerasTuner"."""

import keras
import keras_tuner
import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(32, 6)).astype("float32")
y_train = (x_train[:, 0] > 0).astype("int32")
x_val, y_val = x_train[:16], y_train[:16]


def build_model(hp):
    model = keras.Sequential([keras.Input((6,))])
    for i in range(hp.Int("num_layers", 1, 2)):
        units = hp.Int(f"units_{i}", 2, 6, step=2)
        model.add(keras.layers.Dense(units, activation="relu"))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(0.25))
    model.add(keras.layers.Dense(2, activation="softmax"))
    rate = hp.Float("lr", 1e-4, 1e-1, sampling="log")
    model.compile(
        keras.optimizers.SGD(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    return model


def build_regressor(hp):
    units = hp.Int("units", 2, 8, step=2)
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
    return model


# Tune the architecture, look at the results, and retrain the best model.

build_model(keras_tuner.HyperParameters())
tuner = keras_tuner.RandomSearch(
    hypermodel=build_model,
    objective="val_accuracy",
    max_trials=2,
    executions_per_trial=2,
    overwrite=True,
    directory="my_dir",
    project_name="helloworld",
)
tuner.search_space_summary()
tuner.search(x_train, y_train, epochs=2, validation_data=(x_val, y_val))
tuner.results_summary()
models = tuner.get_best_models(num_models=2)
models[0].summary()
predictions = models[0].predict(x_val)
best_hps = tuner.get_best_hyperparameters(5)
retrained = build_model(best_hps[0])
retrained.fit(x_train, y_train, epochs=1)


# Tune the training.


class ShuffledTraining(keras_tuner.HyperModel):
    def build(self, hp):
        return build_model(hp)

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, shuffle=hp.Boolean("shuffle"), **kwargs)


tuner = keras_tuner.RandomSearch(
    ShuffledTraining(),
    objective="val_accuracy",
    max_trials=2,
    overwrite=True,
    directory="my_dir",
    project_name="tune_hypermodel",
)
tuner.search(x_train, y_train, epochs=1, validation_data=(x_val, y_val))
hypermodel = ShuffledTraining()
best_hp = tuner.get_best_hyperparameters()[0]
shuffled = hypermodel.build(best_hp)
hypermodel.fit(best_hp, shuffled, x_train, y_train, epochs=1)


# Tune the preprocessing; the arguments of `fit` are given by position.


class NormalizedData(keras_tuner.HyperModel):
    def build(self, hp):
        return build_model(hp)

    def fit(self, hp, model, train, validation, callbacks=None):
        x, y = train
        if hp.Boolean("normalize"):
            x = (x - x.mean()) / x.std()
        return model.fit(x, y, validation_data=validation, callbacks=callbacks)


tuner = keras_tuner.RandomSearch(
    NormalizedData(),
    objective="val_loss",
    max_trials=2,
    directory="my_dir",
    project_name="tune_preprocessing",
)
tuner.search((x_train, y_train), (x_val, y_val))
preprocessed = tuner.get_best_models()[0]


# A metric of the user is the objective.


@keras.saving.register_keras_serializable(package="guide")
class LargestAnswer(keras.metrics.Metric):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.largest = self.add_variable((), "zeros", name="largest")

    def update_state(self, y_true, y_pred, sample_weight=None):
        found = keras.ops.max(keras.ops.abs(y_pred))
        self.largest.assign(keras.ops.maximum(self.largest, found))

    def result(self):
        return keras.ops.convert_to_tensor(self.largest)

    def reset_state(self):
        self.largest.assign(0.0)


def build_with_metric(hp):
    model = build_regressor(hp)
    model.compile("sgd", "mse", metrics=[LargestAnswer()], run_eagerly=True)
    return model


tuner = keras_tuner.RandomSearch(
    hypermodel=build_with_metric,
    objective=keras_tuner.Objective("val_largest_answer", direction="min"),
    max_trials=2,
    overwrite=True,
    directory="my_dir",
    project_name="custom_metrics",
)
tuner.search(x_train, y_train, epochs=1, validation_data=(x_val, y_val))
largest_answer = np.abs(tuner.get_best_models()[0].predict(x_val)).max()


# `HyperModel.fit` returns the objective: a float, or a dictionary.


class ReturnedError(keras_tuner.HyperModel):
    def __init__(self, as_objective):
        super().__init__()
        self.as_objective = as_objective
        self.returned = []

    def build(self, hp):
        return build_regressor(hp)

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        model.fit(x, y, validation_data=validation_data, **kwargs)
        inputs, targets = validation_data
        errors = model.predict(inputs)[:, 0] - targets
        # Above the `val_loss` of the last epoch.
        self.returned.append(float(np.mean(errors**2)) + 1.0)
        return self.as_objective(self.returned[-1])


float_model = ReturnedError(float)
tuner = keras_tuner.RandomSearch(
    hypermodel=float_model,
    max_trials=2,
    overwrite=True,
    directory="my_dir",
    project_name="custom_eval",
)
tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=2)
custom_model = tuner.get_best_models()[0]

dict_model = ReturnedError(lambda value: {"val_loss": value, "other": 1.0})
tuner = keras_tuner.RandomSearch(
    hypermodel=dict_model,
    objective="val_loss",
    max_trials=1,
    executions_per_trial=2,
    overwrite=True,
    directory="my_dir",
    project_name="custom_eval_dict",
)
tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=2)


# Tune any function.


class ParabolaTuner(keras_tuner.RandomSearch):
    def run_trial(self, trial, offset, *args, **kwargs):
        x = trial.hyperparameters.Float("x", -1.0, 1.0)
        return x * x + offset


tuner = ParabolaTuner(
    max_trials=4,
    overwrite=True,
    directory="my_dir",
    project_name="tune_anything",
)
tuner.search(1.0)
best_x = tuner.get_best_hyperparameters()[0].get("x")


# Keep the training code separate.


def train_and_save(hp, data, path):
    model = build_regressor(hp)
    history = model.fit(*data)
    model.save(path)
    return history.history["loss"][-1]


class SeparateTuner(keras_tuner.RandomSearch):
    def run_trial(self, trial, data):
        path = f"my_dir/{trial.trial_id}.keras"
        return train_and_save(trial.hyperparameters, data, path)


tuner = SeparateTuner(
    objective=keras_tuner.Objective("loss", "min"),
    max_trials=2,
    overwrite=True,
    directory="my_dir",
    project_name="keep_code_separate",
)
tuner.search(data=(x_train, y_train))
best_trial = tuner.oracle.get_best_trials()[0]
saved = keras.saving.load_model(f"my_dir/{best_trial.trial_id}.keras")


# Tune the batch size in a subclass that calls the tuner's `run_trial`.


class BatchSizeTuner(keras_tuner.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        kwargs["batch_size"] = hp.Int("batch_size", 8, 16, step=8)
        return super().run_trial(trial, *args, **kwargs)


tuner = BatchSizeTuner(
    build_regressor,
    objective="val_loss",
    max_trials=2,
    directory="my_dir",
    project_name="batch_size",
)
tuner.search(x_train, y_train, epochs=1, validation_split=0.5)
