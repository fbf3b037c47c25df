"""Side-by-side measurements; each writes JSON, tables are made from it."""
