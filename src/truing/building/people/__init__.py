"""Sets of edits of people, from a local table of people and their properties."""
