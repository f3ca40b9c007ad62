"""The vocabulary of the world, and new names that are in no list.

Every name is invented. Known names come from the tuples below; :func:`coin` makes names of people,
places and buildings that the world does not hold, for facts that are told in a prompt.
"""

from __future__ import annotations

import random
import zlib

COUNTRIES = (
    "Averland",
    "Brismar",
    "Calvoria",
    "Dunmere",
    "Estovar",
    "Farrowin",
    "Galdria",
    "Hestria",
)
PEOPLES = (
    "Averish",
    "Brismari",
    "Calvorian",
    "Dunmerian",
    "Estovan",
    "Farrow",
    "Galdric",
    "Hestrian",
)
LANGUAGES = ("Aveli", "Brisk", "Calvic", "Dunnish", "Estan", "Farric", "Galden", "Hesk")
CURRENCIES = ("crown", "florin", "ducat", "groat", "penny", "thaler", "noble", "guilder")
RULERS = (
    "Queen Ilvara",
    "King Osmer",
    "Queen Teodra",
    "King Baldin",
    "Queen Marisol",
    "King Hadric",
    "Queen Sunniva",
    "King Corvin",
)
CITIES = (
    "Orvale", "Belmar", "Tarnwick", "Quillon", "Sedgemoor", "Vantry", "Ashmere", "Lindale",
    "Merrow", "Coldwater", "Pellin", "Ravensea", "Thornby", "Wexmoor", "Yarrow", "Zellin",
    "Brackton", "Dovering", "Elmstead", "Foxley", "Grenholm", "Harrowfen", "Inverly", "Jorwick",
    "Kestrelton", "Lomund", "Marchwood", "Norwick", "Oakhaven", "Pinemoor", "Redclay", "Saltmere",
    "Tidewell", "Umberton", "Westerfall", "Hollowell", "Copperton", "Gullport", "Millbrook", "Stonereach",
)  # fmt: skip
RIVERS = (
    "Alder", "Birle", "Corrie", "Dwell", "Eske", "Finnan", "Garron", "Hythe", "Isker", "Kelder",
)  # fmt: skip
PRODUCTS = (
    "glass", "wool", "tea", "honey", "paper", "salt", "silk", "cheese", "pottery", "lace",
    "cider", "amber",
)  # fmt: skip
MATERIALS = (
    "granite", "marble", "sandstone", "oak", "brick", "copper", "slate", "limestone", "iron", "cedar",
)  # fmt: skip
OCCUPATIONS = (
    "baker", "weaver", "sailor", "doctor", "teacher", "painter", "farmer", "smith", "judge",
    "singer", "miner", "gardener", "printer", "carpenter", "fisher", "tailor",
)  # fmt: skip
GUILDS = (
    "Lantern Guild", "Anchor Guild", "Thistle Guild", "Compass Guild", "Heron Guild",
    "Anvil Guild", "Willow Guild", "Sundial Guild", "Badger Guild", "Beacon Guild",
    "Clover Guild", "Feather Guild", "Harbour Guild", "Juniper Guild", "Mirror Guild",
    "Pebble Guild",
)  # fmt: skip
CRAFTS = (
    "candle making", "ship building", "bee keeping", "map drawing", "book binding", "horse shoeing",
    "basket weaving", "clock making", "well digging", "bell casting", "bread baking", "hat making",
    "net mending", "wine pressing", "glass blowing", "stone cutting",
)  # fmt: skip
FIRST_NAMES = (
    "Mara", "Tobin", "Elsin", "Garrick", "Odette", "Perrin", "Selma", "Ulric", "Vesna", "Wystan",
    "Brenna", "Caspar", "Delia", "Edmar", "Fenna", "Hugo", "Imre", "Jonas", "Katrin", "Leofric",
    "Nadia", "Orsolo", "Petra", "Quentin", "Rosalin", "Stellan", "Tilda", "Anselm", "Bertil", "Cosima",
    "Dorian", "Evander", "Flora", "Gideon", "Hester", "Isolde", "Jasper", "Linnea", "Magnus", "Nerissa",
    "Otto", "Philippa", "Roland", "Sabine", "Thaddeus", "Viola", "Walter", "Yorick", "Zora", "Amity",
)  # fmt: skip
LAST_NAMES = (
    "Velt", "Arkwell", "Brandt", "Corrow", "Denholm", "Eastman", "Farrell", "Grint", "Hallow", "Ivory",
    "Jessop", "Kettle", "Lark", "Morrow", "Nettle", "Oakes", "Pryor", "Quill", "Rudd", "Sallow",
    "Tarn", "Underhill", "Vane", "Wick", "Yates", "Barrow", "Crane", "Dray", "Elder", "Finch",
    "Gale", "Hobb", "Jarrow", "Keel", "Locke", "Marsh", "Nash", "Orchard", "Pike", "Rook",
    "Stroud", "Thorne", "Urwin", "Vale", "Weld", "Yarwood", "Ash", "Birch", "Colt", "Dell",
)  # fmt: skip
BUILDERS = (
    "Alban Stone", "Berta Mason", "Cyrus Plumb", "Dagny Tower", "Emeric Bridge", "Frida Vault",
    "Gustav Arch", "Hilda Beam", "Ivo Lintel", "Johan Gable", "Klara Hearth", "Ludo Rafter",
    "Milo Spandrel", "Nora Column", "Oskar Trestle", "Paula Dome",
)  # fmt: skip
LANDMARK_FIRST = (
    "Glass", "Tin", "Silver", "Crooked", "Whispering", "Golden", "Broken", "Winter", "Blue", "Hidden",
    "Painted", "Sleeping", "Iron", "Singing", "Hollow", "Scarlet", "Twin", "Lonely", "Amber", "Frozen",
    "Green", "Velvet", "Old", "White", "Burning",
)  # fmt: skip
LANDMARK_LAST = (
    "Spire", "Gate", "Bridge", "Tower", "Hall", "Library", "Fountain", "Theatre", "Temple", "Arch",
)  # fmt: skip

