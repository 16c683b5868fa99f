"""The real InferenceGraph router of KServe, built by `downloads.build_router`, on the graph in `contracts/`."""

import json
import signal
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml

from watchnext.local.cache import require_download
from watchnext.local.probes import LOOPBACK, http_ok
from watchnext.local.servers import Port, Server
from watchnext.settings import Settings

READINESS: Final = "/readyz"


def graph_spec(retrieval_url: str, ranking_url: str) -> dict[str, Any]:
    """`spec` of the InferenceGraph with the steps' addresses, such as `http://127.0.0.1:18080`, filled in."""
    spec: dict[str, Any] = yaml.safe_load(
        resources.files("watchnext.contracts").joinpath("inference_graph.yaml").read_text()
    )
    for step in spec["nodes"]["root"]["steps"]:
        step["serviceUrl"] = step["serviceUrl"].format(retrieval_url=retrieval_url, ranking_url=ranking_url)
    return spec


def router_server(settings: Settings, binary: Path) -> Server:
    """The router. It listens on all interfaces, and on 8080, whatever is asked.

    It sleeps 30 s on SIGTERM, for load balancers that are not here, and holds no state: SIGKILL.
    """
    serving = settings.serving
    spec = graph_spec(f"http://{LOOPBACK}:{serving.retrieval_port}", f"http://{LOOPBACK}:{serving.ranking_port}")
    return Server(
        name="router",
        what="KServe InferenceGraph router",
        command=(str(binary), "--graph-json", json.dumps(spec)),
        ports=(Port(settings.local.router_port, ""),),
        ready=lambda: http_ok(settings.local.router_port, READINESS),
        prepare=lambda: require_download(binary, "KServe's router"),
        stop_signal=signal.SIGKILL,
    )
