{{/*
What is wrong with the values beyond types and bounds, one line each: `path: message`. Empty if nothing is.
The forms and the words are those of the CRD (files/rules.yaml, generated); the schema has been checked before.
*/}}
{{- define "byoc-phone-numbers.refusals" -}}
{{- $rules := .Files.Get "files/rules.yaml" | fromYaml -}}
{{- $defaults := .Values.defaults -}}
{{- $holders := dict -}}
{{- $named := dict -}}
{{- range $name, $number := .Values.numbers -}}
{{- with $number -}}
{{- $_ := set $named (trimPrefix "+" .phoneNumber) (dict "path" (printf "numbers.%s" $name) "as" "number") -}}
{{- end -}}
{{- end -}}
{{- include "byoc-phone-numbers.refusals.fields" (dict "path" "defaults" "part" $defaults "rules" $rules) -}}
{{- range $name, $number := .Values.numbers -}}
{{- if $number -}}
{{- $path := printf "numbers.%s" $name -}}
{{- if not (regexMatch $rules.objectName $name) }}
{{ $path }}: must be a name for the object: lower-case letters, digits, dashes and dots, such as main-support
{{- end -}}
{{- $holder := get $holders $number.phoneNumber -}}
{{- if $holder }}
{{ $path }}.phoneNumber: must be a number of its own; {{ $number.phoneNumber }} is already the number of {{ $holder }}
{{- end -}}
{{- $_ := set $holders $number.phoneNumber $path -}}
{{- $spec := include "byoc-phone-numbers.spec" (dict "defaults" $defaults "number" $number) | fromJson -}}
{{- include "byoc-phone-numbers.refusals.fields" (dict "path" $path "part" $number "rules" $rules) -}}
{{- include "byoc-phone-numbers.refusals.together" (dict "path" $path "spec" $spec "rules" $rules) -}}
{{- include "byoc-phone-numbers.refusals.shared" (dict "path" $path "spec" $spec "named" $named) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Aliases that another number of the release has. `named`: by digits who has them, filled here. */}}
{{- define "byoc-phone-numbers.refusals.shared" -}}
{{- $path := .path -}}
{{- $named := .named -}}
{{- $aliases := (.spec.inbound | default dict).aliases | default list -}}
{{- range $alias := ternary $aliases list (not (empty .spec.inboundAgentId)) -}}
{{- $digits := trimPrefix "+" $alias -}}
{{- $holder := get $named $digits | default dict -}}
{{- if and $holder (ne $holder.path $path) }}
{{ $path }}.inbound.aliases: must be of this number alone; {{ $alias }} is already {{ eq $holder.as "number" | ternary "the" "an" }} {{ $holder.as }} of {{ $holder.path }}
{{- end -}}
{{- if not $holder -}}
{{- $_ := set $named $digits (dict "path" $path "as" "alias") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Rules for single fields, of the defaults or of a number as written. So the path is the place where the user wrote it. */}}
{{- define "byoc-phone-numbers.refusals.fields" -}}
{{- $path := .path -}}
{{- $rules := .rules -}}
{{- $part := .part -}}
{{- range $rule := .rules.each -}}
{{- $field := trimSuffix "[]" $rule.node -}}
{{- $found := include "byoc-phone-numbers.at" (dict "in" $part "field" $field) | fromJson -}}
{{- $value := $found.value -}}
{{- $at := printf "%s.%s" $path $field -}}
{{- if kindIs "invalid" $value -}}
{{- else if $rule.notEmpty -}}
{{- if not $value }}
{{ $at }}: {{ $rule.message }}
{{- end -}}
{{- else if kindIs "map" $value -}}
{{- include "byoc-phone-numbers.refusals.map" (dict "path" $at "entries" $value "rule" $rule) -}}
{{- else if kindIs "slice" $value -}}
{{- range $index, $text := $value -}}
{{- $one := dict "path" (printf "%s[%d]" $at $index) "text" $text "rule" $rule "rules" $rules -}}
{{- include "byoc-phone-numbers.refusals.text" $one -}}
{{- end -}}
{{- else -}}
{{- include "byoc-phone-numbers.refusals.text" (dict "path" $at "text" $value "rule" $rule "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "byoc-phone-numbers.refusals.text" -}}
{{- if include "byoc-phone-numbers.unfit" (dict "text" .text "form" .rule.text) }}
{{ .path }}: {{ .rule.message }}
{{- if eq (.rule.hint | default "") "number" }}{{ include "byoc-phone-numbers.hint.number" . }}{{ end -}}
{{- if eq (.rule.hint | default "") "endpoint" }}{{ include "byoc-phone-numbers.hint.endpoint" . }}{{ end -}}
{{- if .rule.namesCharacters }}{{ include "byoc-phone-numbers.hint.strange" . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Names the keys of wrong entries, never their values. */}}
{{- define "byoc-phone-numbers.refusals.map" -}}
{{- $rule := .rule -}}
{{- $wrong := list -}}
{{- range $key, $value := .entries -}}
{{- $keyUnfit := include "byoc-phone-numbers.unfit" (dict "text" $key "form" $rule.keys) -}}
{{- $valueUnfit := include "byoc-phone-numbers.unfit" (dict "text" $value "form" $rule.values) -}}
{{- if or $keyUnfit $valueUnfit -}}
{{- $wrong = append $wrong (toRawJson $key) -}}
{{- end -}}
{{- end -}}
{{- if $wrong }}
{{ .path }}: {{ .rule.message }}; wrong: [{{ join ", " $wrong }}]
{{- end -}}
{{- end -}}

{{/* Rules for a number and the defaults together. */}}
{{- define "byoc-phone-numbers.refusals.together" -}}
{{- $path := .path -}}
{{- $spec := .spec -}}
{{- $rules := .rules.together -}}
{{- range $field := .rules.required -}}
{{- if not (hasKey $spec $field) }}
{{ $path }}.{{ $field }}: must be set, here or in defaults
{{- end -}}
{{- end -}}
{{- range $above, $fields := .rules.requiredWithin -}}
{{- $there := (include "byoc-phone-numbers.at" (dict "in" $spec "field" $above) | fromJson).value -}}
{{- range $field := $fields -}}
{{- if and (kindIs "map" $there) (not (hasKey ($there | default dict) $field)) }}
{{ $path }}.{{ $above }}.{{ $field }}: must be set, here or in defaults
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $field, $most := .rules.maxProperties -}}
{{- $found := include "byoc-phone-numbers.at" (dict "in" $spec "field" $field) | fromJson -}}
{{- if gt (len ($found.value | default dict)) (int $most) }}
{{ $path }}.{{ $field }}: must have at most {{ $most }} entries, those of defaults included
{{- end -}}
{{- end -}}

{{- $inbound := $spec.inbound | default dict -}}
{{- $secret := hasKey $spec "sipPasswordSecretRef" -}}
{{- $digest := eq ($inbound.authentication | default "") "Digest" -}}
{{- if and $spec.sipUsername (not $secret) }}
{{ $path }}.{{ $rules.userNameWithoutSecret.field }}: {{ $rules.userNameWithoutSecret.message }}
{{- end -}}
{{- if and (eq ($spec.mediaEncryption | default "Required") "Required") (ne ($spec.transport | default "TLS") "TLS") }}
{{ $path }}.{{ $rules.encryptionInClear.field }}: {{ $rules.encryptionInClear.message }}
{{- end -}}
{{- $media := $spec.media | default dict -}}
{{- if and $media.onlyListedCodecs (not $media.codecs) }}
{{ $path }}.{{ $rules.onlyListedWithoutCodecs.field }}: {{ $rules.onlyListedWithoutCodecs.message }}
{{- end -}}
{{- $carrierCannot := regexMatch $rules.digestUnanswered.hosts ($spec.terminationUri | default "") -}}
{{- if $spec.carrier -}}
{{- $carrierCannot = has $spec.carrier $rules.digestUnanswered.carriers -}}
{{- end -}}
{{- if and $digest $carrierCannot }}
{{ $path }}.{{ $rules.digestUnanswered.field }}: {{ $rules.digestUnanswered.message }}
{{- end -}}
{{- if and $digest (not $secret) (not $inbound.credentialsSecretRef) }}
{{ $path }}.{{ $rules.digestWithoutSecret.field }}: {{ $rules.digestWithoutSecret.message }}
{{- end -}}
{{- $agents := list ($spec.inboundAgentId | default "") -}}
{{- $agentTwice := false -}}
{{- range $agent := $inbound.additionalAgentIds -}}
{{- $agentTwice = or $agentTwice (has $agent $agents) -}}
{{- $agents = append $agents $agent -}}
{{- end -}}
{{- if $agentTwice }}
{{ $path }}.{{ $rules.agentTwice.field }}: {{ $rules.agentTwice.message }}
{{- end -}}
{{- range $name := list "credentialsSecretRef" "authRealm" -}}
{{- $rule := get $rules (printf "%sWithoutDigest" $name) -}}
{{- if and (get $inbound $name) (not $digest) }}
{{ $path }}.{{ $rule.field }}: {{ $rule.message }}
{{- end -}}
{{- end -}}
{{- $recording := $inbound.recording | default dict -}}
{{- $storages := 0 -}}
{{- range $name := $rules.severalStorages.storages -}}
{{- if hasKey $recording $name }}{{ $storages = add1 $storages }}{{ end -}}
{{- end -}}
{{- if gt (int $storages) 1 }}
{{ $path }}.{{ $rules.severalStorages.field }}: {{ $rules.severalStorages.message }}
{{- end -}}
{{- $prefix := ($inbound.room | default dict).prefix | default "" -}}
{{- if and (hasKey $inbound "recording") (regexMatch $rules.prefixLeadsElsewhere.elsewhere $prefix) }}
{{ $path }}.{{ $rules.prefixLeadsElsewhere.field }}: {{ $rules.prefixLeadsElsewhere.message }}
{{- end -}}
{{- $digits := list (trimPrefix "+" ($spec.phoneNumber | default "")) -}}
{{- range $alias := $inbound.aliases -}}
{{- $digits = append $digits (trimPrefix "+" $alias) -}}
{{- end -}}
{{- $twice := list -}}
{{- range $alias := $inbound.aliases -}}
{{- $same := 0 -}}
{{- range $digits }}{{ if eq . (trimPrefix "+" $alias) }}{{ $same = add1 $same }}{{ end }}{{ end -}}
{{- if gt (int $same) 1 -}}
{{- $twice = append $twice (quote $alias) -}}
{{- end -}}
{{- end -}}
{{- if $twice }}
{{ $path }}.{{ $rules.aliasTwice.field }}: {{ $rules.aliasTwice.message }}; wrong: [{{ join ", " $twice }}]
{{- end -}}
{{- $wide := list -}}
{{- range $address := $inbound.allowedAddresses -}}
{{- if regexMatch $rules.tooWide.wide $address -}}
{{- $wide = append $wide (quote $address) -}}
{{- end -}}
{{- end -}}
{{- if and $wide (not $inbound.allowAnyAddress) }}
{{ $path }}.{{ $rules.tooWide.field }}: {{ $rules.tooWide.message }}; wrong: [{{ join ", " $wide }}]
{{- end -}}
{{- end -}}

{{/* Not empty if a text has the wrong form. A text must match all of some patterns, none of others, and have a maximum length. */}}
{{- define "byoc-phone-numbers.unfit" -}}
{{- $text := .text -}}
{{- $form := .form | default dict -}}
{{- range $form.all }}{{ if not (regexMatch . $text) }}unfit{{ end }}{{ end -}}
{{- range $form.none }}{{ if regexMatch . $text }}unfit{{ end }}{{ end -}}
{{- with $form.maxBytes }}{{ if gt (len $text) (int .) }}unfit{{ end }}{{ end -}}
{{- end -}}

{{/* JSON {"value": …} of the field at a path such as inbound.allowedAddresses; null if the field is missing. */}}
{{- define "byoc-phone-numbers.at" -}}
{{- $value := .in -}}
{{- range $name := splitList "." .field -}}
{{- if kindIs "map" $value -}}
{{- $value = index $value $name -}}
{{- end -}}
{{- end -}}
{{- dict "value" $value | toJson -}}
{{- end -}}

{{- define "byoc-phone-numbers.hint.number" -}}
{{- $bare := regexReplaceAll .rules.decoration .text "" -}}
{{- if regexMatch .rules.e164 $bare }}; did you mean {{ $bare }}?
{{- else if regexMatch .rules.withoutPlus $bare }}; did you mean +{{ $bare }}?{{ .rules.countryCode }}
{{- end -}}
{{- end -}}

{{/* What a pasted SIP URI means. The part before an @ is cut off, because it may be a password. */}}
{{- define "byoc-phone-numbers.hint.endpoint" -}}
{{- $endpoint := regexFind .rules.endpointWithin (splitList "@" .text | last) -}}
{{- if and (regexMatch .rules.ipv6 .text) (not (regexMatch .rules.mapped .text)) -}}
; write terminationUri: [{{ .text }}]
{{- else if not (include "byoc-phone-numbers.unfit" (dict "text" $endpoint "form" .rules.endpoint)) -}}
; write terminationUri: {{ $endpoint }}
{{- $text := lower .text | trim -}}
{{- if contains "transport=tls" $text }} and transport: TLS
{{- else if contains "transport=tcp" $text }} and transport: TCP
{{- else if contains "transport=udp" $text }} and transport: UDP
{{- else if hasPrefix "sips:" $text }} and transport: TLS
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The first invisible character, by its code point: Go quotes it as \u200b or \U000e0001. */}}
{{- define "byoc-phone-numbers.hint.strange" -}}
{{- with regexFind .rules.strange .text -}}
; it contains U+{{ regexReplaceAll `^\\(?:u|U0*)` (printf "%+q" . | trimAll "\"") "" | upper }}
{{- end -}}
{{- end -}}
