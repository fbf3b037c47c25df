"""Keeps the process of the converter from one export to the next."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import keras

from keras_netopt.export.converter_process import ConverterProcess


class _Slot:
    """Holds the process, once the first export has started it."""

    process: ConverterProcess | None = None

    def close(self) -> None:
        if self.process is not None:
            self.process.__exit__(None, None, None)
            self.process = None


_SLOT: ContextVar[_Slot | None] = ContextVar("kept_process", default=None)


@contextlib.contextmanager
def keep_process() -> Iterator[None]:
    """Lets the exports in the block share one process, as off TensorFlow.

    Each then costs a conversion, without the start of TensorFlow. Exports in
    other threads have processes of their own.
    """
    if keras.backend.backend() == "tensorflow" or _SLOT.get() is not None:
        yield
        return
    slot = _Slot()
    token = _SLOT.set(slot)
    try:
        yield
    finally:
        _SLOT.reset(token)
        slot.close()


def find_kept_process(
    rebuilds: bool,
) -> contextlib.AbstractContextManager[ConverterProcess] | None:
    """Returns a context with the kept process, or `None` if none is kept."""
    slot = _SLOT.get()
    if slot is None or not rebuilds:
        return None
    if slot.process is not None and not slot.process.is_idle:
        slot.close()
    if slot.process is None:
        slot.process = ConverterProcess(rebuilds)
    return contextlib.nullcontext(slot.process)
