"""Seesaw-CF (Halevy et al. 2024, "Flex Tape Can't Fix That", arXiv 2403.00180): one property of a person
is edited, and other people and other properties are asked about."""
