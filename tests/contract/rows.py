"""The rows that a check runs on, as pytest parameters."""

from collections.abc import Iterable
from typing import Any

import pytest
from contract import settings, zoo

PIECES = tuple(settings.PIECES.values())
FIRST = settings.CALLBACKS[0]


def parameters(
    chosen: Iterable[Any], quick: Iterable[Any]
) -> pytest.MarkDecorator:
    """Parametrizes `setting`; what is not in `quick` is marked slow."""
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


_touching = [setting for setting in PIECES if setting.row.touches]
EVERY = parameters(settings.CALLBACKS, settings.CALLBACKS)
ONE_A_PIECE = parameters(PIECES, PIECES)
# A piece that touches nothing of the training is hard to upset by a mode.
ONE_QUICK = parameters(PIECES, _touching)
TOUCHING = parameters(_touching, _touching)
EVERY_QUICK = parameters(settings.CALLBACKS, PIECES)
# Files are written by every callback, and by one from every other model.
FILES = [
    *((setting, "mlp") for setting in settings.CALLBACKS),
    *((FIRST, model) for model in list(zoo.BUILDERS)[1:]),
]
