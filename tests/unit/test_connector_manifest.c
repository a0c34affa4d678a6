#include "artifact/connector_manifest.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "os/file.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct err err; /* large; cleared before each use */

#define HASH       "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CONNECTOR  "[connector]\nname = \"github://acme/notes\"\nversion = \"1.4.0\"\n" /* lines 1 to 3 */
#define CREDENTIAL CONNECTOR "[capabilities.credential]\n"                              /* line 4 */
#define OAUTH2     CREDENTIAL "kind = \"oauth2\"\n[capabilities.credential.oauth2]\n"   /* lines 5 and 6 */
#define SPAWN      CONNECTOR "[capabilities.spawn]\n"                                   /* line 4 */
#define PROGRAM    "programs = [{path = \"/usr/bin/git\"}]\n"
#define OPERATION  "operations = {log = {argv = \"git log\"}}\n"

static struct connector_manifest *parse(const char *text)
{
	err_clear(&err);
	struct connector_manifest *manifest = connector_manifest_parse(str_from(text), "manifest.toml", &err);
	if (manifest == NULL)
		fail_msg("%s (line %u) in:\n%s", err.message, err.line, text);
	return manifest;
}

/* Parsed and valid. */
static struct connector_manifest *accept(const char *text)
{
	struct connector_manifest *manifest = parse(text);
	if (connector_manifest_validate(manifest, "manifest.toml", &err) < 0)
		fail_msg("%s (line %u) in:\n%s", err.message, err.line, text);
	return manifest;
}

struct refusal {
	const char *text;
	unsigned line;
	const char *why;
};

static void check_error(const struct refusal *refusal, enum err_class class)
{
	assert_int_equal(err.class, class);
	assert_string_equal(err.file, "manifest.toml");
	if (strstr(err.message, refusal->why) == NULL || err.line != refusal->line)
		fail_msg("'%s' (line %u), expected '%s' (line %u) of:\n%s", err.message, err.line, refusal->why,
			 refusal->line, refusal->text);
}

static void refuse_parsing(const struct refusal *refusal)
{
	err_clear(&err);
	if (connector_manifest_parse(str_from(refusal->text), "manifest.toml", &err) != NULL)
		fail_msg("parsed:\n%s", refusal->text);
	check_error(refusal, ERR_PARSE_ERROR);
}

static void refuse(const struct refusal *refusal)
{
	AUTO(connector_manifest) *manifest = parse(refusal->text);
	if (connector_manifest_validate(manifest, "manifest.toml", &err) == 0)
		fail_msg("accepted:\n%s", refusal->text);
	check_error(refusal, ERR_VALIDATION_ERROR);
}

static void refuse_all(const struct refusal *refusals, size_t n)
{
	for (size_t i = 0; i < n; i++)
		refuse(&refusals[i]);
}

static void is(struct str text, const char *expected)
{
	if (!str_eq(text, str_from(expected)))
		fail_msg("'%.*s' is not '%s'", STR_FMT(text), expected);
}

static void are(struct str_list list, const char *expected)
{
	AUTO_BUF joined = BUF_INIT(1024);
	for (size_t i = 0; i < list.n; i++)
		buf_addf(&joined, "%s%.*s", i == 0 ? "" : " ", STR_FMT(list.items[i]));
	is(buf_str(&joined), expected);
}

/* ---- what is read ---- */

static void reads_an_oauth2_manifest(void **state)
{
	(void)state;
	AUTO(connector_manifest) *m = accept("[connector]\n"
					     "name = \"github://acme/aileron-connector-notes\"\n"
					     "version = \"1.4.0\"\n"
					     "provenance_hash = \"" HASH "\"\n"
					     "publisher = \"Acme Notes Team\"\n"
					     "origin = \"somewhere\"\n"
					     "[connector.idempotency]\n"
					     "default = \"not_idempotent\"\n"
					     "[connector.limits]\n"
					     "memory = \"128MiB\"\n"
					     "wall_time = \"45s\"\n"
					     "[capabilities.network]\n"
					     "hosts = [\"api.notes.example:443\", \"files.notes.example:8443\"]\n"
					     "[capabilities.credential]\n"
					     "kind = \"oauth2\"\n"
					     "scope = \"Read your notes\"\n"
					     "[capabilities.credential.oauth2]\n"
					     "authorize_url = \"https://auth.notes.example/authorize\"\n"
					     "token_url = \"http://localhost:8080/token\"\n"
					     "device_authorization_url = \"https://auth.notes.example/device\"\n"
					     "client_id = \"acme-notes-desktop\"\n"
					     "client_secret = \"bound-at-release\"\n"
					     "scopes = [\"notes.read\", \"notes.share\"]\n"
					     "[capabilities.runtime]\n"
					     "imports = [\"log\", \"http_request\"]\n"
					     "[provides]\n"
					     "intents = [\"find_note\"]\n");
	is(m->name, "github://acme/aileron-connector-notes");
	is(m->version, "1.4.0");
	is(m->provenance_hash, HASH);
	is(m->publisher, "Acme Notes Team");
	is(m->origin, "somewhere");
	is(m->forwarder, "");
	assert_false(m->idempotent);
	assert_true(m->limits.memory_bytes == 128 * MIB && m->limits.wall_time_ms == 45000);
	assert_true(m->has_network);
	are(m->hosts, "api.notes.example:443 files.notes.example:8443");
	assert_true(m->credential.present && m->credential.oauth2.present);
	assert_int_equal(m->credential.kind, CREDENTIAL_OAUTH2);
	is(m->credential.kind_text, "oauth2");
	is(m->credential.scope, "Read your notes");
	is(m->credential.oauth2.authorize_url, "https://auth.notes.example/authorize");
	is(m->credential.oauth2.token_url, "http://localhost:8080/token");
	is(m->credential.oauth2.device_authorization_url, "https://auth.notes.example/device");
	is(m->credential.oauth2.client_id, "acme-notes-desktop");
	is(m->credential.oauth2.client_secret, "bound-at-release");
	are(m->credential.oauth2.scopes, "notes.read notes.share");
	assert_false(m->credential.has_header || m->credential.has_format);
	assert_true(m->has_imports);
	are(m->imports, "log http_request");
	are(m->intents, "find_note");
	assert_false(m->spawn.present);
}

