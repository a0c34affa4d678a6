#include "base/limits.h"
#include "cli/passphrase.h"
#include "cli/verb_runs.h"

#define DIGITS_OF(number) #number
#define DIGITS(number)    DIGITS_OF(number)

#define FLAGS_END                                                                                                      \
	{                                                                                                              \
		NULL, FLAG_SWITCH, NULL, false, NULL                                                                   \
	}
#define FLAG_YES                                                                                                       \
	{                                                                                                              \
		"yes", FLAG_SWITCH, NULL, false, "do not ask"                                                          \
	}
#define FLAG_VALUE_FILE                                                                                                \
	{                                                                                                              \
		"value-file", FLAG_FILE, "FILE", false, "take the value from this file, - for standard input"          \
	}
#define FLAG_NO_BROWSER                                                                                                \
	{                                                                                                              \
		"no-browser", FLAG_SWITCH, NULL, false, "print the address and open no browser"                        \
	}
#define FLAG_PRIVATE                                                                                                   \
	{                                                                                                              \
		"allow-private", FLAG_TEXT, "HOST:PORT", true,                                                         \
			"this host of the connector may be at a loopback or private address"                           \
	}
#define FLAGS_NEW                                                                                                      \
	{"new-passphrase-file", FLAG_FILE, "FILE", false, "take the new passphrase from this file"},                   \
	{                                                                                                              \
		"new-key-file", FLAG_FILE, "FILE", false,                                                              \
			"a key file instead of a passphrase; made when it is not there"                                \
	}
#define FLAGS_BACKUPS                                                                                                  \
	{"keep-backups", FLAG_SWITCH, NULL, false,                                                                     \
	 "keep earlier files that can still be opened as before; do not ask"},                                         \
	{                                                                                                              \
		"delete-backups", FLAG_SWITCH, NULL, false, "delete them; do not ask"                                  \
	}
#define FLAGS_FILTER                                                                                                   \
	{                                                                                                              \
		"since", FLAG_TIME, "TIME", false, "only later ones: 2026-01-02T03:04:05Z, or how long ago (90m, 2h)"  \
	}

/* ------------------------------------------------------------------------------------------------------------- the flags */

