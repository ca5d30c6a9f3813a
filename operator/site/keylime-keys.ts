/**
 * Keys that Keylime's programs know, of every release that the API clients of this project speak with.
 *
 * @see keylime 9b1f6e6a, templates; rust-keylime 3a4d5654, keylime/src/config/base.rs
 * @module
 */

/** Keys of the Python services, by section. */
export const KEYLIME_KEYS: Readonly<Record<string, ReadonlySet<string>>> = {
  registrar: words(`
    authorization_provider auto_migrate_db cert_subject_alternative_names database_pool_sz_ovfl database_url
    durable_attestation_import ip malformed_cert_action max_workers persistent_store_encoding
    persistent_store_format persistent_store_url port server_cert server_key server_key_password
    signed_attributes time_stamp_authority_certs_path time_stamp_authority_url tls_dir tls_port tpm_identity
    transparency_log_sign_algo transparency_log_url trusted_client_ca version
  `),
  revocations: words(`
    enabled_revocation_notifications webhook_url zmq_ip zmq_port
  `),
  tenant: words(`
    accept_tpm_encryption_algs accept_tpm_hash_algs accept_tpm_signing_algs client_cert client_key
    client_key_password ek_check_script enable_agent_mtls exponential_backoff max_payload_size max_retries
    mb_refstate registrar_ip registrar_port request_timeout require_ek_cert retry_interval tls_dir
    tpm_cert_store trusted_server_ca verifier_ip verifier_port version
  `),
  verifier: words(`
    authorization_provider auto_migrate_db auto_recover_attestation_failures cert_subject_alternative_names
    challenge_lifetime client_cert client_key client_key_password database_pool_sz_ovfl database_url
    durable_attestation_import enable_agent_mtls enabled_revocation_notifications exponential_backoff
    extend_token_on_attestation ignore_tomtou_errors ip max_retries max_upload_size max_workers
    measured_boot_evaluate measured_boot_imports measured_boot_policy_name mode nonce_lifetime num_workers
    persistent_store_encoding persistent_store_format persistent_store_url port quote_interval registrar_ip
    registrar_port request_timeout require_allow_list_signatures retry_interval server_cert server_key
    server_key_password session_create_rate_limit_per_agent session_create_rate_limit_per_ip
    session_create_rate_limit_window_agent session_create_rate_limit_window_ip session_lifetime severity_labels
    severity_policy shutdown_drain_timeout signed_attributes time_stamp_authority_certs_path
    time_stamp_authority_url tls_dir transparency_log_sign_algo transparency_log_url trusted_client_ca
    trusted_server_ca uuid verification_timeout version webhook_url zmq_port
  `),
}

/** Keys of the Rust agent. */
export const KEYLIME_AGENT_KEYS: ReadonlySet<string> = words(`
    agent_data_path allow_payload_revocation_actions api_versions attestation_interval_seconds
    certification_keys_server_identifier contact_ip contact_port dec_payload_file ek_handle enable_agent_mtls
    enable_iak_idevid enable_insecure_payload enable_revocation_notifications enc_keyname
    exponential_backoff_initial_delay exponential_backoff_max_delay exponential_backoff_max_retries
    extract_payload_zip iak_cert iak_handle iak_idevid_asymmetric_alg iak_idevid_name_alg iak_idevid_template
    iak_password idevid_cert idevid_handle idevid_password ima_ml_path ip keylime_dir measuredboot_ml_path
    payload_key payload_key_password payload_script port registrar_api_versions registrar_ip registrar_port
    registrar_tls_ca_cert registrar_tls_client_cert registrar_tls_client_key registrar_tls_enabled
    registrar_tls_port revocation_actions revocation_actions_dir revocation_cert revocation_notification_ip
    revocation_notification_port run_as secure_size server_cert server_key server_key_password
    tls_accept_invalid_certs tls_accept_invalid_hostnames tpm_encryption_alg tpm_hash_alg tpm_ownerpassword
    tpm_signing_alg trusted_client_ca uefi_logs_evidence_version uuid verifier_tls_ca_cert verifier_url version
`)

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
