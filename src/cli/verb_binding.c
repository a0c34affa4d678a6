#include "cli/consent.h"
#include "cli/list.h"
#include "cli/oauth.h"
#include "cli/passphrase.h"
#include "cli/prompt.h"
#include "cli/sealing.h"
#include "cli/secret_input.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"

#define TEXT_MAX ((size_t)64 << 10)

/* ------------------------------------------------------------------------------------------------------------- showing */

static struct str status_of(struct cli *cli, const struct json *binding)
{
	struct str status = cli_str(binding, "status"), reason = cli_str(binding, "stale_reason");
	if (!cli_bool(binding, "consented"))
		return arena_printf(cli->arena, "%.*s, needs consent", STR_FMT(status));
	return reason.n == 0 ? status : arena_printf(cli->arena, "%.*s (%.*s)", STR_FMT(status), STR_FMT(reason));
}

static enum print_style style_of(const struct json *binding)
{
	bool works = str_eq(cli_str(binding, "status"), S("active")) && cli_bool(binding, "consented");
	return works ? PRINT_GOOD : PRINT_WARN;
}

static void put_hosts(struct cli *cli, const struct json *binding)
{
	struct str hosts = cli_joined(cli, json_member(binding, S("hosts")), ", ");
	struct str open_hosts = cli_joined(cli, json_member(binding, S("allow_private")), ", ");
	if (!cli_bool(binding, "consented"))
		hosts = arena_printf(cli->arena,
				     "none: it is of an earlier version; 'aileron binding hosts %.*s' consents",
				     STR_FMT(cli_str(binding, "name")));
	print_pair(&cli->out, "Hosts", str_eq(hosts, S("*")) ? S("any public host") : hosts);
	if (open_hosts.n > 0)
		print_pair(&cli->out, "Private hosts", open_hosts);
}

static void put_binding(struct cli *cli, const struct json *binding)
{
	static const struct {
		const char *label, *member;
		bool time;
	} rows[] = {{"Account", "account", false},
		    {"Scope", "scope", false},
		    {"Access key id", "access_key_id", false},
		    {"Region", "region", false},
		    {"User", "username", false},
		    {"Created", "created_at", true},
		    {"Last used", "last_used_at", true},
		    {"Refreshed", "last_refreshed_at", true}};
	struct printer *out = &cli->out;
	print_pair(out, "Binding", cli_str(binding, "name"));
	print_pair(out, "Kind", cli_str(binding, "kind"));
	print_pair(out, "Connector", cli_str(binding, "connector_fqn"));
	print_text(out, "%-14s", "Status");
	print_styled(out, style_of(binding), "%s", cli_visible(cli, status_of(cli, binding)).p);
	print_text(out, "\n");
	put_hosts(cli, binding);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str value = cli_str(binding, rows[i].member);
		if (value.n > 0)
			print_pair(out, rows[i].label, rows[i].time ? cli_time(cli, value) : value);
	}
	struct str granted = cli_joined(cli, json_member(binding, S("granted_scopes")), " ");
	struct str missing = cli_joined(cli, json_member(binding, S("missing_scopes")), " ");
	if (granted.n > 0)
		print_pair(out, "Granted", granted);
	if (missing.n > 0)
		print_pair(out, "Missing", missing);
	print_pair(out, "Verified", cli_bool(binding, "verified") ? S("yes") : S("no: the vault is locked"));
}

static int show(struct cli *cli, const struct json *binding)
{
	if (cli->json)
		print_json(&cli->out, binding);
	else
		put_binding(cli, binding);
	return CLI_OK;
}

static void put_row(struct cli *cli, struct table *table, const struct json *binding)
{
	table_cell(table, cli_str(binding, "name"));
	table_cell(table, cli_str(binding, "kind"));
	table_cell(table, cli_str(binding, "connector_fqn"));
	table_cell_styled(table, style_of(binding), status_of(cli, binding));
}

int verb_binding_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {{"NAME", 20}, {"KIND", 0}, {"CONNECTOR", 16}, {"STATUS", 0}};
	static const struct cli_parameter filters[] = {{"connector", "connector_fqn"}, {"kind", "kind"}};
	struct cli_list list = {OP_BINDING_LIST, STR_EMPTY, "items", columns, ARRAY_LEN(columns), put_row};
	return cli_query(cli, filters, ARRAY_LEN(filters), &list.query, err) < 0 ? -1 : cli_list(cli, &list, err);
}

static struct json *get_binding(struct cli *cli, const char *name, struct err *err)
{
	struct json *binding = NULL;
	const struct client_request request = {.operation = OP_BINDING_GET, .parameters = {str_from(name)}};
	return cli_call(cli, &request, &binding, err) < 0 ? NULL : binding;
}

