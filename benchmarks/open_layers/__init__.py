"""Families of keras_hub: cut, widened, saved, trained and exported."""
