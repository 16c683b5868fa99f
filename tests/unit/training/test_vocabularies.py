import pandas as pd

from watchnext.models.config import PROFILES
from watchnext.training.vocabularies import fit_words


def test_a_video_that_was_shown_and_never_clicked_has_an_id_in_the_ranker() -> None:
    """Else "has no id" would mean "was not clicked" in the very impressions that the ranker learns from."""
    shown = pd.DataFrame({"video_id": ["a", "b", "b", "c", "c", "gone"], "surface": "home"})
    words = fit_words(
        PROFILES["tiny"],
        catalog=pd.DataFrame(
            {"video_id": ["a", "b", "c", "d", "e"], "channel_id": "", "topics": [[]] * 5, "language": ""}
        ),
        profiles=pd.DataFrame({"country": [""], "device": [""], "gender": [""]}),
        watches=pd.DataFrame({"video_id": ["d"], "country": [""], "device": [""], "surface": ["home"]}),
        clicked=shown.iloc[[1, 2, 3]],
        impressions=shown,
        searches=pd.DataFrame({"query": []}),
    )
    assert words.ranked.tokens == ("b", "c", "a", "d")  # by clicks; nobody was shown e, gone is in no catalogue
