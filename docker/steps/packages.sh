#!/bin/sh
# The packages of requirements.lock in /opt/watchnext/site-packages, hashes checked, with bytecode. The few that come as
# source are built with the setuptools that Debian's pip brought (tools.sh): an isolated build would fetch one unhashed.
set -eu
export PYC_INVALIDATION_MODE=UNCHECKED_HASH # not bound to file times: an image's builder may set these anew
/opt/tools/bin/uv pip install --quiet --python /usr/bin/python3.11 --require-hashes --no-build-isolation \
  --compile-bytecode --link-mode copy --requirement /context/requirements.lock --target /opt/watchnext/site-packages
