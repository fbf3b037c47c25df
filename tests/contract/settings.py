"""One row a setting of a public callback; the checks of the contract read it.

A new piece is a new file in `callbacks/` and a row in `keras_netopt.registry`.
What a piece cannot do is a line of its registry row's `limits`, never an
exception here.
"""

from types import ModuleType

from contract.callbacks import (
    best_checkpoint,
    channel_pruning,
    compute_tracker,
    curriculum,
    growing,
    learning_rate_finder,
    parameter_scheduler,
    prechelt_stopping,
    pruning,
    selective_backprop,
)

_MODULES: tuple[ModuleType, ...] = (
    pruning,
    best_checkpoint,
    channel_pruning,
    growing,
    selective_backprop,
    curriculum,
    parameter_scheduler,
    compute_tracker,
    learning_rate_finder,
    prechelt_stopping,
)
CALLBACKS = tuple(row for module in _MODULES for row in module.SETTINGS)
BY_NAME = {setting.name: setting for setting in CALLBACKS}
PIECES = {setting.piece: setting for setting in reversed(CALLBACKS)}
# C8: where a piece has nothing to do, and what its remedy names.
IDLE = {module.PIECE: module.IDLE for module in _MODULES}
# C20: one wrong value an argument. What needs the model or data may be
# refused at train begin only.
BAD = {module.PIECE: module.BAD for module in _MODULES}
# C4b: two callbacks that differ in one argument; config and outcome differ.
CHANGES = {module.PIECE: module.CHANGES for module in _MODULES}
