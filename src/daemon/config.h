/*
 * config: what a person sets for good, in ~/.aileron/config.yaml
 *
 * Read once, when the daemon starts; the rows of config_rows are all there is. A key that is not among them is an error, not
 * ignored: a misspelt safety setting must not look set. `aileron config` reads and writes the same file. Values reach control
 * and the keeper as settings of their START (supervise.h). What flags and variables of `daemon run` set is read by the same
 * rows, and wins.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define CONFIG_FILE     "config.yaml"
#define CONFIG_MAX      ((size_t)64 << 10) /* bytes of the file */
#define CONFIG_TEXT_MAX 512                /* bytes of a value */

enum config_kind {
	CONFIG_BOOL,
	CONFIG_CHOICE,
	CONFIG_DURATION, /* sent in whole seconds */
	CONFIG_IDLE,     /* a duration, 0s = never; sent in milliseconds */
	CONFIG_DAYS,     /* 0 = for ever */
	CONFIG_PORT,     /* 0 = any */
	CONFIG_URL,      /* http or https; "" where that is the default */
	CONFIG_PATH,     /* name of an entry of the vault */
	CONFIG_NAME,     /* a text of one line, not empty */
};
struct config_row {
	const char *key; /* two words: "approvals.grants" */
	enum config_kind kind;
	const char *otherwise;      /* the default, as written in the file; "" = none */
	const char *const *choices; /* of CONFIG_CHOICE, ended by NULL */
	const char *setting;        /* SETTING_* of control; NULL = the parent's own */
	const char *about;
};
enum {
	CONFIG_APPROVALS_GRANTS,
	CONFIG_APPROVALS_CONFIRM,
	CONFIG_APPROVALS_EXPIRY,
	CONFIG_AUDIT_KEEP_DAYS,
	CONFIG_DAEMON_PORT,
	CONFIG_GATEWAY_ANTHROPIC,
	CONFIG_GATEWAY_OPENAI,
	CONFIG_GATEWAY_ALLOW_PRIVATE,
	CONFIG_GATEWAY_INJECT_ANTHROPIC,
	CONFIG_GATEWAY_INJECT_OPENAI,
	CONFIG_MCP_TOOL_APPROVAL,
	CONFIG_NOTIFY,
	CONFIG_OTLP_ENDPOINT,
	CONFIG_OTLP_SERVICE,
	CONFIG_VAULT_AUTO_LOCK,
	CONFIG__MAX
};
extern const struct config_row config_rows[CONFIG__MAX];
/* Its number, or -1. */
int config_row_named(struct str key);

struct config {
	char text[CONFIG__MAX][CONFIG_TEXT_MAX];  /* as a person writes it; the default where nothing is set */
	char value[CONFIG__MAX][CONFIG_TEXT_MAX]; /* as it is sent: "0" or "1", seconds, the text */
	bool set[CONFIG__MAX];                    /* in the file */
};
/* Checks one; both forms of it, CONFIG_TEXT_MAX each. USAGE says what the key takes. */
int config_read_value(int row, struct str text, char ret_text[CONFIG_TEXT_MAX], char ret_value[CONFIG_TEXT_MAX],
		      struct err *err) __attribute__((warn_unused_result));
/* The file's text, "" for none. PARSE_ERROR and VALIDATION_ERROR with the line. */
int config_parse(struct str text, const char *file, struct config *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Of that state folder; without a file everything is the default. */
int config_load(const char *state_dir, struct config *ret, struct err *err) __attribute__((warn_unused_result));
/*
 * Sets a key, or takes it out (text NULL), and nothing else of the file: comments stay. 1 changed, 0 it was so already. For two
 * who do that at once the later one wins. The daemon takes it up at its next start.
 */
int config_change(const char *state_dir, int row, const char *text, struct err *err)
	__attribute__((warn_unused_result));
