"""Examples of keras.io as they are, with callbacks appended to `fit`."""
