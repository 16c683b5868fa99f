import pytest

from watchnext.contracts import api
from watchnext.errors import RequestError


def test_a_request_needs_a_user_alone():
    request = api.decode_request(b'{"user_id": "u1"}')

    assert (request.user_id, request.k, request.surface) == ("u1", 20, "home")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "cannot be read"),
        (b"{}", "missing required field `user_id`"),
        (b'{"user_id": 7}', "Expected `str`, got `int`"),
        (b'{"user_id": ""}', "user_id has 0 characters; wanted 1 to 256"),
        (b'{"user_id": "u", "k": 0}', "k = 0 came; wanted 1 to 500"),
        (b'{"user_id": "u", "k": 501}', "k = 501 came; wanted 1 to 500"),
        (b'{"user_id": "u", "k": 2.5}', "Expected `int`, got `float`"),
        (b'{"user_id": "u", "k": null}', "Expected `int`, got `null`"),
        (b'{"user_id": "u", "surface": "' + b"s" * 257 + b'"}', "surface has 257 characters"),
        (b'{"user_id": "u", "why_not": ["v", "' + b"v" * 257 + b'"]}', "an id in why_not has 257 characters"),
        (b'{"user_id": "u", "now_ms": -1}', "now_ms = -1 came; wanted epoch milliseconds, 0 to 4102444800000"),
        (b'{"user_id": "u", "now_ms": 4102444800001}', "now_ms = 4102444800001 came"),
        (b'{"user_id": "u", "deadline_ms": -1}', "deadline_ms = -1 came; wanted epoch milliseconds, or 0"),
    ],
)
def test_a_bad_request_is_refused_with_what_was_wanted(body: bytes, message: str):
    with pytest.raises(RequestError, match=message):
        api.decode_request(body)


@pytest.mark.parametrize("fields", [{"user_id": "\udcff"}, {"country": "\udcff"}, {"why_not": ["v", "\udcff"]}])
def test_words_of_a_command_line_that_are_no_unicode_are_refused(fields: dict[str, str]):
    with pytest.raises(RequestError, match=f"{next(iter(fields))} is no Unicode text"):
        api.RecommendRequest(**{"user_id": "u"} | fields).check()


def test_an_answer_round_trips():
    item = api.RecommendedVideo(video_id="v", position=0, sources=["tower"], score=0.25, expected_seconds=31.5)
    answer = api.RecommendAnswer(request_id="r", user_id="u", served_at=1, items=[item], degraded=["ranking"])

    assert api.decode_answer(api.encode(answer)) == answer
