{{/*
The settings file of every process: where the chart put things, and `.Values.config` on top. Secrets are never in it:
they come as environment (`watchnext.secretEnv`).
*/}}
{{- define "watchnext.config" -}}
{{- $kafka := dict "bootstrap" (printf "%s:9092" (include "watchnext.host" (list . "kafka"))) -}}
{{- if not .Values.kafka.enabled -}}
{{- $kafka = dict "bootstrap" .Values.externalKafka.bootstrap "security_protocol" .Values.externalKafka.securityProtocol "sasl_mechanism" .Values.externalKafka.saslMechanism -}}
{{- if .Values.externalKafka.caSecret -}}{{- $_ := set $kafka "ssl_cafile" "/etc/watchnext-kafka/ca.crt" -}}{{- end -}}
{{- else if eq .Values.kafka.mode "strimzi" -}}
{{- $kafka = dict "bootstrap" (printf "%s:9092" (include "watchnext.host" (list . "kafka-kafka-bootstrap"))) -}}
{{- end -}}
{{- $online := printf "%s:6379" (include "watchnext.host" (list . "valkey")) -}}
{{- if not .Values.valkey.enabled -}}
{{- $online = printf "%s%s" .Values.externalRedis.hosts (ternary ",ssl=true" "" .Values.externalRedis.tls) -}}
{{- end -}}
{{- $uri := printf "http://%s:19530" (include "watchnext.host" (list . "milvus")) -}}
{{- if not .Values.milvus.enabled -}}{{- $uri = .Values.externalMilvus.uri -}}{{- end -}}
{{- $generations := dict "url" (default "/var/lib/watchnext/generations" .Values.generations.url) -}}
{{- range $key := list "endpoint" "region" -}}
{{- with get $.Values.generations $key -}}{{- $_ := set $generations $key . -}}{{- end -}}
{{- end -}}
{{- $base := dict
  "kafka" $kafka
  "features" (dict "online" $online "registry" "/var/lib/watchnext/feast/registry.db" "archive" "/var/lib/watchnext/archive" "offline" "/var/lib/watchnext/offline")
  "milvus" (dict "uri" $uri)
  "generations" $generations
  "serving" (dict "host" "0.0.0.0" "retrieval_port" 8080 "ranking_port" 8080 "ranker_url" (printf "http://%s" (include "watchnext.host" (list . "ranking-predictor"))))
  "torchserve" (dict "host" "0.0.0.0" "inference_port" 8080 "management_port" 8086 "metrics_port" 8087 "grpc_port" 8088 "grpc_management_port" 8089 "model_store" "/tmp/model-store")
  "gateway" (dict "host" "0.0.0.0" "rest_port" 8000 "grpc_port" 9000 "graph_url" (printf "http://%s" (include "watchnext.host" (list . "graph"))))
  "ops" (dict "host" "0.0.0.0" "worker_port" 9090 "follower_port" 9090)
-}}
{{- mergeOverwrite $base (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{/* Setting of the merged tree with the product's default. Call with (list $ "kafka" "partitions" 4). */}}
{{- define "watchnext.setting" -}}
{{- $section := default (dict) (get (include "watchnext.config" (index . 0) | fromYaml) (index . 1)) -}}
{{- $value := index . 3 -}}
{{- if hasKey $section (index . 2) -}}{{- $value = get $section (index . 2) -}}{{- end -}}
{{- if kindIs "float64" $value -}}{{- int64 $value -}}{{- else -}}{{- $value -}}{{- end -}}{{- /* not 1e+06 */ -}}
{{- end -}}

{{/* What every process is told by environment: where its settings are, and the user's own. */}}
{{- define "watchnext.env" -}}
- {name: WATCHNEXT_CONFIG, value: /etc/watchnext/config.yaml}
- {name: HOME, value: /tmp}
- {name: MPLCONFIGDIR, value: /tmp}
{{- range list "OMP_NUM_THREADS" "MKL_NUM_THREADS" "OPENBLAS_NUM_THREADS" "NUMEXPR_NUM_THREADS" }}
- {name: {{ . }}, value: "1"}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The secrets of brought stores, by reference: of those that a process opens. Call with (list $ "kafka" "online"
"generations" "milvus"), or fewer.
*/}}
{{- define "watchnext.secretEnv" -}}
{{- $stores := rest . -}}
{{- with index . 0 }}
{{- if and (has "kafka" $stores) (not .Values.kafka.enabled) .Values.externalKafka.existingSecret }}
- {name: WATCHNEXT_KAFKA__SASL_USERNAME, valueFrom: {secretKeyRef: {name: {{ .Values.externalKafka.existingSecret | quote }}, key: username}}}
- {name: WATCHNEXT_KAFKA__SASL_PASSWORD, valueFrom: {secretKeyRef: {name: {{ .Values.externalKafka.existingSecret | quote }}, key: password}}}
{{- end }}
{{- if and (has "online" $stores) (not .Values.valkey.enabled) .Values.externalRedis.existingSecret }}
- {name: WATCHNEXT_FEATURES__ONLINE_PASSWORD, valueFrom: {secretKeyRef: {name: {{ .Values.externalRedis.existingSecret | quote }}, key: password}}}
{{- end }}
{{- if and (has "generations" $stores) .Values.generations.existingSecret }}
{{- $secret := .Values.generations.existingSecret }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- {name: {{ $key }}, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ $key }}}}}
{{- end }}
{{- end }}
{{- if and (has "milvus" $stores) (not .Values.milvus.enabled) .Values.externalMilvus.existingSecret }}
- {name: WATCHNEXT_MILVUS__TOKEN, valueFrom: {secretKeyRef: {name: {{ .Values.externalMilvus.existingSecret | quote }}, key: token}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "watchnext.envFrom" -}}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The topics and how each is cleaned; `tests/chart/test_contracts.py` holds it to `contracts.names`. */}}
{{- define "watchnext.topics" -}}
watch-events: delete
search-events: delete
served-events: delete
impression-events: delete
video-catalog: compact
user-profiles: compact
dead-letters: delete
video-deltas: delete
{{- end -}}

{{/* The gateway's API keys: for the gateway, and for the test pods that call it. */}}
{{- define "watchnext.apiKeys" -}}
{{- with .Values.gateway.apiKeysSecret -}}
{{- if .name -}}
- {name: WATCHNEXT_GATEWAY__API_KEYS, valueFrom: {secretKeyRef: {name: {{ .name | quote }}, key: {{ .key | quote }}}}}
{{- else -}}
[]
{{- end -}}
{{- end -}}
{{- end -}}
