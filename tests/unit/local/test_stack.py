import errno
import os
import socket
from unittest.mock import Mock

import psutil
import pytest

from watchnext.errors import ConfigError, ServerError
from watchnext.local.ports import check_distinct, check_ports, port_holder
from watchnext.local.stack import local_servers, loopback_port
from watchnext.settings import load_settings


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("127.0.0.1:19092", 19092),
        ("localhost:9092", 9092),
        ("http://127.0.0.1:19530", 19530),
        ("127.0.0.1:16379,password=x", 16379),
    ],
)
def test_the_port_of_a_loopback_address(address: str, port: int):
    assert loopback_port(address, "kafka.bootstrap") == port


@pytest.mark.parametrize("address", ["kafka.example:9092", "10.0.0.1:9092", "127.0.0.1", "http://milvus:19530", ""])
def test_another_machine_is_not_started(address: str):
    with pytest.raises(ConfigError, match=r"kafka\.bootstrap = .* --only"):
        loopback_port(address, "kafka.bootstrap")


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:0", "localhost:abc", "[::1"])
def test_what_is_no_address_is_said_in_a_sentence(address: str):
    with pytest.raises(ConfigError, match=r"kafka\.bootstrap = .* is no address .* wanted HOST:PORT"):
        loopback_port(address, "kafka.bootstrap")


def test_a_port_that_only_root_may_have_is_told_with_its_setting(monkeypatch: pytest.MonkeyPatch):
    """`up` and `doctor` ended in "Permission denied", of no port."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (gateway,) = local_servers(load_settings(gateway={"rest_port": 443}), ["gateway"])
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(psutil, "net_connections", lambda _: [])

    with pytest.raises(ServerError, match=r"^gateway needs port 443, which root alone holds: set gateway\.rest_port"):
        check_ports(gateway)


def test_a_holder_that_ends_while_it_is_looked_at_is_no_error(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        assert port_holder(port).startswith(f"process {os.getpid()} ")

        monkeypatch.setattr(psutil, "Process", Mock(side_effect=psutil.NoSuchProcess(1)))
        assert port_holder(port) == "a process of another user"


def test_the_password_of_another_machine_is_not_told():
    with pytest.raises(ConfigError, match=r"password=\*\*\*") as refused:
        loopback_port("redis.example:6379,password=hush", "features.online")
    assert "hush" not in str(refused.value)


def test_a_server_comes_after_those_it_needs():
    names = [server.name for server in local_servers(load_settings())]

    for server in local_servers(load_settings()):
        assert all(names.index(needed) < names.index(server.name) for needed in server.after)


def test_no_two_servers_share_a_port():
    ports = [port.number for server in local_servers(load_settings()) for port in server.ports]

    assert len(set(ports)) == len(ports)


def test_a_worker_beyond_the_last_port_is_told():
    """`up` and `doctor` ended in an OverflowError of `bind`."""
    assert local_servers(load_settings(ops={"worker_port": 65_534}), ["worker-2"])[0].ports[0].number == 65_535

    with pytest.raises(ConfigError, match=r"ops\.worker_port = 65535: worker-2 would listen on 65536, the last port"):
        local_servers(load_settings(ops={"worker_port": 65_535}))


def test_a_ninth_worker_on_the_followers_port_is_told_before_anything_starts():
    with pytest.raises(ConfigError, match=r"port 18099 is that of worker-9 \(ops\.worker_port\) and of follower"):
        check_distinct(local_servers(load_settings(local={"workers": 9})))
    check_distinct(local_servers(load_settings(local={"workers": 9}, ops={"follower_port": 18200})))


def test_there_are_as_many_workers_as_set():
    names = [server.name for server in local_servers(load_settings(local={"workers": 3}))]

    assert [name for name in names if name.startswith("worker")] == ["worker-1", "worker-2", "worker-3"]


def test_only_keeps_the_starting_order():
    assert [server.name for server in local_servers(load_settings(), ["milvus", "kafka"])] == ["kafka", "milvus"]


def test_an_unknown_server_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="no server is called redis; there are kafka, valkey"):
        local_servers(load_settings(), ["redis"])


def test_a_remote_broker_matters_only_where_it_would_be_started():
    settings = load_settings(kafka={"bootstrap": "kafka.example:9092"})

    assert [server.name for server in local_servers(settings, ["valkey"])] == ["valkey"]
    with pytest.raises(ConfigError):
        local_servers(settings, ["kafka"])
    assert "kafka" not in {server.name for server in local_servers(settings, skip_remote=True)}
