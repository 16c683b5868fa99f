#!/bin/sh
# The packages of requirements.lock in /opt/watchnext/site-packages, hashes checked, with bytecode.
set -eu
export PYC_INVALIDATION_MODE=unchecked-hash
/opt/tools/bin/uv pip install --quiet --python /usr/bin/python3.11 --require-hashes --only-binary :all: --compile-bytecode \
  --link-mode copy --requirement /context/requirements.lock --target /opt/watchnext/site-packages
