{{/* The environment variables of the operator that come from values. Empty values are left out. */}}
{{- define "byoc.settings" -}}
LIVEKIT_URL: {{ required "livekit.url is required: the LiveKit server, like wss://livekit.example.com" .Values.livekit.url | quote }}
BYOC_LEASE_NAME: {{ include "byoc.fullname" . | quote }}
BYOC_LIVEKIT_TIMEOUT_SECONDS: {{ .Values.livekit.timeoutSeconds | toString | quote }}
BYOC_LIVEKIT_CONCURRENCY: {{ .Values.livekit.concurrency | int | quote }}
BYOC_LIVEKIT_PROXY: {{ .Values.livekit.proxy | quote }}
{{- if not (kindIs "invalid" .Values.livekit.requestsPerMinute) }}
BYOC_LIVEKIT_REQUESTS_PER_MINUTE: {{ .Values.livekit.requestsPerMinute | int | quote }}
{{- end }}
{{- with .Values.sip.uri }}
BYOC_SIP_URI: {{ . | quote }}
{{- end }}
{{- with .Values.sip.addresses }}
BYOC_SIP_ADDRESSES: {{ join "," . | quote }}
{{- end }}
{{- with .Values.installationId }}
BYOC_INSTALLATION_ID: {{ . | quote }}
{{- end }}
{{- with .Values.namespaces }}
BYOC_NAMESPACES: {{ join "," . | quote }}
{{- end }}
BYOC_SWEEP_INTERVAL_SECONDS: {{ .Values.sweepIntervalSeconds | toString | quote }}
BYOC_SECRETS: {{ .Values.secrets | quote }}
{{- with .Values.terminationHosts }}
BYOC_TERMINATION_HOSTS: {{ join "," . | quote }}
{{- end }}
{{- if .Values.carriers }}
BYOC_CARRIERS_FILE: /etc/byoc/carriers/carriers.yaml
{{- end }}
BYOC_REFUSED_HOSTS: {{ .Values.refusedHosts | quote }}
BYOC_ADOPTION: {{ .Values.adoption | quote }}
BYOC_UNKNOWN_FIELDS: {{ .Values.unknownFields | quote }}
BYOC_ORPHANS: {{ .Values.orphans | quote }}
BYOC_RETAIN: {{ .Values.retain | toString | quote }}
BYOC_NUMBER_RESERVATION_SECONDS: {{ .Values.numberReservationSeconds | int | quote }}
{{- with .Values.agentName }}
BYOC_AGENT_NAME: {{ . | quote }}
{{- end }}
BYOC_ROOM_PREFIX: {{ .Values.roomPrefix | quote }}
BYOC_CREDENTIALS_MAX_AGE_DAYS: {{ .Values.credentialsMaxAgeDays | int | quote }}
BYOC_SEALING: {{ .Values.sealing.policy | quote }}
BYOC_SEALING_CREATE_KEYS: {{ .Values.sealing.createKeys | quote }}
BYOC_METRICS_PER_NUMBER: {{ .Values.metrics.perNumber | quote }}
BYOC_LOG_FORMAT: {{ .Values.log.format | quote }}
BYOC_LOG_LEVEL: {{ .Values.log.level | quote }}
{{- end -}}
