import keras
import pytest
from export.conftest import InThisProcess

from keras_netopt.advice import model_subject
from keras_netopt.export import litert_writer


@pytest.fixture(autouse=True)
def on_x86(monkeypatch):
    """Times of this machine are those of the target x86."""
    monkeypatch.setattr(model_subject, "host_target", lambda: "x86")


@pytest.fixture(scope="session", autouse=True)
def convert_in_this_process():
    """A process would import TensorFlow again."""
    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() == "tensorflow":
            patch.setattr(litert_writer, "ConverterProcess", InThisProcess)
        yield
