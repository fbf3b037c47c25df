"""Early exits against the same network without them."""
