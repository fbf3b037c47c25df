"""Kinds of the slots of every optimizer of Keras 3.15.

Private names of Keras 3.15: the attributes that hold the slots.
"""

from typing import Any

import keras

WEIGHT = "weight"
"""The weight itself or an average of it."""
GRADIENT = "gradient"
"""A sum or an average of gradients."""
MAGNITUDE = "magnitude"
"""A sum or an average of absolute gradients."""
GRADIENT2 = "gradient2"
"""A sum or an average of squared gradients."""
UPDATE = "update"
"""An average of updates, not proportional to the gradient."""
FACTORED = "factored"
"""Squared gradients, averaged along one axis."""

OF_EVERY_OPTIMIZER = {
    "_model_variables_moving_average": WEIGHT,
    "_accumulated_gradients": GRADIENT,
}
_ADAM = {
    "_momentums": GRADIENT,
    "_velocities": GRADIENT2,
    "_velocity_hats": GRADIENT2,
}
KINDS: dict[str, dict[str, str]] = {
    "Adadelta": {
        "_accumulated_grads": GRADIENT2,
        "_accumulated_delta_vars": UPDATE,
    },
    "Adafactor": {"_r": FACTORED, "_c": FACTORED, "_v": GRADIENT2},
    "Adagrad": {"_accumulators": GRADIENT2},
    "Adam": _ADAM,
    "Adamax": {"_m": GRADIENT, "_u": MAGNITUDE},
    "Lamb": _ADAM,
    "Lion": {"_momentums": GRADIENT},
    "LossScaleOptimizer": {},
    "MultiOptimizer": {},
    "Muon": {"momentums": GRADIENT, "adam_velocities": GRADIENT2},
    "Nadam": _ADAM,
    "RMSprop": {
        "_velocities": GRADIENT2,
        "_average_gradients": GRADIENT,
        "_momentums": UPDATE,
    },
    "SGD": {"momentums": GRADIENT},
    "ScheduleFreeAdamW": {"_momentums": WEIGHT, "_velocities": GRADIENT2},
}

REFUSED = {
    "Ftrl": (
        "its slots define the weights, so the next step would overwrite "
        "the edited weights"
    ),
}
REFUSED_WITH_ZERO_OUTGOING = {
    "Adafactor": (
        "a weight matrix with a row and a column of zero gradients becomes "
        "NaN, and new weights of zero produce such gradients"
    ),
}


def find_known_class(optimizer: Any) -> str | None:
    """Returns the name of an optimizer's nearest Keras class, or `None`."""
    for cls in type(optimizer).__mro__:
        name = cls.__name__
        if name in KINDS or name in REFUSED:
            if cls is getattr(keras.optimizers, name, None):
                return name
    return None


def find_slot_kinds(optimizer: Any) -> dict[str, str]:
    """Returns the kinds of an optimizer's slots by attribute.

    The slots of a custom class are not included.
    """
    own = KINDS.get(find_known_class(optimizer) or "", {})
    return {**OF_EVERY_OPTIMIZER, **own}
