/* Any bytes: parsing and validating never crash, an error has its class, and what is valid once stays valid. */
#include "artifact/connector_manifest.h"
#include "base/limits.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What the rest of the program relies on. */
static void check_valid(const struct connector_manifest *manifest)
{
	require(manifest->name.n > 0 && manifest->version.n > 0);
	require(manifest->limits.memory_bytes <= LIMIT_MEMORY_CEILING);
	require(manifest->limits.wall_time_ms <= LIMIT_WALL_CEILING_MS);
	require(manifest->credential.present == (manifest->credential.kind != CREDENTIAL_NONE));
	require(manifest->credential.kind != CREDENTIAL_OAUTH2 || manifest->credential.oauth2.scopes.n > 0);
	require(manifest->credential.kind != CREDENTIAL_SIGNING_KEY || manifest->credential.components.n > 0);
	require(manifest->forwarder.n == 0 || manifest->spawn.present);
	require(!manifest->spawn.present || (manifest->spawn.n_programs > 0 && manifest->spawn.n_operations > 0));
	require(manifest->spawn.max_stdout_bytes > 0 && manifest->spawn.max_stdout_bytes <= MANIFEST_SPAWN_OUTPUT_MAX);
	require(manifest->spawn.max_stderr_bytes > 0 && manifest->spawn.max_stderr_bytes <= MANIFEST_SPAWN_OUTPUT_MAX);
	for (size_t i = 0; i < manifest->hosts.n; i++)
		require(str_find_char(manifest->hosts.items[i], ':') != STR_NPOS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct err err;
	err_clear(&err);
	AUTO(connector_manifest) *manifest = connector_manifest_parse(str_of(data, n), "fuzz.toml", &err);
	if (manifest == NULL) {
		require(err.class == ERR_PARSE_ERROR || (err.class == ERR_LIMIT && n > MANIFEST_MAX));
		return 0;
	}
	if (connector_manifest_validate(manifest, "fuzz.toml", &err) < 0) {
		require(err.class == ERR_VALIDATION_ERROR && err.line > 0);
		return 0;
	}
	check_valid(manifest);
	require(connector_manifest_validate(manifest, NULL, NULL) == 0);
	return 0;
}
