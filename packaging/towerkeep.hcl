# /etc/towerkeep.hcl: what towerkeep cannot find out by itself. Every key: /usr/share/doc/towerkeep/towerkeep.md

# A client certificate of its own, from the CA that the verifier trusts for clients; never the plugin's.
keylime_ca_file   = "/etc/towerkeep/ca.crt"
keylime_cert_file = "/etc/towerkeep/towerkeep.crt"
keylime_key_file  = "/run/credentials/towerkeep-watch.service/towerkeep.key"

watch {
  # It only says what it would do. When that is right: mode = "ban"
  mode = "observe"

  # The verifier's webhook: enabled_revocation_notifications = ['webhook'] (that alone) and
  # webhook_url = https://127.0.0.1:9443/keylime in [revocations] of verifier.conf.
  bell_cert_file = "/etc/towerkeep/towerkeep.crt"
  bell_key_file  = "/run/credentials/towerkeep-watch.service/towerkeep.key"
  verifier_names = ["verifier.example.org"]
}
