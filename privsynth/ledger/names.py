"""Names of datasets: when two spellings are one name, and which spellings are refused because they only look alike.

One population has one name, or it gets a budget under each. So names are compared without the differences that nobody
sees or means: Unicode normalisation (NFKC), case, blanks around and several blanks within.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from privsynth.errors import ConfigError

LONGEST_NAME = 200  # characters (own): a line in a table of accounts
# Cyrillic and Greek letters that look like a Latin one as capital or as small letter, by confusables.txt of UTS #39.
_LATIN_OF = dict(zip("аԁеһіјӏоԛрсѕԝхуѵαινορυχγκкмнвтτ", "adehijloqpcswxyvaivopuxykkmhbtt", strict=True))
# Printable characters that show nothing: fillers, joiners and variation selectors (Default_Ignorable_Code_Point).
_INVISIBLE = ((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164),
              (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF))  # fmt: skip


@lru_cache(maxsize=1024)  # asked of every event again and again
def identity(name: str) -> str:
    """Return what two spellings of one name have in common."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def skeleton(name: str) -> str:
    """Return what names that look alike have in common; different names may share it, so it refuses and never joins."""
    return "".join(_LATIN_OF.get(letter, letter) for letter in identity(name))


def check_name(what: str, name: str) -> None:
    """Refuse what is no name: empty, too long, or with characters that are not printed.

    Raises:
      ConfigError: it is none.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigError(f"{what} must be a name of 1 to {LONGEST_NAME} printable characters. Give another one.")


def check_dataset(name: str) -> None:
    """Refuse a name that is none, or that can pass for another one.

    Raises:
      ConfigError: it is none, holds an invisible character, or mixes alphabets within a word.
    """
    check_name("dataset", name)
    if any(low <= ord(letter) <= high for letter in name for low, high in _INVISIBLE):
        raise ConfigError("the name of the dataset holds a character that cannot be seen. Type the name anew.")
    for word in _words(identity(name)):
        scripts = {script for letter in word if (script := _script(letter))}
        if len(scripts) > 1:
            raise ConfigError(
                f"the name of the dataset mixes {' and '.join(sorted(scripts))} letters in one word, and could pass "
                "for another name. Write each word in one alphabet."
            )


def _words(name: str) -> list[str]:
    return "".join(letter if letter.isalpha() or unicodedata.combining(letter) else " " for letter in name).split()


def _script(letter: str) -> str:
    """Return which of the alphabets that are mistaken for each other a letter is of, or nothing."""
    script = unicodedata.name(letter, "").partition(" ")[0].title()
    return script if script in ("Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic") else ""
