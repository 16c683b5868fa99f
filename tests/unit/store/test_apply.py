from pathlib import Path

import pytest

from watchnext.errors import StoreError
from watchnext.settings import Features, Settings
from watchnext.store.apply import apply


@pytest.mark.parametrize(
    "registry",
    ["sqlite:////nowhere/registry.db", "postgresql+nodriver://feast:hunter2@127.0.0.1/feast", "garbage.db"],
    ids=["no database", "no driver", "no registry"],
)
def test_a_registry_that_cannot_be_had_is_named(tmp_path: Path, registry: str) -> None:
    if registry == "garbage.db":
        registry = str(tmp_path / registry)
        Path(registry).write_bytes(b"\xff\xfe garbage")

    with pytest.raises(StoreError, match="the definitions cannot be registered in") as raised:
        apply(Settings(home=tmp_path, features=Features(registry=registry)))

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("folder", ["feast", "offline"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).write_text("a file")

    with pytest.raises(StoreError, match=rf"the definitions cannot be registered in .*{tmp_path / folder}"):
        apply(Settings(home=tmp_path))
