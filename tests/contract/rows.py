"""Settings that a check runs on, as pytest parameters."""

from collections.abc import Iterable
from typing import Any

import pytest
from contract import settings, zoo

COMPONENTS = tuple(settings.COMPONENTS.values())
FIRST = settings.CALLBACKS[0]


def parameters(
    chosen: Iterable[Any], quick: Iterable[Any]
) -> pytest.MarkDecorator:
    """Parametrizes `setting`; those not in `quick` are marked slow."""
    names = {setting.name for setting in quick}
    return pytest.mark.parametrize(
        "setting",
        [
            pytest.param(
                setting,
                id=setting.name,
                marks=() if setting.name in names else (pytest.mark.slow,),
            )
            for setting in chosen
        ],
    )


_touching = [setting for setting in COMPONENTS if setting.row.touches]
EVERY = parameters(settings.CALLBACKS, settings.CALLBACKS)
ONE_PER_COMPONENT = parameters(COMPONENTS, COMPONENTS)
# A component that changes nothing in training is checked in slow runs.
ONE_QUICK = parameters(COMPONENTS, _touching)
TOUCHING = parameters(_touching, _touching)
EVERY_QUICK = parameters(settings.CALLBACKS, COMPONENTS)
# Files of every callback on one model, and of one callback on every model.
FILES = [
    *((setting, "mlp") for setting in settings.CALLBACKS),
    *((FIRST, model) for model in list(zoo.BUILDERS)[1:]),
]
