"""What tables and arms are called in print."""

NAMES = {
    "protein": "HPOLib protein structure",
    "slice": "HPOLib slice localization",
    "cifar10": "NAS-Bench-201 CIFAR-10",
}
ARMS = {
    "grid": "`GridSearch`, a coarse grid",
    "random": "`RandomSearch`",
    "tpe": "`TPE`",
    "tpe each": "`TPE(multivariate=False)`",
    "evolution": "`RegularizedEvolution`",
    "gp": '`Optuna(sampler="gp")`',
    "optuna": "Optuna's `TPESampler`",
    "optuna each": "Optuna's `TPESampler(multivariate=False)`",
    "kt random": "KerasTuner's random search",
    "kt grid": "KerasTuner's grid",
    "kt bayesian": "KerasTuner's Bayesian optimization",
}
