/*
 * connector_manifest: what a connector asks for (manifest.toml)
 *
 * Parsing and validating are two steps, as authors see them: parsing refuses bad TOML and names every key that the
 * schema does not have; validation stops at the first broken rule, in the documented order. The format, with what is ours
 * beyond the original, is docs/formats/manifest.md. Everything lives in the manifest's own arena.
 *
 * Errors are PARSE_ERROR or VALIDATION_ERROR with the file and the line; what of a document is missing has the line of
 * the table where it should stand, or 0. A string that is empty counts as not given, as it does for the original. No
 * string of a parsed manifest contains U+0000. A manifest never changes once it is made: any thread may read it.
 */
#pragma once
#include "artifact/str_list.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define MANIFEST_MAX ((size_t)1 << 20) /* bytes of manifest.toml */

enum credential_kind {
	CREDENTIAL_NONE,
	CREDENTIAL_API_KEY,
	CREDENTIAL_OAUTH2,
	CREDENTIAL_AWS_SIGV4,
	CREDENTIAL_BASIC,       /* ours: HTTP Basic (RFC 7617); the secret is the password */
	CREDENTIAL_SIGNING_KEY, /* ours: HTTP Message Signatures (RFC 9421) */
	CREDENTIAL__MAX
};
const char *credential_kind_name(enum credential_kind kind); /* "" for NONE */
enum credential_kind credential_kind_named(struct str name); /* NONE when unknown */

struct manifest_oauth2 {
	bool present;
	struct str authorize_url, token_url, client_id, client_secret;
	struct str device_authorization_url; /* "" = no device flow */
	struct str_list scopes;
};

struct manifest_credential {
	bool present;
	enum credential_kind kind;
	struct str kind_text; /* as written */
	struct str scope;     /* prose */
	bool has_header, has_format;
	struct str header; /* "" = Authorization */
	struct str format; /* "" = "Bearer {key}" */
	struct str service, region, access_key_id;
	/* signing_key, ours: "ed25519" or "hmac-sha256"; its key id, "" = none; label and covered components have their
	 * defaults filled in for this kind */
	struct str algorithm, key_id, label;
	struct str_list components; /* items == NULL = not given */
	struct str username;        /* basic, ours: optional; a binding's wins */
	struct manifest_oauth2 oauth2;
};

struct manifest_spawn_program {
	struct str path, hash;
};
struct manifest_spawn_operation {
	struct str name, argv, description;
};
struct manifest_spawn {
	bool present;
	const struct manifest_spawn_program *programs;
	size_t n_programs;
	const struct manifest_spawn_operation *operations;
	size_t n_operations;
	struct str_list env_passthrough, credential_env_keys, fs_read, fs_write;
	struct str cwd;
	int64_t max_stdout_bytes, max_stderr_bytes; /* defaults filled in; positive once validated */
};
#define MANIFEST_SPAWN_STDOUT_DEFAULT INT64_C(1048576)
#define MANIFEST_SPAWN_STDERR_DEFAULT INT64_C(262144)
#define MANIFEST_SPAWN_OUTPUT_MAX     INT64_C(67108864)

/*
 * [connector.limits], ours: 0 = not given (or, before validation, not understood). A caller's value wins; the ceilings
 * of base/limits.h hold for both.
 */
struct manifest_limits {
	uint64_t memory_bytes;
	uint64_t wall_time_ms;
	struct str memory, wall_time; /* as written */
};

struct toml_value;

struct connector_manifest {
	struct arena *arena;
	const struct toml_value *toml; /* what it was read from, for line numbers; NULL when made otherwise */
	struct str name, version, provenance_hash, publisher, forwarder, origin;
	bool has_idempotency;
	struct str idempotency; /* [connector.idempotency].default as written */
	bool idempotent;        /* what follows from it: everything is, but "not_idempotent" */
	struct manifest_limits limits;
	bool has_network;
	struct str_list hosts;
	struct manifest_credential credential;
	bool has_imports; /* [capabilities.runtime].imports was there: only these host functions are offered */
	struct str_list imports;
	struct manifest_spawn spawn;
	struct str_list intents;
};

/* ERR_LIMIT when the text is longer than MANIFEST_MAX. `file` is for errors only. */
struct connector_manifest *connector_manifest_parse(struct str text, const char *file, struct err *err)
	__attribute__((warn_unused_result));
/* NULL is refused like a broken rule. */
int connector_manifest_validate(const struct connector_manifest *manifest, const char *file, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Reads at most MANIFEST_MAX bytes, parses, validates; *ret_bytes (may be NULL) gets the raw bytes, in the arena. Also
 * fails with ERR_SYSTEM when the file cannot be read.
 */
struct connector_manifest *connector_manifest_load(const char *path, struct str *ret_bytes, struct err *err)
	__attribute__((warn_unused_result));
void connector_manifest_free(struct connector_manifest *manifest); /* NULL is fine */
DEFINE_AUTO(connector_manifest, connector_manifest_free)
