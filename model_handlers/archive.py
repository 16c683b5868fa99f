"""Write the TorchServe archive of one generation and overlay: pure code, ranker, quantiles, video table.

No pickle is inside: weights and tables are `features.codec` messages. The package's `features` and `models` rooms are
vendored whole, so the predictor's image needs Python, numpy and torch alone.
"""

import shutil
import tempfile
from pathlib import Path

from model_archiver import ModelArchiver
from model_archiver.model_archiver_config import ModelArchiverConfig

import watchnext
from watchnext.contracts.names import MODEL_RANKER, ranker_version
from watchnext.generation.bundle import Bundle
from watchnext.models.scorer import Scorer

VENDORED = ("features", "models")


def archive_name(generation: str, overlay: int) -> str:
    """File name of an archive, such as `ranker-0123456789abcdef.0.mar`."""
    return f"{MODEL_RANKER}-{ranker_version(generation, overlay)}.mar"


def build_archive(bundle: Bundle, store: Path) -> Path:
    """The archive of `bundle` in the model store `store`; one that is already there is kept.

    The file appears whole or not at all: it is written beside the store and renamed.
    """
    target = store / archive_name(bundle.id, bundle.overlay)
    if target.is_file():
        return target
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.parent, prefix="archive-") as folder:
        contents = Path(folder) / "contents"
        _vendor(contents / "watchnext")
        _scorer(bundle).save(contents)
        ModelArchiver.generate_model_archive(
            ModelArchiverConfig(
                model_name=target.stem,
                version=ranker_version(bundle.id, bundle.overlay),
                handler=str(Path(__file__).with_name("ranker_handler.py")),
                extra_files=str(contents),
                export_path=folder,
                force=True,
            )
        )
        (Path(folder) / target.name).replace(target)
    return target


def _scorer(bundle: Bundle) -> Scorer:
    return Scorer(bundle.ranker, bundle.quantiles, bundle.videos, generation=bundle.id, overlay=bundle.overlay)


def _vendor(package: Path) -> None:
    source = Path(watchnext.__file__).parent
    package.mkdir(parents=True)
    shutil.copy(source / "__init__.py", package)
    for room in VENDORED:
        shutil.copytree(source / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
