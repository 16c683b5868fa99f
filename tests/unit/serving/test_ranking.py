import asyncio
import json
from typing import Any

import numpy as np
import pytest
from kserve.errors import InferenceError, inference_error_handler

from serving.ranking import RankingModel
from watchnext.contracts.envelope import Candidates, Envelope, encode
from watchnext.errors import GraphError
from watchnext.recommend.graph import read_answer
from watchnext.settings import Settings


def payload(**changes: Any) -> dict[str, Any]:
    """What the router posts to the ranking step."""
    candidates = Candidates.of(["a"], np.array([1]), np.array([0.5]), np.array([1]))
    sent = Envelope(request_id="r", user_id="u", now_ms=5, deadline_ms=9, k=1, candidates=candidates)
    parsed: dict[str, Any] = json.loads(encode(sent))
    return parsed | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "an envelope of version 2 came"),  # retrieval is of a newer release
        ({"candidates": None}, "wants the retrieval step's envelope"),
        ({"state": "AAAA"}, "user state cannot be read"),
        ({"state": "*"}, "not base64"),
    ],
)
def test_an_envelope_of_another_release_is_the_graphs_failure_and_not_the_callers_400(
    changes: dict[str, Any], message: str
):
    async def post() -> tuple[int, bytes]:
        try:
            await RankingModel(Settings()).predict(payload(**changes))
        except InferenceError as error:  # KServe's server answers with this handler
            response = await inference_error_handler(None, error)
            return response.status_code, bytes(response.body)
        raise AssertionError("it was answered")

    status, body = asyncio.run(post())
    assert status == 500
    with pytest.raises(GraphError, match=message):  # the gateway's rung `graph`
        read_answer(status, body)
