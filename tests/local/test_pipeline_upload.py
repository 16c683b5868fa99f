"""Uploading, against a server that keeps what Kubeflow Pipelines' own generated client sends.

The API server itself is a module that is not to be had here: paths and models are those of the generated client.
"""

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
import yaml

from pipelines import upload

API = "/apis/v2beta1"


@dataclass
class Kept:
    """What an API server would keep."""

    experiments: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    recurring: list[dict[str, Any]] = field(default_factory=list)
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)  # version id to the pipeline's YAML
    address: str = ""

    def get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        named = [one["stringValue"] for one in json.loads(query.get("filter", "{}")).get("predicates", ())]
        match path.split("/")[1:]:
            case ["experiments"]:
                return {"experiments": [one for one in self.experiments if one["display_name"] in named]}
            case ["pipelines"]:
                return {"pipelines": [one for one in self.pipelines if one["display_name"] in named]}
            case ["pipelines", pipeline, "versions"]:
                return _page("pipeline_versions", [v for v in self.versions if v["pipeline_id"] == pipeline], query)
            case ["recurringruns"]:
                of_experiment = [run for run in self.recurring if run["experiment_id"] == query["experiment_id"]]
                return _page("recurringRuns", of_experiment, query)
        return {}

    def post(self, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        match path.split("/")[1:]:
            case ["experiments"]:
                self.experiments.append(body | {"experiment_id": f"experiment-{len(self.experiments)}"})
                return self.experiments[-1]
            case ["pipelines", "upload"]:
                self.pipelines.append({"pipeline_id": f"pipeline-{len(self.pipelines)}", "display_name": query["name"]})
                self._version(query["name"], self.pipelines[-1]["pipeline_id"], body)
                return self.pipelines[-1]
            case ["pipelines", "upload_version"]:
                return self._version(query["name"], query["pipelineid"], body)
            case ["recurringruns"]:
                self.recurring.append(body | {"recurring_run_id": uuid.uuid4().hex})
                return self.recurring[-1]
        raise AssertionError(path)

    def _version(self, name: str, pipeline: str, package: Any) -> dict[str, Any]:
        version = {
            "pipeline_id": pipeline,
            "pipeline_version_id": f"version-{len(self.versions)}",
            "display_name": name,
        }
        self.versions.append(version)
        self.packages[version["pipeline_version_id"]] = package
        return version


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """What the server keeps, which it is asked for at its `address`."""
    kept = Kept()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlparse(self.path)
            assert url.path.startswith(API), url.path
            self._answer(kept.get(url.path.removeprefix(API), _query(url.query)))

        def do_POST(self) -> None:
            url = urlparse(self.path)
            body = self.rfile.read(int(self.headers["content-length"]))
            sent = json.loads(body) if self.headers["content-type"] == "application/json" else self._file(body)
            self._answer(kept.post(url.path.removeprefix(API), _query(url.query), sent))

        def do_DELETE(self) -> None:
            gone = self.path.removeprefix(f"{API}/recurringruns/")
            kept.recurring = [one for one in kept.recurring if one["recurring_run_id"] != gone]
            self._answer({})

        def _file(self, body: bytes) -> Any:
            form = message_from_bytes(f"content-type: {self.headers['content-type']}\n\n".encode() + body)
            (part,) = form.get_payload()
            return next(yaml.safe_load_all(part.get_payload(decode=True)))

        def _answer(self, value: dict[str, Any]) -> None:
            text = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://nowhere")  # the flag is heeded
    kept.address = f"http://127.0.0.1:{http.server_port}"
    yield kept
    http.shutdown()
    http.server_close()
    thread.join()


def _page(name: str, found: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """From the token on, as many as wanted, the oldest first."""
    start = int(query.get("page_token", 0))
    end = start + int(query["page_size"])
    return {name: found[start:end], "next_page_token": str(end) if end < len(found) else ""}


def _query(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def upload_as(
    version: str,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
    *,
    train: str,
    refresh: str = "",
    image: str = "",
) -> None:
    """What the chart's Job runs."""
    options = {
        "host": kept.address,
        "namespace": "team-discovery",
        "experiment": "towers",
        "version": version,
        "image": image or f"registry.example/pipelines:{version}",
        "shape": '{"config_map": "mine-config"}',
        "train": train,
        "refresh-index": refresh,
    }
    monkeypatch.setattr("sys.argv", ["upload", *(f"--{name}={value}" for name, value in options.items())])
    upload.main()


def scheduled(kept: Kept) -> dict[str, tuple[str, str]]:
    """Name of each recurring run to its cron and the release in the name of its version."""
    names = {one["pipeline_version_id"]: release_of(one) for one in kept.versions}
    return {
        one["display_name"]: (
            one["trigger"]["cron_schedule"]["cron"],
            names[one["pipeline_version_reference"]["pipeline_version_id"]],
        )
        for one in kept.recurring
    }


def release_of(version: dict[str, Any]) -> str:
    """The name of a version without the hash of what was uploaded."""
    return str(version["display_name"].rpartition("-")[0])


def image_of(run: dict[str, Any], kept: Kept) -> str:
    """The image of the version that a recurring run is of."""
    package = kept.packages[run["pipeline_version_reference"]["pipeline_version_id"]]
    return str(package["root"]["inputDefinitions"]["parameters"]["image"]["defaultValue"])


def test_a_release_that_is_installed_anew_runs_what_it_uploads(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its revision is 1 once more, after an uninstall and in another namespace."""
    upload_as("1", kept, monkeypatch, train="0 0 3 * * *", image="registry.example/pipelines:old")
    upload_as("1", kept, monkeypatch, train="0 0 3 * * *", image="registry.example/pipelines:new")

    assert [image_of(run, kept) for run in kept.recurring] == ["registry.example/pipelines:new"]


def test_each_release_is_a_version_of_its_own_and_what_recurs_is_of_the_newest(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_as("1", kept, monkeypatch, train="0 0 3 * * *", refresh="0 15 * * * *")
    assert [one["display_name"] for one in kept.pipelines] == ["watchnext-train", "watchnext-refresh-index"]
    assert scheduled(kept) == {
        "watchnext-train": ("0 0 3 * * *", "1"),
        "watchnext-refresh-index": ("0 15 * * * *", "1"),
    }
    (experiment,) = kept.experiments
    assert (experiment["display_name"], experiment["namespace"]) == ("towers", "team-discovery")
    for run in kept.recurring:
        assert (run["mode"], run["no_catchup"], run["max_concurrency"]) == ("ENABLE", True, 1)
        assert run["experiment_id"] == experiment["experiment_id"]

    upload_as("1", kept, monkeypatch, train="0 0 3 * * *", refresh="0 15 * * * *")  # the Job is tried again
    assert [release_of(one) for one in kept.versions].count("1") == 2  # one of each pipeline
    assert len(kept.recurring) == 2

    upload_as("2", kept, monkeypatch, train="0 0 4 * * *")  # an upgrade, without a refresh
    assert len(kept.pipelines) == 2
    assert len(kept.experiments) == 1
    assert scheduled(kept) == {"watchnext-train": ("0 0 4 * * *", "2")}
    assert image_of(kept.recurring[0], kept) == "registry.example/pipelines:2"


def test_a_version_after_the_first_hundred_and_its_recurring_run_are_found(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Job that was tried again uploaded the version once more, which Kubeflow refuses, or left two runs."""
    upload_as("1", kept, monkeypatch, train="0 0 3 * * *")
    train, run = kept.pipelines[0]["pipeline_id"], kept.recurring[0]
    older = [{"display_name": f"older-{at}"} for at in range(120)]
    kept.versions[:0] = [{**one, "pipeline_id": train, "pipeline_version_id": one["display_name"]} for one in older]
    kept.recurring[:0] = [{**run, **one, "recurring_run_id": one["display_name"]} for one in older]
    versions = len(kept.versions)

    upload_as("1", kept, monkeypatch, train="0 0 3 * * *")

    assert len(kept.versions) == versions
    assert [one["display_name"] for one in kept.recurring].count("watchnext-train") == 1
