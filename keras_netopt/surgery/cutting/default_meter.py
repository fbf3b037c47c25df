"""The meter of a resource that is measured."""

from collections.abc import Callable

import keras

from keras_netopt.surgery.cutting.measure_milliseconds import (
    measure_milliseconds,
)


def default_meter(resource: str) -> Callable[[keras.Model], float]:
    """Returns what measures the "bytes" or the "latency" of a model."""
    if resource != "bytes":
        return measure_milliseconds
    from keras_netopt.export.file_meter import FileMeter

    return FileMeter()
