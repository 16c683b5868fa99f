#!/bin/sh
# kafka-storage.sh format -t ID -c FILE [--ignore-formatted]: as in Kafka's own distribution.
# shellcheck disable=SC2086 # options are words
exec java ${KAFKA_HEAP_OPTS:--Xmx128m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn ${KAFKA_OPTS:-} -cp '/opt/kafka/libs/*' kafka.tools.StorageTool "$@"