static void reads_every_spawn_field(void **state)
{
	(void)state;
	AUTO(connector_manifest) *m = accept("[connector]\n"
					     "name = \"github://acme/gitcrawl\"\n"
					     "version = \"0.1.0-rc.1+build.7\"\n"
					     "forwarder = \"builtin://spawn-forwarder\"\n"
					     "[capabilities.credential]\n"
					     "kind = \"api_key\"\n"
					     "header = \"X-API-Key\"\n"
					     "format = \"{key}\"\n"
					     "[capabilities.spawn]\n"
					     "env_passthrough = [\"GIT_AUTHOR_NAME\", \"GH_TOKEN\"]\n"
					     "credential_env_keys = [\"GH_TOKEN\"]\n"
					     "fs_read = [\"~/code/\", \"~\", \"/etc\"]\n"
					     "fs_write = [\"~/.cache/aileron/\"]\n"
					     "cwd = \"~/code/\"\n"
					     "[[capabilities.spawn.programs]]\n"
					     "path = \"/usr/bin/git\"\n"
					     "hash = \"" HASH "\"\n"
					     "[[capabilities.spawn.programs]]\n"
					     "path = \"~/bin/tool\"\n"
					     "[capabilities.spawn.operations.log]\n"
					     "argv = \"git log --since={since}\"\n"
					     "description = \"List commits\"\n"
					     "[capabilities.spawn.operations.a-b_2]\n"
					     "argv = \"git status\"\n"
					     "[capabilities.spawn.limits]\n"
					     "max_stdout_bytes = 67108864\n");
	is(m->forwarder, "builtin://spawn-forwarder");
	assert_true(m->credential.has_header && m->credential.has_format);
	is(m->credential.header, "X-API-Key");
	is(m->credential.format, "{key}");
	assert_true(m->spawn.present);
	assert_int_equal(m->spawn.n_programs, 2);
	is(m->spawn.programs[0].path, "/usr/bin/git");
	is(m->spawn.programs[0].hash, HASH);
	is(m->spawn.programs[1].path, "~/bin/tool");
	is(m->spawn.programs[1].hash, "");
	assert_int_equal(m->spawn.n_operations, 2);
	is(m->spawn.operations[0].name, "log");
	is(m->spawn.operations[0].argv, "git log --since={since}");
	is(m->spawn.operations[0].description, "List commits");
	is(m->spawn.operations[1].name, "a-b_2");
	are(m->spawn.env_passthrough, "GIT_AUTHOR_NAME GH_TOKEN");
	are(m->spawn.credential_env_keys, "GH_TOKEN");
	are(m->spawn.fs_read, "~/code/ ~ /etc");
	are(m->spawn.fs_write, "~/.cache/aileron/");
	is(m->spawn.cwd, "~/code/");
	assert_int_equal(m->spawn.max_stdout_bytes, 67108864);
	assert_int_equal(m->spawn.max_stderr_bytes, 262144); /* each stream falls back on its own */
}

static void fills_in_what_a_minimal_manifest_leaves_out(void **state)
{
	(void)state;
	AUTO(connector_manifest) *m = accept(CONNECTOR);
	assert_true(m->idempotent);
	assert_false(m->has_network || m->credential.present || m->has_imports || m->spawn.present);
	assert_int_equal(m->hosts.n + m->imports.n + m->intents.n, 0);
	assert_true(m->limits.memory_bytes == 0 && m->limits.wall_time_ms == 0);
	assert_int_equal(m->spawn.max_stdout_bytes, 1048576);
	assert_int_equal(m->credential.components.n, 0);

	AUTO(connector_manifest) *empty = accept(CONNECTOR "[capabilities.network]\n[capabilities.runtime]\n");
	assert_true(empty->has_network);
	assert_false(empty->has_imports); /* the key counts, not the table */
	AUTO(connector_manifest) *none = accept(CONNECTOR "[capabilities.runtime]\nimports = []\n");
	assert_true(none->has_imports && none->imports.n == 0);
	AUTO(connector_manifest) *idempotent = accept(CONNECTOR "[connector.idempotency]\ndefault = 'idempotent'\n");
	assert_true(idempotent->idempotent);
	AUTO(connector_manifest) *local = accept("[connector]\nname = \"local://user/jq\"\nversion = \"1.7.1\"\n"
						 "publisher = \"\"\norigin = \"local\"\n");
	is(local->origin, "local");
}

static void reads_the_kinds_of_our_own(void **state)
{
	(void)state;
	AUTO(connector_manifest) *basic = accept(CREDENTIAL "kind = 'basic'\nscope = 'prose'\n");
	assert_int_equal(basic->credential.kind, CREDENTIAL_BASIC);
	is(basic->credential.username, "");
	AUTO(connector_manifest) *named = accept(CREDENTIAL "kind = 'basic'\nusername = 'zoë'\n");
	is(named->credential.username, "zoë");

	AUTO(connector_manifest) *key = accept(CREDENTIAL "kind = 'signing_key'\nalgorithm = 'ed25519'\n");
	assert_int_equal(key->credential.kind, CREDENTIAL_SIGNING_KEY);
	is(key->credential.label, "sig1");
	is(key->credential.key_id, "");
	are(key->credential.components, "@method @authority @path @query content-digest");
	AUTO(connector_manifest) *full = accept(
		CREDENTIAL "kind = 'signing_key'\nalgorithm = 'hmac-sha256'\nkey_id = 'a \"b\"'\nlabel = '*a-1.b_c'\n"
			   "components = ['@target-uri', '@scheme', '@request-target', 'x-own', 'date']\n");
	is(full->credential.algorithm, "hmac-sha256");
	is(full->credential.key_id, "a \"b\"");
	is(full->credential.label, "*a-1.b_c");
	are(full->credential.components, "@target-uri @scheme @request-target x-own date");
}

