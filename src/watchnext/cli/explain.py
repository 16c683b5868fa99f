"""`watchnext explain`: why videos stand where they stand in a user's list, or why one does not."""

from typing import Annotated

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

SHOWN_CONTRIBUTIONS = 3


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
    """Sources, nearest watched video, expected seconds, what raised and what lowered it; and why not."""
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
        print_table(
            ("#", "video", "expected watch", "sources", "nearest watched", "raised and lowered by", "demoted"),
            (_line(item, titles) for item in items),
            title=f"Why user {answer.user_id} gets them",
        )
    for video_id, stage in answer.why_not.items():
        say(f"{_named(video_id, titles)}: {stage}")
    say(footer(answer))
    next_step(f"`watchnext explain {user} VIDEO` tells why a video is not in the list")


def _line(item: RecommendedVideo, titles: dict[str, str]) -> tuple[object, ...]:
    why = item.explanation
    pulls = list(why.contributions.items())[:SHOWN_CONTRIBUTIONS] if why else []
    return (
        item.position + 1,
        _named(item.video_id, titles),
        seconds(item.expected_seconds),
        ", ".join(item.sources),
        _named(why.nearest_watched, titles) if why else "",
        ", ".join(f"{name} {pull:+.2f}" for name, pull in pulls),
        "; ".join(why.demotions) if why else "",
    )


def _named(video_id: str, titles: dict[str, str]) -> str:
    title = titles.get(video_id)
    return f"{title} ({video_id})" if title else video_id
