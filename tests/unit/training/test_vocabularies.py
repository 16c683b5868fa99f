import pandas as pd
import pytest

from watchnext.models.config import PROFILES
from watchnext.training import vocabularies
from watchnext.training.vocabularies import fit_words

NO_SEARCHES = pd.DataFrame({"query": []})


def catalog(*video_ids: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"video_id": video_ids, "channel_id": "", "language": ""}
        | {name: [[] for _ in video_ids] for name in ("topics", "restricted_countries")}
    )


def test_a_video_that_was_shown_and_never_clicked_has_an_id_in_the_ranker() -> None:
    """Else "has no id" would mean "was not clicked" in the very impressions that the ranker learns from."""
    shown = pd.DataFrame({"video_id": ["a", "b", "b", "c", "c", "gone"], "surface": "home"})
    words = fit_words(
        PROFILES["tiny"],
        catalog=catalog("a", "b", "c", "d", "e"),
        profiles=pd.DataFrame({"country": [""], "device": [""], "gender": [""]}),
        watches=pd.DataFrame({"video_id": ["d"], "country": [""], "device": [""], "surface": ["home"]}),
        clicked=shown.iloc[[1, 2, 3]],
        impressions=shown,
        searches=NO_SEARCHES,
    )
    assert words.ranked.tokens == ("b", "c", "a", "d")  # by clicks; nobody was shown e, gone is in no catalogue


def test_the_countries_are_those_met_most_and_those_with_restrictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word that a client sent as its country cost a count of all videos, and a bit of each."""
    monkeypatch.setattr(vocabularies, "COUNTRIES", 2)
    sent = ["de"] * 4 + ["fr"] * 3 + [f"junk-{number}" for number in range(50)] + ["ir", ""]
    watches = pd.DataFrame({"video_id": "a", "country": sent, "device": "", "surface": "home"})
    videos = catalog("a", "b")
    videos.at[1, "restricted_countries"] = ["ir", "nowhere", "de"]
    words = fit_words(
        PROFILES["tiny"],
        catalog=videos,
        profiles=pd.DataFrame({"country": ["fr", "fr"], "device": "", "gender": ""}),
        watches=watches,
        clicked=watches[:0],
        impressions=watches[:0],
        searches=NO_SEARCHES,
    )
    assert words.vocabularies.countries.tokens == ("fr", "de", "ir")
