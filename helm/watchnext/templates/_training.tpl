{{/* The pod of a pipeline that runs without Kubeflow. Call with (list $ name command). */}}
{{- define "watchnext.trainingPod" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values.training -}}
{{- $resources := deepCopy $values.resources -}}
{{- $place := pick $values "nodeSelector" "tolerations" "affinity" -}}
{{- if $values.gpu.enabled -}}
{{- $_ := set $resources "limits" (merge (dict $values.gpu.resource $values.gpu.count) (default (dict) $resources.limits)) -}}
{{- $place = dict "nodeSelector" (merge (deepCopy $values.gpu.nodeSelector) $values.nodeSelector) "tolerations" (concat $values.gpu.tolerations $values.tolerations) "affinity" $values.affinity -}}
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
      command:
        {{- toYaml (index . 2) | nindent 8 }}
      {{- include "watchnext.container" (list $root "pipelines" $resources (dict "home" "/var/lib/watchnext")) | nindent 6 }}
        {{- if $values.gpu.enabled }}
        - {name: shared-memory, mountPath: /dev/shm}
        {{- end }}
  volumes:
    {{- include "watchnext.volumes" (list $root) | nindent 4 }}
    {{- if $values.gpu.enabled }}
    - {name: shared-memory, emptyDir: {medium: Memory, sizeLimit: {{ $values.gpu.sharedMemory }}}}
    {{- end }}
{{- end -}}