static void names_kinds_both_ways(void **state)
{
	(void)state;
	for (int i = CREDENTIAL_NONE + 1; i < CREDENTIAL__MAX; i++) {
		enum credential_kind kind = (enum credential_kind)i;
		assert_int_equal(credential_kind_named(str_from(credential_kind_name(kind))), kind);
	}
	assert_string_equal(credential_kind_name(CREDENTIAL_NONE), "");
	assert_int_equal(credential_kind_named(STR_EMPTY), CREDENTIAL_NONE);
	assert_int_equal(credential_kind_named(S("OAUTH2")), CREDENTIAL_NONE);
}

/* ---- what parsing refuses ---- */

static void names_every_unknown_key(void **state)
{
	(void)state;
	static const struct refusal refusals[] = {
		{CONNECTOR "[connectors]\n", 4, "unknown key: connectors"},
		{"top = 1\n" CONNECTOR, 1, "unknown key: top"},
		{CONNECTOR "nmae = 1\n[capabilities.shell]\nallow = true\n[provides]\nintents = []\nverbs = []\n", 4,
		 "unknown keys: connector.nmae, capabilities.shell, capabilities.shell.allow, provides.verbs"},
		{OAUTH2 "scope = []\n", 7, "unknown key: capabilities.credential.oauth2.scope"},
		{SPAWN PROGRAM "[capabilities.spawn.operations.log]\nargv_patterns = []\n", 7,
		 "unknown key: capabilities.spawn.operations.log.argv_patterns"},
		{SPAWN "programs = [{path = '/a', args = 1}, {args = 2, env = 3}]\n", 5,
		 "unknown keys: capabilities.spawn.programs.args, capabilities.spawn.programs.env"},
		{CONNECTOR "[[more]]\nx.y = 1\n[[more]]\nx.y = 2\nz = 3\n", 4,
		 "unknown keys: more, more.x, more.x.y, more.z"},
		{CONNECTOR "\"a.b\" = 1\n\"\\u001b[2J\" = 2\n", 4,
		 "unknown keys: connector.\"a.b\", connector.\"\\x1b[2J\""},
		{CONNECTOR "Version = \"1.0.0\"\n", 4, "unknown key: connector.Version"},
	};
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		refuse_parsing(&refusals[i]);
	assert_string_equal(err.details, "\"unknown_keys\":[\"connector.Version\"]");
}

static void says_that_there_are_more_unknown_keys_than_it_names(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20);
	for (int i = 0; i < 3000; i++)
		buf_addf(&text, "k%d = {x = 1}\n", i);
	refuse_parsing(&(struct refusal){text.p, 1, "unknown keys: k0, k0.x, k1, k1.x"});
	assert_non_null(strstr(err.message, ", and more"));
	/* Long names at the greatest depth must not multiply. */
	buf_clear(&text);
	for (int i = 0; i < 120; i++) {
		for (int k = 0; k < 300; k++)
			buf_add_char(&text, 'k');
		buf_add_z(&text, i < 119 ? "." : " = {");
	}
	for (int i = 0; i < 9000; i++)
		buf_addf(&text, "%sx%d = 1", i > 0 ? "," : "", i);
	buf_add_z(&text, "}\n");
	refuse_parsing(&(struct refusal){text.p, 1, "unknown keys: kkkk"});
}

static void names_the_key_of_a_wrong_type(void **state)
{
	(void)state;
	static const struct refusal refusals[] = {
		{"[connector]\nname = 1\nwrong = 2\n", 2, "'connector.name' must be a string, not an integer"},
		{"connector = 'x'\n", 1, "'connector' must be a table, not a string"},
		{"[[connector]]\n", 1, "'connector' must be a table, not an array"},
		{CONNECTOR "capabilities.network.hosts = 'a:1'\n", 4, "unknown keys: connector.capabilities"},
		{CONNECTOR "[capabilities.network]\nhosts = 'a:1'\n", 5,
		 "'capabilities.network.hosts' must be an array of strings, not a string"},
		{CONNECTOR "[capabilities.network]\nhosts = ['a:1',\n2]\n", 6,
		 "'capabilities.network.hosts' must be an array of strings alone, not an integer"},
		{SPAWN "programs = {}\n", 5, "'capabilities.spawn.programs' must be an array of tables, not a table"},
		{SPAWN "programs = ['/bin/x']\n", 5,
		 "'capabilities.spawn.programs' must be an array of tables alone, not a string"},
		{SPAWN "operations = []\n", 5, "'capabilities.spawn.operations' must be a table, not an array"},
		{SPAWN "operations.log = 'git log'\n", 5,
		 "'capabilities.spawn.operations.log' must be a table, not a string"},
		{SPAWN "limits.max_stdout_bytes = 1.0\n", 5,
		 "'capabilities.spawn.limits.max_stdout_bytes' must be an integer, not a float"},
		{CONNECTOR "[connector.limits]\nmemory = 1048576\n", 5, "'connector.limits.memory' must be a string"},
		{CONNECTOR "publisher = \"a\\u0000b\"\n", 4, "'connector.publisher' must not contain U+0000"},
		{CONNECTOR "publisher = 2024-01-01\n", 4, "'connector.publisher' must be a string, not a local date"},
	};
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		refuse_parsing(&refusals[i]);
}

