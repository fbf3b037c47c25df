"""What every test shares: quiet logs, fixed seeds, small models and data."""

import contextlib
import gc

import levers  # Before Keras.  # isort: skip
import keras
import pytest
import small_disk
from pool import Pool
from toy import build_mlp, make_toy_data


def pytest_report_header() -> list[str]:
    full = (
        "file systems" if small_disk.can_mount() else "limits on files stand in"
    )
    return [f"keras backend: {keras.backend.backend()}", f"full disks: {full}"]


def pytest_configure() -> None:
    levers.apply()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One process for each file, and one for all contract tests.

    Those share trained models, which each process would train again.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = "tests/contract/"
            is_shared = nodeid.startswith(shared)
            return shared if is_shared else nodeid.split("::", 1)[0]

    return ByFile(config, log)


def pytest_collection_finish() -> None:
    # What is imported by now stays: the garbage collector need not look at it.
    gc.collect()
    gc.freeze()


# Cases of one test that run by default. Every new shape costs JAX a
# compilation and TensorFlow a trace; torch runs them all, `make test-slow` too.
CASES = {"jax": 3, "tensorflow": 5}
FAMILIES = ("surgery", "callbacks")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leaves out tests of other backends; marks as slow what others repeat."""
    foreign = [
        item
        for item in items
        if (mark := item.get_closest_marker("backend"))
        and keras.backend.backend() not in mark.args
    ]
    if foreign:
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if item not in set(foreign)]
    if keras.backend.backend() != "tensorflow":
        for item in items:
            if item.get_closest_marker("no_backend"):
                item.add_marker(pytest.mark.slow)
    allowed = CASES.get(keras.backend.backend())
    if allowed is None:
        return
    seen: dict[object, int] = {}
    for item in items:
        test = getattr(item, "originalname", item.name)
        if not set(FAMILIES) & set(item.path.parts):
            continue
        if item.get_closest_marker("all_cases"):
            continue
        number = seen[item.path, test] = seen.get((item.path, test), 0) + 1
        if number > allowed:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def backend() -> str:
    return keras.backend.backend()


@pytest.fixture
def toy_data():
    """64 samples of 8 features in 3 separable classes."""
    return make_toy_data()


@pytest.fixture
def make_mlp():
    """A function that builds the same compiled MLP each time."""
    return build_mlp


POOLS: dict[object, Pool] = {}


@pytest.fixture
def lend():
    """`lend(key, build)`: a traced model for this test (pool.py)."""
    with contextlib.ExitStack() as loans:

        def take(key, build, trace=keras.Model.make_train_function):
            pool = POOLS.setdefault(key, Pool(build, trace))
            return loans.enter_context(pool.lend())

        yield take


@pytest.fixture
def traced_mlp(lend, toy_data):
    """As `make_mlp`, but the step of the model is traced already.

    For callbacks that do not change the step. The optimizer is a name.
    """

    def take(optimizer="adam", dropout=0.2, **arguments):
        def build():
            return build_mlp(optimizer, dropout, **arguments)

        def trace(model):
            model.fit(*toy_data, batch_size=16, verbose=0)

        key = f"mlp {optimizer} {dropout} {arguments}"
        return lend(key, build, trace)

    return take
