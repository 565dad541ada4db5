{{/* Not empty if cert-manager creates the webhook's certificate. */}}
{{- define "byoc.certManager" -}}
{{- if and .Values.sealing.admission.enabled (eq .Values.sealing.admission.certificates "CertManager") -}}
yes
{{- end -}}
{{- end -}}

{{/* Environment of sealing at admission. The port is always set: a Service named byoc-admission would set this variable too. */}}
{{- define "byoc.admissionEnv" -}}
{{- if .Values.sealing.admission.enabled -}}
- name: BYOC_ADMISSION
  value: "true"
- name: BYOC_ADMISSION_PORT
  value: "9443"
- name: BYOC_ADMISSION_SERVICE
  value: {{ include "byoc.fullname" . }}-admission.{{ .Release.Namespace }}.svc
{{- if include "byoc.certManager" . }}
- name: BYOC_ADMISSION_CERTIFICATE_FOLDER
  value: /etc/byoc/admission
{{- else }}
- name: BYOC_ADMISSION_WEBHOOK
  value: {{ include "byoc.fullname" . }}-sealing
{{- end }}
{{- end -}}
{{- end -}}

{{/* The objects that the webhook and the policy match: only those in watched namespaces. */}}
{{- define "byoc.watchedNamespaces" -}}
{{- with .Values.namespaces -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{- toYaml . | nindent 8 }}
{{- end -}}
{{- end -}}
