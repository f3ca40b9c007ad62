"""Steering: a direction from contrast pairs, and what it does to activations."""
