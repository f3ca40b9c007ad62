"""Questions with accepted answers that no edit is about: what a model could do before."""
