"""One exception tree. Every message says what came, what was wanted, and what mends it.

WatchnextError                 exit 1
├── UsageError                 exit 2: the caller's words are off
│   ├── ConfigError            a setting has a wrong value
│   ├── RequestError           a recommendation request is refused (HTTP 400, INVALID_ARGUMENT)
│   └── AuthenticationError    no valid API key came (HTTP 401, UNAUTHENTICATED)
├── PrerequisiteError          a tool, port or file of the machine is missing
├── EventError                 a message breaks the contract of its topic
├── DataError                  a data file cannot be read
├── ServerError                a local server did not start, answer or stop
├── StoreError                 the feature store failed
├── VectorIndexError           the vector index failed or holds another generation
├── GenerationError            a bundle is missing, torn, or does not verify
│   ├── GenerationStoreError   the bucket or folder of the generations is away or refuses
│   └── NoGenerationError      nothing was published yet
├── GateError                  a pipeline gate refused to publish
├── TrainingError              a training by several processes failed, or the cluster refuses it
├── UnavailableError           a backend of the request path gave no result in time
├── EnvelopeError              the ranking step cannot read what the retrieval step sent (HTTP 500 of the step)
├── RankerError                the ranker is down, late, or has another generation
├── GraphError                 the inference graph is down, late, or sent no answer
├── GatewayError               the gateway is down, or refused for a reason of its own
└── OverloadError              the gateway sheds the request (HTTP 503, RESOURCE_EXHAUSTED)
"""


class WatchnextError(Exception):
    """Root of every error that this package raises on purpose."""

    exit_code = 1


class UsageError(WatchnextError):
    """The caller's words are off; trying again unchanged cannot help."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting has a wrong value."""


class RequestError(UsageError):
    """A recommendation request is refused."""


class AuthenticationError(UsageError):
    """No valid API key came."""


class PrerequisiteError(WatchnextError):
    """A tool, a port or a file of this machine is missing."""


class EventError(WatchnextError):
    """A message breaks the contract of its topic. `reason` is a word for counting."""

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class DataError(WatchnextError):
    """A data file cannot be read."""


class ServerError(WatchnextError):
    """A local server did not start, answer or stop."""


class StoreError(WatchnextError):
    """The feature store failed."""


class VectorIndexError(WatchnextError):
    """The vector index failed or holds another generation."""


class GenerationError(WatchnextError):
    """A generation is missing, torn, or does not verify."""


class GenerationStoreError(GenerationError):
    """The bucket or folder of the generations is away or refuses."""


class NoGenerationError(GenerationError):
    """Nothing was published yet."""


class GateError(WatchnextError):
    """A pipeline gate refused to publish."""


class TrainingError(WatchnextError):
    """A training by several processes failed, or the cluster refuses it."""


class UnavailableError(WatchnextError):
    """A backend of the request path gave no result: not asked, late, or failed; the message says which."""


class EnvelopeError(WatchnextError):
    """The ranking step cannot read what the retrieval step sent: never the caller's fault."""


class RankerError(WatchnextError):
    """The ranker is down, late, or serves another generation. `cause` is a word for counting."""

    def __init__(self, message: str, cause: str = "failed") -> None:
        super().__init__(message)
        self.cause = cause


class GraphError(WatchnextError):
    """The inference graph is down, late, or sent no answer."""


class GatewayError(WatchnextError):
    """The gateway is down, or refused for a reason of its own."""


class OverloadError(WatchnextError):
    """The gateway sheds the request."""
