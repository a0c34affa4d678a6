/*
 * verb_flags: the flags of each verb, for the rows of verbs.c alone
 */
#pragma once
#include "cli/passphrase.h"
#include "cli/verb.h"

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

static const struct verb_flag mcp_install_flags[] = {
	{"dry-run", FLAG_SWITCH, NULL, false, "show what would be written, and change nothing"},
	{"force", FLAG_SWITCH, NULL, false, "replace a server of our name that is not ours"},
	FLAGS_END,
};
static const struct verb_flag mcp_uninstall_flags[] = {
	{"dry-run", FLAG_SWITCH, NULL, false, "show what would be removed, and change nothing"},
	FLAGS_END,
};

static const struct verb_flag run_flags[] = {
	{"bind", FLAG_TEXT, "ADDRESS:PORT", false,
	 "listen there, a loopback address (AILERON_BIND; default 127.0.0.1:0)"},
	{"log-level", FLAG_TEXT, "LEVEL", false,
	 "the least that is logged: debug, info, warn or error (AILERON_LOG_LEVEL)"},
	{"allow-unconfined", FLAG_TEXT, "BOUNDARIES", false,
	 "go on where the machine lacks these boundaries, comma-separated (AILERON_ALLOW_UNCONFINED)"},
	{"auto-lock", FLAG_TEXT, "DURATION", false,
	 "lock the vault after so long without use, 0s for never (AILERON_AUTO_LOCK; else vault.auto_lock of the "
	 "configuration)"},
	{"ca-file", FLAG_FILE, "FILE", false,
	 "trust these certificates (PEM) instead of the system's (AILERON_CA_FILE)"},
	{"otlp-endpoint", FLAG_TEXT, "URL", false, "send spans there (AILERON_OTLP_ENDPOINT; else otlp.endpoint)"},
	{"otlp-service", FLAG_TEXT, "NAME", false,
	 "what the spans call this service (AILERON_OTLP_SERVICE; else otlp.service)"},
	{"audit-keep-days", FLAG_NUMBER, "DAYS", false,
	 "drop older events of the audit, and runs, sessions and grants that ended before "
	 "(AILERON_AUDIT_KEEP_DAYS; else audit.keep_days)"},
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
	 "take a file that is older than the last one seen, and make it the newest; this is recorded"},
	FLAGS_END,
};
static const struct verb_flag put_flags[] = {
	{"type", FLAG_TEXT, "TYPE", false, "kind of the value; default \"secret\""},
	{"environment", FLAG_TEXT, "NAME", false, "where it belongs: \"production\""},
	{"label", FLAG_TEXT, "NAME=VALUE", true, "something to know it by, not secret"},
	{"host", FLAG_TEXT, "HOST:PORT", true,
	 "an upstream of the gateway that gets it as its key; it goes nowhere else"},
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
static const struct verb_flag action_run_flags[] = {
	{"arg", FLAG_TEXT, "NAME=VALUE", true, "one input, read as the type that the action says; not with --args"},
	{"args", FLAG_TEXT, "JSON", false,
	 "all inputs, an object: as text, @FILE, or - for standard input; default {}"},
	{"wait", FLAG_OPTIONAL, "DURATION", false, "wait for the person and the end, for ever or so long"},
	{"dry-run", FLAG_SWITCH, NULL, false, "show what would be asked and called; nothing is run"},
	{"timeout", FLAG_TEXT, "DURATION", false, "give up after so long, which cancels what runs; default 1h"},
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag runs_flags[] = {
	{"state", FLAG_TEXT, "STATE", false, "only those in this state: \"pending_approval\", \"failed\""},
	{"action", FLAG_TEXT, "NAME", false, "only this action's"},
	FLAGS_FILTER,
	{"limit", FLAG_NUMBER, "N", false, "at most so many, the newest: 1 to 1000, default 100"},
	FLAGS_END,
};
static const struct verb_flag approval_show_flags[] = {
	{"full", FLAG_SWITCH, NULL, false, "fold no text"},
	FLAGS_END,
};
static const struct verb_flag approve_flags[] = {
	{"edit", FLAG_TEXT, "NAME=VALUE", true, "change one of the arguments; not with --args"},
	{"args", FLAG_TEXT, "JSON", false, "these arguments instead: as text, @FILE, or - for standard input"},
	{"grant", FLAG_SWITCH, NULL, false, "allow the action with any arguments for 15 minutes in that session, too"},
	{"full", FLAG_SWITCH, NULL, false, "fold no text"},
	FLAG_YES,
	FLAGS_PASSPHRASE,
	FLAGS_END,
};
static const struct verb_flag watch_flags[] = {FLAGS_PASSPHRASE, FLAGS_END};
static const struct verb_flag deny_flags[] = {
	{"reason", FLAG_TEXT, "TEXT", false, "why, as REASON; who asked is told"},
	FLAGS_END,
};
static const struct verb_flag link_flags[] = {
	{"name", FLAG_TEXT, "NAME", false,
	 "link it as local://user/NAME instead of under the manifest's name; NAME is enough"},
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
	{"limit", FLAG_NUMBER, "N", false, "at most so many: 1 to 1000, default 100"},
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
	{"limit", FLAG_NUMBER, "N", false, "at most so many: 1 to 1000, default 100"},
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
