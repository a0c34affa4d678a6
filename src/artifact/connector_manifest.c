#include "artifact/connector_manifest.h"
#include "artifact/schema.h"
#include "base/buf.h"
#include "base/size.h"
#include "base/time.h"
#include "os/file.h"
#include "text/toml.h"

#define OF(member)   offsetof(struct connector_manifest, member)
#define FLAG(member) .has_flag = true, .flag = OF(member)

/* ---- credential kinds ---- */

static const char *const kind_names[CREDENTIAL__MAX] = {
	[CREDENTIAL_NONE] = "",         [CREDENTIAL_API_KEY] = "api_key",
	[CREDENTIAL_OAUTH2] = "oauth2", [CREDENTIAL_AWS_SIGV4] = "aws_sigv4",
	[CREDENTIAL_BASIC] = "basic",   [CREDENTIAL_SIGNING_KEY] = "signing_key",
};

const char *credential_kind_name(enum credential_kind kind)
{
	return (unsigned)kind < CREDENTIAL__MAX ? kind_names[kind] : "";
}

enum credential_kind credential_kind_named(struct str name)
{
	for (int i = CREDENTIAL_NONE + 1; i < CREDENTIAL__MAX; i++) {
		if (str_eq(name, str_from(kind_names[i])))
			return (enum credential_kind)i;
	}
	return CREDENTIAL_NONE;
}

/* ---- the schema, a table of docs/formats/manifest.md each; tables without a struct of their own fill the manifest ---- */

static const struct schema_row idempotency_rows[] = {
	{.key = "default", .kind = SCHEMA_STRING, .offset = OF(idempotency)},
};
static const struct schema idempotency_schema = {.rows = idempotency_rows, .n = ARRAY_LEN(idempotency_rows)};

static const struct schema_row limits_rows[] = {
	{.key = "memory", .kind = SCHEMA_STRING, .offset = OF(limits.memory)},
	{.key = "wall_time", .kind = SCHEMA_STRING, .offset = OF(limits.wall_time)},
};
static const struct schema limits_schema = {.rows = limits_rows, .n = ARRAY_LEN(limits_rows)};

static const struct schema_row connector_rows[] = {
	{.key = "name", .kind = SCHEMA_STRING, .offset = OF(name)},
	{.key = "version", .kind = SCHEMA_STRING, .offset = OF(version)},
	{.key = "provenance_hash", .kind = SCHEMA_STRING, .offset = OF(provenance_hash)},
	{.key = "publisher", .kind = SCHEMA_STRING, .offset = OF(publisher)},
	{.key = "forwarder", .kind = SCHEMA_STRING, .offset = OF(forwarder)},
	{.key = "origin", .kind = SCHEMA_STRING, .offset = OF(origin)},
	{.key = "idempotency", .kind = SCHEMA_TABLE, .table = &idempotency_schema, FLAG(has_idempotency)},
	{.key = "limits", .kind = SCHEMA_TABLE, .table = &limits_schema},
};
static const struct schema connector_schema = {.rows = connector_rows, .n = ARRAY_LEN(connector_rows)};

static const struct schema_row network_rows[] = {
	{.key = "hosts", .kind = SCHEMA_STRINGS, .offset = OF(hosts)},
};
static const struct schema network_schema = {.rows = network_rows, .n = ARRAY_LEN(network_rows)};

static const struct schema_row oauth2_rows[] = {
	{.key = "authorize_url", .kind = SCHEMA_STRING, .offset = OF(credential.oauth2.authorize_url)},
	{.key = "token_url", .kind = SCHEMA_STRING, .offset = OF(credential.oauth2.token_url)},
	{.key = "device_authorization_url",
	 .kind = SCHEMA_STRING,
	 .offset = OF(credential.oauth2.device_authorization_url)},
	{.key = "client_id", .kind = SCHEMA_STRING, .offset = OF(credential.oauth2.client_id)},
	{.key = "client_secret", .kind = SCHEMA_STRING, .offset = OF(credential.oauth2.client_secret)},
	{.key = "scopes", .kind = SCHEMA_STRINGS, .offset = OF(credential.oauth2.scopes)},
};
static const struct schema oauth2_schema = {.rows = oauth2_rows, .n = ARRAY_LEN(oauth2_rows)};

