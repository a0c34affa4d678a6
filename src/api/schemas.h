/*
 * schemas: the field tables behind operations.def
 *
 * One SHAPE_<symbol> an operation says which tables are its query, its request and its result; the tables themselves
 * stand in schema_*.c, an object that several operations share once (OpenAPI makes a component of it). Inside this
 * folder only: everybody else sees them through struct operation.
 */
#pragma once
#include "api/operation.h"

#define FIELD_STR(name, flags, max, about)                                                                             \
	{                                                                                                              \
		name, API_STRING, (flags), (max), about, NULL, NULL                                                    \
	}
#define FIELD_ONE_OF(name, flags, about, values)                                                                       \
	{                                                                                                              \
		name, API_STRING, (flags), 0, about, NULL, values                                                      \
	}
#define FIELD_INT(name, flags, max, about)                                                                             \
	{                                                                                                              \
		name, API_INTEGER, (flags), (max), about, NULL, NULL                                                   \
	}
#define FIELD_BOOL(name, flags, about)                                                                                 \
	{                                                                                                              \
		name, API_BOOLEAN, (flags), 0, about, NULL, NULL                                                       \
	}
#define FIELD_OBJECT(name, flags, about, of)                                                                           \
	{                                                                                                              \
		name, API_OBJECT, (flags), 0, about, of, NULL                                                          \
	}
#define FIELD_LIST(name, flags, max, about)                                                                            \
	{                                                                                                              \
		name, API_ARRAY, (flags), (max), about, NULL, NULL                                                     \
	}
#define FIELD_OBJECTS(name, flags, max, about, of)                                                                     \
	{                                                                                                              \
		name, API_ARRAY, (flags), (max), about, of, NULL                                                       \
	}
#define FIELD_MAP(name, flags, max, about)                                                                             \
	{                                                                                                              \
		name, API_STRING_MAP, (flags), (max), about, NULL, NULL                                                \
	}
#define FIELD_ANY(name, flags, about)                                                                                  \
	{                                                                                                              \
		name, API_ANY_OBJECT, (flags), 0, about, NULL, NULL                                                    \
	}
#define FIELD_SEALED(about)                                                                                            \
	{                                                                                                              \
		"sealed", API_STRING, API_REQUIRED | API_SEALED, API_SEALED_MAX, about, NULL, NULL                     \
	}
#define FIELD_END                                                                                                      \
	{                                                                                                              \
		NULL, API_STRING, 0, 0, NULL, NULL, NULL                                                               \
	}

#define API_NAME_MAX   512  /* an FQN, a path of the vault */
#define API_TEXT_MAX   2048 /* a URL, a line of prose */
#define API_FOLDER_MAX 4096
#define API_SEALED_MAX ((uint64_t)192 << 10) /* base64 of what vault/sealed.h allows */
#define API_FILE_MAX   ((uint64_t)16 << 20)  /* base64 of a vault's export */
#define API_LIST_MAX   4096
#define API_COUNT_MAX  (UINT64_C(1) << 53)

/* An object that more than one place shows, and what OpenAPI calls it. */
struct api_component {
	const char *name;
	const struct api_field *fields;
};
extern const struct api_component api_components[]; /* ended by name NULL */

extern const struct api_field api_health[], api_status[], api_doctor[], api_code[], api_code_request[], api_token[];
extern const struct api_field api_proof_request[], api_proof[];
extern const struct api_field api_process[], api_confinement[], api_runner[], api_check[];
extern const struct api_field api_session[], api_session_new[], api_session_request[], api_session_query[];
extern const struct api_field api_session_list[], api_session_end[];
#define SHAPE_HEALTH         .result = api_health
#define SHAPE_STATUS         .result = api_status
#define SHAPE_OPENAPI        .result = NULL
#define SHAPE_DOCTOR         .result = api_doctor
#define SHAPE_TOKEN_CODE     .result = api_code
#define SHAPE_TOKEN_EXCHANGE .request = api_code_request, .result = api_token
#define SHAPE_TOKEN_PROVE    .request = api_proof_request, .result = api_proof
#define SHAPE_TOKEN_REVOKE   .result = NULL
#define SHAPE_SESSION_START  .request = api_session_request, .result = api_session_new
#define SHAPE_SESSION_LIST   .query = api_session_query, .result = api_session_list
#define SHAPE_SESSION_GET    .result = api_session
#define SHAPE_SESSION_HOLD   .result = NULL
#define SHAPE_SESSION_END    .request = api_session_end, .result = api_session

extern const struct api_field api_vault_status[], api_vault_nonce[], api_sealed[], api_unlock_request[], api_unlock[];
extern const struct api_field api_backups_open[], api_vault_query[], api_vault_list[], api_entry[];
extern const struct api_field api_metadata[], api_put_request[], api_put[], api_member[], api_member_list[];
extern const struct api_field api_member_request[], api_member_name[], api_file[], api_import_request[], api_import[];
extern const struct api_field api_backup[], api_backup_list[], api_tune_request[], api_tune[];
#define SHAPE_VAULT_STATUS   .result = api_vault_status
#define SHAPE_VAULT_NONCE    .result = api_vault_nonce
#define SHAPE_VAULT_INIT     .request = api_sealed, .result = api_vault_status
#define SHAPE_VAULT_UNLOCK   .request = api_unlock_request, .result = api_unlock, .there = api_vault_status
#define SHAPE_VAULT_LOCK     .result = api_vault_status
#define SHAPE_VAULT_PASSWD   .request = api_sealed, .result = api_backups_open
#define SHAPE_VAULT_LIST     .query = api_vault_query, .result = api_vault_list
#define SHAPE_VAULT_GET_META .result = api_entry
#define SHAPE_VAULT_PUT      .request = api_put_request, .result = api_put
#define SHAPE_VAULT_DELETE   .result = NULL
#define SHAPE_MEMBER_LIST    .result = api_member_list
#define SHAPE_MEMBER_ADD     .request = api_member_request, .result = api_member_name
#define SHAPE_MEMBER_REMOVE  .request = api_sealed, .result = api_backups_open
#define SHAPE_VAULT_EXPORT   .request = api_sealed, .result = api_file
#define SHAPE_VAULT_IMPORT   .request = api_import_request, .result = api_import
#define SHAPE_BACKUP_LIST    .result = api_backup_list
#define SHAPE_BACKUP_DELETE  .result = NULL
#define SHAPE_VAULT_TUNE     .request = api_tune_request, .result = api_tune
#define SHAPE_VAULT_CONSENT  .request = api_sealed, .result = api_binding

