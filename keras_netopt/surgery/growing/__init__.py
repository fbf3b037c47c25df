"""Growth of a model: triggers, new units and new blocks."""
