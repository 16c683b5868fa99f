"""`features` and `models` travel inside TorchServe's archive, where only Python, numpy and torch are."""

import ast
import sys
from pathlib import Path

import pytest

import watchnext

ROOMS = ("watchnext.features", "watchnext.models")
PACKAGE = Path(watchnext.__file__).parent
FILES = [file for room in ROOMS for file in sorted((PACKAGE / room.split(".")[1]).rglob("*.py"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_file_of_the_archive_imports_what_is_there(file: Path):
    tree = ast.walk(ast.parse(file.read_text()))
    imported = [
        name
        for node in tree
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    allowed = sys.stdlib_module_names | {"numpy", "torch"}
    wrong = [name for name in imported if name.split(".")[0] not in allowed and not name.startswith(ROOMS)]
    assert not wrong