static void reports_bad_toml_with_its_line(void **state)
{
	(void)state;
	refuse_parsing(&(struct refusal){CONNECTOR "publisher = \n", 4, "expected a value"});
	refuse_parsing(
		&(struct refusal){CONNECTOR "name = 'x'\n", 4, "'name' is already defined as a string in line 2"});
}

static void caps_the_text(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX + 1);
	buf_add_z(&text, CONNECTOR "#");
	while (text.n < MANIFEST_MAX)
		buf_add_char(&text, 'x');
	AUTO(connector_manifest) *just_fits = connector_manifest_parse(buf_str(&text), "manifest.toml", &err);
	assert_non_null(just_fits);
	buf_add_char(&text, 'x');
	err_clear(&err);
	assert_null(connector_manifest_parse(buf_str(&text), "manifest.toml", &err));
	assert_int_equal(err.class, ERR_LIMIT);
	assert_string_equal(err.file, "manifest.toml");
}

/* ---- what validation refuses ---- */

static void checks_the_connector_table(void **state)
{
	(void)state;
	static const struct refusal refusals[] = {
		{"", 1, "'connector.name' is required"},
		{"\n[connector]\nversion = '1.0.0'\n", 2, "'connector.name' is required"},
		{"[connector]\nname = ''\n", 2, "'connector.name' is required"},
		{"[connector]\nname = 'acme/notes'\nversion = '1.0.0'\n", 2,
		 "'connector.name': 'acme/notes' is not an FQN"},
		{"[connector]\nname = 'ftp://acme/notes'\n", 2, "unknown scheme 'ftp'"},
		{"[connector]\nname = 'github://acme/notes@1.0.0'\n", 2, "'connector.name'"},
		{"[connector]\nname = 'github://acme/notes'\n", 1, "'connector.version' is required"},
		{"[connector]\nname = 'github://acme/notes'\nversion = 'v1.0.0'\n", 3, "'connector.version'"},
		{CONNECTOR "provenance_hash = 'sha256:'\n", 4, "'connector.provenance_hash' is 'sha256:'"},
		{CONNECTOR "provenance_hash = 'sha256:abc'\n", 4, "64 lower-case hexadecimal digits"},
		{CONNECTOR "provenance_hash = '" HASH "0'\n", 4, "64 lower-case hexadecimal digits"},
		{CONNECTOR "forwarder = 'builtin://other'\n", 4, "only 'builtin://spawn-forwarder' is permitted"},
		{CONNECTOR "forwarder = 'builtin://spawn-forwarder'\n", 4,
		 "'connector.forwarder' needs a [capabilities.spawn] table"},
		{CONNECTOR "[connector.idempotency]\n", 4, "required when the table is present"},
		{CONNECTOR "[connector.idempotency]\ndefault = ''\n", 5, "required when the table is present"},
		{CONNECTOR "[connector.idempotency]\ndefault = 'yes'\n", 5, "must be"},
		{CONNECTOR "[connector.limits]\nmemory = '1GB'\n", 5, "'connector.limits.memory': '1GB' is not"},
		{CONNECTOR "[connector.limits]\nmemory = '0'\n", 5, "'connector.limits.memory' must be positive"},
		{CONNECTOR "[connector.limits]\nmemory = '1025MiB'\n", 5, "at most 1GiB"},
		{CONNECTOR "[connector.limits]\nmemory = '99999999999999999999999'\n", 5, "'connector.limits.memory'"},
		{CONNECTOR "[connector.limits]\nwall_time = '45'\n", 5, "'connector.limits.wall_time': '45'"},
		{CONNECTOR "[connector.limits]\nwall_time = '0s'\n", 5, "must be positive"},
		{CONNECTOR "[connector.limits]\nwall_time = '999us'\n", 5, "must be positive, and at least 1ms"},
		{CONNECTOR "[connector.limits]\nwall_time = '301s'\n", 5, "'connector.limits.wall_time'"},
		{CONNECTOR "forwarder = \"x\\u001b[2J\\n\"\n", 4, "is 'x\\x1b[2J\\n': only"},
	};
	refuse_all(refusals, ARRAY_LEN(refusals));
	AUTO(connector_manifest) *most = accept(CONNECTOR "[connector.limits]\nmemory = '1GiB'\nwall_time = '5m'\n");
	assert_true(most->limits.memory_bytes == LIMIT_MEMORY_CEILING);
	assert_true(most->limits.wall_time_ms == LIMIT_WALL_CEILING_MS);
}

static void checks_hosts_in_order(void **state)
{
	(void)state;
	static const struct refusal refusals[] = {
		{CONNECTOR "[capabilities.network]\nhosts = ['a:1',\n 'b',\n 'c']\n", 6,
		 "'capabilities.network.hosts' entry 2 is 'b': it must contain ':'"},
		{CONNECTOR "[capabilities.network]\nhosts = ['']\n", 5, "entry 1 is '': it must contain ':'"},
	};
	refuse_all(refusals, ARRAY_LEN(refusals));
	/* Nothing else is demanded; what does not split never matches. */
	AUTO(connector_manifest) *odd = accept(CONNECTOR "[capabilities.network]\nhosts = [':', '*:x', 'A b:']\n");
	assert_int_equal(odd->hosts.n, 3);
}

