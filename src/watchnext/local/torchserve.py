"""TorchServe, the ranker's predictor: its Java server started directly, since its launcher orphans it on SIGTERM.

It starts without a model; the follower (`model_handlers.follower`) registers generations on the management port.
`python -m watchnext.local.torchserve` becomes the same server: what its container runs.
"""

import hashlib
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NoReturn

from watchnext.errors import PrerequisiteError
from watchnext.local.prerequisites import java, require_java
from watchnext.local.probes import LOOPBACK, http_ok
from watchnext.local.servers import ONE_THREAD, Port, Server
from watchnext.settings import Settings, load_settings

# Warnings and errors, of the server and of its Python workers (MODEL_LOG: their standard error), to the console.
# TorchServe's own configuration writes some twenty lines a request into five files, before the answer is sent.
LOG_CONFIG: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration>
  <Appenders>
    <Console name="STDOUT" target="SYSTEM_OUT"><PatternLayout pattern="%d{ISO8601} [%-5p] %t %c - %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="io.netty" level="error"/>
    <Logger name="org.apache" level="off"/>
    <Root level="warn"><AppenderRef ref="STDOUT"/></Root>
  </Loggers>
</Configuration>
"""


def properties(settings: Settings) -> str:
    """`config.properties`: management on loopback only, and only therefore without token authorization."""
    ports = settings.torchserve
    values = {
        "inference_address": f"http://{ports.host}:{ports.inference_port}",
        "management_address": f"http://{LOOPBACK}:{ports.management_port}",
        "metrics_address": f"http://{ports.host}:{ports.metrics_port}",
        "grpc_inference_address": LOOPBACK,
        "grpc_inference_port": ports.grpc_port,
        "grpc_management_address": LOOPBACK,
        "grpc_management_port": ports.grpc_management_port,
        "model_store": settings.model_store_path,
        "default_workers_per_model": ports.workers,
        "number_of_netty_threads": 8,  # with few, registering a version stalls other requests
        "enable_model_api": "true",
        "disable_token_authorization": "true",
        "disable_system_metrics": "true",
        "enable_envvars_config": "false",
        "install_py_dep_per_model": "false",
        "metrics_mode": "prometheus",  # on the metrics port, instead of ten lines of log a request
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def torchserve_server(settings: Settings) -> Server:
    """TorchServe's frontend; it starts and ends its Python workers itself."""
    folder = settings.home.absolute() / "torchserve"
    config = folder / "config.properties"
    # Workers listen on sockets in the temporary folder, and a socket's path is at most 107 bytes long. Not by
    # `tempfile`, which tries to write there: on a full disk `status`, `down` and `doctor` ask for the server, too.
    temporary = Path(os.environ.get("TMPDIR") or "/tmp").absolute()
    scratch = temporary / f"watchnext-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    home = _home()
    logging = folder / "log4j2.xml"

    def prepare() -> None:
        require_java()
        shutil.rmtree(scratch / "models", ignore_errors=True)  # unpacked archives: a server that ends leaves its own
        for needed in (folder, scratch, Path(settings.model_store_path)):
            needed.mkdir(parents=True, exist_ok=True)
        config.write_text(properties(settings))
        logging.write_text(LOG_CONFIG)

    flags = (
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # it hands bytes on: the second compiler takes a core from the first 5,000 answers
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={scratch}",
        f"-Dlog4j2.configurationFile={logging}",
    )
    arguments = ("--python", sys.executable, "-f", str(config), "-s", settings.model_store_path, "-ncs")
    main = "org.pytorch.serve.ModelServer"
    ports = settings.torchserve
    return Server(
        name="torchserve",
        what="TorchServe, the ranker",
        command=(java(), *flags, "-cp", f"{home}/ts/frontend/*", main, *arguments, "--disable-token-auth"),
        ports=tuple(
            Port(getattr(ports, name), f"torchserve.{name}")
            for name in ("inference_port", "management_port", "metrics_port", "grpc_port", "grpc_management_port")
        ),
        ready=lambda: http_ok(ports.inference_port, "/ping") and http_ok(ports.management_port, "/models"),
        environment={**ONE_THREAD, "TMPDIR": str(scratch)},
        prepare=prepare,
    )


def _home() -> Path:
    """The folder that holds the package `ts`."""
    spec = find_spec("ts")
    if spec is None or spec.origin is None:
        raise PrerequisiteError("the package torchserve is not in this environment: run `make setup`")
    return Path(spec.origin).parent.parent


def run_in_foreground(settings: Settings) -> NoReturn:
    """Become TorchServe."""
    server = torchserve_server(settings)
    server.prepare()
    os.execve(server.command[0], server.command, {**os.environ, **server.environment})


if __name__ == "__main__":
    run_in_foreground(load_settings())
