#include "programs/dev-run/options.h"
#include "base/arena.h"
#include "confine/confine.h"
#include "egress/gate.h"
#include <arpa/inet.h>
#include <stddef.h>

struct option_row {
	const char *name;
	const char *value; /* what it takes, for the help; NULL = it is a switch */
	int (*set)(struct dev_options *options, const char *value, struct err *err);
	size_t field; /* set NULL: a string, or for switches a bool */
	const char *help;
};

/* ------------------------------------------------------------------------------------------------- values of their own */

static int set_limit(struct dev_options *options, const char *value, struct err *err)
{
	return call_limits_set(&options->limits, str_from(value), err);
}

static struct str lower(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		copy[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] - 'A' + 'a' : s.p[i]);
	return str_of(copy, s.n);
}

static int add_opening(struct dev_options *options, const struct egress_opening *opening, const char *text,
		       struct err *err)
{
	if (options->n_openings == OPTIONS_OPENINGS_MAX)
		return fail(err, ERR_USAGE, "there are more than %d of --allow-private and --resolve",
			    OPTIONS_OPENINGS_MAX);
	options->opening_texts[options->n_openings] = text;
	options->openings[options->n_openings++] = *opening;
	return 0;
}

static int set_allow_private(struct dev_options *options, const char *value, struct err *err)
{
	struct egress_opening opening = {0};
	if (!gate_split(str_from(value), &opening.host, &opening.port))
		return fail(err, ERR_USAGE, "'%s' is not HOST:PORT, as --allow-private takes it", value);
	opening.host = lower(options->arena, opening.host);
	return add_opening(options, &opening, value, err);
}

/* "HOST:PORT" at the front of the text, an IPv6 address in brackets: how many bytes it has, 0 when it is none. */
static size_t authority_length(struct str text)
{
	size_t host = 0;
	if (str_starts(text, S("["))) {
		host = str_find_char(text, ']');
		if (host == STR_NPOS)
			return 0;
	}
	size_t colon = str_find_char(str_slice(text, host, text.n), ':');
	if (colon == STR_NPOS)
		return 0;
	size_t port = host + colon + 1;
	size_t next = str_find_char(str_slice(text, port, text.n), ':');
	return next == STR_NPOS ? text.n : port + next;
}

static bool is_address(struct str text)
{
	char z[INET6_ADDRSTRLEN];
	unsigned char bytes[16];
	if (text.n == 0 || text.n >= sizeof z)
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	return inet_pton(AF_INET, z, bytes) == 1 || inet_pton(AF_INET6, z, bytes) == 1;
}

static int set_resolve(struct dev_options *options, const char *value, struct err *err)
{
	struct str text = str_from(value);
	struct egress_opening opening = {0};
	size_t n = authority_length(text);
	struct str from = str_slice(text, 0, n), to = str_slice(text, n + 1, text.n);
	if (n == 0 || !gate_split(from, &opening.host, &opening.port) ||
	    !gate_split(to, &opening.address, &opening.address_port) || !is_address(opening.address))
		return fail(err, ERR_USAGE,
			    "'%s' is not HOST:PORT:ADDRESS:PORT with a numeric address, as --resolve takes it", value);
	opening.host = lower(options->arena, opening.host);
	return add_opening(options, &opening, value, err);
}

static int set_allow_unconfined(struct dev_options *options, const char *value, struct err *err)
{
	struct str rest = str_from(value);
	do {
		struct str word;
		rest = str_cut(rest, ',', &word);
		if (!confine_is_boundary(word))
			return fail(err, ERR_USAGE, "'%.*s' is no boundary that --allow-unconfined knows",
				    STR_FMT(word));
		buf_addf(&options->allowed, "%s%.*s", options->allowed.n > 0 ? "," : "", STR_FMT(word));
	} while (rest.n > 0);
	return buf_check(&options->allowed, "--allow-unconfined", err);
}

/* ------------------------------------------------------------------------------------------------------------ the table */

#define FIELD(name) NULL, offsetof(struct dev_options, name)

static const struct option_row option_rows[] = {
	{"wasm", "FILE", FIELD(wasm), "the compiled connector (required)"},
	{"manifest", "FILE", FIELD(manifest), "its manifest.toml (required)"},
	{"op", "NAME", FIELD(op), "the operation to call (required)"},
	{"args", "JSON", FIELD(args), "its arguments, an object: as text, @FILE, or - for standard input (default {})"},
	{"v", NULL, FIELD(verbose), "say on standard error what is being done"},
	{"json", NULL, FIELD(json), "print the whole outcome as one JSON object, with timings and logs"},
	{"trace", NULL, FIELD(trace), "show every host call with its size and duration on standard error"},
	{"limit", "NAME=VALUE", set_limit, 0,
	 "lower or raise a limit: wall_time=1500ms, memory=32MiB, stdout=1MiB, log=100, request_body=1MiB, "
	 "response_body=1MiB; may be repeated"},
	{"watch", NULL, FIELD(watch), "run again whenever the connector or its manifest changes"},
	{"optimize", NULL, FIELD(optimize), "compile with the optimising compiler instead of the fast one"},
	{"allow-private", "HOST:PORT", set_allow_private, 0,
	 "let this host of the manifest be at a loopback or private address; may be repeated"},
	{"resolve", "HOST:PORT:ADDRESS:PORT", set_resolve, 0,
	 "dial this address for that host, whatever its name says; may be repeated"},
	{"ca-file", "FILE", FIELD(ca_file), "trust these certificates (PEM) instead of the system's"},
	{"allow-unconfined", "BOUNDARY", set_allow_unconfined, 0,
	 "go on where the machine lacks this boundary of the sandbox: namespaces, root, landlock, capabilities or "
	 "seccomp; may be repeated"},
	{"h", NULL, FIELD(help), "print this text"},
	{"help", NULL, FIELD(help), "print this text"},
	{"version", NULL, FIELD(version), "print the version"},
};

