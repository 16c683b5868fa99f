"""Upload both pipelines to Kubeflow Pipelines and keep their recurring runs: `python -m pipelines.upload`, a Job's.

Each pipeline gets a version named after the release, shaped for it; its recurring run then is of that version.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kfp import Client, compiler

from pipelines import dags
from pipelines.shape import Shape
from watchnext.errors import WatchnextError

PIPELINES = {"train": dags.train, "refresh-index": dags.refresh_index}


def compile_for(name: str, shape: Shape, image: str, folder: Path) -> Path:
    """The YAML of a pipeline for a cluster of that shape, its image as the default."""
    path = folder / f"{name}.yaml"
    compiler.Compiler().compile(PIPELINES[name](shape), str(path), pipeline_parameters={"image": image})
    return path


def upload(client: Client, name: str, package: Path, version: str) -> tuple[str, str]:
    """A pipeline's id and that of the version; a version that is there already is taken as it is.

    A release that is installed anew is of revision 1 again, so that the name of a version has the package's hash too.
    """
    title = f"watchnext-{name}"
    version = f"{version}-{hashlib.sha256(package.read_bytes()).hexdigest()[:8]}"
    pipeline = client.get_pipeline_id(title)
    if pipeline is None:
        pipeline = client.upload_pipeline(str(package), pipeline_name=title).pipeline_id
    for known in _all(client.list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline):
        if known.display_name == version:
            return pipeline, known.pipeline_version_id
    made = client.upload_pipeline_version(str(package), version, pipeline_id=pipeline)
    return pipeline, made.pipeline_version_id


def schedule(client: Client, experiment: Any, name: str, cron: str, pipeline: str, version: str) -> None:
    """One recurring run of `version`, or none where `cron` is empty; those of earlier versions end after it began."""
    title = f"watchnext-{name}"
    found = list(_all(client.list_recurring_runs, "recurring_runs", experiment_id=experiment.experiment_id))
    if cron:
        client.create_recurring_run(
            experiment.experiment_id,
            title,
            cron_expression=cron,
            pipeline_id=pipeline,
            version_id=version,
            no_catchup=True,
        )
    for old in found:
        if old.display_name == title:
            client.delete_recurring_run(old.recurring_run_id)


def _all(listed: Callable[..., Any], name: str, **of: str) -> Iterator[Any]:
    """What Kubeflow lists under `name`, page after page: each upgrade adds a version."""
    token: str | None = ""
    while token is not None:
        page = listed(page_token=token, page_size=100, **of)
        yield from getattr(page, name) or ()
        token = page.next_page_token or None


def main() -> None:
    """Read the command line; upload and schedule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True, help="address of the Kubeflow Pipelines API")
    parser.add_argument("--namespace", default="", help="of the runs, in multi-user Kubeflow")
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--version", required=True, help="name of the pipelines' version")
    parser.add_argument("--image", required=True)
    parser.add_argument("--shape", required=True, help="JSON of pipelines.shape.Shape")
    for name in PIPELINES:
        parser.add_argument(f"--{name}", default="", metavar="CRON", help="six fields; empty: only by hand")
    options = parser.parse_args()
    try:
        shape = Shape.read(options.shape)
    except WatchnextError as error:
        sys.exit(f"error: {error}")
    client = Client(host=options.host, namespace=options.namespace or "kubeflow")
    experiment = client.create_experiment(options.experiment, namespace=options.namespace or None)
    with tempfile.TemporaryDirectory() as folder:
        for name in PIPELINES:
            package = compile_for(name, shape, options.image, Path(folder))
            ids = upload(client, name, package, options.version)
            schedule(client, experiment, name, getattr(options, name.replace("-", "_")), *ids)
            print(f"watchnext-{name}: version {options.version}")


if __name__ == "__main__":
    main()
