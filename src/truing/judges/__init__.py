"""Judges that must be asked: language models, classifiers, people. Rules live in ``scoring``."""
