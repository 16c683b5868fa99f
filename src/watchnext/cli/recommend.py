"""`watchnext recommend`: a user's list, from the gateway or the bare graph."""

from typing import Annotated

import typer

from watchnext.cli.output import JsonFlag, next_step, print_json, print_table, say
from watchnext.contracts.api import DEFAULT_K, RecommendAnswer, RecommendRequest
from watchnext.errors import UsageError
from watchnext.settings import Settings, load_settings

app = typer.Typer()

User = Annotated[str, typer.Argument(help="User id.", metavar="USER")]
Surface = Annotated[str, typer.Option(help="Where the list is shown.")]
Device = Annotated[str, typer.Option(help="Overrides the profile's.")]
Country = Annotated[str, typer.Option(help="Overrides the profile's.")]
Seed = Annotated[str, typer.Option(help="The video that is being watched.", metavar="VIDEO")]
Grpc = Annotated[bool, typer.Option("--grpc", help="Ask the gateway by gRPC instead of REST.")]
GraphFlag = Annotated[
    bool, typer.Option("--graph", help="Ask the inference graph through the router, without the gateway.")
]


@app.command()
def recommend(
    user: User,
    k: Annotated[int, typer.Option("-k", help="How many videos, 1 to 500.")] = DEFAULT_K,
    surface: Surface = "home",
    device: Device = "",
    country: Country = "",
    seed: Seed = "",
    grpc: Grpc = False,
    graph: GraphFlag = False,
    json: JsonFlag = False,
) -> None:
    """The k best videos for a user now."""
    settings = load_settings()
    request = RecommendRequest(user_id=user, k=k, surface=surface, device=device, country=country, seed_video_id=seed)
    answer = ask(settings, request, grpc=grpc, graph=graph)
    if json:
        print_json(as_json(answer))
        return
    print_answer(answer, titles_of(settings, answer), title=f"For user {answer.user_id}")
    next_step(f"`watchnext explain {user}` tells why")


def print_answer(answer: RecommendAnswer, titles: dict[str, str], *, title: str) -> None:
    """The list as a table, and where it comes from."""
    print_table(
        ("#", "video", "title", "sources", "expected watch"),
        (
            (
                item.position + 1,
                item.video_id,
                titles.get(item.video_id, ""),
                ", ".join(item.sources),
                seconds(item.expected_seconds),
            )
            for item in answer.items
        ),
        title=title,
    )
    say(footer(answer))


def ask(settings: Settings, request: RecommendRequest, *, grpc: bool, graph: bool) -> RecommendAnswer:
    """The answer by the way that was asked for.

    Raises:
        UsageError: two ways, or the request is refused.
        GatewayError, GraphError: no answer came.
    """
    from watchnext.recommend import client

    if grpc and graph:
        raise UsageError("--grpc and --graph came together; wanted one of them: the graph speaks REST only")
    request.check()
    way = client.ask_grpc if grpc else client.ask_graph if graph else client.ask_rest
    return way(settings, request)


def titles_of(settings: Settings, answer: RecommendAnswer) -> dict[str, str]:
    """Titles by video id, from the answer's generation where this machine can read it; else none."""
    from watchnext.errors import GenerationError
    from watchnext.generation.manifest import Target
    from watchnext.generation.store import GenerationStore
    from watchnext.generation.titles import titles

    if not answer.generation:
        return {}
    try:
        return titles(GenerationStore.open(settings), Target(answer.generation, answer.overlay))
    except (GenerationError, OSError) as error:
        say(f"titles are left out: {error}")
        return {}


def as_json(answer: RecommendAnswer) -> object:
    """The answer as its JSON says it."""
    import msgspec

    return msgspec.to_builtins(answer)


def seconds(expected: float | None) -> str:
    """Expected watch time for people; a dash where the ranker did not score.

    >>> seconds(75.4), seconds(None)
    ('1:15', '–')
    """
    if expected is None:
        return "–"
    whole = round(expected)
    return f"{whole // 60}:{whole % 60:02d}"


def footer(answer: RecommendAnswer) -> str:
    """Where the list comes from, in a line."""
    parts = [f"generation {answer.generation}.{answer.overlay}" if answer.generation else "no generation"]
    if answer.arm:
        parts.append(f"arm {answer.arm}")
    if answer.degraded:
        parts.append(f"degraded: had to do without {', '.join(answer.degraded)} (docs/ladder.md)")
    if answer.request_id:  # the gateway gives one, the bare graph has what the caller sent
        parts.append(f"request {answer.request_id}")
    return ", ".join(parts)
