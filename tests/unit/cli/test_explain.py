from watchnext.cli.explain import COLUMNS, features, line
from watchnext.contracts.api import Explanation, RecommendedVideo

RANKED = RecommendedVideo(
    video_id="v1",
    position=0,
    sources=["tower", "trending"],
    score=0.46637,
    expected_seconds=139.6,
    explanation=Explanation(
        nearest_watched="v9",
        retrieval_score=0.46637,
        retrieval_position=296,
        long_view_probability=0.848,
        contributions={"age_years": -0.25, "watches_of_topics": 0.125},
        features={"watches_of_topics": 27.0, "age_years": 36.0, "days_since_upload": 478.038},
        demotions=["age_years: expected time x 0.78"],
    ),
)


def test_the_list_shows_where_a_video_came_from_and_how_it_scored() -> None:
    cells = dict(zip(COLUMNS, line(RANKED, {"v1": "A film", "v9": "Another"}), strict=True))

    assert cells == {
        "#": 1,
        "video": "A film (v1)",
        "expected watch": "2:20",
        "long view": "85%",
        "sources": "tower, trending",
        "score": "0.466",
        "retrieved": 297,
        "nearest watched": "Another (v9)",
        "raised and lowered by": "age_years -0.25, watches_of_topics +0.12",
        "demoted": "age_years: expected time x 0.78",
    }


def test_a_named_video_shows_all_its_features_largest_pull_first() -> None:
    assert list(features(RANKED)) == [
        ("age_years", "36", "-0.25"),
        ("watches_of_topics", "27", "+0.12"),
        ("days_since_upload", "478.038", ""),
    ]


def test_without_the_ranker_nothing_is_invented() -> None:
    found = RecommendedVideo(video_id="v1", position=3, sources=["popular"], score=0.0)

    assert line(found, {}) == (4, "v1", "–", "–", "popular", "0.000", "–", "", "", "")
    assert list(features(found)) == []
