"""One row per setting of a public callback, for the contract checks.

A new callback needs a file in `callbacks/` and a row in the registry. A check
that it cannot pass is an entry in `limits` of the row, never an exception here.
"""

from types import ModuleType

from contract.callbacks import (
    best_checkpoint,
    channel_pruning,
    channel_sparsity,
    compute_tracker,
    curriculum,
    distillation,
    gradual_unfreezing,
    growing,
    layerwise_learning_rates,
    learning_rate_finder,
    lottery_ticket,
    parameter_scheduler,
    prechelt_stopping,
    pruning,
    quantization,
    selective_backprop,
    sparse_training,
)

_MODULES: tuple[ModuleType, ...] = (
    pruning,
    sparse_training,
    lottery_ticket,
    quantization,
    best_checkpoint,
    channel_pruning,
    channel_sparsity,
    growing,
    selective_backprop,
    curriculum,
    distillation,
    parameter_scheduler,
    compute_tracker,
    learning_rate_finder,
    prechelt_stopping,
    gradual_unfreezing,
    layerwise_learning_rates,
)
CALLBACKS = tuple(row for module in _MODULES for row in module.SETTINGS)
BY_NAME = {setting.name: setting for setting in CALLBACKS}
COMPONENTS = {setting.component: setting for setting in reversed(CALLBACKS)}
# C8: a model on which it has no effect, and the remedy in its warning.
IDLE = {module.COMPONENT: module.IDLE for module in _MODULES}
# C20: one wrong value per argument. Values that depend on the model or the
# data may be refused at train begin.
BAD = {module.COMPONENT: module.BAD for module in _MODULES}
# C4b: two callbacks that differ in one argument; config and outcome differ.
CHANGES = {module.COMPONENT: module.CHANGES for module in _MODULES}
# Callbacks that train no model of the zoo, and where their checks are.
WITH_OWN_MODEL = {
    # It needs searchable layers.
    "callbacks.ArchitectureSearch": "test_architecture_search_contract.py",
    # It needs a model that shares layers with a consolidated one.
    "callbacks.ElasticWeightConsolidation": (
        "test_elastic_weight_consolidation_contract.py"
    ),
}
