#include "daemon/config.h"
#include "base/arena.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/time.h"
#include "daemon/state_dir.h"
#include "os/file.h"
#include "supervise/supervise.h"
#include "text/url.h"
#include "text/yaml.h"
#include "text/yaml_edit.h"
#include <errno.h>
#include <stdio.h>

#define EXPIRY_MAX (30 * 24 * TIME_HOUR)
#define IDLE_MAX   (365 * 24 * TIME_HOUR)

static const char *const confirms[] = {"none", "passphrase", NULL};

const struct config_row config_rows[CONFIG__MAX] = {
	[CONFIG_APPROVALS_GRANTS] = {"approvals.grants", CONFIG_BOOL, "false", NULL, SETTING_APPROVAL_GRANTS,
				     "let a person allow an action for 15 minutes, where the action permits it"},
	[CONFIG_APPROVALS_CONFIRM] = {"approvals.confirm", CONFIG_CHOICE, "none", confirms, SETTING_APPROVAL_CONFIRM,
				      "what a person proves to approve: none, or passphrase"},
	[CONFIG_APPROVALS_EXPIRY] = {"approvals.expiry", CONFIG_DURATION, "24h", NULL, SETTING_APPROVAL_EXPIRY_S,
				     "how long a request waits for a person, up to 720h"},
	[CONFIG_AUDIT_KEEP_DAYS] =
		{"audit.keep_days", CONFIG_DAYS, "0", NULL, SETTING_AUDIT_KEEP_DAYS,
		 "for how many days the audit, and runs, sessions and grants that ended, are kept; 0 is for ever"},
	[CONFIG_DAEMON_PORT] = {"daemon.port", CONFIG_PORT, "0", NULL, NULL,
				"the port on 127.0.0.1 that the daemon listens on; 0 takes a free one"},
	[CONFIG_GATEWAY_ANTHROPIC] = {"gateway.anthropic", CONFIG_URL, "https://api.anthropic.com", NULL,
				      SETTING_GATEWAY_ANTHROPIC, "where the gateway sends requests of Anthropic's API"},
	[CONFIG_GATEWAY_OPENAI] = {"gateway.openai", CONFIG_URL, "https://api.openai.com", NULL, SETTING_GATEWAY_OPENAI,
				   "where the gateway sends requests of OpenAI's API"},
	[CONFIG_GATEWAY_ALLOW_PRIVATE] = {"gateway.upstream_allow_private", CONFIG_BOOL, "false", NULL,
					  SETTING_GATEWAY_ALLOW_PRIVATE,
					  "let these upstreams be on this machine or in a private network"},
	[CONFIG_GATEWAY_INJECT_ANTHROPIC] =
		{"gateway.inject_anthropic", CONFIG_PATH, "", NULL, SETTING_GATEWAY_INJECT_ANTHROPIC,
		 "the vault entry whose value is sent as the key, so that agents hold none"},
	[CONFIG_GATEWAY_INJECT_OPENAI] = {"gateway.inject_openai", CONFIG_PATH, "", NULL, SETTING_GATEWAY_INJECT_OPENAI,
					  "the same for OpenAI's API"},
	[CONFIG_MCP_TOOL_APPROVAL] = {"mcp.experimental_tool_approval", CONFIG_BOOL, "false", NULL,
				      SETTING_MCP_TOOL_APPROVAL, "offer the draft SEP-2848 to agents that take tasks"},
	[CONFIG_NOTIFY] = {"approvals.notify", CONFIG_BOOL, "true", NULL, NULL,
			   "show a desktop notification when a request waits"},
	[CONFIG_OTLP_ENDPOINT] = {"otlp.endpoint", CONFIG_URL, "", NULL, SETTING_OTLP_ENDPOINT,
				  "the collector that spans are sent to, like http://127.0.0.1:4318"},
	[CONFIG_OTLP_SERVICE] = {"otlp.service", CONFIG_NAME, "aileron", NULL, SETTING_OTLP_SERVICE,
				 "what the spans call this service"},
	[CONFIG_VAULT_AUTO_LOCK] = {"vault.auto_lock", CONFIG_IDLE, STR_DIGITS(LIMIT_AUTO_LOCK_HOURS) "h", NULL, NULL,
				    "lock the vault after so long without use; 0s is never"},
};

int config_row_named(struct str key)
{
	for (int i = 0; i < CONFIG__MAX; i++) {
		if (str_eq(key, str_from(config_rows[i].key)))
			return i;
	}
	return -1;
}

/* -------------------------------------------------------------------------------------------------------- one value */

static int refuse(const struct config_row *row, struct str text, struct err *err, const char *takes)
{
	char shown[ESCAPE_SHOWN_SIZE];
	return fail(err, ERR_USAGE, "'%s' takes %s, not '%s'", row->key, takes, escape_shown(text, shown));
}

