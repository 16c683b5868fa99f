"""Run the handler of an unpacked archive as TorchServe does.

    python -I -S run_handler.py ARCHIVE PACKAGES ASKED ANSWERED

Without `site` the environment's .pth files stay unread, which would put this repository on the path: of our code only
the archive's can be imported. PACKAGES is where numpy and torch are. Prints the modules that were loaded.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

archive, packages, asked, answered = (Path(argument) for argument in sys.argv[1:])
sys.path = [str(archive), *sys.path[1:], str(packages)]

from ranker_handler import RankerHandler  # noqa: E402

handler = RankerHandler()
context = SimpleNamespace(system_properties={"model_dir": str(archive)})
handler.initialize(context)
for path in asked.iterdir():
    [answer] = handler.handle([{"body": bytearray(path.read_bytes())}], context)
    (answered / path.name).write_bytes(answer)
for name, module in sys.modules.items():
    print(name, getattr(module, "__file__", None))
