#include "base/base64.h"
#include "base/time.h"
#include "cli/list.h"
#include "cli/passphrase.h"
#include "cli/sealing.h"
#include "cli/secret_input.h"
#include "cli/unlock.h"
#include "cli/verb_functions.h"
#include "os/file.h"
#include "text/canonical.h"
#include "vault/path.h"
#include "text/json_members.h"

#define GATEWAY_HOSTS_MAX 8
#define METADATA_MAX      ((size_t)64 << 10)
#define FILE_MAX          ((size_t)12 << 20)

/* --------------------------------------------------------------------------------------------------------------- state */

static void put_state(struct cli *cli, const struct json *status)
{
	struct printer *out = &cli->out;
	struct str state = cli_str(status, "state");
	bool unlocked = str_eq(state, S("unlocked"));
	print_pair_styled(out, "Vault", unlocked ? PRINT_GOOD : PRINT_WARN, cli_visible(cli, state).p);
	if (cli_str(status, "trouble").n > 0)
		print_pair_styled(out, "Trouble", PRINT_BAD, cli_visible(cli, cli_str(status, "trouble")).p);
	if (str_eq(state, S("missing")))
		return;
	print_text(out, "%-14s%lld, version %lld of the file, generation %lld\n", "Entries",
		   (long long)cli_int(status, "entries"), (long long)cli_int(status, "version"),
		   (long long)cli_int(status, "generation"));
	print_text(out, "%-14s%lld\n", "Members", (long long)cli_int(status, "members"));
	if (cli_str(status, "unlocked_at").n > 0)
		print_pair(out, "Unlocked at", cli_time(cli, cli_str(status, "unlocked_at")));
	if (cli_int(status, "throttled_ms") > 0)
		print_text(out, "%-14s%lld s until another passphrase is tried\n", "Throttled",
			   (long long)(cli_int(status, "throttled_ms") + 999) / 1000);
}

static void put_status(struct cli *cli, const struct json *status)
{
	if (cli->json)
		print_json(&cli->out, status);
	else
		put_state(cli, status);
}

int verb_vault_status(struct cli *cli, struct err *err)
{
	AUTO(json) *status = NULL;
	if (cli_call(cli, &(struct client_request){.operation = OP_VAULT_STATUS}, &status, err) < 0)
		return -1;
	put_status(cli, status);
	return CLI_OK;
}

int verb_vault_init(struct cli *cli, struct err *err)
{
	AUTO(json) *status = NULL;
	AUTO(json) *before = NULL;
	if (cli_call(cli, &(struct client_request){.operation = OP_VAULT_STATUS}, &before, err) < 0)
		return -1;
	if (!str_eq(cli_str(before, "state"), S("missing")))
		return fail(err, ERR_VAULT_EXISTS, "there is a vault already; 'aileron vault unlock' unlocks it");
	if (unlock_make_vault(cli, &status, err) < 0)
		return -1;
	put_status(cli, status);
	return CLI_OK;
}

int verb_vault_unlock(struct cli *cli, struct err *err)
{
	AUTO(json) *before = NULL;
	AUTO(json) *status = NULL;
	if (cli_call(cli, &(struct client_request){.operation = OP_VAULT_STATUS}, &before, err) < 0)
		return -1;
	struct str state = cli_str(before, "state");
	if (str_eq(state, S("missing")))
		return fail(err, ERR_VAULT_MISSING, "there is no vault yet; 'aileron vault init' makes one");
	if (str_eq(state, S("unlocked"))) {
		put_status(cli, before);
		return CLI_OK;
	}
	if (unlock_vault(cli, verb_switch(cli->line, "accept-rollback"), &status, err) < 0)
		return -1;
	put_status(cli, status);
	if (cli_str(status, "backup").n > 0)
		print_note("the vault's file was upgraded; the old one is kept as '%s'",
			   arena_str(cli->arena, cli_str(status, "backup")).p);
	return CLI_OK;
}

int verb_vault_lock(struct cli *cli, struct err *err)
{
	AUTO(json) *status = NULL;
	if (cli_call(cli, &(struct client_request){.operation = OP_VAULT_LOCK}, &status, err) < 0)
		return -1;
	put_status(cli, status);
	return CLI_OK;
}

