import numpy as np
import torch

from tests.unit.features.world import video_table
from tests.unit.models.model_world import DIM, encoded, towers, user_inputs, video_inputs
from watchnext.evaluation import baselines
from watchnext.evaluation import cold_start as module
from watchnext.evaluation.baselines import Popular, top_rows
from watchnext.evaluation.cold_start import Asked, cold_start, hidden, known_by
from watchnext.features.batches import UserColumns

FILM, SONG, NEWS = 1, 2, 3
NONE = np.zeros(0, np.int64)


def users(*watched):
    return UserColumns.of([encoded(each, search_terms=["cats"]) for each in watched])


def asked(targets, seen=None):
    return Asked(
        users=users(*[["song"]] * len(targets)),
        seen=seen or [NONE] * len(targets),
        targets=[np.array(rows) for rows in targets],
    )


def test_of_a_history_the_last_watches_are_left_and_nothing_else():
    known = known_by(users(["film", "song", "news"], ["film"], []), 2)
    assert known.history[:, :3].tolist() == [[SONG, NEWS, 0], [FILM, 0, 0], [0, 0, 0]]
    assert not known_by(users(["film", "song"]), 0).history.any()
    assert not known.search_tokens.any()
    assert not known.shown.any()


def test_questions_are_about_the_wanted_targets_only():
    wanted = np.array([False, True, False, True])
    about = asked([[FILM, SONG], [SONG], [NEWS]]).about(wanted)
    assert [rows.tolist() for rows in about.targets] == [[FILM], [NEWS]]
    assert len(about.users) == 2


def test_what_is_hidden_is_on_no_list_beside_what_was_seen():
    song = np.array([False, False, True, False])
    counts, vectors = hidden(np.array([0, 1, 9, 2], np.float32), song), hidden(np.ones((4, 2), np.float32), song)
    assert top_rows(counts[None], [np.array([FILM])], 3).tolist() == [[NEWS, 0, 0]]
    assert top_rows(np.ones((1, 2), np.float32) @ vectors.T, [NONE], 3).tolist() == [[FILM, NEWS, 0]]


def test_scores_of_all_videos_are_made_for_some_questions_at_a_time(monkeypatch):
    """Of 3,000 questions and a million videos they would be 12 GB."""
    at_once = []

    class Watched(Popular):
        def scores(self, histories):
            at_once.append(len(histories))
            return super().scores(histories)

    monkeypatch.setattr(module, "Popular", Watched)
    monkeypatch.setattr(baselines, "QUERIES_AT_ONCE", 2)
    of_all = asked([[FILM], [NEWS], [SONG], [FILM], [SONG]])
    found = cold_start(towers(), video_table(), of_all, watched=np.array([SONG]), met=np.array([SONG]))
    assert max(at_once) == 2
    assert found["users with 0 watches"]["popular recall@50"] == 1


def test_new_videos_are_found_by_their_content_alone(monkeypatch):
    """The content of the film is the best for this user; its id would make it the last."""
    monkeypatch.setattr(module, "DEPTH", 1)
    monkeypatch.setattr(module, "DEPTH_OF_NEW", 1)
    tower = towers()
    user = user_inputs(encoded(["song"], search_terms=["cats"]))
    with torch.no_grad():
        content = tower.content(video_inputs()) @ tower.user(user)[0]
        taste = tower.user(user)[0, :DIM]
        tower.video_embedding.weight[2] = -100 * taste
        tower.video_embedding.weight[1] = 100 * taste
    assert content[FILM] > content[NEWS]

    found = cold_start(tower, video_table(), asked([[FILM], [NEWS]]), watched=np.array([SONG]), met=np.array([SONG]))
    assert found["new videos, among the new"] == {"questions": 2, "towers recall@1": 0.5, "popular recall@1": 0.5}
    assert found["new videos, among all"] == {"questions": 2, "towers recall@1": 0, "popular recall@1": 0}
    film = cold_start(tower, video_table(), asked([[FILM]]), watched=np.array([SONG]), met=np.array([SONG]))
    assert film["new videos, among the new"]["towers recall@1"] == 1


def test_users_are_asked_with_what_is_left_of_them(monkeypatch):
    """The song is what a watcher of the song gets, and nobody else does."""
    monkeypatch.setattr(module, "DEPTH", 1)
    tower = towers()
    with torch.no_grad():
        stranger = tower.user(user_inputs(encoded([])))[0, :DIM]
        tower.video_embedding.weight[1] = -1000 * stranger
    met, watched = np.array([FILM, SONG, NEWS]), np.array([SONG, SONG, FILM])

    found = cold_start(tower, video_table(), asked([[SONG], [SONG]]), watched=watched, met=met)
    assert {name: case["towers recall@1"] for name, case in found.items()} == {
        "users with 0 watches": 0,
        "users with 1 watches": 1,
        "users with 5 watches": 1,
    }
    assert [case["popular recall@1"] for case in found.values()] == [1, 1, 1]
    assert all(case["questions"] == 2 for case in found.values())
