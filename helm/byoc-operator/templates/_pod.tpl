{{/* Not empty on OpenShift, where security context constraints choose user and groups. */}}
{{- define "byoc.openshift" -}}
{{- $there := .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- if or (eq .Values.openshift.enabled "On") (and (eq .Values.openshift.enabled "Auto") $there) -}}
yes
{{- end -}}
{{- end -}}

{{- define "byoc.podSecurityContext" -}}
{{- if include "byoc.openshift" . -}}
{{- omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup" | toYaml -}}
{{- else -}}
{{- toYaml .Values.podSecurityContext -}}
{{- end -}}
{{- end -}}

{{- define "byoc.securityContext" -}}
{{- if include "byoc.openshift" . -}}
{{- omit .Values.securityContext "runAsUser" "runAsGroup" | toYaml -}}
{{- else -}}
{{- toYaml .Values.securityContext -}}
{{- end -}}
{{- end -}}

{{/* Names of Secrets for the registry: global ones first. A global one may be a name only. */}}
{{- define "byoc.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat (default list .Values.global.imagePullSecrets) .Values.imagePullSecrets -}}
{{- if kindIs "string" . -}}
{{- $names = append $names . -}}
{{- else -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
{{- range uniq $names }}
- name: {{ . | quote }}
{{- end -}}
{{- end -}}

{{/* Where pods run. */}}
{{- define "byoc.placing" -}}
{{- with merge (deepCopy .Values.nodeSelector) (default dict .Values.global.nodeSelector) }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .Values.tolerations (default list .Values.global.tolerations) | uniq }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The volume with the authorities of LiveKit's certificate; empty if public ones are wanted. */}}
{{- define "byoc.authority" -}}
{{- with .Values.livekit.certificateAuthority -}}
{{- if and .configMap .secret -}}
{{- fail "livekit.certificateAuthority: name a ConfigMap or a Secret, not both" -}}
{{- end -}}
{{- if .configMap -}}
configMap:
  name: {{ .configMap | quote }}
{{- else if .secret -}}
secret:
  secretName: {{ .secret | quote }}
{{- end -}}
{{- if or .configMap .secret }}
  defaultMode: 0440
  items:
    - key: {{ .key | quote }}
      path: ca.crt
{{- end -}}
{{- end -}}
{{- end -}}
