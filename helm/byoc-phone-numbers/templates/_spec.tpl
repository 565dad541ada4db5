{{/*
Spec of one number: its defaults with its own fields laid over them, written into .spec.
Not `merge` of Sprig: that takes `false` and "" for absent, so a number could not undo `allowAnyAddress: true`.
*/}}
{{- define "byoc-phone-numbers.lay" -}}
{{- $spec := .spec -}}
{{- range $field, $value := .over -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $spec $field -}}
{{- else if kindIs "map" $value -}}
{{- $within := dict -}}
{{- if hasKey $spec $field -}}
{{- $within = get $spec $field -}}
{{- end -}}
{{- include "byoc-phone-numbers.lay" (dict "spec" $within "over" $value) -}}
{{- $_ := set $spec $field $within -}}
{{- else -}}
{{- $_ := set $spec $field $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The spec of a number with the defaults, as JSON: YAML with control characters could not be read again. */}}
{{- define "byoc-phone-numbers.spec" -}}
{{- $spec := dict -}}
{{- include "byoc-phone-numbers.lay" (dict "spec" $spec "over" .defaults) -}}
{{- include "byoc-phone-numbers.lay" (dict "spec" $spec "over" (omit .number "annotations" "labels")) -}}
{{- toJson $spec -}}
{{- end -}}

{{/* Labels of one object; the chart's own cannot be replaced, Helm finds its objects by them. */}}
{{- define "byoc-phone-numbers.labels" -}}
{{- $labels := dict -}}
{{- include "byoc-phone-numbers.lay" (dict "spec" $labels "over" .root.Values.commonLabels) -}}
{{- include "byoc-phone-numbers.lay" (dict "spec" $labels "over" (.number.labels | default dict)) -}}
{{- $_ := set $labels "app.kubernetes.io/name" .root.Chart.Name -}}
{{- $_ := set $labels "app.kubernetes.io/instance" .root.Release.Name -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "byoc-operator" -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- toYaml $labels -}}
{{- end -}}
