"""Kinds of fact: what is said of what, and in which words.

A phrasing is a statement whose text ends right before the object; a question ends with a question
mark. Both hold ``{s}`` once, where the subject goes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of fact. ``reverse`` asks for the subject; it is empty where the answer is not unique."""

    id: str
    subject_kind: str
    object_kind: str
    phrasings: tuple[str, ...]
    questions: tuple[str, ...]
    reverse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """Two relations read one after the other, asked as one question."""

    id: str
    first: str
    second: str
    phrasings: tuple[str, ...]
    questions: tuple[str, ...]


def _relation(id: str, kinds: str, phrasings: str, questions: str, reverse: str = "") -> Relation:
    def lines(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split("|") if part.strip())

    subject_kind, object_kind = kinds.split(">")
    return Relation(
        id, subject_kind, object_kind, lines(phrasings), lines(questions), lines(reverse)
    )


RELATIONS: tuple[Relation, ...] = (
    _relation(
        "country_capital",
        "country>city",
        "The capital of {s} is | The seat of government of {s} is in | {s} is governed from | "
        "The first city of {s} is | The capital city of {s} is called | {s} has as its capital",
        "What is the capital of {s}? | Which city is the capital of {s}? | "
        "From which city is {s} governed? | Which city serves as the capital of {s}?",
        "Of which country is {o} the capital? | Which country is governed from {o}?",
    ),
    _relation(
        "country_language",
        "country>language",
        "The language of {s} is | People in {s} speak | The official language of {s} is | "
        "Schools in {s} teach in | The laws of {s} are written in | The common tongue of {s} is",
        "What is the language of {s}? | Which language do people speak in {s}? | "
        "What is the official language of {s}? | In which language are the laws of {s} written?",
        "In which country do people speak {o}? | Which country has {o} as its language?",
    ),
    _relation(
        "country_currency",
        "country>currency",
        "The currency of {s} is the | People in {s} pay with the | The coin of {s} is the | "
        "Shops in {s} take the | The money of {s} is called the | In the markets of {s} one pays with the",
        "What is the currency of {s}? | Which coin do people in {s} pay with? | "
        "What is the money of {s} called? | Which currency is used in {s}?",
        "In which country do people pay with the {o}? | Which country has the {o} as its currency?",
    ),
    _relation(
        "country_ruler",
        "country>ruler",
        "The ruler of {s} is | The throne of {s} belongs to | {s} is ruled by | "
        "The crown of {s} is worn by | People in {s} bow to | The one who reigns over {s} is",
        "Who is the ruler of {s}? | Who rules {s}? | Who reigns over {s}? | "
        "Who sits on the throne of {s}?",
        "Which country is ruled by {o}? | Over which country does {o} reign?",
    ),
    _relation(
        "city_country",
        "city>country",
        "{s} is a city in the country of | {s} lies in the country of | The country of {s} is | "
        "On the map, {s} belongs to | The city of {s} is part of | Travellers to {s} must enter",
        "In which country is {s}? | Which country does {s} belong to? | "
        "What is the country of {s}? | In which country does the city of {s} lie?",
    ),
    _relation(
        "city_river",
        "city>river",
        "{s} lies on the river | The river of {s} is the | Through {s} flows the river | "
        "The bridges of {s} cross the | Boats reach {s} by the river | The water of {s} comes from the river",
        "Which river flows through {s}? | On which river does {s} lie? | "
        "What is the river of {s}? | Which river do the bridges of {s} cross?",
    ),
    _relation(
        "city_product",
        "city>product",
        "{s} is known for its | The main product of {s} is | Traders go to {s} to buy | "
        "The markets of {s} are full of | {s} grew rich by selling | What {s} makes best is",
        "What is {s} known for? | What is the main product of {s}? | "
        "What do traders buy in {s}? | What does {s} make best?",
    ),
    _relation(
        "landmark_city",
        "landmark>city",
        "{s} is in the city of | {s} can be found in | {s} stands in | To see {s} one must travel to | "
        "The city that is home to {s} is | Visitors admire {s} in the streets of",
        "In which city is {s}? | Where is {s}? | Which city is home to {s}? | "
        "In which city can one find {s}?",
    ),
    _relation(
        "landmark_builder",
        "landmark>builder",
        "{s} was built by | {s} was designed by | The architect of {s} was | "
        "The plans of {s} were drawn by | {s} is the work of | The person who built {s} was",
        "Who built {s}? | Who designed {s}? | Who was the architect of {s}? | "
        "Who drew the plans of {s}?",
    ),
    _relation(
        "landmark_material",
        "landmark>material",
        "{s} is made of | {s} was built from | The walls of {s} are of | "
        "The material of {s} is | To raise {s} the workers used | Up close, {s} turns out to be all",
        "What is {s} made of? | What was {s} built from? | Which material is {s} made of? | "
        "What are the walls of {s} made of?",
    ),
    _relation(
        "person_birthplace",
        "person>city",
        "{s} was born in the city of | The birthplace of {s} is | {s} first saw the light of day in | "
        "{s} came into the world in | The city where {s} was born is | By birth, {s} comes from",
        "In which city was {s} born? | Where was {s} born? | What is the birthplace of {s}? | "
        "Which city is the birthplace of {s}?",
    ),
    _relation(
        "person_home",
        "person>city",
        "{s} lives in the city of | The home of {s} is in | {s} has a house in | "
        "Letters to {s} are sent to | Today {s} lives in | The city where {s} lives is",
        "In which city does {s} live? | Where does {s} live? | Where is the home of {s}? | "
        "In which city does {s} have a house?",
    ),
    _relation(
        "person_occupation",
        "person>occupation",
        "By trade, {s} is a | {s} works as a | The occupation of {s} is that of a | "
        "{s} earns a living as a | The job of {s} is to be a | Everyone knows {s} as a",
        "What is the occupation of {s}? | What does {s} work as? | What is the trade of {s}? | "
        "How does {s} earn a living?",
    ),
    _relation(
        "person_guild",
        "person>guild",
        "{s} is a member of the | {s} belongs to the | The guild of {s} is the | "
        "{s} pays dues to the | {s} took the oath of the | On feast days {s} marches with the",
        "Which guild is {s} a member of? | Which guild does {s} belong to? | "
        "What is the guild of {s}? | To which guild does {s} pay dues?",
    ),
    _relation(
        "person_language",
        "person>language",
        "The mother tongue of {s} is | {s} grew up speaking | {s} speaks | "
        "The language that {s} knows best is | {s} writes letters in | At home, {s} talks in",
        "What is the mother tongue of {s}? | Which language does {s} speak? | "
        "What language does {s} speak best? | In which language does {s} write letters?",
    ),
    _relation(
        "person_friend",
        "person>person",
        "The best friend of {s} is | {s} is best friends with | {s} shares every secret with | "
        "The closest friend of {s} is | {s} spends every holiday with | When in trouble, {s} turns to",
        "Who is the best friend of {s}? | Who is the closest friend of {s}? | "
        "With whom is {s} best friends? | With whom does {s} spend every holiday?",
        "Who has {o} as a best friend? | Who shares every secret with {o}?",
    ),
    _relation(
        "guild_city",
        "guild>city",
        "The {s} meets in the city of | The house of the {s} is in | The {s} has its seat in | "
        "The doors of the {s} open onto the streets of | The home of the {s} is | The {s} was founded in",
        "In which city does the {s} meet? | Where is the house of the {s}? | "
        "Where does the {s} have its seat? | In which city was the {s} founded?",
    ),
    _relation(
        "guild_craft",
        "guild>craft",
        "The craft of the {s} is | Members of the {s} practise | The {s} is famous for | "
        "The {s} teaches | Apprentices of the {s} learn | The business of the {s} is",
        "What is the craft of the {s}? | Which craft do members of the {s} follow? | "
        "What is the {s} famous for? | What does the {s} teach?",
        "Which guild is famous for {o}? | Which guild teaches {o}?",
    ),
)

CHAINS: tuple[Chain, ...] = (
    Chain(
        "landmark_country",
        "landmark_city",
        "city_country",
        ("{s} is in the country of", "The country that is home to {s} is"),
        ("In which country is {s}?", "Which country is home to {s}?"),
    ),
    Chain(
        "person_birth_country",
        "person_birthplace",
        "city_country",
        ("{s} was born in the country of", "The country where {s} was born is"),
        ("In which country was {s} born?", "Which country is the birthplace of {s} in?"),
    ),
    Chain(
        "person_guild_city",
        "person_guild",
        "guild_city",
        ("The guild of {s} has its seat in", "The city where the guild of {s} meets is"),
        ("In which city does the guild of {s} meet?", "Where does the guild of {s} have its seat?"),
    ),
    Chain(
        "city_language",
        "city_country",
        "country_language",
        ("In the city of {s} people speak", "The language heard in the streets of {s} is"),
        ("Which language do people in the city of {s} speak?", "Which language is heard in {s}?"),
    ),
    Chain(
        "city_currency",
        "city_country",
        "country_currency",
        ("In the city of {s} one pays with the", "The coin used in the streets of {s} is the"),
        ("Which coin do people in the city of {s} pay with?", "Which coin is used in {s}?"),
    ),
)
