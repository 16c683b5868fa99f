"""A contender that counts, for the tests of workers."""

import sys

from benchmarks.training.worker import serve


class Counting:
    def __init__(self, videos: int) -> None:
        self.videos, self.steps = videos, 0

    def train(self, steps: int) -> None:
        print("what a library says is no answer")
        self.steps += steps
        sum(range(100_000))  # some of the processor's time

    def recall(self) -> float:
        return self.steps / self.videos

    def bytes_an_id(self) -> float:
        raise ValueError("no id here")


if __name__ == "__main__":
    serve(Counting(int(sys.argv[1])))
