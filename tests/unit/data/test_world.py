"""The simulator does what its truth says: means of many answers against closed forms."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from watchnext.clock import DAY_MS, HOUR_MS
from watchnext.contracts.names import Topic
from watchnext.data.simulator import END_MS, Simulator
from watchnext.data.truth import TOPIC_WORDS, TOPICS, WorldConfig
from watchnext.data.world import EXAMINATION, FATIGUE, SEARCH_MS, World
from watchnext.errors import DataError

SMALL = WorldConfig(users=30, channels=10, videos=60, uploads_per_day=4)
NOW = SMALL.start_ms + 1


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def click_chance(world: World, user: str, video: str, now_ms: int) -> float:
    """Expected seconds over the seconds of a sure click: the two differ in the click alone."""
    number = int(video.removeprefix("video-"))
    share = world.truth.share(int(user.removeprefix("user-")), np.array([number]))[0]
    return float(world.true_expected_seconds(user, [video], now_ms)[0] / (share * world.truth.seconds[number]))


def test_equal_seeds_give_equal_worlds_and_others_do_not():
    first, second = (list(World(SMALL).history(days=3)) for _ in range(2))

    assert first == second
    assert list(World(WorldConfig(seed=8, users=30, videos=60)).history(days=3)) != first


def test_history_is_sorted_within_its_days_and_goes_on_without_a_seam():
    at_once = list(World(SMALL).history(days=4))
    world = World(SMALL)
    in_days = list(itertools.chain.from_iterable(world.history(days=1) for _ in range(4)))

    assert in_days == at_once
    times = [event.at_ms for _, event in at_once]
    assert times == sorted(times)
    assert SMALL.start_ms <= times[0]
    assert times[-1] < SMALL.start_ms + 4 * DAY_MS
    assert world.now_ms == SMALL.start_ms + 4 * DAY_MS


def test_load_never_ends_and_has_every_kind_of_event():
    kinds = Counter(topic for topic, _ in itertools.islice(World(SMALL).live(), 5_000))

    assert set(kinds) == {Topic.IMPRESSION, Topic.WATCH, Topic.SEARCH, Topic.CATALOG}


def test_mean_seconds_of_many_answers_are_the_true_expected_seconds():
    config = WorldConfig(users=1, channels=10, videos=40)
    videos = [f"video-{number}" for number in range(40)]
    truth = World(config).true_expected_seconds("user-0", videos, NOW)
    total = np.zeros(40)
    rounds = 200
    for number in range(rounds):
        world = World(config)
        for position, video in enumerate(videos):
            for topic, event in world.respond("user-0", [video], NOW, request_id=f"{number}-{position}"):
                total[position] += event.watch_seconds if topic == Topic.WATCH else 0
        if number == 0:
            order = np.argsort(-truth)
    mean = total / rounds

    assert abs(mean.sum() / truth.sum() - 1) < 0.05
    assert np.corrcoef(mean, truth)[0, 1] > 0.97
    assert mean[order[:10]].sum() > 3 * mean[order[-10:]].sum()


def test_each_impression_without_a_watch_costs_the_planted_fatigue():
    world = World(SMALL)
    dull = f"video-{np.argmin(world.truth.taste(1, np.arange(60)))}"  # hardly ever clicked
    before = logit(click_chance(world, "user-1", dull, NOW))
    for number in range(5):
        answer = world.respond("user-1", [dull], NOW, request_id=f"try-{number}")
        assert [topic for topic, _ in answer] == [Topic.IMPRESSION]

    assert logit(click_chance(world, "user-1", dull, NOW)) == pytest.approx(before - 5 * FATIGUE)


def test_lower_positions_are_looked_at_less():
    world = World(SMALL)
    top, fifth = (world.true_expected_seconds("user-1", ["video-3"], NOW, position=p)[0] for p in (0, 5))

    assert fifth / top == pytest.approx(1 / (1 + 5 * EXAMINATION))


def test_a_watch_comes_after_its_impression_with_its_request_and_the_next_after_it():
    world = World(SMALL)
    listed = [f"video-{number}" for number in np.argsort(-world.truth.taste(2, np.arange(60)))]
    answers = [World(SMALL).respond("user-2", listed, NOW, request_id=f"r{n}", surface="next") for n in range(20)]
    answer = max(answers, key=len)
    request_id = f"r{answers.index(answer)}"
    watches = [event for topic, event in answer if topic == Topic.WATCH]

    assert [event.video_id for _, event in answer[:60]] == listed
    assert len(watches) > 1
    assert all(watch.request_id == request_id and watch.surface == "next" for watch in watches)
    assert all(later.started_at > earlier.at_ms for earlier, later in itertools.pairwise(watches))
    assert watches[0].started_at > NOW


def test_answers_do_not_depend_on_what_other_users_were_asked():
    first, second = World(SMALL), World(SMALL)
    second.respond("user-9", ["video-1"], NOW, request_id="other")

    answers = [world.respond("user-2", ["video-4", "video-5"], NOW, request_id="r") for world in (first, second)]
    assert answers[0] == answers[1]


def test_a_search_draws_the_user_to_its_topic_for_a_day():
    world = World(SMALL)
    words = {word: topic for topic, words in TOPIC_WORDS.items() for word in words}
    query = next(event for topic, event in world.history(days=9) if topic == Topic.SEARCH)
    topic = TOPICS.index(words[query.query.split()[0]])
    about = int(np.argmax(world.truth.topics[:60, topic]))
    user = int(query.user_id.removeprefix("user-"))

    assert len({words[word] for word in query.query.split()}) == 1
    world._searched[user] = {topic: query.searched_at}  # and no later search
    just, after = (
        logit(click_chance(world, query.user_id, f"video-{about}", at))
        - world.truth.freshness(np.array([about]), at)[0]
        for at in (query.searched_at + SEARCH_MS - 1, query.searched_at + SEARCH_MS)
    )
    assert just - after == pytest.approx(1.5 * world.truth.topics[about, topic])


def test_uploads_come_over_time_and_cannot_be_shown_before():
    world = World(SMALL)
    uploads = [event for topic, event in world.history(days=2) if topic == Topic.CATALOG]

    assert [event.uploaded_at for event in uploads] == [SMALL.start_ms + n * 6 * HOUR_MS for n in range(1, 8)]
    assert max(event.uploaded_at for event in world.catalog()) <= SMALL.start_ms
    with pytest.raises(DataError, match="'video-67' is not in this world at"):
        World(SMALL).respond("user-0", ["video-67"], NOW, request_id="r")
    with pytest.raises(DataError, match="'ann' is no user of this world; wanted user-0 to user-29"):
        world.respond("ann", ["video-1"], NOW, request_id="r")


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, videos=5, seed=14)])  # of five, a list has room for all
def test_restricted_videos_are_not_in_the_lists_of_their_country(config):
    world = World(config)
    country = {profile.user_id: profile.country for profile in world.profiles()}
    blocked = {(event.video_id, place) for event in world.truth.catalog for place in event.restricted_countries}
    shown = [event for topic, event in world.history(days=10) if topic == Topic.IMPRESSION]

    assert blocked
    assert not {(event.video_id, country[event.user_id]) for event in shown} & blocked


def test_the_data_set_ends_at_one_time_whatever_its_length():
    for days in (1, 3):
        dataset = Simulator(SMALL, days=days)
        events = [event for _, event in dataset.events()]
        assert END_MS - days * DAY_MS <= events[0].at_ms
        assert END_MS - DAY_MS < events[-1].at_ms <= dataset.last_ms < END_MS
        assert dataset.describe().counts["uploads"] == 4 * days - 1


def test_a_shifted_world_is_the_same_world_later():
    dataset = Simulator(SMALL, days=2)
    later = [event for _, event in dataset.world(10 * DAY_MS).history(days=2)]

    assert [event.at_ms - 10 * DAY_MS for event in later] == [event.at_ms for _, event in dataset.events()]