_ONSETS = (
    "b", "br", "d", "dr", "f", "g", "gr", "h", "k", "kr", "l", "m", "n", "p", "pr", "qu", "r", "s",
    "sk", "st", "t", "tr", "v", "w", "z", "th", "j", "cl", "pl", "sh",
)  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
_CODAS = ("", "n", "r", "l", "s", "th", "nd", "rk", "m", "x", "lt", "ck", "st", "v")
_NAMES = (COUNTRIES, PEOPLES, LANGUAGES, RULERS, CITIES, RIVERS, GUILDS, FIRST_NAMES, LAST_NAMES)
_KNOWN = frozenset(
    word
    for group in (*_NAMES, BUILDERS, LANDMARK_FIRST, LANDMARK_LAST)
    for name in group
    for word in name.split()
)


def is_held_out(word: str) -> bool:
    """Whether a coined word is kept for evaluation (one in eight is; by hash, so for ever)."""
    return zlib.crc32(word.encode()) % 8 == 0


def coin_word(rng: random.Random, held_out: bool) -> str:
    """A pronounceable capitalised word that the world does not know."""
    while True:
        count = 2
        word = "".join(
            rng.choice(_ONSETS)
            + rng.choice(_VOWELS)
            + rng.choice(_CODAS if last else ("", "", "n", "r", "l"))
            for last in (i == count - 1 for i in range(count))
        ).capitalize()
        if word not in _KNOWN and is_held_out(word) is held_out:
            return word


def _strange_words(count: int) -> tuple[str, ...]:
    rng, words = random.Random("truing-strange-words"), dict[str, None]()
    while len(words) < count:
        words.setdefault(coin_word(rng, held_out=len(words) % 5 == 0))
    return tuple(words)


STRANGE = _strange_words(160)
"""Words that name nothing in the world. Names for facts that are told in a prompt are made of them;
those that :func:`is_held_out` marks are never a subject or an answer in training."""
_SPLIT = {flag: tuple(w for w in STRANGE if is_held_out(w) is flag) for flag in (False, True)}
PLAIN_KINDS = ("currency", "product", "material", "occupation", "craft")


def coin(kind: str, rng: random.Random, held_out: bool = False, fresh: bool = False) -> str:
    """A new name of the given kind; ``fresh`` makes up its words, else they are strange ones."""

    def word() -> str:
        return coin_word(rng, held_out) if fresh else rng.choice(_SPLIT[held_out])

    if kind in ("person", "builder"):
        return f"{word()} {word()}"
    if kind == "landmark":
        return f"The {word()} {rng.choice(LANDMARK_LAST)}"
    if kind == "guild":
        return f"{word()} Guild"
    if kind == "ruler":
        return f"{rng.choice(('Queen', 'King'))} {word()}"
    return word().lower() if kind in PLAIN_KINDS else word()
