import pandas as pd
import pytest

from watchnext.features.averages import Averages
from watchnext.models.config import PROFILES
from watchnext.training import vocabularies
from watchnext.training.vocabularies import fit_averages, fit_words

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


def test_averages_are_those_of_impressions_and_of_clicks() -> None:
    videos = catalog("a", "b").assign(video_seconds=[10.0, 100.0])
    shown = pd.DataFrame(
        {
            "video_id": ["a", "b", "b", "a"],
            "clicked": [True, True, False, False],
            "completed": [True, False, False, False],
            "seconds": [30.0, 20.0, 0.0, 0.0],  # a was watched three times over
        }
    )
    wanted = Averages(click_rate=0.5, completion_rate=0.25, watch_fraction=0.6, watch_seconds=25.0)
    assert fit_averages(shown, videos) == wanted
    assert fit_averages(shown[:0], videos) == Averages()
