"""The samples of a search, split into folds."""

import warnings
from typing import Any

from keras_netopt.search.folds import FoldedData, split_data
from keras_netopt.search.running.fit_arguments import check_no_validation_data
from keras_netopt.warnings import NoEffectWarning


def split_samples(
    folds: Any, kwargs: dict[str, Any], max_trials: int | None
) -> FoldedData | None:
    """Removes the samples from the arguments if folds split them."""
    if folds is None:
        for name in ("groups", "num_samples"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"Argument `{name}` must be omitted unless the tuner "
                    f"has `folds`. Received: {name} without folds"
                )
        return None
    check_no_validation_data(kwargs)
    names = ("x", "y", "sample_weight")
    folded = split_data(
        folds,
        *(kwargs.pop(name, None) for name in names),
        num_samples=kwargs.pop("num_samples", None),
        groups=kwargs.pop("groups", None),
    )
    if max_trials == 1:
        warnings.warn(
            "A search of one trial compares nothing: its score is the mean "
            "over folds of the first values alone. Raise `max_trials`. "
            "Received: folds with max_trials=1",
            NoEffectWarning,
            stacklevel=3,
        )
    return folded
