"""Files of `to_litert` in a browser against the Python interpreter."""