void dev_options_help(struct buf *out)
{
	buf_add_z(out, "usage: aileron-connector-dev-run --wasm FILE --manifest FILE --op NAME [option...]\n"
		       "Runs one call of a connector, under its manifest, with a credential that it never sees.\n\n");
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++) {
		const struct option_row *row = &option_rows[i];
		const char *dashes = row->name[1] == '\0' ? "-" : "--";
		buf_addf(out, "  %s%s%s%s\n        %s\n", dashes, row->name, row->value != NULL ? " " : "",
			 row->value != NULL ? row->value : "", row->help);
	}
	buf_add_z(out, "\nThe credential comes from the environment: AILERON_DEV_TOKEN; for aws_sigv4 also\n"
		       "AILERON_DEV_ACCESS_KEY_ID and AILERON_DEV_REGION, for basic AILERON_DEV_USERNAME, for\n"
		       "signing_key AILERON_DEV_KEY_FILE. See aileron-connector-dev-run(1).\n");
}

/* ------------------------------------------------------------------------------------------------------------- parsing */

static const struct option_row *row_named(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++) {
		if (str_eq(name, str_from(option_rows[i].name)))
			return &option_rows[i];
	}
	return NULL;
}

static int set_switch(struct dev_options *options, const struct option_row *row, const char *value, struct err *err)
{
	bool *field = (bool *)(void *)((char *)options + row->field);
	struct str text = value != NULL ? str_from(value) : S("true");
	if (str_eq(text, S("true")) || str_eq(text, S("1")))
		*field = true;
	else if (str_eq(text, S("false")) || str_eq(text, S("0")))
		*field = false;
	else
		return fail(err, ERR_USAGE, "--%s is a switch: it takes =true or =false, not '%s'", row->name, value);
	return 0;
}

static int set_value(struct dev_options *options, const struct option_row *row, const char *value, struct err *err)
{
	if (row->set != NULL)
		return row->set(options, value, err);
	memcpy((char *)options + row->field, &value, sizeof value);
	return 0;
}

/* One option and, when it is the next argument, its value: how many arguments it took. */
static int parse_one(struct dev_options *options, char **argv, int left, struct err *err)
{
	const char *text = argv[0] + (argv[0][1] == '-' ? 2 : 1);
	const char *equals = strchr(text, '=');
	struct str name = equals != NULL ? str_of(text, (size_t)(equals - text)) : str_from(text);
	const char *value = equals != NULL ? equals + 1 : NULL;
	const struct option_row *row = row_named(name);
	if (row == NULL)
		return fail(err, ERR_USAGE, "there is no option '%s'; --help lists them", argv[0]);
	if (row->value == NULL)
		return set_switch(options, row, value, err) < 0 ? -1 : 1;
	if (value != NULL)
		return set_value(options, row, value, err) < 0 ? -1 : 1;
	if (left < 2)
		return fail(err, ERR_USAGE, "--%s needs a value: %s", row->name, row->value);
	return set_value(options, row, argv[1], err) < 0 ? -1 : 2;
}

int dev_options_check(const struct dev_options *options, struct err *err)
{
	static const char *const required[] = {"wasm", "manifest", "op"};
	const char *const values[] = {options->wasm, options->manifest, options->op};
	for (size_t i = 0; i < ARRAY_LEN(required); i++) {
		if (values[i] == NULL || values[i][0] == '\0')
			return fail(err, ERR_USAGE, "--%s is required", required[i]);
	}
	return 0;
}

static int parse_all(struct dev_options *options, int argc, char **argv, struct err *err)
{
	int i = 1;
	while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0' && strcmp(argv[i], "--") != 0) {
		int took = parse_one(options, argv + i, argc - i, err);
		if (took < 0)
			return -1;
		i += took;
	}
	if (i < argc && strcmp(argv[i], "--") == 0)
		i++;
	if (i < argc)
		return fail(err, ERR_USAGE, "'%s' belongs to no option", argv[i]);
	return 0;
}

int dev_options_parse(struct dev_options *ret, int argc, char **argv, struct err *err)
{
	struct dev_options options = {.args = "{}", .allowed = BUF_INIT(512), .arena = arena_new()};
	if (parse_all(&options, argc, argv, err) < 0) {
		dev_options_release(&options);
		return -1;
	}
	*ret = options;
	return 0;
}

void dev_options_release(struct dev_options *options)
{
	buf_release(&options->allowed);
	arena_free(options->arena);
	options->arena = NULL;
}
