/*
 * verb_functions: what the rows of verbs.c do, one function a verb, in verb_*.c
 */
#pragma once
#include "cli/verb.h"

verb_run verb_daemon_run, verb_daemon_start, verb_daemon_stop, verb_daemon_restart, verb_daemon_status;
verb_run verb_status, verb_doctor, verb_open;
verb_run verb_config_list, verb_config_get, verb_config_set, verb_config_unset;
verb_run verb_help, verb_version, verb_completion, verb_names, verb_manual, verb_notify;
verb_run verb_vault_init, verb_vault_unlock, verb_vault_lock, verb_vault_status, verb_vault_list, verb_vault_get_meta;
verb_run verb_vault_put, verb_vault_delete, verb_vault_passwd, verb_vault_export, verb_vault_import, verb_vault_tune;
verb_run verb_member_list, verb_member_add, verb_member_remove, verb_backup_list, verb_backup_delete;
verb_run verb_action_validate, verb_action_list, verb_action_show, verb_action_link, verb_action_unlink;
verb_run verb_action_enable, verb_action_disable, verb_action_run;
verb_run verb_runs_list, verb_runs_show, verb_runs_cancel;
verb_run verb_approval_list, verb_approval_show, verb_approval_approve, verb_approval_deny, verb_approval_watch;
verb_run verb_approval_grants, verb_approval_revoke;
verb_run verb_connector_list, verb_connector_show, verb_connector_link, verb_connector_unlink, verb_connector_call;
verb_run verb_binding_setup, verb_binding_list, verb_binding_inspect, verb_binding_rebind, verb_binding_reauthorize;
verb_run verb_binding_revoke, verb_binding_hosts;
verb_run verb_mcp_install, verb_mcp_uninstall, verb_mcp_list, verb_mcp_token, verb_mcp_revoke, verb_launch;
verb_run verb_sessions_list, verb_sessions_get;
verb_run verb_audit_list, verb_audit_show, verb_audit_tail, verb_audit_verify, verb_audit_export;
