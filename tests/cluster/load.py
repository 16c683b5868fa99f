"""Runs in a pod: asks a gateway at a steady rate until told to stop, and prints a line of JSON for each answer.

    python3.11 - URL PER_SECOND STOP_FILE

A request that meets a closing connection is sent once more, as an application's client does.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx

URL, PER_SECOND, STOP = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])


async def ask(client: httpx.AsyncClient, number: int) -> None:
    """One request, told of."""
    began, error, status, answer = time.time(), "", 0, {}
    for _ in range(2):
        try:
            response = await client.post(URL, json={"user_id": f"user-{number % 50}", "k": 5})
            error, status = "", response.status_code
            answer = response.json() if status == 200 else {}
            break
        except httpx.TransportError as failure:
            error = repr(failure)
    result = {
        "at": began,
        "seconds": time.time() - began,
        "status": status,
        "error": error,
        "generation": answer.get("generation", ""),
        "degraded": answer.get("degraded", []),
        "items": len(answer.get("items", [])),
    }
    print(json.dumps(result), flush=True)


async def main() -> None:
    """An open loop: the next request does not wait for the last answer."""
    async with httpx.AsyncClient(timeout=10) as client:
        running, number, begin = set(), 0, time.monotonic()
        while not STOP.exists():
            task = asyncio.create_task(ask(client, number))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
            await asyncio.sleep(max(0.0, begin + number / PER_SECOND - time.monotonic()))
        await asyncio.gather(*running)


asyncio.run(main())
