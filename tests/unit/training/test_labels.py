import pandas as pd
import pyarrow as pa
import pytest

from watchnext.contracts.names import DERIVED_SURFACE
from watchnext.training.labels import as_asked, capped, next_watches, queries, ranking_labels, score_and_sources


def watches(*lines: tuple) -> pd.DataFrame:
    table = pd.DataFrame(lines, columns=["user_id", "video_id", "started_at", "completed"])
    return table.assign(
        event_id=[f"e{at}" for at in range(len(table))], surface="home", device="tv", country="US", request_id=None
    )


NOTHING_SHOWN = pd.DataFrame({"request_id": [], "user_id": [], "video_id": [], "shown_at": [], "surface": []}).astype(
    {"shown_at": int}
)
WINDOW_MS = 100
LINE = pa.struct([("video_id", pa.string()), ("sources", pa.list_(pa.string())), ("scores", pa.list_(pa.float64()))])


def lines_of(*lists: list[dict]) -> pa.ChunkedArray:
    """The lines of served lists, as the log gives them."""
    return pa.chunked_array([pa.array(list(lists), pa.list_(LINE))])


def next_of(table: pd.DataFrame, known: set[str], shown: pd.DataFrame = NOTHING_SHOWN) -> pd.DataFrame:
    return next_watches(table, shown, known, WINDOW_MS)


def test_next_watches_are_completed_ones_of_known_videos_as_of_a_millisecond_before():
    table = watches(("u", "a", 10, True), ("u", "b", 20, False), ("u", "gone", 30, True), ("u", "a", 40, True))
    table.loc[3, "surface"] = DERIVED_SURFACE
    labels = next_of(table, {"a", "b"})
    assert labels[["video_id", "now_ms", "as_of_ms"]].to_numpy().tolist() == [["a", 10, 9]]


def test_a_watch_out_of_a_list_is_asked_for_as_of_the_lists_first_impression():
    """Of what was shown on the way to a watch, the watch itself could be told."""
    shown = pd.DataFrame(
        [("r", "u", "a", 500), ("r", "u", "b", 620), ("q", "u", "c", 100), ("r", "v", "b", 1)],
        columns=["request_id", "user_id", "video_id", "shown_at"],
    ).assign(surface="shelf")
    table = watches(("u", "b", 640, True), ("u", "c", 201, True), ("u", "c", 199, True), ("u", "d", 700, True))
    table.loc[0, "request_id"] = "r"
    table["surface"] = ["", "", "home", ""]
    labels = next_of(table, {"a", "b", "c", "d"}, shown)
    # of the two without a request id, one began within the 100 ms after the impression of c
    assert labels[["event_id", "now_ms", "as_of_ms"]].to_numpy().tolist() == [
        ["e2", 100, 99],
        ["e1", 201, 200],
        ["e0", 500, 499],
        ["e3", 700, 699],
    ]
    assert labels["surface"].tolist() == ["home", "", "shelf", ""]


def test_the_heaviest_user_has_at_most_k_examples():
    table = watches(*(("heavy", "a", at, True) for at in range(90)), *(("light", "a", at, True) for at in range(3)))
    labels = capped(next_of(table, {"a"}), 5)
    assert labels["user_id"].value_counts().to_dict() == {"heavy": 5, "light": 3}
    again = capped(next_of(table.sample(frac=1, random_state=1), {"a"}), 5)
    assert set(again["event_id"]) == set(labels["event_id"])


def test_targets_of_a_query_are_the_watches_from_it_on():
    table = watches(("u", "a", 1, True), ("u", "b", 11, True), ("v", "c", 12, True), ("u", "a", 13, True))
    asked = queries(next_of(table, {"a", "b", "c"}), 10).set_index("now_ms")
    assert asked["targets"].to_dict() == {11: ["b", "a"], 12: ["c"], 13: ["a"]}


def test_two_users_with_the_same_event_ids_have_their_own_targets():
    """Event ids come from clients, which may count them; events are told apart by user and event id."""
    table = watches(("u", "a", 10, True), ("u", "b", 11, True), ("v", "c", 12, True), ("v", "d", 13, True))
    table["event_id"] = ["e0", "e1", "e0", "e1"]
    asked = queries(next_of(table, {"a", "b", "c", "d"}), 10).set_index("now_ms")
    assert asked["targets"].to_dict() == {10: ["a", "b"], 11: ["b"], 12: ["c", "d"], 13: ["d"]}


def test_an_impression_that_we_served_has_the_time_and_scores_of_its_list():
    impressions = pd.DataFrame(
        {
            "request_id": ["r1", "r1", "theirs"],
            "user_id": "u",
            "video_id": ["a", "b", "a"],
            "shown_at": [1_500, 1_500, 1_700],
            "begun_at": [1_500, 1_500, 1_700],
            "surface": "home",
        }
    )
    items = [
        {"video_id": "a", "sources": ["tower", "trending"], "scores": [0.25]},
        {"video_id": "b", "sources": ["popular"], "scores": []},
    ]
    served = pd.DataFrame(
        {
            "request_id": ["r1"],
            "user_id": "u",
            "served_at": [1_400],
            "seed_video_id": ["s"],
            "device": ["tv"],
            "country": ["US"],
        }
    )
    labels = ranking_labels(impressions, served, lines_of(items))
    assert labels["now_ms"].tolist() == [1_400, 1_400, 1_700]
    assert labels["as_of_ms"].tolist() == [1_399, 1_399, 1_699]
    assert labels["score"].tolist() == [0.25, 0.0, 0.0]
    assert labels["sources"].tolist() == [9, 32, 0]
    assert labels["seed_video_id"].tolist() == ["s", "s", ""]
    assert labels["device"].tolist() == ["tv", "tv", ""]


