"""The one tokenizer of search queries: the stream folds with it, and the models read what it folded.

>>> tokenize("Funny  CATS!")
['funny', 'cats', 'funny cats']
"""

import unicodedata
from itertools import pairwise
from typing import Final

_MARKS: Final = ("Mn", "Mc")  # the vowel signs of Hindi or Thai among them, which `\w` of `re` would split words at
_JOINERS: Final = "\u200c\u200d"  # inside words of Sinhala or Persian, and often left out


def tokenize(query: str) -> list[str]:
    """Unigrams in order, then bigrams in order, of the NFKC-normalised, lower-cased query (paper, section 3.2)."""
    words = _words(unicodedata.normalize("NFKC", query).lower())
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]


def _words(text: str) -> list[str]:
    """Runs of letters, digits and underscores, with the marks on them."""
    words = [""]
    for char in text:
        if char in _JOINERS:
            continue
        if char == "_" or char.isalnum() or (words[-1] and unicodedata.category(char) in _MARKS):
            words[-1] += char
        elif words[-1]:
            words.append("")
    return [word for word in words if word]
