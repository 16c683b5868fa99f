#!/bin/sh
# Kafka's jars in /opt/kafka/libs, as Maven resolves them, checksums verified. They stay in the build's cache under the
# name that `make setup` gives them (src/watchnext/local/cache.py): Maven is installed only where they are not there.
set -eu
pom=/context/pom.xml
cached=$HOME/.cache/watchnext/kafka-$(sha256sum "$pom" | cut -c -12)
if [ ! -d "$cached" ]; then
  sh "$(dirname "$0")/apt.sh" maven
  mvn --batch-mode --quiet --strict-checksums --file "$pom" -Dmaven.repo.local=/tmp/maven \
    dependency:copy-dependencies "-DoutputDirectory=$cached.new"
  mv "$cached.new" "$cached"
fi
mkdir -p /opt/kafka/libs
cp "$cached"/*.jar /opt/kafka/libs/