static struct json *get_connector(struct cli *cli, struct str name, struct err *err)
{
	struct json *connector = NULL;
	const struct client_request request = {.operation = OP_CONNECTOR_SHOW, .parameters = {name}};
	return cli_call(cli, &request, &connector, err) < 0 ? NULL : connector;
}

int verb_binding_inspect(struct cli *cli, struct err *err)
{
	AUTO(json) *binding = get_binding(cli, cli_argument(cli, 0), err);
	return binding != NULL ? show(cli, binding) : -1;
}

/* -------------------------------------------------------------------------------------------------------------- asking */

/* A flag's value, else an answer at the terminal, else USAGE that names the flag. */
static int flag_or_answer(struct cli *cli, const char *flag, const char *question, struct str *ret, struct err *err)
{
	AUTO_BUF answer = BUF_INIT(PROMPT_MAX);
	const char *given = verb_text(cli->line, flag);
	if (given == NULL && !prompt_possible())
		return fail(err, ERR_USAGE, "--%s is required: there is no terminal to ask at", flag);
	if (given == NULL && prompt_line(question, &answer, err) < 0)
		return -1;
	*ret = given != NULL ? str_from(given) : arena_str(cli->arena, buf_str(&answer));
	return ret->n > 0 ? 0 : fail(err, ERR_USAGE, "nothing was given for --%s", flag);
}

/* Files end in a line's end that is no part of a key; that of a signing key is. */
static struct secret *read_value(struct cli *cli, struct str kind, struct err *err)
{
	bool whole = str_eq(kind, S("signing_key"));
	const char *question = str_eq(kind, S("basic"))       ? "Password: "
			       : str_eq(kind, S("aws_sigv4")) ? "Secret access key: "
			       : whole                        ? "Signing key: "
							      : "API key: ";
	return secret_input_value(cli, question, !whole, err);
}

/* Shows what it is about and asks. Consent is a person's: without a terminal it takes --yes, which says that it was read. */
static int agree(struct cli *cli, const struct json *connector, const struct binding_consent *consent,
		 const char *question, struct err *err)
{
	consent_show(cli, connector, consent);
	return cli_confirm(cli, err, "%s", question);
}

/* --------------------------------------------------------------------------------------------------------------- sealing */

struct source {
	struct binding_fields fields;
	struct binding_consent consent;
	struct str access_key_id, region, username; /* of the request; "" = left out */
};

static void put_source(struct json_writer *w, const struct source *source, struct str sealed)
{
	member_begin_object(w, "source");
	member_str_given(w, "kind", source->fields.kind);
	member_str_given(w, "access_key_id", source->access_key_id);
	member_str_given(w, "region", source->region);
	member_str_given(w, "username", source->username);
	sealing_body_alone(w, sealed, NULL);
	jsonw_end_object(w);
}

static void setup_body(struct json_writer *w, struct str sealed, const void *user)
{
	const struct source *source = user;
	member_str_given(w, "connector_fqn", source->fields.connector_fqn);
	member_bool(w, "skip_existing", false);
	member_begin_array(w, "bindings");
	jsonw_begin_object(w);
	member_str_given(w, "identity", source->fields.identity);
	member_str_given(w, "service", source->fields.service);
	member_str_given(w, "account", source->fields.account);
	put_source(w, source, sealed);
	jsonw_end_object(w);
	jsonw_end_array(w);
}

static void rebind_body(struct json_writer *w, struct str sealed, const void *user)
{
	put_source(w, user, sealed);
}

static int send_value(struct cli *cli, const struct source *source, const struct secret *value,
		      struct sealed_request request, struct json **ret, struct err *err)
{
	request.sealing = (struct sealing){
		.operation = KEEPER_OP_PUT,
		.fields = {{SEALED_VALUE, secret_borrow(value)}},
		.n_fields = 1,
	};
	request.user = source;
	if (sealing_bind(cli, &request.sealing, &source->fields, &source->consent, err) < 0)
		return -1;
	return sealing_call(cli, &request, ret, err);
}

