"""Half of the channels of every model of `keras.applications`, removed."""
