"""Batches whose number Keras does not know, again in every epoch."""

import keras
import pytest


def without_length(x, y, batch_size=16):
    """Returns a data set of arrays that tells no length."""
    starts = range(0, len(x), batch_size)
    batches = [(x[i : i + batch_size], y[i : i + batch_size]) for i in starts]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
        return data.filter(lambda x, y: True)
    torch = pytest.importorskip("torch")

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(batches)

    return torch.utils.data.DataLoader(Stream(), batch_size=None)
