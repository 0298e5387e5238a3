{{- define "signet.labels" -}}
app.kubernetes.io/part-of: signet
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "signet.agent.selector" -}}
app: signet-node-agent
app.kubernetes.io/name: signet-node-agent
{{- end -}}

{{- define "signet.ca.selector" -}}
app: signet-ca
app.kubernetes.io/name: signet-ca
{{- end -}}

{{- define "signet.ca.host" -}}
signet-ca.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* The CA's configuration: the same document that `signet-ca serve --config` reads anywhere. */}}
{{- define "signet.ca.config" -}}
{{- $issuers := list -}}
{{- range .Values.ca.issuers -}}
{{- $issuers = append $issuers (merge (dict) . (dict "audiences" (list $.Values.audience))) -}}
{{- end -}}
{{- $further := .Values.ca.config | default dict -}}
{{- $agents := dict "agents" (list (printf "%s/signet-node-agent" .Release.Namespace)) -}}
{{- merge (dict
  "trustDomain" .Values.trustDomain
  "authority" (dict "store" (printf "kubernetes:%s/signet-authority" .Release.Namespace))
  "issuers" $issuers
  "nodeBinding" ($further.nodeBinding | default $agents)
  "leaf" .Values.ca.leaf
  "trustBundle" (dict "refreshHint" .Values.ca.refreshHint))
  (omit $further "nodeBinding")
  | toPrettyJson -}}
{{- end -}}

{{/* The Secrets of its authorities in this namespace, that of each further trust domain too. */}}
{{- define "signet.ca.authorities" -}}
{{- $names := list "signet-authority" -}}
{{- $here := printf "kubernetes:%s/" .Release.Namespace -}}
{{- range (.Values.ca.config | default dict).trustDomains -}}
{{- $store := dig "authority" "store" "" . | toString -}}
{{- if hasPrefix $here $store -}}
{{- $names = append $names (trimPrefix $here $store) -}}
{{- end -}}
{{- end -}}
{{- $names | toJson -}}
{{- end -}}

{{- define "signet.checks" -}}
{{- if and (not .Values.ca.enabled) (not .Values.agent.caUrl) -}}
{{- fail "agent.caUrl: missing; with ca.enabled=false say where the CA is, such as https://ca.example.com" -}}
{{- end -}}
{{- if and .Values.ca.enabled .Values.agent.caUrl -}}
{{- fail "agent.caUrl: the CA of this chart is there too; set ca.enabled=false, or leave agent.caUrl empty" -}}
{{- end -}}
{{- if and .Values.ca.enabled .Values.agent.caCert -}}
{{- fail "agent.caCert: the CA of this chart publishes its own roots; leave it empty, or set ca.enabled=false" -}}
{{- end -}}
{{- if not (or .Values.agent.sharedSocket.enabled .Values.agent.csi.enabled) -}}
{{- fail "agent.csi.enabled: false, and so is agent.sharedSocket.enabled; nobody could ask for anything" -}}
{{- end -}}
{{- range .Values.ca.volumes -}}
{{- if eq .name "config" -}}
{{- fail "ca.volumes: the chart has a volume called config; give yours another name" -}}
{{- end -}}
{{- end -}}
{{- range .Values.ca.volumeMounts -}}
{{- if regexMatch "^/etc/signet(/|$)" .mountPath -}}
{{- fail (printf "ca.volumeMounts: %s: in /etc/signet is the CA's configuration; take another directory" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- with .Values.agent.updateStrategy.rollingUpdate -}}
{{- if not (has (toString (.maxSurge | default 0)) (list "0" "0%")) -}}
{{- fail "agent.updateStrategy.rollingUpdate.maxSurge: two agents cannot serve one socket; give maxUnavailable" -}}
{{- end -}}
{{- end -}}
{{- end -}}
