{{/* The stores that a pipeline opens, wherever it runs. */}}
{{- define "watchnext.trainingStores" -}}
[kafka, online, generations, milvus]
{{- end -}}

{{/* Where training runs, as JSON: the accelerator's nodes where it has one. */}}
{{- define "watchnext.trainingPlace" -}}
{{- $values := .Values.training -}}
{{- $place := pick $values "nodeSelector" "tolerations" "affinity" -}}
{{- if $values.gpu.enabled -}}
{{- $place = dict "nodeSelector" (merge (deepCopy $values.gpu.nodeSelector) $values.nodeSelector) "tolerations" (concat $values.gpu.tolerations $values.tolerations) "affinity" $values.affinity -}}
{{- end -}}
{{- $place | toJson -}}
{{- end -}}

{{/*
A pod that trains without a step of Kubeflow Pipelines. Call with (list $ name command); an empty command is the image's,
or what a TrainJob says.
*/}}
{{- define "watchnext.trainingPod" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values.training -}}
{{- $resources := deepCopy $values.resources -}}
{{- $place := include "watchnext.trainingPlace" $root | fromJson -}}
{{- if $values.gpu.enabled -}}
{{- $_ := set $resources "limits" (merge (dict $values.gpu.resource $values.gpu.count) (default (dict) $resources.limits)) -}}
{{- end -}}
metadata:
  {{- include "watchnext.podMetadata" (list $root "train") | nindent 2 }}
spec:
  {{- include "watchnext.podSpec" $root | nindent 2 }}
  {{- with $place.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $place.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $place.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  restartPolicy: Never
  containers:
    - name: {{ index . 1 }}
      {{- with index . 2 }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "watchnext.container" (list $root "pipelines" $resources (dict "home" "/var/lib/watchnext" "stores" (include "watchnext.trainingStores" $root | fromYamlArray))) | nindent 6 }}
        {{- if $values.gpu.enabled }}
        - {name: shared-memory, mountPath: /dev/shm}
        {{- end }}
  volumes:
    {{- include "watchnext.volumes" (list $root) | nindent 4 }}
    {{- if $values.gpu.enabled }}
    - {name: shared-memory, emptyDir: {medium: Memory, sizeLimit: {{ $values.gpu.sharedMemory }}}}
    {{- end }}
{{- end -}}
