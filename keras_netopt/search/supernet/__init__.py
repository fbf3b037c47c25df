"""Searchable layers, and networks cut out of a network that holds many."""
