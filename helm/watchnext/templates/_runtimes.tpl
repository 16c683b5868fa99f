{{/* Retrieval's container. */}}
{{- define "watchnext.retrievalContainers" -}}
- name: kserve-container
  command: [/usr/bin/python3.11, -m, serving.retrieval]
  {{- include "watchnext.container" (list . "serving" .Values.retrieval.resources (dict "stores" (list "online" "generations" "milvus"))) | nindent 2 }}
  ports:
    - {name: http1, containerPort: 8080, protocol: TCP}
  # An hour: it listens once the live generation is loaded, and a big one takes its time.
  startupProbe: {httpGet: {path: /v2/health/live, port: 8080}, periodSeconds: 3, failureThreshold: 1200, timeoutSeconds: 3}
  livenessProbe: {httpGet: {path: /v2/health/live, port: 8080}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
  readinessProbe: {httpGet: {path: /v2/health/ready, port: 8080}, periodSeconds: 3, timeoutSeconds: 3}
  lifecycle: {preStop: {sleep: {seconds: 5}}}
{{- end -}}

{{/* The ServingRuntime of TorchServe: an image of ours behind a neutral contract, since upstream pins 0.9. */}}
{{- define "watchnext.rankerRuntime" -}}
supportedModelFormats:
  - {name: watchnext-ranker, version: "1"}
containers:
  - name: kserve-container
    command: [/usr/bin/python3.11, -m, watchnext.local.torchserve]
    {{- include "watchnext.container" (list . "torchserve" .Values.ranker.resources) | nindent 4 }}
    ports:
      - {name: http1, containerPort: 8080, protocol: TCP}
    startupProbe: {tcpSocket: {port: 8080}, periodSeconds: 3, failureThreshold: 60}
    livenessProbe: {httpGet: {path: /ping, port: 8080}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
    # /ping is healthy without a worker: the follower beside it knows whether the live generation can be scored.
    readinessProbe: {httpGet: {path: /readyz, port: 9090}, periodSeconds: 3, timeoutSeconds: 3}
    lifecycle: {preStop: {sleep: {seconds: 5}}}
volumes:
  {{- include "watchnext.volumes" (list . .Values.ranker.scratch) | nindent 2 }}
{{- end -}}

{{/* What keeps TorchServe's versions in step with the pointer. */}}
{{- define "watchnext.followerContainers" -}}
- name: follower
  command: [/usr/bin/python3.11, -m, model_handlers.follower]
  {{- include "watchnext.container" (list . "torchserve" .Values.ranker.followerResources (dict "stores" (list "generations"))) | nindent 2 }}
  ports:
    - {name: ops, containerPort: 9090, protocol: TCP}
  startupProbe: {httpGet: {path: /healthz, port: 9090}, periodSeconds: 3, failureThreshold: 60}
  livenessProbe: {httpGet: {path: /healthz, port: 9090}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
{{- end -}}
