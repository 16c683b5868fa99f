"""A bucket as the generation store: how an S3-compatible server is asked, and what its refusals mean.

Credentials come as every S3 client takes them: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a shared file, or the
identity of the pod. The server must know `If-None-Match: *`, by which it decides between two publishers.

>>> options("http://minio:9000", "eu-west-1")["client_kwargs"]
{'region_name': 'eu-west-1'}
>>> refusal(PermissionError("Forbidden"))[:34]
'these credentials may not do that '
"""

from typing import Any, Final

from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

_CLIENT: Final = {"connect_timeout": 5, "read_timeout": 30, "retries": {"mode": "standard", "total_max_attempts": 3}}
_TAKEN: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_OTHER_REGION: Final = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "301",
    "400",  # of a HEAD, whose answer has no words
}


def options(endpoint: str, region: str) -> dict[str, Any]:
    """Arguments of fsspec's S3 file system; an empty endpoint is AWS's, an empty region the environment's."""
    return {
        "endpoint_url": endpoint or None,
        "client_kwargs": {"region_name": region} if region else {},
        "config_kwargs": _CLIENT,
    }


def came_of_asking(error: Exception) -> bool:
    """Whether the server, the way to it or the S3 client raised `error`, and not a mistake of the program."""
    from aiohttp import ClientError  # of a transfer that broke off; a third of a second that a folder does without

    return isinstance(error, (OSError, BotoCoreError, ClientError))


def is_taken(error: Exception) -> bool:
    """Whether a file was not created because there is one, or another writer is at it: servers say it differently."""
    return isinstance(error, FileExistsError) or _code(error) in _TAKEN


def refusal(error: Exception) -> str:
    """What came of asking the server and what mends it; empty where a file is not there, which is no refusal."""
    code = _code(error)
    if code == "NoSuchBucket":
        return "there is no such bucket: make it, or set generations.url to one that is there"
    if isinstance(error, FileNotFoundError):
        return ""
    if isinstance(error, PermissionError):
        return (
            f"these credentials may not do that ({error}): AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are wanted of "
            "a user who may list the bucket, and get, put and delete its objects"
        )
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return f"no credentials came ({error}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if code in _OTHER_REGION:
        return f"the server does not take the request ({error}), as of another region: set generations.region"
    return f"no answer of a bucket came ({error}): is the server up, and is generations.endpoint its URL?"


def _code(error: Exception) -> str:
    """The server's own word for an error that fsspec has translated; empty where it said nothing."""
    response: dict[str, dict[str, str]] = getattr(error.__cause__, "response", {})
    return response.get("Error", {}).get("Code", "")
