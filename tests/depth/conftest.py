import keras
import pytest
from depth import nets

import keras_netopt as netopt


@pytest.fixture(scope="session")
def data():
    return nets.make_data(512)


@pytest.fixture(scope="session")
def held_out():
    return nets.make_data(200, seed=1)


@pytest.fixture(scope="session")
def trained(data):
    """Three answers, the last the best; nobody may change its weights."""
    keras.utils.set_random_seed(0)
    model = netopt.depth.add_exits(
        nets.residual_net(),
        at=["first", "second"],
        heads=[nets.flat_head(), nets.flat_head()],
    )
    nets.compiled(model).fit(*data, epochs=5, batch_size=64, verbose=0)
    return model
