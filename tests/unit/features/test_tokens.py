import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchnext.features.tokens import tokenize


@pytest.mark.parametrize(
    ("query", "tokens"),
    [
        ("", []),
        ("  !?  ", []),
        ("Cats", ["cats"]),
        ("very Funny CATS", ["very", "funny", "cats", "very funny", "funny cats"]),
        ("ｆｕｌｌ ﬁlm", ["full", "film", "full film"]),  # full-width letters, a ligature: NFKC
        ("Ünïcode-Straße 9", ["ünïcode", "straße", "9", "ünïcode straße", "straße 9"]),
        ("猫 動画", ["猫", "動画", "猫 動画"]),
        ("हिन्दी गाने", ["हिन्दी", "गाने", "हिन्दी गाने"]),  # were single letters: vowel signs are marks
        ("แมวน่ารัก", ["แมวน่ารัก"]),
        ("ශ්\u200dරී ලංකාව", ["ශ්රී", "ලංකාව", "ශ්රී ලංකාව"]),  # with a joiner inside the first word
        ("İstanbul", ["i\u0307stanbul"]),  # lower case is an i with a dot above it
        ("cats ❤\ufe0f snake_case", ["cats", "snake_case", "cats snake_case"]),  # a mark on what is no letter
    ],
)
def test_tokens_are_lower_case_unigrams_and_bigrams(query, tokens):
    assert tokenize(query) == tokens


@given(st.text(max_size=60))
def test_any_text_has_a_bigram_less_than_unigrams(query):
    tokens = tokenize(query)
    unigrams = [token for token in tokens if " " not in token]
    assert len(tokens) == max(0, 2 * len(unigrams) - 1)
