import pytest
from search.supernet import elastic_net
from search.supernet.supernets import NETS

from keras_netopt.cost import summarize
from keras_netopt.search import extract
from keras_netopt.search.supernet.architecture import sample_architectures
from keras_netopt.search.supernet.cost import (
    architecture_macs,
    architecture_params,
)


@pytest.mark.no_backend
@pytest.mark.parametrize("make", [*NETS, elastic_net.network])
def test_costs_equal_those_of_the_extracted_network(make):
    """Also of nested choices, whose costs do not add up."""
    model = make()
    for architecture in sample_architectures(model, 3, seed=4):
        report = summarize(extract(model, architecture))

        assert architecture_macs(model, architecture) == report.macs
        assert architecture_params(model, architecture) == report.params
