"""Tracing where no endpoint is set, or nobody answers there. Where one does: `tests/services/test_observability.py`."""

import socket
import subprocess
import sys
import time

import pytest

from watchnext.errors import ConfigError
from watchnext.ops import tracing
from watchnext.settings import load_settings

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_without_an_endpoint_there_are_no_spans():
    with tracing.span("gateway.recommend", TRACEPARENT, kind=tracing.ANSWER) as span:
        tracing.lap("features", 0.1)
        assert not span.is_recording()
        assert tracing.traceparent() == ""


def test_without_an_endpoint_the_sdk_is_not_even_imported():
    program = (
        "import sys; from watchnext.ops.tracing import send_traces; from watchnext.settings import Ops;"
        "send_traces(Ops(), 'gateway'); print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_collector_that_does_not_answer_keeps_no_process_from_its_end():
    """Each batch waited for ten seconds, more of them than a pod has."""
    program = (
        "import sys, time; from watchnext.ops import tracing; from watchnext.settings import Ops\n"
        "tracing.send_traces(Ops(otlp_endpoint=sys.argv[1]), 'gateway')\n"
        "with tracing.span('gateway.recommend'): pass\n"
        "print(time.time())"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        run = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert time.time() - float(run.stdout) < 8


def test_an_endpoint_that_is_no_url_is_refused():
    with pytest.raises(ConfigError, match=r"ops\.otlp_endpoint = 'collector:4318'"):
        load_settings(ops={"otlp_endpoint": "collector:4318"})
