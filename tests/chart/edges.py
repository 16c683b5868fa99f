"""Who can reach whom by the NetworkPolicies of a chart, each port asked of the caller and of the callee.

A side without a policy allows all. Blocks of addresses hold what is outside the cluster, as the API has it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.chart.pods import Pod
from tests.chart.rendering import NAMESPACE, Document, of_kind

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Peer:
    """One end of a connection: a kind of pod, or an address outside the cluster."""

    name: str
    namespace: str = ""
    labels: Labels = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    namespace_labels: Labels = field(default_factory=dict)
    address: str = ""  # of what is no pod


def peers_of(pods: Iterable[Pod]) -> list[Peer]:
    """Each component once; all pods of a component are alike in labels that policies read, and are asked for it."""
    peers: dict[str, Peer] = {}
    for pod in pods:
        peer = peers.setdefault(pod.component, Peer(pod.component, NAMESPACE, pod.labels, pod.ports))
        assert peer.ports == pod.ports, f"pods of {pod.component} have different ports"
    return list(peers.values())


def edges(documents: Sequence[Document], peers: Sequence[Peer], ports: Iterable[int]) -> set[tuple[str, str, int]]:
    """Caller, callee and port of every connection that the policies allow."""
    policies = of_kind(documents, "NetworkPolicy")
    return {
        (caller.name, callee.name, port)
        for caller in peers
        for callee in peers
        for port in ports
        if caller != callee
        and _allowed(policies, "Egress", caller, callee, port, callee)
        and _allowed(policies, "Ingress", callee, caller, port, callee)
    }


def _allowed(policies: Sequence[Document], way: str, pod: Peer, other: Peer, port: int, callee: Peer) -> bool:
    mine = [policy["spec"] for policy in policies if _selects_pod(policy, pod) and way in policy["spec"]["policyTypes"]]
    if not mine:
        return True
    key = "from" if way == "Ingress" else "to"
    rules = [rule for spec in mine for rule in spec.get(way.lower()) or ()]
    return any(_holds(rule.get(key), other) and _has_port(rule.get("ports"), port, callee) for rule in rules)


def _selects_pod(policy: Document, pod: Peer) -> bool:
    return pod.namespace == NAMESPACE and matches(policy["spec"]["podSelector"], pod.labels)


def _holds(selectors: Sequence[Mapping[str, Any]] | None, peer: Peer) -> bool:
    """Is `peer` among the selected? No selectors select all."""
    return not selectors or any(_is_selected(selector, peer) for selector in selectors)


def _is_selected(selector: Mapping[str, Any], peer: Peer) -> bool:
    if block := selector.get("ipBlock"):
        return (
            bool(peer.address)
            and ip_address(peer.address) in ip_network(block["cidr"])
            and not any(ip_address(peer.address) in ip_network(left_out) for left_out in block.get("except", ()))
        )
    if peer.address or not matches(selector.get("podSelector") or {}, peer.labels):
        return False
    if "namespaceSelector" not in selector:
        return peer.namespace == NAMESPACE
    return matches(selector["namespaceSelector"], peer.namespace_labels)


def _has_port(ports: Sequence[Mapping[str, Any]] | None, port: int, callee: Peer) -> bool:
    if not ports:
        return True
    tcp = [one for one in ports if one.get("protocol", "TCP") == "TCP"]
    return any(
        "port" not in one
        or callee.ports.get(one["port"], one["port"]) == port
        or (isinstance(one["port"], int) and one["port"] <= port <= one.get("endPort", one["port"]))
        for one in tcp
    )


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Does a label selector select these labels? An empty one selects all."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _meets(requirement, labels) for requirement in selector.get("matchExpressions") or ()
    )


def _meets(requirement: Mapping[str, Any], labels: Labels) -> bool:
    value = labels.get(requirement["key"])
    match requirement["operator"]:
        case "In":
            return value in requirement["values"]
        case "NotIn":
            return value not in requirement["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise ValueError(f"{other} is no operator of label selectors")