static void checks_api_keys(void **state)
{
	(void)state;
	static const struct refusal refusals[] = {
		{CREDENTIAL, 4, "kind is required"},
		{CREDENTIAL "kind = ''\n", 4, "kind is required"},
		{CREDENTIAL "kind = 'password'\n", 5,
		 "'password', which is not in the closed set: api_key, oauth2, aws_sigv4, basic, signing_key"},
		{CREDENTIAL "kind = 'api_key'\n[capabilities.credential.oauth2]\n", 6, "must be absent"},
		{CREDENTIAL "kind = 'api_key'\nheader = \" \\t\"\n", 6, "whitespace-only"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'X Key'\n", 6, "valid HTTP header name"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'X-Key:'\n", 6, "valid HTTP header name"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'Host'\n", 6, "valid HTTP header name for a key"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'content-length'\n", 6, "valid HTTP header name for a key"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'Transfer-Encoding'\n", 6, "valid HTTP header name for a key"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'Expect'\n", 6, "valid HTTP header name for a key"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'proxy-authorization'\n", 6,
		 "valid HTTP header name for a key"},
		{CREDENTIAL "kind = 'api_key'\nheader = \"X-Key\\n\"\n", 6, "valid HTTP header name"},
		{CREDENTIAL "kind = 'api_key'\nheader = 'X-Clé'\n", 6, "valid HTTP header name"},
		{CREDENTIAL "kind = 'api_key'\nformat = 'Token key'\n", 6, "{key}"},
		{CREDENTIAL "kind = 'api_key'\nformat = \"{key}\\r\"\n", 6, "newline"},
		{CREDENTIAL "kind = 'api_key'\nformat = \"{key}\\nX: y\"\n", 6, "newline"},
		{CREDENTIAL "kind = 'api_key'\nformat = \"{key}\\u0007\"\n", 6, "control characters"},
		{CREDENTIAL "kind = 'api_key'\nusername = 'me'\n", 6,
		 "'capabilities.credential.username' is for kind 'basic' only, not 'api_key'"},
		{CREDENTIAL "kind = 'api_key'\ncomponents = []\n", 6, "is for kind 'signing_key' only"},
	};
	refuse_all(refusals, ARRAY_LEN(refusals));
	AUTO(connector_manifest) *plain = accept(CREDENTIAL "kind = 'api_key'\nheader = ''\nformat = ''\n");
	assert_int_equal(plain->credential.kind, CREDENTIAL_API_KEY);
	/* The original bears these here. */
	AUTO(connector_manifest) *borne = accept(CREDENTIAL "kind = 'api_key'\nservice = 's3'\nregion = 'x'\n");
	is(borne->credential.service, "s3");
}

static void checks_oauth2(void **state)
{
	(void)state;
#define A "authorize_url = 'https://a.example/x'\n"
#define T "token_url = 'https://a.example/y'\n"
#define C "client_id = 'c'\n"
	static const struct refusal refusals[] = {
		{CREDENTIAL "kind = 'oauth2'\n", 4, "'capabilities.credential.oauth2' is required"},
		{CREDENTIAL "kind = 'oauth2'\nheader = 'X'\noauth2 = {}\n", 6, "is for kind 'api_key' only"},
		{CREDENTIAL "kind = 'oauth2'\nformat = '{key}'\noauth2 = {}\n", 6, "is for kind 'api_key' only"},
		{OAUTH2, 6, "'capabilities.credential.oauth2.authorize_url' is required"},
		{OAUTH2 "authorize_url = '  '\n", 7, "'capabilities.credential.oauth2.authorize_url' is required"},
		{OAUTH2 "authorize_url = 'ftp://a.example'\n", 7, "it must be https://"},
		{OAUTH2 "authorize_url = 'http://a.example/x'\n", 7, "it must be https://"},
		{OAUTH2 "authorize_url = 'http://localhost.example/x'\n", 7, "it must be https://"},
		{OAUTH2 "authorize_url = 'http://127.0.0.2/x'\n", 7, "it must be https://"},
		{OAUTH2 "authorize_url = 'http://localhost:1@a.example/x'\n", 7, "it must be https://"},
		{OAUTH2 "authorize_url = 'http://[::1]/x'\n", 7, "it must be https://"},
		{OAUTH2 "authorize_url = 'https://'\n", 7, "it must be https://"},
		{OAUTH2 "authorize_url = 'https://me@a.example'\n", 7, "it must be https://"},
		{OAUTH2 A, 6, "'capabilities.credential.oauth2.token_url' is required"},
		{OAUTH2 A "token_url = 'http://a.example'\n", 8,
		 "'capabilities.credential.oauth2.token_url' is 'http://a.exa"},
		{OAUTH2 A T "device_authorization_url = 'http://a.example/d'\n", 9,
		 "'capabilities.credential.oauth2.device_authorization_url' is 'http://a.exa"},
		{OAUTH2 A T, 6, "'capabilities.credential.oauth2.client_id' is required"},
		{OAUTH2 A T "client_id = ' '\n", 9, "'capabilities.credential.oauth2.client_id' is required"},
		{OAUTH2 A T C, 6, "'capabilities.credential.oauth2.scopes' needs at least one scope"},
		{OAUTH2 A T C "scopes = []\n", 10, "needs at least one scope"},
		{OAUTH2 A T C "scopes = ['a',\n' ']\n", 11, "'capabilities.credential.oauth2.scopes' entry 2 is blank"},
	};
	refuse_all(refusals, ARRAY_LEN(refusals));
	static const char *const endpoints[] = {"https://a.example/x@y", "http://localhost", "http://localhost:1/x",
						"http://127.0.0.1/x", "https://a.example:8443"};
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		AUTO_FREE char *text = xasprintf(OAUTH2 "authorize_url = '%s'\n" T C "scopes = ['a']\n", endpoints[i]);
		AUTO(connector_manifest) *manifest = accept(text);
		is(manifest->credential.oauth2.authorize_url, endpoints[i]);
	}
}

