"""Every route from a Keras model to a quantized LiteRT file."""