/* A flag that would be ignored was meant to do something. */
static int check_flags(const struct cli *cli, struct str kind, struct err *err)
{
	static const struct {
		const char *flag, *kind;
		bool other; /* for all kinds but this one */
	} rows[] = {{"access-key-id", "aws_sigv4", false}, {"region", "aws_sigv4", false},
		    {"username", "basic", false},          {"device", "oauth2", false},
		    {"no-browser", "oauth2", false},       {"value-file", "oauth2", true}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct verb_flag *flag = verb_flag_named(cli->line->verb, str_from(rows[i].flag));
		if (flag == NULL || str_eq(kind, str_from(rows[i].kind)) != rows[i].other)
			continue;
		if (flag->kind == FLAG_SWITCH ? verb_switch(cli->line, flag->name)
					      : verb_text(cli->line, flag->name) != NULL)
			return fail(err, ERR_USAGE, "--%s means nothing for a credential of kind '%.*s'", flag->name,
				    STR_FMT(kind));
	}
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------------- setup */

/* What the manifest fixes need not be asked for. */
static int read_particulars(struct cli *cli, struct source *source, const struct json *credential, struct err *err)
{
	struct str kind = source->fields.kind;
	const char *region = verb_text(cli->line, "region");
	bool asks_key = verb_text(cli->line, "access-key-id") != NULL || cli_str(credential, "access_key_id").n == 0;
	bool asks_user = verb_text(cli->line, "username") != NULL || cli_str(credential, "username").n == 0;
	if (str_eq(kind, S("aws_sigv4")) && asks_key &&
	    flag_or_answer(cli, "access-key-id", "Access key id: ", &source->access_key_id, err) < 0)
		return -1;
	if (str_eq(kind, S("basic")) && asks_user &&
	    flag_or_answer(cli, "username", "User name: ", &source->username, err) < 0)
		return -1;
	source->region = str_eq(kind, S("aws_sigv4")) ? str_from(region) : STR_EMPTY;
	source->fields.access_key_id = source->access_key_id;
	source->fields.region = source->region;
	source->fields.username = source->username;
	return 0;
}

static int setup_oauth(struct cli *cli, const struct source *source, const struct json *connector, struct err *err)
{
	AUTO(json) *binding = NULL;
	struct oauth_wish wish = {.fields = source->fields, .consent = source->consent};
	const struct json *oauth2 = json_member(json_member(connector, S("credential")), S("oauth2"));
	wish.fields.scope = cli_joined(cli, json_member(oauth2, S("scopes")), " ");
	return oauth_bind(cli, &wish, &binding, err) < 0 ? -1 : show(cli, binding);
}

static int setup_value(struct cli *cli, struct source *source, const struct json *credential, struct err *err)
{
	AUTO(json) *answer = NULL;
	if (read_particulars(cli, source, credential, err) < 0)
		return -1;
	AUTO(secret) *value = read_value(cli, source->fields.kind, err);
	if (value == NULL)
		return -1;
	const struct sealed_request request = {.request = {.operation = OP_BINDING_SETUP}, .body = setup_body};
	if (send_value(cli, source, value, request, &answer, err) < 0)
		return -1;
	return show(cli, json_at(json_member(answer, S("created")), 0));
}

int verb_binding_setup(struct cli *cli, struct err *err)
{
	AUTO(json) *connector = get_connector(cli, str_from(cli_argument(cli, 0)), err);
	if (connector == NULL)
		return -1;
	struct str fqn = cli_str(connector, "fqn");
	const struct json *credential = json_member(connector, S("credential"));
	struct source source = {
		.fields = {.kind = cli_str(credential, "kind"),
			   .connector_fqn = fqn,
			   .service = binding_service(fqn, str_from(verb_text(cli->line, "service"))),
			   .account = str_from(verb_text(cli->line, "account"))},
	};
	if (credential == NULL)
		return fail(err, ERR_NO_CREDENTIAL_CAPABILITY, "'%s' asks for no credential: there is nothing to bind",
			    fqn.p);
	if (check_flags(cli, source.fields.kind, err) < 0 || consent_make(cli, connector, &source.consent, err) < 0)
		return -1;
	int yes = agree(cli, connector, &source.consent, "Bind a credential of yours to this?", err);
	if (yes <= 0)
		return yes;
	if (flag_or_answer(cli, "identity", "Who are you there (work, home, alice): ", &source.fields.identity, err) <
	    0)
		return -1;
	if (str_eq(source.fields.kind, S("oauth2")))
		return setup_oauth(cli, &source, connector, err);
	return setup_value(cli, &source, credential, err);
}

/* -------------------------------------------------------------------------------------------------- what is there already */

static struct binding_fields fields_of(const struct json *binding)
{
	return (struct binding_fields){
		.kind = cli_str(binding, "kind"),
		.connector_fqn = cli_str(binding, "connector_fqn"),
		.service = cli_str(binding, "service"),
		.identity = cli_str(binding, "identity"),
		.account = cli_str(binding, "account"),
		.access_key_id = cli_str(binding, "access_key_id"),
		.region = cli_str(binding, "region"),
		.username = cli_str(binding, "username"),
		.scope = cli_str(binding, "scope"),
	};
}

/* The request says what changes; what is sealed is the whole. */
static void take_changes(struct cli *cli, struct source *source)
{
	source->access_key_id = str_from(verb_text(cli->line, "access-key-id"));
	source->region = str_from(verb_text(cli->line, "region"));
	source->username = str_from(verb_text(cli->line, "username"));
	if (source->access_key_id.n > 0)
		source->fields.access_key_id = source->access_key_id;
	if (source->region.n > 0)
		source->fields.region = source->region;
	if (source->username.n > 0)
		source->fields.username = source->username;
}

int verb_binding_rebind(struct cli *cli, struct err *err)
{
	const char *name = cli_argument(cli, 0);
	AUTO(json) *answer = NULL;
	AUTO(json) *binding = get_binding(cli, name, err);
	if (binding == NULL)
		return -1;
	if (str_eq(cli_str(binding, "kind"), S("oauth2")))
		return fail(err, ERR_KIND_MISMATCH, "'%s' has no value to type: 'aileron binding reauthorize %s'", name,
			    name);
	if (check_flags(cli, cli_str(binding, "kind"), err) < 0)
		return -1;
	AUTO(json) *connector = get_connector(cli, cli_str(binding, "connector_fqn"), err);
	struct source source = {.fields = fields_of(binding)};
	if (connector == NULL || consent_make(cli, connector, &source.consent, err) < 0)
		return -1;
	int yes = agree(cli, connector, &source.consent, "Give it a new value for this?", err);
	if (yes <= 0)
		return yes;
	take_changes(cli, &source);
	AUTO(secret) *value = read_value(cli, source.fields.kind, err);
	if (value == NULL)
		return -1;
	const struct sealed_request request = {
		.request = {.operation = OP_BINDING_REBIND, .parameters = {str_from(name)}},
		.body = rebind_body,
	};
	return send_value(cli, &source, value, request, &answer, err) < 0 ? -1 : show(cli, answer);
}

int verb_binding_reauthorize(struct cli *cli, struct err *err)
{
	const char *name = cli_argument(cli, 0);
	AUTO(json) *answer = NULL;
	AUTO(json) *binding = get_binding(cli, name, err);
	if (binding == NULL)
		return -1;
	if (!str_eq(cli_str(binding, "kind"), S("oauth2")))
		return fail(err, ERR_NOT_OAUTH2, "'%s' is not of kind oauth2: 'aileron binding rebind %s'", name, name);
	AUTO(json) *connector = get_connector(cli, cli_str(binding, "connector_fqn"), err);
	struct oauth_wish wish = {.fields = fields_of(binding), .reauthorize = true};
	if (connector == NULL || consent_make(cli, connector, &wish.consent, err) < 0)
		return -1;
	const struct json *oauth2 = json_member(json_member(connector, S("credential")), S("oauth2"));
	wish.fields.scope = cli_joined(cli, json_member(oauth2, S("scopes")), " ");
	int yes = agree(cli, connector, &wish.consent, "Authorize this anew?", err);
	if (yes <= 0)
		return yes;
	return oauth_bind(cli, &wish, &answer, err) < 0 ? -1 : show(cli, answer);
}

int verb_binding_hosts(struct cli *cli, struct err *err)
{
	const char *name = cli_argument(cli, 0);
	AUTO(json) *answer = NULL;
	AUTO_PASSPHRASE proof = {.bytes = NULL};
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	struct binding_consent consent;
	AUTO(json) *binding = get_binding(cli, name, err);
	if (binding == NULL)
		return -1;
	AUTO(json) *connector = get_connector(cli, cli_str(binding, "connector_fqn"), err);
	if (connector == NULL || consent_make(cli, connector, &consent, err) < 0)
		return -1;
	if (cli_bool(binding, "consented"))
		print_note("so far it was consented for %s", cli_joined(cli, json_member(binding, S("hosts")), ", ").p);
	int yes = agree(cli, connector, &consent, "Consent to this instead?", err);
	if (yes <= 0)
		return yes;
	if (passphrase_need(cli, &passphrase_present, &proof, err) < 0)
		return -1;
	binding_consent_put(&text, &consent);
	if (buf_check(&text, "the consent", err) < 0)
		return -1;
	const struct sealed_request request = {
		.request = {.operation = OP_VAULT_CONSENT, .parameters = {str_from(name)}},
		.sealing = {.operation = KEEPER_OP_CONSENT,
			    .path = str_from(name),
			    .fields = {passphrase_field(&proof), {SEALED_CONSENT, buf_str(&text)}},
			    .n_fields = 2},
		.body = sealing_body_alone,
	};
	return sealing_call(cli, &request, &answer, err) < 0 ? -1 : show(cli, answer);
}

int verb_binding_revoke(struct cli *cli, struct err *err)
{
	const char *name = cli_argument(cli, 0);
	const struct client_request request = {.operation = OP_BINDING_DELETE, .parameters = {str_from(name)}};
	int yes = cli_confirm(cli, err, "Revoke %s?", name);
	if (yes <= 0)
		return yes;
	if (cli_call(cli, &request, NULL, err) < 0)
		return -1;
	return cli_say(cli, NULL, "Revoked %s\n", name);
}
