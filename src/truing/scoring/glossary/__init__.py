"""Entries of the glossary by subject; :mod:`truing.scoring.metrics` holds them all."""
