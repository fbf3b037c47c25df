"""Students with and without a teacher, and Keras' own `Distiller`."""
