"""Data sets written by models and looked at by people: asking, keeping, pairing, review, data cards."""
