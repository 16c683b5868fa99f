import pytest

from watchnext.contracts.api import Explanation, RecommendAnswer, RecommendedVideo, RecommendRequest
from watchnext.errors import RequestError
from watchnext.recommend.openapi import describe
from watchnext.recommend.wire import answer_from_proto, answer_to_proto, request_from_proto, request_to_proto
from watchnext.v1 import recommend_pb2 as pb


def test_a_request_survives_the_wire():
    request = RecommendRequest(
        user_id="u",
        k=7,
        surface="tv",
        device="d",
        country="fr",
        seed_video_id="s",
        explain=True,
        why_not=["a", "b"],
        request_id="r",
        traceparent="t",
        now_ms=2**40,
    )
    assert request_from_proto(request_to_proto(request)) == request


def test_what_is_absent_takes_its_default_and_zero_does_not():
    assert request_from_proto(pb.RecommendRequest(user_id="u")) == RecommendRequest(user_id="u")
    with pytest.raises(RequestError, match="k = 0 came; wanted 1 to 500"):
        request_from_proto(pb.RecommendRequest(user_id="u", k=0))
    with pytest.raises(RequestError, match="user_id has 0 characters"):
        request_from_proto(pb.RecommendRequest(k=1))


def test_an_answer_survives_the_wire_but_for_the_feature_vectors():
    explanation = Explanation(
        nearest_watched="w",
        retrieval_score=0.5,
        retrieval_position=4,
        long_view_probability=0.25,
        contributions={"b": -2.0, "a": 1.0},
        features={"x": 3.0},
        demotions=["down"],
    )
    answer = RecommendAnswer(
        request_id="r",
        user_id="u",
        generation="g",
        overlay=2,
        arm="a",
        served_at=5,
        degraded=["index"],
        items=[
            RecommendedVideo(
                video_id="v", position=0, sources=["tower"], score=1.0, expected_seconds=0.0, explanation=explanation
            ),
            RecommendedVideo(video_id="w", position=1, sources=[], score=0.0),
        ],
        why_not={"q": "seen"},
        stages_ms={"tower": 1.5},
    )
    assert answer_from_proto(answer_to_proto(answer)) == answer


def test_every_field_of_the_contract_is_in_the_proto():
    sent = {field.name for field in pb.RecommendRequest.DESCRIPTOR.fields}
    assert set(RecommendRequest.__struct_fields__) - sent == {"arm", "deadline_ms"}  # the gateway's and the call's own
    assert set(RecommendAnswer.__struct_fields__) == {field.name for field in pb.RecommendAnswer.DESCRIPTOR.fields}
    assert set(Explanation.__struct_fields__) == {field.name for field in pb.Explanation.DESCRIPTOR.fields}
    video = {field.name for field in pb.RecommendedVideo.DESCRIPTOR.fields}
    assert set(RecommendedVideo.__struct_fields__) - video == {"features"}  # those go to Kafka only


def test_the_openapi_document_tells_the_limits():
    document = describe("watchnext", "1")
    assert document["components"]["schemas"]["RecommendRequest"]["properties"]["k"]["maximum"] == 500
    assert {"400", "401", "503"} <= set(document["paths"]["/v1/recommendations"]["post"]["responses"])
    required = [
        one["name"] for one in document["paths"]["/v1/recommendations"]["get"]["parameters"] if one.get("required")
    ]
    assert required == ["user_id"]
