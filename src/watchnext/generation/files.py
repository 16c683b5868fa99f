"""Files under one fsspec URL (folder, PVC, S3): whole writes only, so that a reader never sees half a file.

>>> files = Files("memory://doc")
>>> files.write("a/b.json", b"{}")
>>> files.read("a/b.json"), files.folders("")
(b'{}', ['a'])
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from watchnext.errors import ConfigError, GenerationStoreError
from watchnext.generation import bucket

_TEMPORARY: Final = ".tmp"
_ABSENT_OR_TAKEN: Final = (FileNotFoundError, FileExistsError)


class Files:
    """Byte files by path relative to `url`; of a bucket, each method raises GenerationStoreError where it refuses."""

    def __init__(self, url: str, *, endpoint: str = "", region: str = ""):
        """Files under `url`; `endpoint` and `region` are of a bucket (`bucket.options`).

        Raises:
            ConfigError: fsspec knows no such URL, or not without another package, or cannot write there.
        """
        self.url = url
        if url.startswith(("http://", "https://")):
            raise ConfigError(
                f"setting generations.url = {url!r} cannot be written to: wanted a folder or s3://BUCKET/PREFIX; the "
                "address of a bucket's server is generations.endpoint"
            )
        self._in_bucket = url.startswith(("s3://", "s3a://"))
        options = bucket.options(endpoint, region) if self._in_bucket else {}
        # No cache of listings: other processes write, and each look must see it.
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"setting generations.url = {url!r} cannot be opened ({error}): wanted a folder or s3://BUCKET/PREFIX"
            ) from error

    def read(self, path: str) -> bytes:
        """All bytes of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        return bytes(self._ask(self._fs.cat_file, self._at(path)))

    def write(self, path: str, data: bytes) -> None:
        """Replace a file atomically: on a folder by renaming a finished one, on an object store by a single put."""
        target = self._at(path)
        if not isinstance(self._fs, LocalFileSystem):
            self._ask(self._fs.pipe_file, target, data)
            return
        os.replace(_finished(target, data), target)

    def create(self, path: str, data: bytes) -> bool:
        """Write a file only where there is none; false where there is one (the store decides between two writers)."""
        target = self._at(path)
        try:
            if not isinstance(self._fs, LocalFileSystem):
                self._ask(self._fs.pipe_file, target, data, mode="create")
                return True
            temporary = _finished(target, data)
            try:
                os.link(temporary, target)
            finally:
                os.remove(temporary)
        except FileExistsError:
            return False
        return True

    def delete(self, path: str) -> None:
        """Remove a file; no error where there is none."""
        try:
            self._ask(self._fs.rm_file, self._at(path))
        except FileNotFoundError:
            return

    def delete_folder(self, path: str) -> None:
        """Remove all files under a folder; no error where there are none."""
        try:
            self._ask(self._fs.rm, self._at(path), recursive=True)
        except FileNotFoundError:
            return

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            self._ask(self._fs.info, self._at(path))  # not `exists`, to which a bucket that refuses is an absent file
        except FileNotFoundError:
            return False
        return True

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder, sorted; none where it does not exist."""
        return self._names(path, "directory")

    def names(self, path: str) -> list[str]:
        """Names of the finished files in a folder, sorted; none where it does not exist."""
        return [name for name in self._names(path, "file") if not name.endswith(_TEMPORARY)]

    def _names(self, path: str, kind: str) -> list[str]:
        try:
            entries = self._ask(self._fs.ls, self._at(path), detail=True)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == kind)

    def _ask(self, method: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """What a method of the file system answers, refusals as errors of ours."""
        try:
            return method(*given, **options)
        except Exception as error:
            if not self._in_bucket and isinstance(error, OSError) and not isinstance(error, _ABSENT_OR_TAKEN):
                raise GenerationStoreError(f"{self.url}: {error}: is generations.url a folder that is ours?") from error
            if not self._in_bucket or not bucket.came_of_asking(error):
                raise
            if bucket.is_taken(error):
                raise FileExistsError(str(error)) from error
            if reason := bucket.refusal(error):
                raise GenerationStoreError(f"{self.url}: {reason}") from error
            raise

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")


def _finished(target: str, data: bytes) -> str:
    """A complete, synced temporary file beside `target`.

    Raises:
        GenerationStoreError: the disk is full, or not ours to write.
    """
    temporary = f"{target}.{secrets.token_hex(4)}{_TEMPORARY}"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:  # on a full disk it would stay, and the next attempt's beside it
        with suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError):  # told without the temporary name, which would make each attempt another failure
            raise GenerationStoreError(
                f"{target} cannot be written ({error.strerror}): is there room, and is generations.url ours to write?"
            ) from error
        raise
    return temporary
