"""TorchServe's entry to the ranker: one class, since TorchServe takes a handler module's only class.

`/predictions/ranker/{version}` takes and gives the binary messages of `watchnext.features.codec`; the work is
`watchnext.models.scorer.Scorer`, which travels inside the archive.
"""

import gc
import logging
from pathlib import Path
from typing import Any


class RankerHandler:
    """Scores all candidates of one request at once; the candidates are the batch, so `batchSize` is 1."""

    def initialize(self, context: Any) -> None:
        """Load the archive's generation and score once, so that the first request finds all code warm."""
        from watchnext.models.scorer import Scorer

        self.scorer = Scorer.load(Path(context.system_properties["model_dir"]))
        self.scorer.warm_up()
        # Else two lines a request, which the frontend parses: that it came, and a time that the frontend's own hold.
        logging.getLogger().setLevel(logging.WARNING)
        gc.collect()
        gc.freeze()  # a full collection looks through all of torch, and the request waits

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """One packed answer a request; a body that cannot be read gives that request alone a 400."""
        answers = []
        for index, request in enumerate(data):
            try:
                answers.append(self.scorer.answer(request.get("body") or request.get("data") or b""))
            except ValueError as error:
                context.set_response_status(code=400, idx=index)
                answers.append(str(error).encode())
        return answers
