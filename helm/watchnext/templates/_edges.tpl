{{/*
Who may call whom on which port, 0 for all; all else is denied. `clients`, `monitoring`, `keda` and `external` are peers of the values,
`steps` the pods of Kubeflow Pipelines in this namespace.
TorchServe's management (8086) and its gRPC, Milvus's own management (9091) and Kafka's controller (9093) are in no edge.
*/}}
{{- define "watchnext.edges" -}}
{{- $edges := list
  (list "clients" "gateway" 8000) (list "clients" "gateway" 9000) (list "clients" "graph" 8080)
  (list "gateway" "graph" 8080)
  (list "graph" "retrieval" 8080) (list "graph" "ranking" 8080)
  (list "ranking" "ranker" 8080)
  (list "test" "gateway" 8000) (list "test" "gateway" 9000) (list "test" "graph" 8080)
-}}
{{- if .Values.monitoring.enabled -}}
{{- $edges = concat $edges (list (list "monitoring" "gateway" 8000) (list "monitoring" "materializer" 9090) (list "monitoring" "retrieval" 8080) (list "monitoring" "ranking" 8080) (list "monitoring" "ranker" 9090) (list "monitoring" "ranker" 8087)) -}}
{{- end -}}
{{- $features := dig "features" (dict) .Values.config -}}
{{- $away := or (regexMatch "^(postgresql|mysql)" (dig "registry" "" $features)) (hasPrefix "bigquery:" (dig "offline" "" $features)) -}}
{{- range .Values.extraEnv -}}{{- /* a URL with a password comes by a Secret */ -}}
{{- $away = or $away (eq .name "WATCHNEXT_FEATURES__REGISTRY") -}}
{{- end -}}
{{- $stores := dict
  "kafka" (dict "port" 9092 "users" (list "gateway" "materializer" "train" "test"))
  "valkey" (dict "port" 6379 "users" (list "materializer" "retrieval" "definitions" "train" "test"))
  "milvus" (dict "port" 19530 "users" (list "retrieval" "train" "test"))
-}}
{{- $leaving := list -}}
{{- range $store := list "kafka" "valkey" "milvus" -}}
{{- $of := get $stores $store -}}
{{- if (get $.Values $store).enabled -}}
{{- range $user := $of.users -}}{{- $edges = append $edges (list $user $store $of.port) -}}{{- end -}}
{{- else -}}
{{- $leaving = concat $leaving $of.users -}}
{{- end -}}
{{- end -}}
{{- if .Values.generations.url -}}{{- $leaving = concat $leaving (list "gateway" "retrieval" "ranker" "train" "test") -}}{{- end -}}
{{- if $away -}}{{- $leaving = concat $leaving (list "materializer" "definitions" "train") -}}{{- end -}}
{{- if eq .Values.training.engine "kubeflow" -}}{{- $leaving = append $leaving "train" -}}{{- end -}}
{{- if dig "ops" "otlp_endpoint" "" .Values.config -}}{{- $leaving = concat $leaving (list "gateway" "retrieval" "ranking") -}}{{- end -}}
{{- if and .Values.milvus.enabled (eq .Values.training.engine "kubeflow") -}}
{{- $edges = append $edges (list "steps" "milvus" 19530) -}}
{{- end -}}
{{- if gt (int .Values.training.nodes) 1 -}}{{- /* each listens where it likes */ -}}
{{- $edges = append $edges (list "train" "train" 0) -}}
{{- end -}}
{{- if and .Values.kafka.enabled .Values.materializer.autoscaling.enabled (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") -}}
{{- $edges = append $edges (list "keda" "kafka" 9092) -}}
{{- end -}}
{{- range $user := uniq $leaving -}}
{{- $edges = append $edges (list $user "external" 0) -}}
{{- end -}}
{{- dict "edges" $edges | toJson -}}
{{- end -}}

{{/* What lets an edge's caller in. Call with (list $ edge). */}}
{{- define "watchnext.ingressRule" -}}
{{- $root := index . 0 -}}
{{- $from := index . 1 0 -}}
{{- $port := int (index . 1 2) -}}
ports: [{ {{- if $port }}port: {{ $port }}, {{ end }}protocol: TCP}]
{{- if eq $from "clients" }}
{{- with $root.Values.networkPolicy.clients }}
from:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else if eq $from "monitoring" }}
from:
  {{- toYaml (default (list (dict "namespaceSelector" (dict))) $root.Values.networkPolicy.monitoring) | nindent 2 }}
{{- else if eq $from "keda" }}
from:
  {{- toYaml $root.Values.networkPolicy.keda | nindent 2 }}
{{- else if eq $from "steps" }}
from:
  - podSelector:
      matchLabels: {pipelines.kubeflow.org/v2_component: "true"}
{{- else }}
from:
  - podSelector:
      matchLabels:
        {{- include "watchnext.podsOf" (list $root $from) | nindent 8 }}
{{- end }}
{{- end -}}

{{/* What lets the caller out. Call with (list $ edge). */}}
{{- define "watchnext.egressRule" -}}
{{- $root := index . 0 -}}
{{- $to := index . 1 1 -}}
{{- if eq $to "external" -}}
to:
  {{- toYaml $root.Values.networkPolicy.external | nindent 2 }}
{{- else -}}
{{- $port := int (index . 1 2) -}}
ports: [{ {{- if $port }}port: {{ $port }}, {{ end }}protocol: TCP}]
to:
  - podSelector:
      matchLabels:
        {{- include "watchnext.podsOf" (list $root $to) | nindent 8 }}
{{- end }}
{{- end -}}
