"""Capability by tasks of other harnesses, on a live edited model."""
