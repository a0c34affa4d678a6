#include "cli/consent.h"
#include "base/escape.h"
#include "base/mem.h"

#define LIST_MAX 1024

struct text_list {
	const struct str *items;
	size_t n;
};

static struct text_list texts_of(struct cli *cli, const struct json *array)
{
	size_t n = json_length(array), used = 0;
	struct str *items = arena_array(cli->arena, n + 1, sizeof *items);
	for (size_t i = 0; i < n; i++)
		used += json_get_str(json_at(array, i), &items[used]);
	return (struct text_list){.items = items, .n = used};
}

static bool has(struct text_list list, struct str text)
{
	for (size_t i = 0; i < list.n; i++) {
		if (str_eq_fold(list.items[i], text))
			return true;
	}
	return false;
}

static int take_private(struct cli *cli, struct text_list hosts, struct text_list *ret, struct err *err)
{
	struct str *items = arena_array(cli->arena, VERB_VALUES_MAX, sizeof *items);
	const char *text;
	size_t n = 0;
	bool any = has(hosts, S("*"));
	for (; (text = verb_text_at(cli->line, "allow-private", n)) != NULL; n++) {
		items[n] = arena_lower(cli->arena, str_from(text));
		if (!any && !has(hosts, items[n]))
			return fail(err, ERR_USAGE, "--allow-private names '%s', which is no host of the connector's",
				    text);
	}
	*ret = (struct text_list){.items = items, .n = n};
	return 0;
}

int consent_make(struct cli *cli, const struct json *connector, struct binding_consent *ret, struct err *err)
{
	static const struct str any[] = {{"*", 1}};
	const struct json *oauth2 = json_member(json_member(connector, S("credential")), S("oauth2"));
	struct text_list hosts = texts_of(cli, json_member(connector, S("hosts")));
	struct text_list open_hosts = {.n = 0};
	if (cli_bool(connector, "any_public_host"))
		hosts = (struct text_list){.items = any, .n = 1};
	if (take_private(cli, hosts, &open_hosts, err) < 0)
		return -1;
	struct text_list scopes = texts_of(cli, json_member(oauth2, S("scopes")));
	*ret = (struct binding_consent){
		.hosts = hosts.items,
		.n_hosts = hosts.n,
		.allow_private = open_hosts.items,
		.n_allow_private = open_hosts.n,
		.authorize_url = cli_str(oauth2, "authorize_url"),
		.token_url = cli_str(oauth2, "token_url"),
		.device_authorization_url = cli_str(oauth2, "device_authorization_url"),
		.client_id = cli_str(oauth2, "client_id"),
		.client_secret = cli_str(oauth2, "client_secret"),
		.scopes = scopes.items,
		.n_scopes = scopes.n,
	};
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- showing */

static void pair_if(struct printer *out, const char *label, struct str value)
{
	if (value.n > 0)
		print_pair(out, label, value);
}

static void put_identity(struct cli *cli, struct printer *out, const struct json *connector)
{
	print_text(out, "%-14s", "Connector");
	print_from(out, cli_str(connector, "fqn"));
	print_text(out, " ");
	print_from(out, cli_str(connector, "version"));
	print_text(out, "\n");
	pair_if(out, "Publisher", cli_str(connector, "publisher"));
	if (!cli_bool(connector, "signed"))
		print_pair_styled(out, "Trust", PRINT_WARN,
				  cli_bool(connector, "linked") ? "linked, unsigned: whatever the folder holds is run"
								: "unsigned");
	pair_if(out, "Folder", cli_str(connector, "path"));
	print_pair(out, "Content", cli_str(connector, "content_hash"));
	if (cli_bool(connector, "changed"))
		print_pair_styled(out, "Changed", PRINT_WARN, "since the last use");
	struct str hosts = cli_joined(cli, json_member(connector, S("hosts")), ", ");
	if (cli_bool(connector, "any_public_host"))
		hosts = S("any public host");
	print_pair(out, "May reach", hosts.n > 0 ? hosts : S("nothing"));
}

static void put_credential(struct cli *cli, struct printer *out, const struct json *credential)
{
	static const struct {
		const char *member, *label;
	} rows[] = {{"scope", "For"},       {"header", "Header"},       {"format", "Format"},
		    {"service", "Service"}, {"region", "Region"},       {"access_key_id", "Key id"},
		    {"username", "User"},   {"algorithm", "Algorithm"}, {"key_id", "Key name"},
		    {"label", "Label"}};
	static const struct {
		const char *member, *label;
	} endpoints[] = {{"authorize_url", "Authorize at"},
			 {"token_url", "Tokens from"},
			 {"device_authorization_url", "Device codes"},
			 {"client_id", "Client"},
			 {"client_secret", "Client secret"}};
	print_pair(out, "Credential", credential != NULL ? cli_str(credential, "kind") : S("none"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		pair_if(out, rows[i].label, cli_str(credential, rows[i].member));
	pair_if(out, "Signed parts", cli_joined(cli, json_member(credential, S("components")), ", "));
	const struct json *oauth2 = json_member(credential, S("oauth2"));
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
		pair_if(out, endpoints[i].label, cli_str(oauth2, endpoints[i].member));
	pair_if(out, "Scopes", cli_joined(cli, json_member(oauth2, S("scopes")), " "));
}

static void put_spawn(struct cli *cli, struct printer *out, const struct json *spawn)
{
	static const struct {
		const char *member, *label;
	} rows[] = {{"env_passthrough", "Variables"},
		    {"credential_env_keys", "Credential in"},
		    {"fs_read", "Reads"},
		    {"fs_write", "Writes"}};
	const struct json *programs = json_member(spawn, S("programs"));
	for (size_t i = 0; i < json_length(programs); i++)
		print_pair(out, "Starts", cli_str(json_at(programs, i), "path"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		pair_if(out, rows[i].label, cli_joined(cli, json_member(spawn, str_from(rows[i].member)), ", "));
}

void consent_describe(struct cli *cli, struct printer *out, const struct json *connector)
{
	const struct json *limits = json_member(connector, S("limits"));
	const struct json *imports = json_member(connector, S("imports"));
	put_identity(cli, out, connector);
	put_credential(cli, out, json_member(connector, S("credential")));
	put_spawn(cli, out, json_member(connector, S("spawn")));
	struct str names = cli_joined(cli, imports, ", ");
	if (imports != NULL)
		print_pair(out, "Host calls", names.n > 0 ? names : S("none"));
	pair_if(out, "Intents", cli_joined(cli, json_member(connector, S("intents")), ", "));
	if (cli_int(limits, "memory_bytes") > 0)
		print_text(out, "%-14s%lld bytes\n", "Memory", (long long)cli_int(limits, "memory_bytes"));
	if (cli_int(limits, "wall_time_ms") > 0)
		print_text(out, "%-14s%lld ms\n", "Wall time", (long long)cli_int(limits, "wall_time_ms"));
}

void consent_show(struct cli *cli, const struct json *connector, const struct binding_consent *consent)
{
	struct printer out;
	printer_init(&out, STDERR_FILENO);
	put_identity(cli, &out, connector);
	put_credential(cli, &out, json_member(connector, S("credential")));
	put_spawn(cli, &out, json_member(connector, S("spawn")));
	for (size_t i = 0; i < consent->n_allow_private; i++)
		print_pair(&out, "Private host", consent->allow_private[i]);
	(void)!print_flush(&out, NULL);
	printer_release(&out);
}