static const struct schema_row credential_rows[] = {
	{.key = "kind", .kind = SCHEMA_STRING, .offset = OF(credential.kind_text)},
	{.key = "scope", .kind = SCHEMA_STRING, .offset = OF(credential.scope)},
	{.key = "header", .kind = SCHEMA_STRING, .offset = OF(credential.header), FLAG(credential.has_header)},
	{.key = "format", .kind = SCHEMA_STRING, .offset = OF(credential.format), FLAG(credential.has_format)},
	{.key = "service", .kind = SCHEMA_STRING, .offset = OF(credential.service)},
	{.key = "region", .kind = SCHEMA_STRING, .offset = OF(credential.region)},
	{.key = "access_key_id", .kind = SCHEMA_STRING, .offset = OF(credential.access_key_id)},
	{.key = "username", .kind = SCHEMA_STRING, .offset = OF(credential.username)},
	{.key = "algorithm", .kind = SCHEMA_STRING, .offset = OF(credential.algorithm)},
	{.key = "key_id", .kind = SCHEMA_STRING, .offset = OF(credential.key_id)},
	{.key = "label", .kind = SCHEMA_STRING, .offset = OF(credential.label)},
	{.key = "components", .kind = SCHEMA_STRINGS, .offset = OF(credential.components)},
	{.key = "oauth2", .kind = SCHEMA_TABLE, .table = &oauth2_schema, FLAG(credential.oauth2.present)},
};
static const struct schema credential_schema = {.rows = credential_rows, .n = ARRAY_LEN(credential_rows)};

static const struct schema_row runtime_rows[] = {
	{.key = "imports", .kind = SCHEMA_STRINGS, .offset = OF(imports), FLAG(has_imports)},
};
static const struct schema runtime_schema = {.rows = runtime_rows, .n = ARRAY_LEN(runtime_rows)};

static const struct schema_row program_rows[] = {
	{.key = "path", .kind = SCHEMA_STRING, .offset = offsetof(struct manifest_spawn_program, path)},
	{.key = "hash", .kind = SCHEMA_STRING, .offset = offsetof(struct manifest_spawn_program, hash)},
};
static const struct schema program_schema = {
	.rows = program_rows,
	.n = ARRAY_LEN(program_rows),
	.size = sizeof(struct manifest_spawn_program),
};

static const struct schema_row operation_rows[] = {
	{.key = "argv", .kind = SCHEMA_STRING, .offset = offsetof(struct manifest_spawn_operation, argv)},
	{.key = "description", .kind = SCHEMA_STRING, .offset = offsetof(struct manifest_spawn_operation, description)},
};
static const struct schema operation_schema = {
	.rows = operation_rows,
	.n = ARRAY_LEN(operation_rows),
	.size = sizeof(struct manifest_spawn_operation),
	.name = offsetof(struct manifest_spawn_operation, name),
};

static const struct schema_row spawn_limits_rows[] = {
	{.key = "max_stdout_bytes", .kind = SCHEMA_INTEGER, .offset = OF(spawn.max_stdout_bytes)},
	{.key = "max_stderr_bytes", .kind = SCHEMA_INTEGER, .offset = OF(spawn.max_stderr_bytes)},
};
static const struct schema spawn_limits_schema = {.rows = spawn_limits_rows, .n = ARRAY_LEN(spawn_limits_rows)};

static const struct schema_row spawn_rows[] = {
	{.key = "programs",
	 .kind = SCHEMA_TABLES,
	 .offset = OF(spawn.programs),
	 .count = OF(spawn.n_programs),
	 .table = &program_schema},
	{.key = "operations",
	 .kind = SCHEMA_MAP,
	 .offset = OF(spawn.operations),
	 .count = OF(spawn.n_operations),
	 .table = &operation_schema},
	{.key = "env_passthrough", .kind = SCHEMA_STRINGS, .offset = OF(spawn.env_passthrough)},
	{.key = "credential_env_keys", .kind = SCHEMA_STRINGS, .offset = OF(spawn.credential_env_keys)},
	{.key = "fs_read", .kind = SCHEMA_STRINGS, .offset = OF(spawn.fs_read)},
	{.key = "fs_write", .kind = SCHEMA_STRINGS, .offset = OF(spawn.fs_write)},
	{.key = "cwd", .kind = SCHEMA_STRING, .offset = OF(spawn.cwd)},
	{.key = "limits", .kind = SCHEMA_TABLE, .table = &spawn_limits_schema},
};
static const struct schema spawn_schema = {.rows = spawn_rows, .n = ARRAY_LEN(spawn_rows)};

