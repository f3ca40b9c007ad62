"""Scenarios that say how an agent should act: what is edited, what is asked, what is right."""
