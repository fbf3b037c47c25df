"""Transfer between variants of the acrobot, as in `cart_pole`.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.acrobot`. The
variants have twice the masses of both links, or exchanged torques.
"""

from functools import partial
from typing import Any

import gymnasium

from benchmarks.progressive.cart_pole import Family, main

SEEDS = 3
CHANGES: dict[str, dict[str, Any]] = {
    "standard": {},
    "heavy": {"LINK_MASS_1": 2.0, "LINK_MASS_2": 2.0},
    "mirrored": {"AVAIL_TORQUE": [1.0, 0.0, -1.0]},
}


def make(changes: dict[str, Any]) -> Any:
    """Returns Acrobot-v1 with other attributes."""
    environment = gymnasium.make("Acrobot-v1", disable_env_checker=True)
    for name, value in changes.items():
        setattr(environment.unwrapped, name, value)
    return environment


FAMILY = Family(
    name="progressive_acrobot",
    makers={name: partial(make, one) for name, one in CHANGES.items()},
    observations=6,
    actions=3,
    settings={
        "width": 64,
        "learning_rate": 1e-3,
        "first_steps": 80_000,
        "steps": 40_960,
        "steps_per_epoch": 4096,
        "masses": 2.0,
    },
)

if __name__ == "__main__":
    main(FAMILY, SEEDS)