static int read_bool(const struct config_row *row, struct str text, char *value, struct err *err)
{
	if (!str_eq(text, S("true")) && !str_eq(text, S("false")))
		return refuse(row, text, err, "true or false");
	snprintf(value, CONFIG_TEXT_MAX, "%d", text.p[0] == 't');
	return 0;
}

static int read_choice(const struct config_row *row, struct str text, struct err *err)
{
	AUTO_BUF all = BUF_INIT(256);
	for (const char *const *choice = row->choices; *choice != NULL; choice++) {
		if (str_eq(text, str_from(*choice)))
			return 0;
		buf_addf(&all, "%s%s", all.n > 0 ? " or " : "", *choice);
	}
	return refuse(row, text, err, all.p);
}

static int read_duration(const struct config_row *row, struct str text, char *value, struct err *err)
{
	uint64_t ns;
	if (duration_parse(text, EXPIRY_MAX, &ns, NULL) < 0 || ns < TIME_SECOND)
		return refuse(row, text, err, "a time from 1s to 720h, like 24h or 90m");
	snprintf(value, CONFIG_TEXT_MAX, "%llu", (unsigned long long)(ns / TIME_SECOND));
	return 0;
}

static int read_idle(const struct config_row *row, struct str text, char *value, struct err *err)
{
	uint64_t ns;
	if (duration_parse(text, IDLE_MAX, &ns, NULL) < 0)
		return refuse(row, text, err, "a time like 12h or 30m, or 0s for never");
	snprintf(value, CONFIG_TEXT_MAX, "%llu", (unsigned long long)(ns / TIME_MILLISECOND));
	return 0;
}

static int read_number(const struct config_row *row, struct str text, uint64_t most, const char *takes, struct err *err)
{
	uint64_t number;
	return str_to_u64(text, most, &number) ? 0 : refuse(row, text, err, takes);
}

static int read_url(const struct config_row *row, struct str text, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct url url;
	if (text.n == 0 && row->otherwise[0] == '\0')
		return 0;
	if (!str_starts(text, S("http://")) && !str_starts(text, S("https://")))
		return refuse(row, text, err, "an address that begins with https://");
	if (url_parse(arena, text, &url, NULL) < 0 || url.host.n == 0)
		return refuse(row, text, err, "an address of a server");
	return 0;
}

static int read_path(const struct config_row *row, struct str text, struct err *err)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] <= ' ' || (unsigned char)text.p[i] >= 0x7f)
			return refuse(row, text, err, "the name of an entry of the vault");
	}
	return 0;
}

static int read_name(const struct config_row *row, struct str text, struct err *err)
{
	bool valid = text.n > 0;
	for (size_t i = 0; i < text.n; i++)
		valid = valid && (unsigned char)text.p[i] >= ' ' && text.p[i] != 0x7f;
	return valid ? 0 : refuse(row, text, err, "a name in one line");
}

int config_read_value(int number, struct str text, char ret_text[CONFIG_TEXT_MAX], char ret_value[CONFIG_TEXT_MAX],
		      struct err *err)
{
	const struct config_row *row = &config_rows[number];
	char value[CONFIG_TEXT_MAX];
	int rc = 0;
	if (text.n >= CONFIG_TEXT_MAX || !str_is_utf8(text))
		return fail(err, ERR_USAGE, "the value of '%s' is longer than %d bytes, or no text", row->key,
			    CONFIG_TEXT_MAX - 1);
	snprintf(value, sizeof value, "%.*s", STR_FMT(text));
	switch (row->kind) {
	case CONFIG_BOOL:
		rc = read_bool(row, text, value, err);
		break;
	case CONFIG_CHOICE:
		rc = read_choice(row, text, err);
		break;
	case CONFIG_DURATION:
		rc = read_duration(row, text, value, err);
		break;
	case CONFIG_IDLE:
		rc = read_idle(row, text, value, err);
		break;
	case CONFIG_DAYS:
		rc = read_number(row, text, SETTING_AUDIT_KEEP_DAYS_MAX,
				 "a number of days, 0, which is for ever, to " STR_DIGITS(SETTING_AUDIT_KEEP_DAYS_MAX),
				 err);
		break;
	case CONFIG_PORT:
		rc = read_number(row, text, 65535, "a port, 0 to 65535", err);
		break;
	case CONFIG_URL:
		rc = read_url(row, text, err);
		break;
	case CONFIG_PATH:
		rc = read_path(row, text, err);
		break;
	case CONFIG_NAME:
		rc = read_name(row, text, err);
		break;
	}
	if (rc < 0)
		return -1;
	snprintf(ret_text, CONFIG_TEXT_MAX, "%.*s", STR_FMT(text));
	memcpy(ret_value, value, CONFIG_TEXT_MAX);
	return 0;
}

/* --------------------------------------------------------------------------------------------------------- the file */

