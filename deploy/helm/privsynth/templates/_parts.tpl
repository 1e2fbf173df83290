{{- define "privsynth.labels" -}}
app.kubernetes.io/name: privsynth
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "privsynth.env" -}}
- name: PRIVSYNTH_SERVICE_HOST
  value: "0.0.0.0"
- name: PRIVSYNTH_SERVICE_PORT
  value: "8787"
- name: PRIVSYNTH_SERVICE_WORKERS
  value: "0"
- name: PRIVSYNTH_SERVICE_PUBLIC_URL
  value: {{ .Values.publicUrl | quote }}
- name: PRIVSYNTH_SERVICE_DATABASE
  value: {{ .Values.database.url | quote }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.passwordSecret }}
      key: {{ .Values.database.passwordKey }}
{{- if .Values.sources.existingClaim }}
- name: PRIVSYNTH_SERVICE_SOURCE_FOLDER
  value: /sources
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: PRIVSYNTH_SERVICE_{{ upper $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "privsynth.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  {{- include "privsynth.env" . | nindent 2 }}
{{- end }}

{{- define "privsynth.mounts" -}}
- name: home
  mountPath: /var/lib/privsynth
- name: tmp
  mountPath: /tmp
{{- if .Values.sources.existingClaim }}
- name: sources
  mountPath: /sources
  readOnly: true
{{- end }}
{{- if .Values.secretFiles }}
- name: secrets
  mountPath: /secrets
  readOnly: true
{{- end }}
{{- end }}

{{- define "privsynth.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
