"""People as judges: a blind sheet of answers to look at, and their decisions as verdicts."""