static void checks_aws_sigv4(void **state)
{
	(void)state;
#define AWS CREDENTIAL "kind = 'aws_sigv4'\n"
	static const struct refusal refusals[] = {
		{AWS, 4, "'capabilities.credential.service' is required"},
		{AWS "service = ' '\n", 6, "'capabilities.credential.service' is required"},
		{AWS "service = \"s3\\n\"\n", 6, "'capabilities.credential.service' must not contain a newline"},
		{AWS "service = 's3'\nregion = \"a\\r\"\n", 7,
		 "'capabilities.credential.region' must not contain a newline"},
		{AWS "service = 's3'\naccess_key_id = \"a\\nb\"\n", 7,
		 "'capabilities.credential.access_key_id' must not contain a newline"},
		{AWS "service = 's3'\nheader = 'X'\n", 7, "'capabilities.credential.header'"},
		{AWS "service = 's3'\nformat = '{key}'\n", 7, "'capabilities.credential.format'"},
		{AWS "service = 's3'\n[capabilities.credential.oauth2]\n", 7, "oauth2"},
		{AWS "service = 's3'\nalgorithm = 'ed25519'\n", 7, "'capabilities.credential.algorithm'"},
	};
	refuse_all(refusals, ARRAY_LEN(refusals));
	AUTO(connector_manifest) *manifest = accept(AWS "service = 'athena'\n");
	is(manifest->credential.service, "athena");
}

static void checks_our_own_kinds(void **state)
{
	(void)state;
#define BASIC CREDENTIAL "kind = 'basic'\n"
#define KEY   CREDENTIAL "kind = 'signing_key'\n"
#define ED    KEY "algorithm = 'ed25519'\n"
	static const struct refusal refusals[] = {
		{BASIC "username = 'a:b'\n", 6, "must not contain ':'"},
		{BASIC "username = \"a\\tb\"\n", 6, "must not contain control characters"},
		{BASIC "header = 'X'\n", 6, "is for kind 'api_key' only, not 'basic'"},
		{BASIC "service = 's3'\n", 6, "is for kind 'aws_sigv4' only, not 'basic'"},
		{BASIC "label = 'x'\n", 6, "is for kind 'signing_key' only, not 'basic'"},
		{BASIC "oauth2 = {}\n", 6, "must be absent"},
		{KEY, 4, "'capabilities.credential.algorithm' is required"},
		{KEY "algorithm = 'rsa'\n", 6, "it must be 'ed25519' or 'hmac-sha256'"},
		{KEY "algorithm = 'Ed25519'\n", 6, "it must be 'ed25519' or 'hmac-sha256'"},
		{ED "username = 'x'\n", 7, "is for kind 'basic' only, not 'signing_key'"},
		{ED "region = 'x'\n", 7, "is for kind 'aws_sigv4' only, not 'signing_key'"},
		{ED "oauth2 = {}\n", 7, "must be absent"},
		{ED "key_id = 'clé'\n", 7, "must be printable ASCII"},
		{ED "key_id = \"a\\tb\"\n", 7, "must be printable ASCII"},
		{ED "label = 'Sig'\n", 7, "'capabilities.credential.label' is 'Sig'"},
		{ED "label = '1a'\n", 7, "'capabilities.credential.label' is '1a'"},
		{ED "components = []\n", 7, "needs at least one component"},
		{ED "components = ['@method',\n '@status']\n", 8, "entry 2 is '@status'"},
		{ED "components = ['@query-param']\n", 7, "entry 1 is '@query-param'"},
		{ED "components = ['Date']\n", 7, "nor a lower-case field name"},
		{ED "components = ['']\n", 7, "entry 1 is ''"},
		{ED "components = ['x y']\n", 7, "entry 1 is 'x y'"},
		{ED "components = ['date', '@path', 'date']\n", 7, "names 'date' twice"},
	};
	refuse_all(refusals, ARRAY_LEN(refusals));
}

