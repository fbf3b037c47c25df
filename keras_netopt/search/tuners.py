"""One tuner per oracle, called as KerasTuner's tuners are."""

from keras_netopt.search.oracles.grid_search_oracle import GridSearchOracle
from keras_netopt.search.oracles.hyperband_oracle import HyperbandOracle
from keras_netopt.search.oracles.nsga2_oracle import NSGA2Oracle
from keras_netopt.search.oracles.optuna_oracle import OptunaOracle
from keras_netopt.search.oracles.random_search_oracle import RandomSearchOracle
from keras_netopt.search.oracles.regularized_evolution_oracle import (
    RegularizedEvolutionOracle,
)
from keras_netopt.search.oracles.tpe_oracle import TPEOracle
from keras_netopt.search.tuner import Tuner
from keras_netopt.search.tuner_signature import tuner_for


@tuner_for(RandomSearchOracle)
class RandomSearch(Tuner):
    """Random search, without repeated points.

    Takes the place of `keras_tuner.RandomSearch`. Use it as the baseline of
    every other search.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     units = hp.Int("units", 4, 64, sampling="log")
    ...     model = keras.Sequential(
    ...         [keras.Input((8,)), keras.layers.Dense(units)]
    ...     )
    ...     model.compile("adam", "mse")
    ...     return model
    >>> tuner = netopt.search.RandomSearch(
    ...     build, objective="val_loss", max_trials=3, directory="random"
    ... )
    """


@tuner_for(GridSearchOracle)
class GridSearch(Tuner):
    """Grid search, which resumes where it was interrupted.

    Takes the place of `keras_tuner.GridSearch`. `seed` has no effect on the
    points or their order.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    ...     model.compile(hp.Choice("optimizer", ["sgd", "adam"]), "mse")
    ...     return model
    >>> tuner = netopt.search.GridSearch(
    ...     build, objective="val_loss", directory="grid"
    ... )
    """


@tuner_for(TPEOracle)
class TPE(Tuner):
    """Bayesian optimization with tree-structured Parzen estimators (TPE).

    Takes the place of `keras_tuner.BayesianOptimization`: from about 25
    trials on it finds better points than random search.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     units = hp.Int("units", 4, 64, sampling="log")
    ...     model = keras.Sequential(
    ...         [keras.Input((8,)), keras.layers.Dense(units)]
    ...     )
    ...     model.compile("adam", "mse")
    ...     return model
    >>> tuner = netopt.search.TPE(
    ...     build,
    ...     objective="val_loss",
    ...     max_trials=50,
    ...     seed=1,
    ...     stopper=netopt.search.ASHA(),
    ...     directory="tpe",
    ... )
    """


@tuner_for(HyperbandOracle)
class Hyperband(Tuner):
    """Hyperband: many short trainings, of which the best are continued.

    Takes the place of `keras_tuner.Hyperband`. A promoted trial continues
    with the weights and the optimizer state of its predecessor.
    `print(tuner.oracle.budget)` shows all trials and epochs in advance.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    ...     rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    ...     model.compile(keras.optimizers.Adam(rate), "mse")
    ...     return model
    >>> tuner = netopt.search.Hyperband(
    ...     build, objective="val_loss", max_epochs=27, directory="hyperband"
    ... )
    >>> tuner.oracle.budget.epochs
    357
    """


@tuner_for(RegularizedEvolutionOracle)
class RegularizedEvolution(Tuner):
    """Regularized evolution: mutates the best of some recent trials.

    Suits large, conditional and noisy search spaces.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     model = keras.Sequential([keras.Input((8,))])
    ...     for i in range(hp.Int("layers", 1, 3)):
    ...         model.add(keras.layers.Dense(hp.Int(f"units_{i}", 4, 64)))
    ...     model.compile("adam", "mse")
    ...     return model
    >>> tuner = netopt.search.RegularizedEvolution(
    ...     build, objective="loss", max_trials=100, directory="evolution"
    ... )
    """


@tuner_for(NSGA2Oracle)
class NSGA2(Tuner):
    """Multi-objective search with NSGA-II.

    `tuner.oracle.pareto_front()` returns the trials that no other trial
    dominates. "macs", "params" and "bytes" among the objectives are measured
    on the models that `build` returns.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     units = hp.Int("units", 4, 64, sampling="log")
    ...     model = keras.Sequential(
    ...         [keras.Input((8,)), keras.layers.Dense(units)]
    ...     )
    ...     model.compile("adam", "mse")
    ...     return model
    >>> tuner = netopt.search.NSGA2(
    ...     build,
    ...     objective=["val_loss", "macs"],
    ...     max_trials=100,
    ...     directory="nsga2",
    ... )
    """


@tuner_for(OptunaOracle)
class Optuna(Tuner):
    """Search with a sampler of Optuna: Gaussian process, CMA-ES or others.

    Use the Gaussian process if trials are few and expensive. Needs the extra
    `optuna`.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> def build(hp):
    ...     units = hp.Int("units", 4, 64, sampling="log")
    ...     model = keras.Sequential(
    ...         [keras.Input((8,)), keras.layers.Dense(units)]
    ...     )
    ...     model.compile("adam", "mse")
    ...     return model
    >>> tuner = netopt.search.Optuna(
    ...     build, objective="val_loss", max_trials=30, directory="optuna"
    ... )  # doctest: +SKIP
    """