int verb_vault_tune(struct cli *cli, struct err *err)
{
	const char *target = verb_text(cli->line, "target");
	uint64_t ns = 500 * TIME_MILLISECOND;
	AUTO(json) *answer = NULL;
	if (target != NULL && duration_parse(str_from(target), 10 * TIME_SECOND, &ns, err) < 0)
		return cli_refuse("target", err);
	struct str body = arena_printf(cli->arena, "{\"target_ms\":%llu}", (unsigned long long)(ns / TIME_MILLISECOND));
	const struct client_request request = {.operation = OP_VAULT_TUNE, .body = body, .timeout_ms = 60000};
	if (cli_call(cli, &request, &answer, err) < 0)
		return -1;
	return cli_say(cli, answer, "Argon2id with t=%lld, m=%lld KiB, p=%lld takes %lld ms here.\n",
		       (long long)cli_int(answer, "t"), (long long)cli_int(answer, "m_kib"),
		       (long long)cli_int(answer, "p"), (long long)cli_int(answer, "ms"));
}

/* ------------------------------------------------------------------------------------------------------------- entries */

static void put_entry(struct cli *cli, struct table *table, const struct json *entry)
{
	(void)cli;
	const struct json *metadata = json_member(entry, S("metadata"));
	table_cell(table, cli_str(entry, "path"));
	table_cell(table, cli_str(entry, "scope"));
	table_cell(table, cli_str(metadata, "type"));
	table_cell(table, cli_str(metadata, "environment"));
}

int verb_vault_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {{"PATH", 20}, {"SCOPE", 0}, {"TYPE", 0}, {"ENVIRONMENT", 8}};
	static const struct cli_parameter filters[] = {
		{"scope", "scope"}, {"prefix", "prefix"}, {"include-control-plane", "include_control_plane"}};
	struct cli_list list = {OP_VAULT_LIST, STR_EMPTY, "entries", columns, ARRAY_LEN(columns), put_entry};
	return cli_query(cli, filters, ARRAY_LEN(filters), &list.query, err) < 0 ? -1 : cli_list(cli, &list, err);
}