static int refuse_at(const struct yaml_value *value, const char *file, struct str what, const char *why,
		     struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	(void)fail(err, ERR_VALIDATION_ERROR, "'%s' %s", escape_shown(what, shown), why);
	return err_at(err, file, yaml_line(value));
}

/* All are named: while the file is refused no verb lists them. */
static int refuse_key(const struct yaml_value *value, const char *file, const char *key, struct err *err)
{
	AUTO_BUF why = BUF_INIT(CONFIG_MAX);
	buf_add_z(&why, "is no setting; there are ");
	for (int i = 0; i < CONFIG__MAX; i++)
		buf_addf(&why, "%s%s", i > 0 ? ", " : "", config_rows[i].key);
	return refuse_at(value, file, str_from(key), why.p, err);
}

static int read_key(const char *file, struct str group, const struct yaml_iter *it, struct config *ret, struct err *err)
{
	char key[128];
	struct str text;
	snprintf(key, sizeof key, "%.*s.%.*s", STR_FMT(group), STR_FMT(it->name));
	int row = config_row_named(str_from(key));
	if (row < 0)
		return refuse_key(it->value, file, key, err);
	if (!yaml_get_text(it->value, &text) || yaml_kind(it->value) == YAML_NULL)
		return refuse_at(it->value, file, str_from(key), "has no value", err);
	if (config_read_value(row, text, ret->text[row], ret->value[row], err) < 0) {
		if (err != NULL)
			err->class = ERR_VALIDATION_ERROR;
		return err_at(err, file, yaml_line(it->value));
	}
	ret->set[row] = true;
	return 0;
}

static int read_file(struct str text, const char *file, struct config *ret, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	const struct yaml_value *root;
	struct yaml_iter groups, keys;
	if (yaml_parse(arena, text, file, &root, err) < 0)
		return -1;
	if (yaml_kind(root) != YAML_NULL && yaml_kind(root) != YAML_MAP)
		return refuse_at(root, file, str_from(CONFIG_FILE), "is no mapping", err);
	for (yaml_iter_init(&groups, root); yaml_iter_next(&groups);) {
		if (yaml_kind(groups.value) != YAML_MAP && yaml_kind(groups.value) != YAML_NULL)
			return refuse_at(groups.value, file, groups.name, "is no mapping", err);
		for (yaml_iter_init(&keys, groups.value); yaml_iter_next(&keys);) {
			if (read_key(file, groups.name, &keys, ret, err) < 0)
				return -1;
		}
	}
	return 0;
}

int config_parse(struct str text, const char *file, struct config *ret, struct err *err)
{
	*ret = (struct config){0};
	for (int i = 0; i < CONFIG__MAX; i++) {
		if (config_read_value(i, str_from(config_rows[i].otherwise), ret->text[i], ret->value[i], err) < 0)
			return -1;
	}
	return read_file(text, file, ret, err);
}

static int read_text(const char *path, struct buf *out, struct err *err)
{
	if (file_read(path, out, err) == 0 || (err->class == ERR_SYSTEM && err->os_errno == ENOENT))
		return 0;
	return -1;
}

int config_load(const char *state_dir, struct config *ret, struct err *err)
{
	AUTO_FREE char *path = state_dir_file(state_dir, CONFIG_FILE);
	AUTO_BUF text = BUF_INIT(CONFIG_MAX);
	return read_text(path, &text, err) < 0 ? -1 : config_parse(buf_str(&text), path, ret, err);
}

int config_change(const char *state_dir, int row, const char *text, struct err *err)
{
	AUTO_FREE char *path = state_dir_file(state_dir, CONFIG_FILE);
	AUTO_BUF before = BUF_INIT(CONFIG_MAX), after = BUF_INIT(CONFIG_MAX), value = BUF_INIT(8 * CONFIG_TEXT_MAX);
	static struct config unused;
	struct str keys[2];
	keys[1] = str_cut(str_from(config_rows[row].key), '.', &keys[0]);
	struct yaml_edit change = {keys, ARRAY_LEN(keys), STR_EMPTY};
	if (text != NULL) {
		if (config_read_value(row, str_from(text), unused.text[row], unused.value[row], err) < 0)
			return -1;
		enum config_kind kind = config_rows[row].kind;
		if (kind == CONFIG_BOOL || kind == CONFIG_PORT || kind == CONFIG_DAYS)
			buf_add_z(&value, text);
		else
			yaml_put_text(&value, str_from(text));
		change.value = buf_str(&value);
	}
	if (read_text(path, &before, err) < 0 || yaml_edit(buf_str(&before), path, &change, &after, NULL, err) < 0)
		return -1;
	if (str_eq(buf_str(&before), buf_str(&after)))
		return 0;
	if (config_parse(buf_str(&after), path, &unused, err) < 0)
		return -1;
	return file_replace(path, buf_str(&after), 0600, err) < 0 ? -1 : 1;
}