static void checks_spawn(void **state)
{
	(void)state;
#define BOTH SPAWN PROGRAM OPERATION
	static const struct refusal refusals[] = {
		{SPAWN, 4, "'capabilities.spawn.programs' needs at least one program"},
		{SPAWN "programs = []\n", 5, "needs at least one program"},
		{SPAWN "programs = [{path = '/a'},\n{}]\n", 6, "entry 2: path is required"},
		{SPAWN "programs = [{path = ' '}]\n", 5, "entry 1: path is required"},
		{SPAWN "programs = [{path = 'bin/git'}]\n", 5, "path 'bin/git' must be absolute"},
		{SPAWN "programs = [{path = '~git/x'}]\n", 5, "path '~git/x' must be absolute"},
		{SPAWN "programs = [{path = 'C:\\git.exe'}]\n", 5, "must be absolute"},
		{SPAWN "programs = [{path = '/a', hash = 'sha256:0f1e2d3c'}]\n", 5, "hash 'sha256:0f1e2d3c' must be"},
		{SPAWN PROGRAM, 4, "'capabilities.spawn.operations' needs at least one operation"},
		{SPAWN PROGRAM "operations = {}\n", 6, "needs at least one operation"},
		{SPAWN PROGRAM "operations.Log.argv = 'x'\n", 6, "'capabilities.spawn.operations' has 'Log'"},
		{SPAWN PROGRAM "operations.'a b'.argv = 'x'\n", 6, "'capabilities.spawn.operations' has 'a b'"},
		{SPAWN PROGRAM "operations.''.argv = 'x'\n", 6, "'capabilities.spawn.operations' has ''"},
		{SPAWN PROGRAM "operations.1a.argv = 'x'\n", 6, "'capabilities.spawn.operations' has '1a'"},
		{SPAWN PROGRAM "operations.log.argv = ' '\n", 6,
		 "'capabilities.spawn.operations.log': argv is required"},
		{SPAWN PROGRAM "operations.log = {}\n", 6, "argv is required"},
		{BOTH "env_passthrough = ['A', 'B-C']\n", 7, "'capabilities.spawn.env_passthrough' entry 2 is 'B-C'"},
		{BOTH "env_passthrough = ['1A']\n", 7, "entry 1 is '1A'"},
		{BOTH "env_passthrough = ['']\n", 7, "entry 1 is ''"},
		{BOTH "credential_env_keys = ['A B']\n", 7,
		 "'capabilities.spawn.credential_env_keys' entry 1 is 'A B'"},
		{BOTH "env_passthrough = ['A']\ncredential_env_keys = ['B']\n", 8,
		 "must also appear in env_passthrough"},
		{BOTH "fs_read = ['/a',\n'b']\n", 8, "'capabilities.spawn.fs_read' has 'b'"},
		{BOTH "fs_write = ['./b']\n", 7, "'capabilities.spawn.fs_write' has './b'"},
		{BOTH "cwd = 'b'\n", 7, "'capabilities.spawn.cwd' has 'b'"},
		{BOTH "limits.max_stdout_bytes = 0\n", 7,
		 "'capabilities.spawn.limits.max_stdout_bytes' must be positive"},
		{BOTH "limits.max_stdout_bytes = -1\n", 7, "must be positive"},
		{BOTH "limits.max_stdout_bytes = 67108865\n", 7,
		 "max_stdout_bytes' is 67108865, which exceeds the maximum"},
		{BOTH "limits.max_stderr_bytes = 0\n", 7,
		 "'capabilities.spawn.limits.max_stderr_bytes' must be positive"},
		{BOTH "limits.max_stderr_bytes = 67108865\n", 7, "exceeds the maximum"},
	};
	refuse_all(refusals, ARRAY_LEN(refusals));
	AUTO(connector_manifest) *minimal = accept(BOTH);
	assert_int_equal(minimal->spawn.max_stdout_bytes, 1048576);
}

/*
 * A manifest that breaks every rule at once, mended piece by piece: each time the next rule of the documented order must
 * be the one that is reported.
 */
struct piece {
	const char *bad, *good, *why;
};

static void mend(const struct piece *pieces, size_t n)
{
	for (size_t mended = 0; mended <= n; mended++) {
		AUTO_BUF text = BUF_INIT(1 << 16);
		for (size_t i = 0; i < n; i++)
			buf_add_z(&text, i < mended ? pieces[i].good : pieces[i].bad);
		AUTO(connector_manifest) *manifest = parse(text.p);
		if (mended == n) {
			assert_int_equal(connector_manifest_validate(manifest, NULL, &err), 0);
			continue;
		}
		assert_int_equal(connector_manifest_validate(manifest, "manifest.toml", &err), -1);
		if (strstr(err.message, pieces[mended].why) == NULL)
			fail_msg("'%s', expected '%s' of:\n%s", err.message, pieces[mended].why, text.p);
	}
}

static void stops_at_the_first_rule_in_the_documented_order(void **state)
{
	(void)state;
	static const struct piece pieces[] = {
		{"[connector]\nname = ''\n", "[connector]\nname = 'github://a/b'\n", "'connector.name' is required"},
		{"version = ''\n", "version = '1.0.0'\n", "'connector.version' is required"},
		{"provenance_hash = 'x'\n", "provenance_hash = ''\n", "provenance_hash"},
		{"forwarder = 'x'\n", "forwarder = 'builtin://spawn-forwarder'\n", "forwarder"},
		{"[capabilities.network]\nhosts = ['x']\n", "[capabilities.network]\nhosts = ['x:1']\n", "hosts"},
		{"[capabilities.credential]\n", "[capabilities.credential]\nkind = 'basic'\n", "kind is required"},
		{"[capabilities.spawn]\n", "[capabilities.spawn]\n" PROGRAM, "programs' needs"},
		{"", OPERATION, "operations' needs"},
		{"[connector.idempotency]\n", "[connector.idempotency]\ndefault = 'idempotent'\n", "idempotency"},
		{"[connector.limits]\nmemory = 'x'\n", "[connector.limits]\nmemory = '1MiB'\n", "limits.memory"},
		{"wall_time = 'x'\n", "wall_time = '1s'\n", "limits.wall_time"},
	};
	mend(pieces, ARRAY_LEN(pieces));
}

static void checks_spawn_in_the_documented_order(void **state)
{
	(void)state;
	static const struct piece pieces[] = {
		{SPAWN "programs = [{path = ''}]\n", SPAWN PROGRAM, "path is required"},
		{"operations = {}\n", OPERATION, "operations"},
		{"env_passthrough = ['-']\n", "env_passthrough = ['A']\n", "env_passthrough' entry"},
		{"credential_env_keys = ['-']\n", "credential_env_keys = ['A']\n", "credential_env_keys' entry 1 is"},
		{"fs_read = ['x']\n", "fs_read = ['/x']\n", "fs_read"},
		{"fs_write = ['x']\n", "fs_write = ['/x']\n", "fs_write"},
		{"cwd = 'x'\n", "cwd = '/x'\n", "cwd"},
		{"limits.max_stdout_bytes = 0\n", "limits.max_stdout_bytes = 1\n", "max_stdout_bytes"},
		{"limits.max_stderr_bytes = 0\n", "limits.max_stderr_bytes = 1\n", "max_stderr_bytes"},
	};
	mend(pieces, ARRAY_LEN(pieces));
}

