"""Write the TorchServe archive of one generation and overlay: pure code, ranker, quantiles, video table.

No pickle is inside: weights and tables are `features.codec` messages. The package's `features` and `models` rooms are
vendored whole, so the predictor's image needs Python, numpy and torch alone. The file's name tells its code, too: a
model store that outlives a release never serves that release's features again.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from model_archiver.model_archiver_config import ModelArchiverConfig
from model_archiver.model_packaging_utils import ModelExportUtils

import watchnext
from watchnext.contracts.names import MODEL_RANKER, ranker_version
from watchnext.generation.bundle import Bundle
from watchnext.models.scorer import Scorer

PACKAGE: Final = Path(watchnext.__file__).parent
VENDORED: Final = ("features", "models")
HANDLER: Final = Path(__file__).with_name("ranker_handler.py")
ARCHIVES: Final = f"{MODEL_RANKER}-*.mar"  # of any generation and code
UNFINISHED: Final = "archive-*"  # folders of builds; of a killed one it stays


def archive_name(generation: str, overlay: int) -> str:
    """File name of an archive with the code of now, such as `ranker-0123456789abcdef.0-89abcdef.mar`."""
    return f"{MODEL_RANKER}-{ranker_version(generation, overlay)}-{_code_hash()}.mar"


def build_archive(bundle: Bundle, store: Path) -> Path:
    """The archive of `bundle` in the model store `store`; one that is already there is kept.

    The file appears whole or not at all: it is written in a folder of its own (`UNFINISHED`) and renamed.
    """
    target = store / archive_name(bundle.id, bundle.overlay)
    if target.is_file():
        return target
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=UNFINISHED.rstrip("*")) as folder:
        contents = Path(folder) / "contents"
        _vendor(contents / "watchnext")
        _scorer(bundle).save(contents)
        shutil.copy(HANDLER, contents)
        config = ModelArchiverConfig(
            model_name=target.stem,
            version=ranker_version(bundle.id, bundle.overlay),
            handler=str(HANDLER),
        )
        # `ModelArchiver` itself would copy all to /tmp/<model_name> first, whoever else is building that there.
        manifest = ModelExportUtils.generate_manifest_json(config)
        ModelExportUtils.archive(folder, target.stem, str(contents), manifest)
        (Path(folder) / target.name).replace(target)
    return target


def _scorer(bundle: Bundle) -> Scorer:
    return Scorer(bundle.ranker, bundle.quantiles, bundle.videos, generation=bundle.id, overlay=bundle.overlay)


def _vendored() -> dict[str, Path]:
    """The package's files that travel, by their path in it."""
    files = [PACKAGE / "__init__.py", *(path for room in VENDORED for path in sorted((PACKAGE / room).rglob("*.py")))]
    return {path.relative_to(PACKAGE).as_posix(): path for path in files}


def _code_hash() -> str:
    digest = hashlib.sha256(HANDLER.read_bytes())
    for name, path in _vendored().items():
        digest.update(f"\0{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _vendor(package: Path) -> None:
    for name, path in _vendored().items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, package / name)