int verb_vault_get_meta(struct cli *cli, struct err *err)
{
	AUTO(json) *entry = NULL;
	const struct client_request request = {
		.operation = OP_VAULT_GET_META,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	if (cli_call(cli, &request, &entry, err) < 0)
		return -1;
	if (cli->json) {
		print_json(&cli->out, entry);
		return CLI_OK;
	}
	const struct json *metadata = json_member(entry, S("metadata"));
	print_pair(&cli->out, "Path", cli_str(entry, "path"));
	print_pair(&cli->out, "Scope", cli_str(entry, "scope"));
	print_pair(&cli->out, "Type", cli_str(metadata, "type"));
	if (cli_str(metadata, "environment").n > 0)
		print_pair(&cli->out, "Environment", cli_str(metadata, "environment"));
	struct json_iter it;
	for (json_iter_init(&it, json_member(metadata, S("labels"))); json_iter_next(&it);) {
		struct str value;
		if (!json_get_str(it.value, &value))
			continue;
		print_text(&cli->out, "%-14s", "Label");
		print_from(&cli->out, it.name);
		print_text(&cli->out, "=");
		print_from(&cli->out, value);
		print_text(&cli->out, "\n");
	}
	print_pair(&cli->out, "Verified", cli_bool(entry, "verified") ? S("yes") : S("no: the vault is locked"));
	return CLI_OK;
}

/* Labels as an object; the later of two of one name holds. */
static int put_labels(struct cli *cli, struct json_writer *w, struct err *err)
{
	const char *text;
	jsonw_begin_object(w);
	for (size_t i = 0; (text = verb_text_at(cli->line, "label", i)) != NULL; i++) {
		struct str name, other;
		struct str value = str_cut(str_from(text), '=', &name);
		if (name.n == 0 || name.n == strlen(text))
			return fail(err, ERR_USAGE, "--label takes NAME=VALUE, not '%s'", text);
		bool again = false;
		for (size_t j = i + 1; verb_text_at(cli->line, "label", j) != NULL; j++) {
			(void)str_cut(str_from(verb_text_at(cli->line, "label", j)), '=', &other);
			again = again || str_eq(other, name);
		}
		if (again)
			continue;
		jsonw_key(w, name);
		jsonw_str(w, value);
	}
	if (verb_text_at(cli->line, "host", 0) != NULL)
		member_z(w, "connector_fqn", KEEPER_GATEWAY);
	jsonw_end_object(w);
	return 0;
}

/* What the entry is known by, in the one form that both sides bind to the value. */
static int make_metadata(struct cli *cli, struct buf *ret, struct err *err)
{
	const char *type = verb_text(cli->line, "type"), *environment = verb_text(cli->line, "environment");
	AUTO_BUF text = BUF_INIT(METADATA_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "environment", str_from(environment));
	jsonw_key(&w, S("labels"));
	if (put_labels(cli, &w, err) < 0)
		return -1;
	bool for_gateway = verb_text_at(cli->line, "host", 0) != NULL;
	if (for_gateway && type != NULL)
		return fail(err, ERR_USAGE, "--host makes it a key for the gateway, of type api_key: leave --type out");
	if (for_gateway)
		type = "api_key";
	member_str(&w, "type", type != NULL ? str_from(type) : S("secret"));
	jsonw_end_object(&w);
	if (buf_check(&text, "the metadata", err) < 0)
		return -1;
	AUTO(json) *metadata = json_parse(buf_str(&text), JSON_READ_STRICT, err);
	return metadata != NULL ? json_canonical(ret, metadata, err) : -1;
}

static void put_body(struct json_writer *w, struct str sealed, const void *user)
{
	const struct buf *metadata = user;
	member_raw(w, "metadata", buf_str(metadata));
	sealing_body_alone(w, sealed, NULL);
}

/* Where the key may be sent: authenticated with the entry, so that nothing but the person says it. */
static int make_consent(struct cli *cli, struct buf *ret, struct err *err)
{
	struct str hosts[GATEWAY_HOSTS_MAX];
	struct binding_consent consent = {.hosts = hosts};
	const char *text;
	for (size_t i = 0; (text = verb_text_at(cli->line, "host", i)) != NULL; i++) {
		uint64_t port;
		size_t colon = str_find_last_char(str_from(text), ':');
		struct str digits = colon == STR_NPOS ? STR_EMPTY : str_slice(str_from(text), colon + 1, strlen(text));
		if (colon == 0 || !str_to_u64(digits, UINT16_MAX, &port) || port == 0)
			return fail(err, ERR_USAGE, "--host takes HOST:PORT, as in api.example.com:443, not '%s'",
				    text);
		if (i == ARRAY_LEN(hosts))
			return fail(err, ERR_USAGE, "--host is given more than %zu times", ARRAY_LEN(hosts));
		hosts[consent.n_hosts++] = arena_lower(cli->arena, str_from(text));
	}
	if (consent.n_hosts > 0)
		binding_consent_put(ret, &consent);
	return buf_check(ret, "the hosts", err);
}

int verb_vault_put(struct cli *cli, struct err *err)
{
	struct str path = str_from(cli_argument(cli, 0));
	AUTO_BUF metadata = BUF_INIT(METADATA_MAX);
	if (!vault_path_is_valid(path))
		return fail(err, ERR_USAGE, "'%s' is no path of an entry: names joined by '/', as in user/github",
			    cli_argument(cli, 0));
	struct str kind, service, identity;
	if (vault_binding_split(path, &kind, &service, &identity) && vault_scope_of(path) == VAULT_SCOPE_BINDING)
		return fail(err, ERR_USAGE, "'%s' is the name of a binding: 'aileron binding setup' makes those",
			    cli_argument(cli, 0));
	AUTO_BUF consent = BUF_INIT(METADATA_MAX);
	if (make_metadata(cli, &metadata, err) < 0 || make_consent(cli, &consent, err) < 0)
		return -1;
	AUTO(secret) *value = secret_input_value(cli, "Value: ", false, err);
	if (value == NULL)
		return -1;
	AUTO(json) *answer = NULL;
	const struct sealed_request request = {
		.request = {.operation = OP_VAULT_PUT, .parameters = {path}},
		.sealing = {.operation = KEEPER_OP_PUT,
			    .path = path,
			    .metadata = buf_str(&metadata),
			    .fields = {{SEALED_VALUE, secret_borrow(value)}, {SEALED_CONSENT, buf_str(&consent)}},
			    .n_fields = consent.n > 0 ? 2 : 1},
		.body = put_body,
		.user = &metadata,
	};
	if (sealing_call(cli, &request, &answer, err) < 0)
		return -1;
	return cli_say(cli, answer, "Stored %s\n", cli_argument(cli, 0));
}

int verb_vault_delete(struct cli *cli, struct err *err)
{
	int yes = cli_confirm(cli, err, "Delete %s?", cli_argument(cli, 0));
	if (yes <= 0)
		return yes;
	const struct client_request request = {
		.operation = OP_VAULT_DELETE,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	if (cli_call(cli, &request, NULL, err) < 0)
		return -1;
	return cli_say(cli, NULL, "Deleted %s\n", cli_argument(cli, 0));
}

/* --------------------------------------------------------------------------------------------------- export and import */

static int write_export(struct cli *cli, const char *path, struct str bytes, struct err *err)
{
	if (path == NULL || strcmp(path, "-") == 0)
		return file_write_fd(STDOUT_FILENO, "standard output", bytes, err);
	int made = file_create(path, bytes, 0600, err);
	if (made == 0)
		return fail(err, ERR_CONFLICT, "'%s' is there already", path);
	if (made == 1)
		print_text(&cli->out, cli->json ? "{\"written\":true}\n" : "Wrote the export\n");
	return made < 0 ? -1 : 0;
}

int verb_vault_export(struct cli *cli, struct err *err)
{
	AUTO_PASSPHRASE proof = {.bytes = NULL};
	AUTO_PASSPHRASE wanted = {.bytes = NULL};
	AUTO(json) *answer = NULL;
	AUTO_BUF file = BUF_INIT(FILE_MAX);
	if (passphrase_need(cli, &passphrase_present, &proof, err) < 0 ||
	    passphrase_need(cli, &passphrase_export, &wanted, err) < 0)
		return -1;
	const struct sealed_request request = {
		.request = {.operation = OP_VAULT_EXPORT},
		.sealing = {.operation = KEEPER_OP_EXPORT,
			    .fields = {passphrase_field(&proof), passphrase_new_field(&wanted)},
			    .n_fields = 2},
		.body = sealing_body_alone,
	};
	if (sealing_call(cli, &request, &answer, err) < 0 ||
	    base64_decode(&file, cli_str(answer, "file"), BASE64_STANDARD, err) < 0)
		return -1;
	return write_export(cli, verb_text(cli->line, "output"), buf_str(&file), err);
}

struct import_request {
	struct str file;
	bool replace;
};

static void import_body(struct json_writer *w, struct str sealed, const void *user)
{
	const struct import_request *import = user;
	AUTO_BUF file = BUF_INIT(2 * FILE_MAX);
	base64_encode(&file, import->file, BASE64_STANDARD);
	member_str(w, "file", buf_str(&file));
	member_bool(w, "replace", import->replace);
	sealing_body_alone(w, sealed, NULL);
}

static int read_export(const char *path, struct buf *ret, struct err *err)
{
	return strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, "standard input", ret, err)
				      : file_read(path, ret, err);
}

int verb_vault_import(struct cli *cli, struct err *err)
{
	AUTO_PASSPHRASE passphrase = {.bytes = NULL};
	AUTO_BUF file = BUF_INIT(FILE_MAX);
	AUTO_BUF terms = BUF_INIT(SEALED_TERMS_MAX);
	AUTO(json) *answer = NULL;
	if (read_export(cli_argument(cli, 0), &file, err) < 0 ||
	    passphrase_need(cli, &passphrase_import, &passphrase, err) < 0)
		return -1;
	const struct import_request import = {.file = buf_str(&file), .replace = verb_switch(cli->line, "replace")};
	sealed_terms_put(&terms, import.replace, import.file);
	const struct sealed_request request = {
		.request = {.operation = OP_VAULT_IMPORT},
		.sealing = {.operation = KEEPER_OP_IMPORT,
			    .metadata = buf_str(&terms),
			    .fields = {passphrase_field(&passphrase)},
			    .n_fields = 1},
		.body = import_body,
		.user = &import,
	};
	if (sealing_call(cli, &request, &answer, err) < 0)
		return -1;
	return cli_say(cli, answer, "%lld added, %lld replaced, %lld kept as they were\n",
		       (long long)cli_int(answer, "added"), (long long)cli_int(answer, "replaced"),
		       (long long)cli_int(answer, "kept"));
}
