"""Edits inside opened layers: layers that have no handler."""
