"""The one tokenizer of search queries: the stream folds with it, and the models read what it folded.

>>> tokenize("Funny  CATS!")
['funny', 'cats', 'funny cats']
"""

import re
import unicodedata
from itertools import pairwise

_WORD = re.compile(r"\w+")


def tokenize(query: str) -> list[str]:
    """Unigrams in order, then bigrams in order, of the NFKC-normalised, lower-cased query (paper, section 3.2)."""
    words = _WORD.findall(unicodedata.normalize("NFKC", query).lower())
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]
