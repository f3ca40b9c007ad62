"""Servers of OpenAI's chat completions: asking, waiting, paying. Judges, writers and models use them."""