static void refuses_no_manifest_at_all(void **state)
{
	(void)state;
	err_clear(&err);
	assert_int_equal(connector_manifest_validate(NULL, "manifest.toml", &err), -1);
	assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	connector_manifest_free(NULL);
}

/* Validation needs the struct alone, the tree is for lines. */
static void validates_a_manifest_that_no_text_made(void **state)
{
	(void)state;
	struct connector_manifest manifest = {.name = S("github://a/b"), .version = S("1.0.0")};
	err_clear(&err);
	assert_int_equal(connector_manifest_validate(&manifest, NULL, &err), 0);
	manifest.has_network = true;
	manifest.hosts = (struct str_list){&manifest.version, 1};
	assert_int_equal(connector_manifest_validate(&manifest, NULL, &err), -1);
	assert_int_equal(err.line, 0);
}

/* ---- files ---- */

static char *write_file(const char *text, size_t n)
{
	char *path = xstrdup("/tmp/test_connector_manifest.XXXXXX");
	AUTO_FD fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	return path;
}

static void loads_a_file_and_its_bytes(void **state)
{
	(void)state;
	AUTO_FREE char *path = write_file(CONNECTOR, sizeof CONNECTOR - 1);
	struct str bytes = STR_EMPTY;
	err_clear(&err);
	AUTO(connector_manifest) *manifest = connector_manifest_load(path, &bytes, &err);
	unlink(path);
	assert_non_null(manifest);
	is(manifest->name, "github://acme/notes");
	is(bytes, CONNECTOR);
}

static void refuses_files_that_it_cannot_use(void **state)
{
	(void)state;
	struct str bytes = S("untouched");
	AUTO_FREE char *huge = xcalloc(1, MANIFEST_MAX + 1);
	memset(huge, '#', MANIFEST_MAX + 1);
	AUTO_FREE char *large = write_file(huge, MANIFEST_MAX + 1);
	AUTO_FREE char *invalid = write_file("[connector]\n", 12);
	AUTO_FREE char *unparsed = write_file("\nx", 2);
	const struct {
		const char *path;
		enum err_class class;
		unsigned line;
	} cases[] = {
		{"/nonexistent/manifest.toml", ERR_SYSTEM, 0},
		{"/tmp", ERR_SYSTEM, 0},
		{large, ERR_LIMIT, 0},
		{invalid, ERR_VALIDATION_ERROR, 1},
		{unparsed, ERR_PARSE_ERROR, 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		err_clear(&err);
		assert_null(connector_manifest_load(cases[i].path, &bytes, &err));
		assert_int_equal(err.class, cases[i].class);
		assert_int_equal(err.line, cases[i].line);
		assert_string_equal(err.file, cases[i].line > 0 ? cases[i].path : "");
		is(bytes, "untouched");
	}
	unlink(large);
	unlink(invalid);
	unlink(unparsed);
}

/* ---- what we show ---- */

static void accepts_the_example_of_its_documentation(void **state)
{
	(void)state;
	AUTO_BUF page = BUF_INIT(1 << 20);
	err_clear(&err);
	assert_int_equal(file_read(SOURCE_DIR "/docs/formats/manifest.md", &page, &err), 0);
	struct str begin = S("```toml\n"), end = S("```");
	size_t at = str_find(buf_str(&page), begin);
	assert_true(at != STR_NPOS);
	struct str rest = str_slice(buf_str(&page), at + begin.n, page.n);
	size_t n = str_find(rest, end);
	assert_true(n != STR_NPOS);
	buf_truncate(&page, at + begin.n + n);
	AUTO(connector_manifest) *manifest = accept(page.p + at + begin.n);
	is(manifest->name, "github://acme/weather");
}

static void accepts_the_manifests_of_the_examples(void **state)
{
	(void)state;
	static const char *const names[] = {"fixture", "notes-c", "notes-go"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = xasprintf(SOURCE_DIR "/examples/connectors/%s/manifest.toml", names[i]);
		err_clear(&err);
		AUTO(connector_manifest) *manifest = connector_manifest_load(path, NULL, &err);
		if (manifest == NULL)
			fail_msg("%s:%u: %s", path, err.line, err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_an_oauth2_manifest),
		cmocka_unit_test(reads_every_spawn_field),
		cmocka_unit_test(fills_in_what_a_minimal_manifest_leaves_out),
		cmocka_unit_test(reads_the_kinds_of_our_own),
		cmocka_unit_test(names_kinds_both_ways),
		cmocka_unit_test(names_every_unknown_key),
		cmocka_unit_test(says_that_there_are_more_unknown_keys_than_it_names),
		cmocka_unit_test(names_the_key_of_a_wrong_type),
		cmocka_unit_test(reports_bad_toml_with_its_line),
		cmocka_unit_test(caps_the_text),
		cmocka_unit_test(checks_the_connector_table),
		cmocka_unit_test(checks_hosts_in_order),
		cmocka_unit_test(checks_api_keys),
		cmocka_unit_test(checks_oauth2),
		cmocka_unit_test(checks_aws_sigv4),
		cmocka_unit_test(checks_our_own_kinds),
		cmocka_unit_test(checks_spawn),
		cmocka_unit_test(stops_at_the_first_rule_in_the_documented_order),
		cmocka_unit_test(checks_spawn_in_the_documented_order),
		cmocka_unit_test(refuses_no_manifest_at_all),
		cmocka_unit_test(validates_a_manifest_that_no_text_made),
		cmocka_unit_test(loads_a_file_and_its_bytes),
		cmocka_unit_test(refuses_files_that_it_cannot_use),
		cmocka_unit_test(accepts_the_example_of_its_documentation),
		cmocka_unit_test(accepts_the_manifests_of_the_examples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
