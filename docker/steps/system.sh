#!/bin/sh
# Debian without documents (licences stay), Python 3.11 with the libraries that its packages want, and our user.
set -eu
cat >/etc/dpkg/dpkg.cfg.d/watchnext <<'RULES'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
RULES
find /usr/share/doc -mindepth 2 -not -name copyright -not -type d -delete
find /usr/share/info /usr/share/locale /usr/share/man -mindepth 1 -delete
mkdir -p /usr/share/man/man1 # Java's alternatives want it
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get upgrade -qq --no-install-recommends >/dev/null
sh "$(dirname "$0")/apt.sh" ca-certificates libgomp1 libstdc++6 python3.11
# Bytecode that is not bound to file times: an image's builder may set these anew.
python3.11 -m compileall -qq -f -x '/(test|tests|lib2to3)/' --invalidation-mode unchecked-hash /usr/lib/python3.11
groupadd --gid 10001 watchnext
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/watchnext --shell /usr/sbin/nologin watchnext
install -d -o 10001 -g 10001 /var/lib/watchnext
rm -f /etc/*- # the account files as they were before
find / -xdev -type f -perm /6000 -exec chmod ug-s {} + # no program of ours gains rights
