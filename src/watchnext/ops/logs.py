"""Structured logs of the processes: one JSON object a line on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from watchnext.errors import WatchnextError


def configure_logs() -> None:
    """Set it up, once a process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


@contextmanager
def last_words(process: str) -> Iterator[None]:
    """An error of ours ends the process with a line of the log and the error's status, not with a traceback."""
    try:
        yield
    except WatchnextError as error:
        structlog.get_logger().error(f"{process}_failed", error=str(error), kind=type(error).__name__)
        sys.exit(error.exit_code)
