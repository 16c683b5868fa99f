"""Builds what a test would else build within its time: `python -m tests.programs`, before `make test`.

Go programs that judge the chart and the graphs, an S3-compatible server, Kubeflow Trainer and JobSet, and, where no
KUBECONFIG names a cluster, the kit's Kubernetes.
"""

from tests.chart.binaries import PACKAGES, helm, program
from tests.cluster import trainer
from tests.cluster.cluster import build_kit
from tests.local import bucket_server
from tests.services.test_graph_router import webhook_program


def main() -> None:
    """Each once; what is there already takes no time."""
    build_kit()  # first: its Helm serves the chart's tests too
    helm()
    for name in PACKAGES:
        if name != "helm":
            program(name)
    webhook_program()
    bucket_server.program()
    trainer.build()


if __name__ == "__main__":
    main()
