"""Opinions that show personality traits, written by a model: the data that personality edits are tested on."""
