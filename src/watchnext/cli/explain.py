"""`watchnext explain`: why videos stand where they stand in a user's list, or why one does not."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer

from watchnext.cli.output import JsonFlag, next_step, print_json, print_table, say
from watchnext.cli.recommend import (
    Country,
    Device,
    GraphFlag,
    Grpc,
    Seed,
    Surface,
    User,
    as_json,
    ask,
    footer,
    seconds,
    titles_of,
)
from watchnext.contracts.api import RecommendedVideo, RecommendRequest
from watchnext.settings import load_settings

app = typer.Typer()

SHOWN_CONTRIBUTIONS: Final = 3
COLUMNS: Final = (
    "#",
    "video",
    "expected watch",
    "long view",
    "sources",
    "score",
    "retrieved",
    "nearest watched",
    "raised and lowered by",
    "demoted",
)


@app.command()
def explain(
    user: User,
    video: Annotated[
        list[str] | None, typer.Argument(help="Ask about these videos only.", metavar="[VIDEO]...")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Length of the list, 1 to 500.")] = 10,
    surface: Surface = "home",
    device: Device = "",
    country: Country = "",
    seed: Seed = "",
    grpc: Grpc = False,
    graph: GraphFlag = False,
    json: JsonFlag = False,
) -> None:
    """Sources, scores, nearest watched video, expected seconds, what raised and lowered it; and why not.

    Of videos that are named, all features too.
    """
    settings = load_settings()
    asked = video or []
    request = RecommendRequest(
        user_id=user,
        k=k,
        surface=surface,
        device=device,
        country=country,
        seed_video_id=seed,
        explain=True,
        why_not=asked,
    )
    answer = ask(settings, request, grpc=grpc, graph=graph)
    if json:
        print_json(as_json(answer))
        return
    titles = titles_of(settings, answer)
    items = [item for item in answer.items if not asked or item.video_id in asked]
    if items:
        print_table(COLUMNS, (line(item, titles) for item in items), title=f"Why user {answer.user_id} gets them")
    for item in items if asked else ():
        say("")
        print_table(("feature", "value", "log e pull"), features(item), title=_named(item.video_id, titles))
    listed = {item.video_id for item in items}
    for video_id, stage in answer.why_not.items():
        if video_id not in listed:
            say(f"{_named(video_id, titles)}: {stage}")
    say(footer(answer))
    next_step(f"`watchnext explain {user} VIDEO` tells a video's features, or why it is not in the list")


def line(item: RecommendedVideo, titles: dict[str, str]) -> tuple[object, ...]:
    """The cells of COLUMNS; what only the ranker tells is a dash or empty where it did not score."""
    why = item.explanation
    pulls = list(why.contributions.items())[:SHOWN_CONTRIBUTIONS] if why else []
    return (
        item.position + 1,
        _named(item.video_id, titles),
        seconds(item.expected_seconds),
        "–" if why is None or why.long_view_probability is None else f"{why.long_view_probability:.0%}",
        ", ".join(item.sources),
        f"{item.score:.3f}",
        why.retrieval_position + 1 if why else "–",
        _named(why.nearest_watched, titles) if why else "",
        ", ".join(f"{name} {pull:+.2f}" for name, pull in pulls),
        "; ".join(why.demotions) if why else "",
    )


def features(item: RecommendedVideo) -> Iterator[tuple[str, str, str]]:
    """Each feature of the ranker with its value and its pull on the logarithm of the expected seconds.

    The largest pulls come first; those that the answer does not tell are smaller and stay empty.
    """
    why = item.explanation
    if why is None:
        return
    for name in [*why.contributions, *(name for name in why.features if name not in why.contributions)]:
        pull = why.contributions.get(name)
        value = why.features.get(name)
        yield name, "" if value is None else f"{value:g}", "" if pull is None else f"{pull:+.2f}"


def _named(video_id: str, titles: dict[str, str]) -> str:
    title = titles.get(video_id)
    return f"{title} ({video_id})" if title else video_id
