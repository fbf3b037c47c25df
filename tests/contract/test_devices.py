"""C13: two devices."""

import keras
import pytest
from contract.rows import ONE_QUICK

SKIPPED = pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="Keras on torch trains on one device; DDP is not run",
)


@SKIPPED
@pytest.mark.check("C13")
@ONE_QUICK
def test_two_devices_train_as_one(setting, children):
    """MirroredStrategy or DataParallel, see `contract.devices`."""
    assert children.results[f"devices {setting}"] == ""
