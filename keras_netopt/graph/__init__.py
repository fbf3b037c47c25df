"""The calls of layers and ops in a model: one home for Keras' internals."""
