"""TorchServe's management API, as far as the follower needs it: register, look, unregister versions of the ranker."""

import time
from typing import Any, Final

import httpx

from watchnext.contracts.names import MODEL_RANKER
from watchnext.errors import RankerError

REGISTER_TIMEOUT_S: Final = 120.0


class Management:
    """The management port of one TorchServe, such as `http://127.0.0.1:18086`."""

    def __init__(self, url: str, *, workers: int) -> None:
        self._client = httpx.Client(base_url=url, timeout=10.0, trust_env=False)  # no proxy
        self._workers = workers

    def ready_versions(self) -> set[str]:
        """Versions with a worker READY. TorchServe's `/ping` is healthy without any.

        Raises:
            RankerError: TorchServe does not answer.
        """
        return {
            model["modelVersion"]
            for model in self._registered()
            if any(worker["status"] == "READY" for worker in model.get("workers", []))
        }

    def archives(self) -> dict[str, str]:
        """Every registered version, ready or not, and the archive that it came from.

        Raises:
            RankerError: TorchServe does not answer.
        """
        return {model["modelVersion"]: model["modelUrl"] for model in self._registered()}

    def register(self, version: str, archive: str) -> None:
        """Register an archive of the model store and wait until a worker serves it.

        Registration is asynchronous, since a synchronous one holds a request thread of TorchServe's.

        Raises:
            RankerError: TorchServe refused it, or no worker became ready in time; then it is unregistered.
        """
        answer = self._send(
            "POST",
            "/models",
            params={
                "url": archive,
                "model_name": MODEL_RANKER,
                "initial_workers": self._workers,
                "batch_size": 1,
                "synchronous": "false",
            },
        )
        if answer.status_code != httpx.codes.CONFLICT:  # registered already
            self._json(answer)
        deadline = time.monotonic() + REGISTER_TIMEOUT_S
        while version not in self.ready_versions():
            if time.monotonic() > deadline:
                self.unregister(version)  # TorchServe gives workers up after 5 minutes, until it is registered anew
                raise RankerError(f"TorchServe has no ready worker for {version} after {REGISTER_TIMEOUT_S:.0f} s")
            time.sleep(0.1)

    def unregister(self, version: str) -> None:
        """Forget a version; one that is not there is fine.

        Raises:
            RankerError: TorchServe refused.
        """
        others = self.archives().keys() - {version}
        if others:  # TorchServe does not let its default version go, which is the first that it got
            self._json(self._send("PUT", f"/models/{MODEL_RANKER}/{max(others)}/set-default"))
        answer = self._send("DELETE", f"/models/{MODEL_RANKER}/{version}")
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._json(answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _registered(self) -> list[dict[str, Any]]:
        answer = self._send("GET", f"/models/{MODEL_RANKER}/all")
        return [] if answer.status_code == httpx.codes.NOT_FOUND else list(self._json(answer))

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **kwargs)
        except httpx.HTTPError as error:
            raise RankerError(f"TorchServe's management port does not answer: {error!r}") from error

    def _json(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise RankerError(f"TorchServe refused {answer.request.method} {answer.request.url.path}: {answer.text}")
        return answer.json()
