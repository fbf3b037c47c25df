"""How arrays, slots and the journal follow an edit."""
