"""What servers say, as fsspec passes it on; a real one: `tests/local/test_generation_bucket.py`."""

import pytest
from aiohttp import ClientPayloadError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from s3fs.errors import translate_boto_error

from watchnext.generation.bucket import came_of_asking, is_taken, refusal


def said(code: str, **more: str) -> Exception:
    return translate_boto_error(ClientError({"Error": {"Code": code, "Message": code, **more}}, "PutObject"))


@pytest.mark.parametrize(
    ("error", "taken"),
    [
        (said("PreconditionFailed", Condition="If-None-Match"), True),  # AWS, versitygw
        (said("PreconditionFailed"), True),  # servers whose errors name no condition
        (said("412"), True),
        (said("ConditionalRequestConflict"), True),  # AWS, while another request is at the same key
        (FileExistsError("lock"), True),
        (said("AccessDenied"), False),
        (said("NoSuchBucket"), False),
        (OSError(22, "Invalid argument"), False),
    ],
)
def test_a_file_that_another_writer_has_is_known_in_each_servers_words(error: Exception, taken: bool):
    assert is_taken(error) == taken


@pytest.mark.parametrize(
    ("error", "mended_by"),
    [
        (said("NoSuchBucket"), "set generations.url"),
        (said("AccessDenied"), "get, put and delete its objects"),
        (said("InvalidAccessKeyId"), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are wanted"),
        (said("ExpiredToken"), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are wanted"),
        (NoCredentialsError(), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (said("PermanentRedirect"), "set generations.region"),
        (said("AuthorizationHeaderMalformed"), "set generations.region"),
        (said("SlowDown"), "is the server up"),
        (said("InternalError"), "is the server up"),
        (EndpointConnectionError(endpoint_url="http://minio:9000"), "is generations.endpoint its URL"),
        (ClientPayloadError("Response payload is not completed"), "is the server up"),
    ],
)
def test_a_refusal_names_what_mends_it(error: Exception, mended_by: str):
    assert came_of_asking(error)
    assert mended_by in refusal(error)


def test_an_absent_file_is_no_refusal_and_a_mistake_of_ours_is_none_of_the_bucket():
    assert refusal(said("NoSuchKey")) == refusal(FileNotFoundError("live.json")) == ""
    assert not came_of_asking(TypeError("a bytes-like object is required"))
