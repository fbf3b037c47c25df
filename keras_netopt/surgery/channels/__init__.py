"""The channel graph: which channels of which layers are coupled."""

# Registers the handler of nested models.
from keras_netopt.surgery.channels import nested_models  # noqa: F401
