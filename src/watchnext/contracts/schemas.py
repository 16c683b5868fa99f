"""JSON Schemas of the events: `python -m watchnext.contracts.schemas docs/schemas` (`make schemas`).

One file a topic, `docs/schemas/TOPIC.json`; a test holds them equal to the structs in `contracts.events`.
"""

import json
import sys
from pathlib import Path

from watchnext.contracts.events import json_schema
from watchnext.contracts.names import Topic


def schema_text(topic: Topic) -> str:
    """The schema file of a topic."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "written by `make schemas` from watchnext.contracts.events",
        **json_schema(topic),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Writes the schemas of all topics into `folder`; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for topic in Topic:
        files.append(folder / f"{topic.value}.json")
        files[-1].write_text(schema_text(topic))
    return files


if __name__ == "__main__":
    for file in write_schemas(Path(sys.argv[1])):
        print(file)