extern const struct api_field api_connector[], api_connector_list[], api_connector_full[], api_credential[],
	api_oauth2[];
extern const struct api_field api_limits[], api_spawn[], api_spawn_program[], api_spawn_operation[];
extern const struct api_field api_link_request[], api_unlink[], api_call_request[], api_call[], api_report[];
extern const struct api_field api_log_line[], api_trace_line[];
#define SHAPE_CONNECTOR_LIST   .result = api_connector_list
#define SHAPE_CONNECTOR_SHOW   .result = api_connector_full
#define SHAPE_CONNECTOR_LINK   .request = api_link_request, .result = api_connector_full
#define SHAPE_CONNECTOR_UNLINK .result = api_unlink
#define SHAPE_CONNECTOR_CALL   .request = api_call_request, .result = api_call

extern const struct api_field api_binding[], api_binding_query[], api_binding_list[], api_source[], api_setup_item[];
extern const struct api_field api_setup_request[], api_setup[], api_rebind_request[];
extern const struct api_field api_oauth_request[], api_oauth[], api_oauth_finish[], api_oauth_query[];
extern const struct api_field api_oauth_poll[], api_oauth_polled[];
#define SHAPE_BINDING_LIST   .query = api_binding_query, .result = api_binding_list
#define SHAPE_BINDING_GET    .result = api_binding
#define SHAPE_BINDING_DELETE .result = NULL
#define SHAPE_BINDING_SETUP  .request = api_setup_request, .result = api_setup
#define SHAPE_BINDING_REBIND .request = api_rebind_request, .result = api_binding
#define SHAPE_OAUTH_INIT     .request = api_oauth_request, .result = api_oauth
#define SHAPE_OAUTH_FINISH   .request = api_oauth_finish, .result = api_binding
#define SHAPE_OAUTH_CALLBACK .query = api_oauth_query
#define SHAPE_OAUTH_POLL     .request = api_oauth_poll, .result = api_oauth_polled

extern const struct api_field api_agent[], api_agent_list[], api_agent_request[], api_agent_new[];
#define SHAPE_AGENT_LIST     .result = api_agent_list
#define SHAPE_AGENT_REGISTER .request = api_agent_request, .result = api_agent_new
#define SHAPE_AGENT_REVOKE   .result = NULL

extern const struct api_field api_audit_query[], api_audit_list[], api_audit_row[], api_audit_event[], api_actor[];
extern const struct api_field api_audit_post[], api_audit_posted[], api_tail_query[], api_verdict[];
#define SHAPE_AUDIT_LIST   .query = api_audit_query, .result = api_audit_list
#define SHAPE_AUDIT_GET    .result = api_audit_row
#define SHAPE_AUDIT_POST   .request = api_audit_post, .result = api_audit_posted
#define SHAPE_AUDIT_TAIL   .query = api_tail_query
#define SHAPE_AUDIT_EXPORT .result = NULL
#define SHAPE_AUDIT_VERIFY .result = api_verdict

extern const struct api_field api_action[], api_action_connector[], api_action_requires[], api_action_match[];
extern const struct api_field api_action_input[], api_action_step[], api_action_preview[], api_action_approval[];
extern const struct api_field api_action_hints[], api_load_error[], api_action_list[], api_action_patch[];
extern const struct api_field api_action_link_request[], api_action_link[];
extern const struct api_field api_action_unlink_request[], api_action_unlink[];
#define SHAPE_ACTION_LIST   .result = api_action_list
#define SHAPE_ACTION_SHOW   .result = api_action
#define SHAPE_ACTION_PATCH  .request = api_action_patch, .result = api_action
#define SHAPE_ACTION_LINK   .request = api_action_link_request, .result = api_action_link
#define SHAPE_ACTION_UNLINK .request = api_action_unlink_request, .result = api_action_unlink

extern const struct api_field api_run[], api_run_caller[], api_run_attempt[], api_run_call[], api_input_field[];
extern const struct api_field api_run_request[], api_run_result[], api_run_query[], api_run_list[];
extern const struct api_field api_pending[], api_pending_list[], api_preview[], api_decision[], api_approval_result[];
extern const struct api_field api_grant[], api_grant_list[];
#define SHAPE_ACTION_RUN      .request = api_run_request, .result = api_run_result
#define SHAPE_RUN_LIST        .query = api_run_query, .result = api_run_list
#define SHAPE_RUN_SHOW        .result = api_run
#define SHAPE_RUN_CANCEL      .result = api_run
#define SHAPE_APPROVAL_LIST   .result = api_pending_list
#define SHAPE_APPROVAL_WATCH  .result = NULL
#define SHAPE_APPROVAL_SHOW   .result = api_pending
#define SHAPE_APPROVAL_DECIDE .request = api_decision
#define SHAPE_APPROVAL_RESULT .result = api_approval_result
#define SHAPE_GRANT_LIST      .result = api_grant_list
#define SHAPE_GRANT_REVOKE    .result = NULL
