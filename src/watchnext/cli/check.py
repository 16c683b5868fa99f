"""`watchnext check NAME`: one capability of a running system, asked for as an application would. `helm test` runs it.

Where the parts are, is a matter of settings, as everywhere: `--set gateway.host=watchnext-gateway`.
"""

import time
import uuid
from typing import Any, Final

import typer

from watchnext.cli.output import JsonFlag, next_step, print_json, say
from watchnext.clock import SystemClock
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.errors import ServerError
from watchnext.settings import load_settings

app = typer.Typer(help="Try one capability of a running system.", no_args_is_help=True)

USER: Final = "watchnext-check"  # of no application; its only events are the searches of `check features`
ROUND_TRIP_S: Final = 60.0
WHOLE_S: Final = 30.0  # the first answers of a new generation are late where the machine is small


@app.command()
def rest(as_json: JsonFlag = False) -> None:
    """The gateway answers over REST."""
    from watchnext.recommend.client import ask_rest

    _answered("rest", ask_rest(load_settings(), RecommendRequest(user_id=USER, k=5)), as_json)


@app.command()
def grpc(as_json: JsonFlag = False) -> None:
    """The gateway says SERVING and answers over gRPC."""
    from watchnext.recommend.client import ask_grpc, grpc_health

    settings = load_settings()
    state = grpc_health(settings)
    if state != "SERVING":
        raise ServerError(f"the gateway's gRPC health says {state}; wanted SERVING: see its log")
    _answered("grpc", ask_grpc(settings, RecommendRequest(user_id=USER, k=5)), as_json)


@app.command()
def graph(as_json: JsonFlag = False) -> None:
    """The inference graph answers through the router, ranked, from a generation, within WHOLE_S seconds."""
    from watchnext.recommend.client import ask_graph

    settings, deadline = load_settings(), time.monotonic() + WHOLE_S
    while (answer := ask_graph(settings, RecommendRequest(user_id=USER, k=5))).degraded:
        if time.monotonic() > deadline:
            raise ServerError(
                f"the graph had to do without {', '.join(answer.degraded)} for {WHOLE_S:.0f} s; wanted a whole answer: "
                "docs/ladder.md says which part each word means"
            )
        time.sleep(0.5)
    _answered("graph", answer, as_json)


@app.command()
def features(as_json: JsonFlag = False) -> None:
    """An event sent to Kafka comes back as a feature: broker, materializer and online store."""
    from watchnext.contracts.events import SearchEvent
    from watchnext.contracts.names import Topic
    from watchnext.store.rows import FeatureStoreRows
    from watchnext.stream.producer import EventProducer

    settings, word = load_settings(), f"check{uuid.uuid4().hex[:12]}"
    rows = FeatureStoreRows.open(settings)
    with EventProducer(settings, client_id="watchnext-check") as producer:
        producer.send(
            Topic.SEARCH,
            SearchEvent(event_id=word, user_id=USER, query=word, searched_at=SystemClock().now_ms()),
        )
        producer.flush()
    began = time.monotonic()
    while rows.read_user(USER).get("last_query") != word:
        if time.monotonic() - began > ROUND_TRIP_S:
            raise ServerError(
                f"a search of user {USER} was sent to Kafka and is not in the online store after {ROUND_TRIP_S:.0f} s: "
                "are the materializers up? Their log says why"
            )
        time.sleep(0.2)
    seconds = round(time.monotonic() - began, 1)
    _passed("features", {"seconds": seconds}, f"an event was a feature after {seconds} s", as_json)


@app.command()
def index(as_json: JsonFlag = False) -> None:
    """Milvus holds a vector for each video of the live generation."""
    from watchnext.contracts.names import collection_name
    from watchnext.generation.store import GenerationStore
    from watchnext.index.milvus import VideoIndex

    settings = load_settings()
    store = GenerationStore.open(settings)
    live = store.live()
    wanted = store.manifest(live.generation, live.overlay).videos
    collection = collection_name(live.generation, live.overlay)
    found = VideoIndex.open(settings).count(collection)
    if found != wanted:
        raise ServerError(
            f"collection {collection} has {found:,} vectors, generation {live} has {wanted:,} videos: publish it again "
            f"with `watchnext generation publish {live.generation}`"
        )
    _passed("index", {"collection": collection, "vectors": found}, f"{collection} has {found:,} vectors", as_json)


def _answered(name: str, answer: RecommendAnswer, as_json: bool) -> None:
    if not answer.items:
        raise ServerError(f"the answer has no items (degraded: {', '.join(answer.degraded) or 'no'}): nothing is live")
    told: dict[str, Any] = {
        "items": len(answer.items),
        "generation": f"{answer.generation}.{answer.overlay}",
        "degraded": list(answer.degraded),
    }
    _passed(name, told, f"{len(answer.items)} items of generation {told['generation']}", as_json)


def _passed(name: str, told: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json({"check": name, **told})
        return
    say(f"{name}: {text}")
    next_step("watchnext recommend USER")
