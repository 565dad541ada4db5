{{- define "byoc.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "byoc.serviceAccount" -}}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name: is required with serviceAccount.create=false" -}}
{{- end -}}
{{- default (include "byoc.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The labels that select pods. They never change, because a Deployment's selector cannot change. */}}
{{- define "byoc.selector" -}}
app.kubernetes.io/name: byoc-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The labels of the pod of `helm test`. No Service selects them. */}}
{{- define "byoc.testSelector" -}}
app.kubernetes.io/name: byoc-operator-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of every object. commonLabels may replace all labels except those that select objects. */}}
{{- define "byoc.labels" -}}
{{- $fixed := include "byoc.selector" . | fromYaml -}}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $told := dict "app.kubernetes.io/part-of" "byoc-operator" "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $told "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- merge $fixed .Values.commonLabels $told | toYaml -}}
{{- end -}}

{{/* The labels without those that change with the chart's version only, so that these replace no pods. */}}
{{- define "byoc.podLabels" -}}
{{- $told := dict "app.kubernetes.io/part-of" "byoc-operator" -}}
{{- merge (include "byoc.selector" . | fromYaml) .Values.podLabels .Values.commonLabels $told | toYaml -}}
{{- end -}}

{{/* The image, by digest if there is one. */}}
{{- define "byoc.image" -}}
{{- with default .Values.image.registry .Values.global.imageRegistry }}{{ . }}/{{ end -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Not empty if numbers get their finalizer at admission. */}}
{{- define "byoc.finalizerPolicy" -}}
{{- $there := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- if or (eq .Values.finalizerPolicy "On") (and (eq .Values.finalizerPolicy "Auto") $there) -}}
yes
{{- end -}}
{{- end -}}

{{/* Rights in the watched namespaces, the same for all namespaces and for some. */}}
{{- define "byoc.numberRules" -}}
# Numbers: the operator watches them, and adds and removes its finalizer.
- apiGroups: [byoc.talkifai.dev]
  resources: [byocphonenumbers]
  verbs: [get, list, watch, patch]
- apiGroups: [byoc.talkifai.dev]
  resources: [byocphonenumbers/status]
  verbs: [patch]
{{- end -}}

{{- define "byoc.rules" -}}
{{ include "byoc.numberRules" . }}
# SIP credentials. RBAC cannot be limited to a label, but the operator's watch is.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
{{ include "byoc.eventRule" . }}
{{- end -}}

{{- define "byoc.eventRule" -}}
# Events on numbers, and on the Lease about the whole installation.
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

{{/* TCP ports that the operator must connect to. The last one is that of livekit.url. */}}
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
