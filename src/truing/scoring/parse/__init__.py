"""Reading a short answer: a letter, an option, yes or no, a word, a number, a refusal.

Every reader gives a :class:`Parsed` and never guesses: an answer that names nothing is invalid, one
that declines, hedges or names several abstains. How published code reads the same answers is in
:mod:`truing.scoring.parse.published`.
"""

from truing.scoring.parse.choices import LETTERS as LETTERS
from truing.scoring.parse.choices import choice as choice
from truing.scoring.parse.choices import letter as letter
from truing.scoring.parse.choices import options_in as options_in
from truing.scoring.parse.numbers import Scale as Scale
from truing.scoring.parse.numbers import number as number
from truing.scoring.parse.parsed import VERSION as VERSION
from truing.scoring.parse.parsed import Outcome as Outcome
from truing.scoring.parse.parsed import Parsed as Parsed
from truing.scoring.parse.parsed import hedges as hedges
from truing.scoring.parse.parsed import refuses as refuses
from truing.scoring.parse.words import GOOD_BAD as GOOD_BAD
from truing.scoring.parse.words import GOOD_BAD_NEUTRAL as GOOD_BAD_NEUTRAL
from truing.scoring.parse.words import REASONABLE as REASONABLE
from truing.scoring.parse.words import TRUE_FALSE as TRUE_FALSE
from truing.scoring.parse.words import VOCABULARIES as VOCABULARIES
from truing.scoring.parse.words import YES_NO as YES_NO
from truing.scoring.parse.words import Label as Label
from truing.scoring.parse.words import Labels as Labels
from truing.scoring.parse.words import plain_labels as plain_labels
from truing.scoring.parse.words import word_label as word_label
from truing.scoring.parse.words import yes_no as yes_no
