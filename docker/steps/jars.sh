#!/bin/sh
# Kafka's jars in /opt/kafka/libs, as Maven resolves them, each with the hash of jars.lock. They stay in the build's
# cache under the name that `make setup` gives them (src/watchnext/local/cache.py): Maven is installed only where they
# are not there.
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
cd /opt/kafka/libs
cp "$cached"/*.jar .
awk -F '[ :]' '!/^#/ {print $1 "  " $3 "-" $4 ".jar"}' /context/jars.lock >/tmp/sums
sha256sum --check --quiet --strict /tmp/sums
[ "$(ls | wc -l)" = "$(wc -l </tmp/sums)" ] || {
  echo "jars.sh: $(ls | wc -l) jars came, jars.lock names $(wc -l </tmp/sums): run docker/lock_jars.py" >&2
  exit 1
}
rm /tmp/sums
