{{- define "byoc.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "byoc.serviceAccount" -}}
{{- default (include "byoc.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* What pods are selected by; never changes, as a Deployment's selector cannot. */}}
{{- define "byoc.selector" -}}
app.kubernetes.io/name: byoc-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of every object; commonLabels may replace all but those that objects are found by. */}}
{{- define "byoc.labels" -}}
{{- $fixed := include "byoc.selector" . | fromYaml -}}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $told := dict "app.kubernetes.io/part-of" "byoc-operator" "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $told "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- merge $fixed .Values.commonLabels $told | toYaml -}}
{{- end -}}

{{/* Without those that change with the chart's version alone: no pod is replaced for them. */}}
{{- define "byoc.podLabels" -}}
{{- $told := dict "app.kubernetes.io/part-of" "byoc-operator" -}}
{{- merge (include "byoc.selector" . | fromYaml) .Values.podLabels .Values.commonLabels $told | toYaml -}}
{{- end -}}

{{/* The image, by digest where one is given. */}}
{{- define "byoc.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Not empty where numbers get their finalizer at admission. */}}
{{- define "byoc.finalizerPolicy" -}}
{{- $there := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- if or (eq .Values.finalizerPolicy "On") (and (eq .Values.finalizerPolicy "Auto") $there) -}}
yes
{{- end -}}
{{- end -}}

{{/* Rights in the watched namespaces; the same whether they are given in all of them or in some. */}}
{{- define "byoc.numberRules" -}}
# Numbers: watched, and given and relieved of the finalizer.
- apiGroups: [byoc.talkifai.dev]
  resources: [byocphonenumbers]
  verbs: [get, list, watch, patch]
- apiGroups: [byoc.talkifai.dev]
  resources: [byocphonenumbers/status]
  verbs: [patch]
{{- end -}}

{{- define "byoc.rules" -}}
{{ include "byoc.numberRules" . }}
# SIP credentials. RBAC cannot narrow this by label; the watch itself does.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
{{ include "byoc.eventRule" . }}
{{- end -}}

{{- define "byoc.eventRule" -}}
# What is told of a number beside its status, and of the installation on its Lease.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "byoc.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "byoc.serviceAccount" . | quote }}
    namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* TCP ports that the operator must reach; the last is the one of livekit.url. */}}
{{- define "byoc.egressPorts" -}}
{{- $url := urlParse .Values.livekit.url -}}
{{- $usual := ternary 80 443 (has $url.scheme (list "ws" "http")) -}}
{{- $named := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default $usual | int -}}
{{- $ports := list -}}
{{- range append .Values.networkPolicy.egressPorts $named -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- range uniq $ports }}
- port: {{ . }}
  protocol: TCP
{{- end -}}
{{- end -}}