static const struct schema_row capabilities_rows[] = {
	{.key = "network", .kind = SCHEMA_TABLE, .table = &network_schema, FLAG(has_network)},
	{.key = "credential", .kind = SCHEMA_TABLE, .table = &credential_schema, FLAG(credential.present)},
	{.key = "runtime", .kind = SCHEMA_TABLE, .table = &runtime_schema},
	{.key = "spawn", .kind = SCHEMA_TABLE, .table = &spawn_schema, FLAG(spawn.present)},
};
static const struct schema capabilities_schema = {.rows = capabilities_rows, .n = ARRAY_LEN(capabilities_rows)};

static const struct schema_row provides_rows[] = {
	{.key = "intents", .kind = SCHEMA_STRINGS, .offset = OF(intents)},
};
static const struct schema provides_schema = {.rows = provides_rows, .n = ARRAY_LEN(provides_rows)};

static const struct schema_row manifest_rows[] = {
	{.key = "connector", .kind = SCHEMA_TABLE, .table = &connector_schema},
	{.key = "capabilities", .kind = SCHEMA_TABLE, .table = &capabilities_schema},
	{.key = "provides", .kind = SCHEMA_TABLE, .table = &provides_schema},
};
static const struct schema manifest_schema = {.rows = manifest_rows, .n = ARRAY_LEN(manifest_rows)};

/* ---- what follows from what was read ---- */

static const struct str default_components[] = {
	{"@method", 7}, {"@authority", 10}, {"@path", 5}, {"@query", 6}, {"content-digest", 14},
};

static void derive_credential(struct manifest_credential *credential)
{
	credential->kind = credential_kind_named(credential->kind_text);
	if (credential->kind != CREDENTIAL_SIGNING_KEY)
		return;
	if (credential->label.n == 0)
		credential->label = S("sig1");
	if (credential->components.items == NULL)
		credential->components = (struct str_list){default_components, ARRAY_LEN(default_components)};
}

/* Text that is no size or duration leaves 0 here and is refused by validation, which names the key. */
static void derive_limits(struct manifest_limits *limits)
{
	uint64_t bytes, ns;
	if (limits->memory.n > 0 && size_parse(limits->memory, UINT64_MAX, &bytes, NULL) == 0)
		limits->memory_bytes = bytes;
	if (limits->wall_time.n > 0 && duration_parse(limits->wall_time, UINT64_MAX, &ns, NULL) == 0)
		limits->wall_time_ms = ns / TIME_MILLISECOND;
}

static int read_manifest(struct connector_manifest *manifest, struct str text, const char *file, struct err *err)
{
	if (text.n > MANIFEST_MAX) {
		fail(err, ERR_LIMIT, "the manifest is larger than %zu bytes", MANIFEST_MAX);
		return err_at(err, file, 0);
	}
	if (toml_parse(manifest->arena, text, file, &manifest->toml, err) < 0)
		return -1;
	manifest->spawn.max_stdout_bytes = MANIFEST_SPAWN_STDOUT_DEFAULT;
	manifest->spawn.max_stderr_bytes = MANIFEST_SPAWN_STDERR_DEFAULT;
	struct schema_source source = {manifest->arena, file};
	if (schema_read(&manifest_schema, manifest->toml, &source, manifest, err) < 0)
		return -1;
	manifest->idempotent = !str_eq(manifest->idempotency, S("not_idempotent"));
	derive_credential(&manifest->credential);
	derive_limits(&manifest->limits);
	return 0;
}

struct connector_manifest *connector_manifest_parse(struct str text, const char *file, struct err *err)
{
	AUTO(connector_manifest) *manifest = NEW(struct connector_manifest);
	manifest->arena = arena_new();
	if (read_manifest(manifest, text, file, err) < 0)
		return NULL;
	return TAKE(manifest);
}

void connector_manifest_free(struct connector_manifest *manifest)
{
	if (manifest == NULL)
		return;
	arena_free(manifest->arena);
	free(manifest);
}

struct connector_manifest *connector_manifest_load(const char *path, struct str *ret_bytes, struct err *err)
{
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	if (file_read(path, &text, err) < 0)
		return NULL;
	AUTO(connector_manifest) *manifest = connector_manifest_parse(buf_str(&text), path, err);
	if (manifest == NULL || connector_manifest_validate(manifest, path, err) < 0)
		return NULL;
	if (ret_bytes != NULL)
		*ret_bytes = arena_str(manifest->arena, buf_str(&text));
	return TAKE(manifest);
}
