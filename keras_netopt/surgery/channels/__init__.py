"""The channel graph: which channels of which layers are coupled."""
