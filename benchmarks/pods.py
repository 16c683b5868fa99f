"""What an answer costs in a cluster: processor time and memory of each pod, under whatever load there is.

    python -m benchmarks.pods --namespace rec --seconds 60

Reads the kubelets' own figures and the gateways' count of answers through the API server, twice. `kubectl` must reach
the cluster; `--through` is a command before it, such as the test kit's `cluster in`.
"""

import argparse
import json
import shlex
import subprocess
import time

from prometheus_client.parser import text_string_to_metric_families


class Pods:
    """The pods of one namespace."""

    def __init__(self, through: list[str], namespace: str) -> None:
        self._kubectl = [*through, "kubectl"]
        self._namespace = namespace

    def usage(self) -> dict[str, tuple[float, float]]:
        """Processor milliseconds since its start, and resident megabytes, of each pod."""
        found = {}
        for node in json.loads(self._get("nodes", "-o", "json"))["items"]:
            summary = json.loads(self._get("--raw", f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"))
            for pod in summary["pods"]:
                if pod["podRef"]["namespace"] == self._namespace and "cpu" in pod and "memory" in pod:
                    cpu, memory = pod["cpu"]["usageCoreNanoSeconds"] / 1e6, pod["memory"]["rssBytes"] / 1e6
                    found[pod["podRef"]["name"]] = (cpu, memory)
        return found

    def answers(self) -> float:
        """Answers that the gateways have given."""
        gateways = self._get("pods", "-n", self._namespace, "-l", "app.kubernetes.io/component=gateway", "-o", "name")
        base = f"/api/v1/namespaces/{self._namespace}/pods"
        given = 0.0
        for name in gateways.split():
            text = self._get("--raw", f"{base}/{name.removeprefix('pod/')}:8000/proxy/metrics")
            for family in text_string_to_metric_families(text):
                given += sum(sample.value for sample in family.samples if sample.name == "watchnext_answers_total")
        return given

    def _get(self, *arguments: str) -> str:
        return subprocess.run([*self._kubectl, "get", *arguments], capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", default="rec")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--through", default="", help="a command before kubectl")
    options = parser.parse_args()
    pods = Pods(shlex.split(options.through), options.namespace)
    before, answers = pods.usage(), pods.answers()
    time.sleep(options.seconds)
    after, given = pods.usage(), pods.answers() - answers
    print(f"{given:.0f} answers in {options.seconds:.0f} s")
    print(f"{'pod':50s} {'ms/s':>8s} {'ms/answer':>10s} {'MB':>7s}")
    for pod in sorted(before.keys() & after.keys()):
        used = after[pod][0] - before[pod][0]
        each = f"{used / given:10.2f}" if given else f"{'-':>10s}"
        print(f"{pod:50s} {used / options.seconds:8.1f} {each} {after[pod][1]:7.0f}")


if __name__ == "__main__":
    main()