def test_no_impression_of_a_list_knows_the_watch_that_a_clock_put_before_it():
    """The watch of a client whose clock is behind has ended when the list was served: it would tell the label."""
    shown = [("r1", "u", "a", 1_500, 900), ("r1", "u", "b", 1_600, 1_600), ("r1", "v", "a", 1_500, 1_500)]
    impressions = pd.DataFrame(shown, columns=["request_id", "user_id", "video_id", "shown_at", "begun_at"])
    served = pd.DataFrame(
        {
            "request_id": "r1",
            "user_id": ["u", "v"],
            "served_at": 1_400,
            "seed_video_id": "s",
            "device": "tv",
            "country": "US",
        }
    )
    labels = ranking_labels(impressions.assign(surface="home"), served, lines_of([], []))
    assert labels["now_ms"].tolist() == [900, 900, 1_400]
    assert labels["as_of_ms"].tolist() == [899, 899, 1_399]


def test_an_impression_has_the_surface_for_which_its_list_was_asked():
    """The ranker is asked for that one, whatever the client's events call it."""
    shown = pd.DataFrame(
        [("u", "r1", ""), ("u", "r1", "Home"), ("v", "r1", "theirs"), ("u", "r2", "web")],
        columns=["user_id", "request_id", "surface"],
    )
    lists = pd.DataFrame({"user_id": ["u", "u"], "request_id": ["r1", "r2"], "surface": ["home", ""]})
    assert as_asked(shown, lists)["surface"].tolist() == ["home", "home", "theirs", ""]
    assert as_asked(shown, lists[:0])["surface"].tolist() == ["", "Home", "theirs", "web"]


def test_a_request_id_that_two_users_chose_gives_each_the_own_list():
    shown = [("u", 1_500), ("v", 2_500), ("w", 3_500)]
    impressions = pd.DataFrame(shown, columns=["user_id", "shown_at"])
    impressions = impressions.assign(request_id="one", video_id="a", surface="home", begun_at=impressions["shown_at"])
    served = pd.DataFrame(
        {
            "request_id": "one",
            "user_id": ["u", "v"],
            "served_at": [1_400, 2_400],
            "seed_video_id": ["s", "t"],
            "device": ["tv", "phone"],
            "country": ["US", "GB"],
        }
    )
    items = lines_of(
        [{"video_id": "a", "sources": ["tower"], "scores": [0.25]}],
        [{"video_id": "a", "sources": ["trending"], "scores": [0.5]}],
    )
    labels = ranking_labels(impressions, served, items)
    assert labels["user_id"].tolist() == ["u", "v", "w"]
    assert labels["now_ms"].tolist() == [1_400, 2_400, 3_500]
    assert labels["seed_video_id"].tolist() == ["s", "t", ""]
    assert labels["device"].tolist() == ["tv", "phone", ""]
    assert labels["score"].tolist() == [0.25, 0.5, 0.0]
    assert labels["sources"].tolist() == [1, 8, 0]


def test_a_source_without_a_score_scores_zero_and_one_of_another_release_has_no_bit():
    lines = lines_of(
        [
            {"video_id": "a", "sources": ["tower", "fresh"], "scores": [0.5]},
            {"video_id": "b", "sources": ["static"], "scores": []},
            {"video_id": "c", "sources": [], "scores": [0.25]},
            {"video_id": "d", "sources": ["tower", "crystal_ball"], "scores": []},
        ]
    )
    scores, sources = score_and_sources(lines.combine_chunks().flatten())
    assert scores.tolist() == [0.5, 0.0, 0.25, 0.0]
    assert sources.tolist() == [17, 64, 0, 1]


def test_without_served_lists_impressions_have_no_score():
    impressions = pd.DataFrame(
        {
            "request_id": ["r"],
            "user_id": "u",
            "video_id": "a",
            "shown_at": [1_500],
            "begun_at": [1_500],
            "surface": "home",
        }
    )
    nothing = pd.DataFrame(columns=["request_id", "user_id", "served_at", "seed_video_id", "device", "country"])
    labels = ranking_labels(impressions, nothing.astype({"served_at": int}), lines_of())
    assert (labels["now_ms"].item(), labels["score"].item(), labels["sources"].item()) == (1_500, 0.0, 0)


@pytest.mark.parametrize("per_user", [1, 2])
def test_the_cap_keeps_the_order_of_time(per_user):
    labels = capped(next_of(watches(*(("u", "a", at, True) for at in range(9))), {"a"}), per_user)
    assert labels["now_ms"].is_monotonic_increasing
