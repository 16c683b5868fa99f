#!/bin/sh
# apt.sh PACKAGE...: installs Debian packages and leaves neither lists, archives nor logs behind.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends "$@" >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old
find /var/log /var/cache/ldconfig -type f -delete