static const struct verb_flag run_flags[] = {
	{"bind", FLAG_TEXT, "ADDRESS:PORT", false,
	 "listen there, a loopback address (AILERON_BIND; default 127.0.0.1:0)"},
	{"log-level", FLAG_TEXT, "LEVEL", false,
	 "the least that is logged: debug, info, warn or error (AILERON_LOG_LEVEL)"},
	{"allow-unconfined", FLAG_TEXT, "BOUNDARIES", false,
	 "go on where the machine lacks these boundaries, comma-separated (AILERON_ALLOW_UNCONFINED)"},
	{"auto-lock", FLAG_TEXT, "DURATION", false,
	 "lock the vault after so long without use, 0s for never (AILERON_AUTO_LOCK; default " DIGITS(
		 LIMIT_AUTO_LOCK_HOURS) "h)"},
	{"ca-file", FLAG_FILE, "FILE", false,
	 "trust these certificates (PEM) instead of the system's (AILERON_CA_FILE)"},
	{"otlp-endpoint", FLAG_TEXT, "URL", false, "send spans there (AILERON_OTLP_ENDPOINT)"},
	{"otlp-service", FLAG_TEXT, "NAME", false, "what the spans call this service (AILERON_OTLP_SERVICE)"},
	{"audit-keep-days", FLAG_NUMBER, "DAYS", false,
	 "drop older events of the audit (AILERON_AUDIT_KEEP_DAYS; default never)"},
	{"spawned", FLAG_SWITCH, NULL, false, NULL},
	FLAGS_END,
};
static const struct verb_flag status_flags[] = {
	{"proof", FLAG_SWITCH, NULL, false, "show how each process proved its confinement"},
	FLAGS_END,
};
static const struct verb_flag open_flags[] = {
	{"print", FLAG_SWITCH, NULL, false, "print the address and open no browser"},
	FLAGS_END,
};
static const struct verb_flag passphrase_flags[] = {FLAGS_PASSPHRASE, FLAGS_END};
static const struct verb_flag unlock_flags[] = {
	FLAGS_PASSPHRASE,
	{"accept-rollback", FLAG_SWITCH, NULL, false,
	 "take a file that is older than the last one seen; this is recorded"},
	FLAGS_END,
};
static const struct verb_flag put_flags[] = {
	{"type", FLAG_TEXT, "TYPE", false, "kind of the value; default \"secret\""},
	{"environment", FLAG_TEXT, "NAME", false, "where it belongs: \"production\""},
	{"label", FLAG_TEXT, "NAME=VALUE", true, "something to know it by, not secret"},
	FLAG_VALUE_FILE,
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag vault_list_flags[] = {
	{"scope", FLAG_TEXT, "SCOPE", false,
	 "only binding, agent, user, secret, connected-account, llm-config or other"},
	{"prefix", FLAG_TEXT, "TEXT", false, "only paths that begin with it"},
	{"include-control-plane", FLAG_SWITCH, NULL, false, "entries of the program's own too"},
	FLAGS_END,
};
static const struct verb_flag delete_flags[] = {FLAG_YES, FLAGS_PASSPHRASE, FLAGS_END};
static const struct verb_flag yes_flags[] = {FLAG_YES, FLAGS_END};
static const struct verb_flag passwd_flags[] = {FLAGS_PASSPHRASE, FLAGS_NEW, FLAGS_BACKUPS, FLAGS_END};
static const struct verb_flag member_remove_flags[] = {FLAG_YES, FLAGS_BACKUPS, FLAGS_PASSPHRASE, FLAGS_END};
static const struct verb_flag member_add_flags[] = {FLAGS_PASSPHRASE, FLAGS_NEW, FLAGS_END};
static const struct verb_flag export_flags[] = {
	{"output", FLAG_FILE, "FILE", false, "write there, which must not exist; default standard output"},
	{"new-passphrase-file", FLAG_FILE, "FILE", false, "take the export's passphrase from this file"},
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag import_flags[] = {
	{"replace", FLAG_SWITCH, NULL, false, "entries that are there take the export's value; else they stay"},
	{"import-passphrase-file", FLAG_FILE, "FILE", false, "take the passphrase of the export from this file"},
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag tune_flags[] = {
	{"target", FLAG_TEXT, "DURATION", false, "how long unlocking may take; default 500ms"},
	FLAGS_END,
};
static const struct verb_flag link_flags[] = {
	{"name", FLAG_TEXT, "NAME", false, "link it as local://user/NAME instead of under the manifest's name"},
	FLAGS_END,
};
static const struct verb_flag call_flags[] = {
	{"op", FLAG_TEXT, "NAME", false, "the operation to call (required)"},
	{"args", FLAG_TEXT, "JSON", false,
	 "its arguments, an object: as text, @FILE, or - for standard input; default {}"},
	{"arg", FLAG_TEXT, "NAME=VALUE", true, "one argument, a text; not with --args"},
	{"timeout", FLAG_TEXT, "DURATION", false, "a shorter wall time: \"1500ms\""},
	{"trace", FLAG_SWITCH, NULL, false, "show the host calls on standard error"},
	{"report", FLAG_SWITCH, NULL, false, "show what the call took on standard error"},
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag setup_flags[] = {
	{"identity", FLAG_TEXT, "NAME", false, "who you are at the service: \"work\"; asked for when it is not given"},
	{"service", FLAG_TEXT, "NAME", false, "name of the service; default the connector's repository"},
	{"account", FLAG_TEXT, "TEXT", false, "whose account it is, for people"},
	{"access-key-id", FLAG_TEXT, "ID", false, "aws_sigv4: the key's id"},
	{"region", FLAG_TEXT, "REGION", false, "aws_sigv4: the one region that this binding serves; default any"},
	{"username", FLAG_TEXT, "NAME", false, "basic: the user"},
	FLAG_VALUE_FILE,
	FLAG_PRIVATE,
	{"device", FLAG_SWITCH, NULL, false, "oauth2: type a code on another device instead of a browser here"},
	FLAG_NO_BROWSER,
	FLAG_YES,
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag binding_list_flags[] = {
	{"connector", FLAG_TEXT, "FQN", false, "only this connector's"},
	{"kind", FLAG_TEXT, "KIND", false, "only api_key, oauth2, aws_sigv4, basic or signing_key"},
	FLAGS_END,
};
static const struct verb_flag rebind_flags[] = {
	{"access-key-id", FLAG_TEXT, "ID", false, "aws_sigv4: the new key's id; default the old one"},
	{"region", FLAG_TEXT, "REGION", false, "aws_sigv4: the one region that it serves; default as before"},
	{"username", FLAG_TEXT, "NAME", false, "basic: the user; default as before"},
	FLAG_VALUE_FILE,
	FLAG_PRIVATE,
	FLAG_YES,
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag reauthorize_flags[] = {
	FLAG_PRIVATE,
	{"device", FLAG_SWITCH, NULL, false, "type a code on another device instead of a browser here"},
	FLAG_NO_BROWSER,
	FLAG_YES,
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag hosts_flags[] = {FLAG_PRIVATE, FLAG_YES, FLAGS_PASSPHRASE, FLAGS_END};
static const struct verb_flag sessions_flags[] = {
	{"active", FLAG_SWITCH, NULL, false, "only those that run"},
	{"agent", FLAG_TEXT, "NAME", false, "only this agent's"},
	FLAGS_FILTER,
	{"limit", FLAG_NUMBER, "N", false, "at most so many; default 100, at most 1000"},
	FLAGS_END,
};
static const struct verb_flag audit_flags[] = {
	FLAGS_FILTER,
	{"until", FLAG_TIME, "TIME", false, "only earlier ones"},
	{"type", FLAG_TEXT, "TYPE", false, "only these events: \"execution.failed\""},
	{"connector", FLAG_TEXT, "FQN", false, "only this connector's"},
	{"class", FLAG_TEXT, "CLASS", false, "only failures of this class"},
	{"binding", FLAG_TEXT, "NAME", false, "only this binding's"},
	{"audit-id", FLAG_TEXT, "ID", false, "only this one"},
	{"limit", FLAG_NUMBER, "N", false, "at most so many; default 100, at most 1000"},
	FLAGS_END,
};
static const struct verb_flag tail_flags[] = {
	{"after", FLAG_NUMBER, "SEQ", false, "from behind this event on; default from now on"},
	FLAGS_END,
};
static const struct verb_flag verify_flags[] = {
	{"key", FLAG_FILE, "FILE", false, "prove the origin by this public key, the device.pub of the state directory"},
	FLAGS_END,
};
static const struct verb_flag audit_export_flags[] = {
	{"output", FLAG_FILE, "FILE", false, "write there, which must not exist; default standard output"},
	FLAGS_END,
};

/* ------------------------------------------------------------------------------------------------------------- the verbs */

#define OPERATIONS(...)                                                                                                \
	.operations = {__VA_ARGS__},                                                                                   \
	.n_operations = sizeof((enum api_operation_id[]){__VA_ARGS__}) / sizeof(enum api_operation_id)

const struct verb verbs[] = {
	{.words = "status",
	 .arguments = "",
	 .flags = status_flags,
	 OPERATIONS(OP_STATUS),
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_status,
	 .summary = "the daemon, its processes and the vault at a glance",
	 .about = "Exits 69 when the daemon does not run."},
	{.words = "doctor",
	 .arguments = "",
	 OPERATIONS(OP_DOCTOR),
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_doctor,
	 .summary = "check everything that can be checked, and say how to mend it",
	 .about = "Without a daemon it looks at the state directory, the database and the chain of the audit itself, "
		  "and changes\n"
		  "nothing. Exits 1 when something is wrong."},
	{.words = "open",
	 .arguments = "",
	 .flags = open_flags,
	 OPERATIONS(OP_TOKEN_CODE),
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_open,
	 .summary = "open the daemon's page in a browser",
	 .about = "The address carries a code that works once, for a minute."},
	{.words = "stop",
	 .arguments = "",
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_daemon_stop,
	 .summary = "stop the daemon",
	 .about = "The same as 'daemon stop'."},
	{.words = "help",
	 .arguments = "[VERB]",
	 .most = 3,
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_help,
	 .summary = "list the verbs, or say what one does",
	 .about = ""},
	{.words = "version",
	 .arguments = "",
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_version,
	 .summary = "print the version",
	 .about = ""},
	{.words = "completion",
	 .arguments = "bash|zsh|fish",
	 .least = 1,
	 .most = 1,
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_completion,
	 .summary = "print a completion script for a shell",
	 .about = "For bash, put 'source <(aileron completion bash)' into ~/.bashrc. For zsh, write the output to a "
		  "file named\n"
		  "_aileron in a folder of $fpath. For fish, write it to ~/.config/fish/completions/aileron.fish."},
	{.words = "manual",
	 .arguments = "",
	 .marks = VERB_NEVER_SPAWNS | VERB_HIDDEN,
	 .run = verb_manual,
	 .summary = "print the page of the manual",
	 .about = ""},

	{.words = "config list",
	 .arguments = "",
	 .marks = VERB_NEVER_SPAWNS | VERB_GROUP_DEFAULT,
	 .run = verb_config_list,
	 .summary = "every setting with its value",
	 .about = "They are kept in config.yaml in the state folder; the daemon reads it when it starts."},
	{.words = "config get",
	 .arguments = "KEY",
	 .least = 1,
	 .most = 1,
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_config_get,
	 .summary = "the value of one setting",
	 .about = ""},
	{.words = "config set",
	 .arguments = "KEY VALUE",
	 .least = 2,
	 .most = 2,
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_config_set,
	 .summary = "change a setting",
	 .about = "Only that place of the file is changed. 'aileron daemon restart' puts it into effect."},
	{.words = "config unset",
	 .arguments = "KEY",
	 .least = 1,
	 .most = 1,
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_config_unset,
	 .summary = "take a setting out, so that its default holds",
	 .about = ""},

	{.words = "daemon run",
	 .arguments = "",
	 .flags = run_flags,
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_daemon_run,
	 .summary = "be the daemon, in the foreground",
	 .about = "Each flag can also be given as the variable that stands behind it, which a daemon that is started "
		  "by another\n"
		  "verb reads too."},
	{.words = "daemon start",
	 .arguments = "",
	 .run = verb_daemon_start,
	 .summary = "start the daemon when it does not run, and wait until it is ready",
	 .about = ""},
	{.words = "daemon stop",
	 .arguments = "",
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_daemon_stop,
	 .summary = "let the daemon finish what is under way and stop",
	 .about = ""},
	{.words = "daemon restart",
	 .arguments = "",
	 .run = verb_daemon_restart,
	 .summary = "stop the daemon, as daemon stop does, and start this program's",
	 .about = "The vault is locked afterwards."},
	{.words = "daemon status",
	 .arguments = "",
	 OPERATIONS(OP_HEALTH),
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_daemon_status,
	 .summary = "where the daemon is",
	 .about = "Exits 69 when it does not run."},

	{.words = "vault init",
	 .arguments = "",
	 .flags = passphrase_flags,
	 OPERATIONS(OP_VAULT_INIT),
	 .run = verb_vault_init,
	 .summary = "make the vault",
	 .about = "It is unlocked afterwards."},
	{.words = "vault unlock",
	 .arguments = "",
	 .flags = unlock_flags,
	 OPERATIONS(OP_VAULT_UNLOCK, OP_VAULT_STATUS),
	 .run = verb_vault_unlock,
	 .summary = "unlock the vault",
	 .about = ""},
	{.words = "vault lock",
	 .arguments = "",
	 OPERATIONS(OP_VAULT_LOCK),
	 .run = verb_vault_lock,
	 .summary = "lock the vault: no secret can be used until it is unlocked",
	 .about = ""},
	{.words = "vault status",
	 .arguments = "",
	 OPERATIONS(OP_VAULT_STATUS),
	 .run = verb_vault_status,
	 .summary = "whether there is a vault, and whether it is locked",
	 .about = ""},
	{.words = "vault list",
	 .arguments = "",
	 .flags = vault_list_flags,
	 OPERATIONS(OP_VAULT_LIST),
	 .run = verb_vault_list,
	 .summary = "names and kinds of the entries; never a value",
	 .about = ""},
	{.words = "vault get-meta",
	 .arguments = "PATH",
	 .least = 1,
	 .most = 1,
	 OPERATIONS(OP_VAULT_GET_META),
	 .run = verb_vault_get_meta,
	 .summary = "what is known about an entry; never its value",
	 .about = ""},
	{.words = "vault put",
	 .arguments = "PATH [-]",
	 .least = 1,
	 .most = 2,
	 .flags = put_flags,
	 OPERATIONS(OP_VAULT_PUT),
	 .run = verb_vault_put,
	 .summary = "store a value",
	 .about = "The value is asked for without echo, or comes from a file or from standard input (-), byte for "
		  "byte; never from\n"
		  "an argument. It is sealed here, for the keeper alone."},
	{.words = "vault delete",
	 .arguments = "PATH",
	 .least = 1,
	 .most = 1,
	 .flags = delete_flags,
	 OPERATIONS(OP_VAULT_DELETE),
	 .run = verb_vault_delete,
	 .summary = "delete an entry",
	 .about = ""},
	{.words = "vault passwd",
	 .arguments = "",
	 .flags = passwd_flags,
	 OPERATIONS(OP_VAULT_PASSWD, OP_BACKUP_DELETE),
	 .run = verb_vault_passwd,
	 .summary = "change the passphrase of the member whose passphrase is given",
	 .about = "Earlier files that the old passphrase still opens are named, and deleted if you want."},
	{.words = "vault export",
	 .arguments = "",

	 .flags = export_flags,
	 OPERATIONS(OP_VAULT_EXPORT),
	 .run = verb_vault_export,
	 .summary = "write all entries to a file, encrypted to another passphrase",
	 .about = "It is a vault of its own, with the entries as they are now."},
	{.words = "vault import",
	 .arguments = "FILE",
	 .least = 1,
	 .most = 1,
	 .flags = import_flags,
	 OPERATIONS(OP_VAULT_IMPORT),
	 .run = verb_vault_import,
	 .summary = "take the entries of an export",
	 .about = ""},
	{.words = "vault tune",
	 .arguments = "",
	 .flags = tune_flags,
	 OPERATIONS(OP_VAULT_TUNE),
	 .run = verb_vault_tune,
	 .summary = "propose parameters for deriving keys on this machine",
	 .about = ""},
	{.words = "vault member list",
	 .arguments = "",
	 OPERATIONS(OP_MEMBER_LIST),
	 .run = verb_member_list,
	 .summary = "who can unlock the vault",
	 .about = ""},
	{.words = "vault member add",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 .flags = member_add_flags,
	 OPERATIONS(OP_MEMBER_ADD),
	 .run = verb_member_add,
	 .summary = "let one more passphrase, or a key file, unlock the vault",
	 .about = ""},
	{.words = "vault member remove",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 .flags = member_remove_flags,
	 OPERATIONS(OP_MEMBER_REMOVE, OP_BACKUP_DELETE),
	 .run = verb_member_remove,
	 .summary = "remove a member, with a new vault key",
	 .about = "Needs the passphrase or key file of a member that stays."},
	{.words = "vault backup list",
	 .arguments = "",
	 OPERATIONS(OP_BACKUP_LIST),
	 .run = verb_backup_list,
	 .summary = "earlier files that are kept",
	 .about = ""},
	{.words = "vault backup delete",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 .flags = yes_flags,
	 OPERATIONS(OP_BACKUP_DELETE),
	 .run = verb_backup_delete,
	 .summary = "delete one of them",
	 .about = ""},

	{.words = "action validate",
	 .arguments = "FILE...",
	 .least = 1,
	 .most = VERB_VALUES_MAX,
	 .marks = VERB_NEVER_SPAWNS,
	 .run = verb_action_validate,
	 .summary = "check action files, each alone and all together",
	 .about = "Prints file, line and the first broken rule of each, and exits 1 when there is one. The operation "
		  "of a "
		  "preview\n"
		  "must be known from one of the files given."},

	{.words = "connector list",
	 .arguments = "",
	 OPERATIONS(OP_CONNECTOR_LIST),
	 .run = verb_connector_list,
	 .summary = "connectors that are linked or installed",
	 .about = ""},
	{.words = "connector show",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 OPERATIONS(OP_CONNECTOR_SHOW),
	 .run = verb_connector_show,
	 .summary = "all that a connector asks for",
	 .about = "NAME is an FQN (github://acme/notes) or, when only one connector has it, the last part of one "
		  "(notes)."},
	{.words = "connector link",
	 .arguments = "FOLDER",
	 .least = 1,
	 .most = 1,
	 .flags = link_flags,
	 OPERATIONS(OP_CONNECTOR_LINK),
	 .run = verb_connector_link,
	 .summary = "use a folder with manifest.toml and connector.wasm, unsigned, as it is at each use",
	 .about = ""},
	{.words = "connector unlink",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 OPERATIONS(OP_CONNECTOR_UNLINK),
	 .run = verb_connector_unlink,
	 .summary = "forget a linked folder; its bindings stay",
	 .about = ""},
	{.words = "connector call",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 .flags = call_flags,
	 OPERATIONS(OP_CONNECTOR_CALL),
	 .run = verb_connector_call,
	 .summary = "run one call",
	 .about = "Prints what the connector answered; with --json the daemon's whole answer."},

	{.words = "binding setup",
	 .arguments = "CONNECTOR [-]",
	 .least = 1,
	 .most = 2,
	 .flags = setup_flags,
	 OPERATIONS(OP_BINDING_SETUP, OP_OAUTH_INIT, OP_OAUTH_FINISH, OP_OAUTH_POLL, OP_CONNECTOR_SHOW),
	 .run = verb_binding_setup,
	 .summary = "bind your credential to what a connector asks for",
	 .about = "Shows what the connector may reach, and seals that together with the value: no other host can get "
		  "it. OAuth goes\n"
		  "through a browser that comes back to this program, or through a code that is typed elsewhere."},
	{.words = "binding list",
	 .arguments = "",
	 .flags = binding_list_flags,
	 OPERATIONS(OP_BINDING_LIST),
	 .run = verb_binding_list,
	 .summary = "bindings and how they are",
	 .about = ""},
	{.words = "binding inspect",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 OPERATIONS(OP_BINDING_GET),
	 .run = verb_binding_inspect,
	 .summary = "all about one binding, but its value",
	 .about = ""},
	{.words = "binding rebind",
	 .arguments = "NAME [-]",
	 .least = 1,
	 .most = 2,
	 .flags = rebind_flags,
	 OPERATIONS(OP_BINDING_REBIND, OP_BINDING_GET, OP_CONNECTOR_SHOW),
	 .run = verb_binding_rebind,
	 .summary = "give a binding a new value",
	 .about = ""},
	{.words = "binding reauthorize",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 .flags = reauthorize_flags,
	 OPERATIONS(OP_OAUTH_FINISH, OP_OAUTH_INIT, OP_OAUTH_POLL, OP_BINDING_GET, OP_CONNECTOR_SHOW),
	 .run = verb_binding_reauthorize,
	 .summary = "go through OAuth again, for new scopes or a token that was revoked",
	 .about = ""},
	{.words = "binding hosts",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 .flags = hosts_flags,
	 OPERATIONS(OP_VAULT_CONSENT, OP_BINDING_GET, OP_CONNECTOR_SHOW),
	 .run = verb_binding_hosts,
	 .summary = "consent to the hosts that the connector asks for now",
	 .about = "Shows what would change, and needs the passphrase again."},
	{.words = "binding revoke",
	 .arguments = "NAME",
	 .least = 1,
	 .most = 1,
	 .flags = delete_flags,
	 OPERATIONS(OP_BINDING_DELETE),
	 .run = verb_binding_revoke,
	 .summary = "delete a binding with its value",
	 .about = ""},

	{.words = "sessions list",
	 .arguments = "",
	 .flags = sessions_flags,
	 OPERATIONS(OP_SESSION_LIST),
	 .marks = VERB_GROUP_DEFAULT,
	 .run = verb_sessions_list,
	 .summary = "sessions of agents, newest first",
	 .about = "'sessions' alone does the same."},
	{.words = "sessions get",
	 .arguments = "ID",
	 .least = 1,
	 .most = 1,
	 OPERATIONS(OP_SESSION_GET),
	 .run = verb_sessions_get,
	 .summary = "one session",
	 .about = ""},

	{.words = "audit list",
	 .arguments = "",
	 .flags = audit_flags,
	 OPERATIONS(OP_AUDIT_LIST),
	 .marks = VERB_GROUP_DEFAULT,
	 .run = verb_audit_list,
	 .summary = "what was done, newest first",
	 .about = "'audit' alone does the same. Times are UTC."},
	{.words = "audit show",
	 .arguments = "ID",
	 .least = 1,
	 .most = 1,
	 OPERATIONS(OP_AUDIT_GET),
	 .run = verb_audit_show,
	 .summary = "one event",
	 .about = ""},
	{.words = "audit tail",
	 .arguments = "",
	 .flags = tail_flags,
	 OPERATIONS(OP_AUDIT_TAIL),
	 .run = verb_audit_tail,
	 .summary = "events as they happen",
	 .about = ""},
	{.words = "audit verify",
	 .arguments = "[FILE]",
	 .most = 1,
	 .flags = verify_flags,
	 OPERATIONS(OP_AUDIT_VERIFY),
	 .run = verb_audit_verify,
	 .summary = "verify the chain of events, stored or in an exported file",
	 .about = "A file is verified without the daemon, on any machine. Exits 1 when the chain is broken or, with "
		  "--key, when the\n"
		  "origin is not proven."},
	{.words = "audit export",
	 .arguments = "",
	 .flags = audit_export_flags,
	 OPERATIONS(OP_AUDIT_EXPORT),
	 .run = verb_audit_export,
	 .summary = "all events, one a line, ended by a signed head",
	 .about = ""},
	{.words = NULL},
};
