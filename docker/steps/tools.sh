#!/bin/sh
# What the build itself needs, in /opt/tools: uv and CycloneDX, hashes checked. Nothing of it reaches an image.
set -eu
sh "$(dirname "$0")/apt.sh" python3-pip
python3.11 -m pip install --quiet --no-cache-dir --require-hashes --target /opt/tools --requirement /context/tools.lock
