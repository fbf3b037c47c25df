"""C10, C13 for devices that are not here: lowering."""

import pytest
from contract import device_cases
from contract.lowering import lowered

CASES = [pytest.param(fit, id=name) for _, name, fit in device_cases.cases()]
pytestmark = pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.SearchCollapseWarning"
)


@pytest.mark.slow
@pytest.mark.backend("jax")
@pytest.mark.parametrize("fit", CASES)
def test_every_compiled_step_lowers_for_tpu_and_cuda(fit, tmp_path):
    with lowered() as found:
        fit(tmp_path)

    assert found.failures == []
    assert any("train_step" in name for name in found.steps)
