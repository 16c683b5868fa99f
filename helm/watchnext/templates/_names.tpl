{{/* Names, labels, images. */}}

{{- define "watchnext.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 37 | trimSuffix "-" -}}
{{- end -}}

{{- define "watchnext.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 37 | trimSuffix "-" -}}
{{- else if contains (include "watchnext.name" .) .Release.Name -}}
{{- .Release.Name | trunc 37 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "watchnext.name" .) | trunc 37 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
Labels of every object of one component. Call with (list $ "gateway"), and labels of its own behind, which go before
commonLabels: no key stands twice.
*/}}
{{- define "watchnext.labels" -}}
{{- $root := index . 0 -}}
{{- $more := dict -}}
{{- if gt (len .) 2 -}}{{- $more = index . 2 -}}{{- end -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{ include "watchnext.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: watchnext
{{- with merge (dict) $more $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What selects the pods of one component. Call with (list $ "gateway"). */}}
{{- define "watchnext.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "watchnext.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Metadata of an object of one component. Call with (list $ "gateway" "suffix"), and labels of its own behind. */}}
{{- define "watchnext.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "watchnext.fullname" $root }}-{{ index . 2 }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "watchnext.labels" (concat (list $root (index . 1)) (slice . 3)) | nindent 2 }}
{{- end -}}

{{/* Metadata of the pods of one component; a changed configuration rolls them. Call with (list $ "gateway"). */}}
{{- define "watchnext.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "watchnext.labels" . | nindent 2 }}
annotations:
  checksum/config: {{ include "watchnext.config" $root | sha256sum }}
{{- end -}}

{{/* Our image of a target. Call with (list $ "serving"). */}}
{{- define "watchnext.image" -}}
{{- $image := (index . 0).Values.image -}}
{{- printf "%s/%s:%s" $image.repository (index . 1) (default (index . 0).Chart.AppVersion $image.tag) -}}
{{- end -}}

{{- define "watchnext.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "watchnext.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "watchnext.stateClaim" -}}
{{- default (printf "%s-state" (include "watchnext.fullname" .)) .Values.state.existingClaim -}}
{{- end -}}

{{/* Host of a Service of the release inside the cluster. Call with (list $ "kafka"). */}}
{{- define "watchnext.host" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s.%s.svc" (include "watchnext.fullname" $root) (index . 1) $root.Release.Namespace -}}
{{- end -}}
