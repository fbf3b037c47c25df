"""tfmot on Keras 3 models: accuracy, zeros, shared values and files."""
