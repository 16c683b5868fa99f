{{/* Parts of every pod and container: security, volumes, placement. */}}

{{- define "watchnext.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "watchnext.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What all pods of ours say of themselves. */}}
{{- define "watchnext.podSpec" -}}
serviceAccountName: {{ include "watchnext.serviceAccount" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "watchnext.podSecurity" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a component's pods go. Call with (list $ "gateway" values selector-as-yaml). */}}
{{- define "watchnext.placement" -}}
{{- $values := index . 2 -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- index $ 3 | nindent 8 }}
  {{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Volumes of a pod that runs our code. Call with (list $), or (list $ limit-of-the-scratch-space). */}}
{{- define "watchnext.volumes" -}}
{{- $root := index . 0 -}}
- {name: config, configMap: {name: {{ include "watchnext.fullname" $root }}-config}}
- {name: state, persistentVolumeClaim: {claimName: {{ include "watchnext.stateClaim" $root | quote }}}}
- {name: tmp, emptyDir: {{ if gt (len .) 1 }}{sizeLimit: {{ index . 1 }}}{{ else }}{}{{ end }}}
{{- if and (not $root.Values.kafka.enabled) $root.Values.externalKafka.caSecret }}
- {name: kafka-ca, secret: {secretName: {{ $root.Values.externalKafka.caSecret | quote }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "watchnext.volumeMounts" -}}
- {name: config, mountPath: /etc/watchnext, readOnly: true}
- {name: state, mountPath: /var/lib/watchnext}
- {name: tmp, mountPath: /tmp}
{{- if and (not .Values.kafka.enabled) .Values.externalKafka.caSecret }}
- {name: kafka-ca, mountPath: /etc/watchnext-kafka, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The body of a container that runs our code. Call with (list $ "serving" resources), and a dict behind: `home`, where it
keeps files of its own (default: in the pod), `stores`, whose secrets it is given, and `env`, more environment.
*/}}
{{- define "watchnext.container" -}}
{{- $root := index . 0 -}}
{{- $more := dict -}}
{{- if gt (len .) 3 -}}{{- $more = index . 3 -}}{{- end -}}
image: {{ include "watchnext.image" (list $root (index . 1)) }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
env:
  {{- with $more.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with include "watchnext.secretEnv" (prepend (default (list) $more.stores) $root) | fromYamlArray }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  - {name: WATCHNEXT_HOME, value: {{ default "/tmp/watchnext" $more.home }}}
  {{- include "watchnext.env" $root | nindent 2 }}
{{- include "watchnext.envFrom" $root }}
securityContext:
  {{- include "watchnext.containerSecurity" $root | nindent 2 }}
resources:
  {{- toYaml (index . 2) | nindent 2 }}
volumeMounts:
  {{- include "watchnext.volumeMounts" $root | nindent 2 }}
{{- end -}}

{{/* The claim template of a store, where it has a size. Call with (list $ values). */}}
{{- define "watchnext.dataClaim" -}}
{{- $values := index . 1 -}}
{{- if $values.size }}
volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $values.storageClass }}
      storageClassName: {{ . | quote }}
      {{- end }}
      resources: {requests: {storage: {{ $values.size }}}}
{{- end }}
{{- end -}}

{{/* The volume of a store without a claim of its own: a folder of the state claim. Call with (list $ values). */}}
{{- define "watchnext.dataVolume" -}}
{{- if not (index . 1).size -}}
- {name: data, persistentVolumeClaim: {claimName: {{ include "watchnext.stateClaim" (index . 0) | quote }}}}
{{- end -}}
{{- end -}}

{{/* The mount of a store's data. Call with (list $ values "kafka" "/var/lib/kafka"). */}}
{{- define "watchnext.dataMount" -}}
- {name: data, mountPath: {{ index . 3 }}{{ if not (index . 1).size }}, subPath: {{ index . 2 }}{{ end }}}
{{- end -}}

{{/* What selects a component's pods, those that KServe makes among them. Call with (list $ "ranker"). */}}
{{- define "watchnext.podsOf" -}}
{{- $name := include "watchnext.fullname" (index . 0) -}}
{{- $generated := dict "graph" "graph" "retrieval" "retrieval-predictor" "ranking" "ranking-transformer" "ranker" "ranking-predictor" -}}
{{- with get $generated (index . 1) -}}
app: isvc.{{ $name }}-{{ . }}
{{- else -}}
{{- if and (eq (index . 1) "kafka") (eq (index . 0).Values.kafka.mode "strimzi") -}}
strimzi.io/cluster: {{ $name }}-kafka
{{- else -}}
{{- include "watchnext.selector" . -}}
{{- end -}}
{{- end -}}
{{- end -}}
