/*
 * operation: everything that control can be asked for, one row each
 *
 * The rows of operations.def and the field tables of schema_*.c are all there is to the API: routes, permission, validation of
 * requests, OpenAPI (openapi.h), the page of the manual and the CLI's link to an operation come from them. The
 * end-to-end tests hold the answers of the operations that they walk through against the result schemas.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "text/json.h"

#define API_REVISION 2 /* X-Aileron-Api; told by /v1/health */

enum api_permission {
	API_OPEN,           /* no token */
	API_DAEMON,         /* the daemon's token alone */
	API_PERSON,         /* the daemon's token or a person token */
	API_CAVEAT_COMMS,   /* … or a capability token with that capability */
	API_CAVEAT_ACTIONS, /* "actions:list" */
};
enum api_envelope { API_CRUD, API_FAILURE }; /* which of the two shapes its errors have */
enum api_flag {
	API_QUICK = 1,       /* answered on the loop's thread: reads the database at most */
	API_STREAM = 2,      /* the result is a stream */
	API_NEEDS_VAULT = 4, /* the CLI unlocks first (or offers to make one) */
	API_NO_CONTENT = 8,  /* 204 */
	API_CREATED = 16,    /* 201 */
	API_LAX_QUERY = 32,  /* what else stands in the query is ignored: others write it */
	API_RENEWED = 64,    /* with API_CREATED: 200 when it was there before */
	API_ACCEPTED = 128,  /* 202 when a person has to approve it first */
};

/*
 * OPERATION(name, symbol, method, route, permission, flags, envelope, audited events or "", verb, summary); the name is the
 * symbol in small letters, and that of the handler in control.
 */
enum api_operation_id {
#define OPERATION(name, symbol, ...) OP_##symbol,
#include "api/operations.def"
#undef OPERATION
	OP__MAX
};

enum api_type { API_STRING, API_INTEGER, API_BOOLEAN, API_OBJECT, API_ARRAY, API_STRING_MAP, API_ANY_OBJECT };
enum api_field_flag {
	API_REQUIRED = 1,
	API_NULLABLE = 2,
	API_SEALED = 4, /* a sealed message, base64; without it, or with a plain secret in its place, SEALED_REQUIRED */
	API_POSITIVE = 8, /* an integer of the query: 1 at least */
};
#define API_MAP_VALUE_MAX 4096 /* bytes of a value of an API_STRING_MAP */
struct api_field {
	const char *name;
	enum api_type type;
	unsigned flags;
	uint64_t
		max; /* most bytes, items or members, or the largest value (integers are never negative); 0 = no bound */
	const char *about;
	const struct api_field *of; /* of an object, or of an array's object items; NULL: items are strings */
	const char *const *values;  /* the only strings allowed, ended by NULL */
};

struct operation {
	enum api_operation_id id;
	const char *name; /* "vault_put": operationId */
	const char *method;
	const char *
		route; /* "/v1/vault/entries/{path}": a name in braces takes the rest of the segment, escaped slashes included */
	enum api_permission permission;
	unsigned flags;
	enum api_envelope envelope;
	const char *
		audited; /* the events that it may leave in the audit: "vault.unlocked, vault.unlock_failed"; "" = none */
	const char *verb; /* of the CLI: "vault put"; "" = none */
	const char *summary;
	const struct api_field *query;   /* ended by name NULL; NULL = none */
	const struct api_field *request; /* body: a JSON object with these members and no others; NULL = no body */
	const struct api_field *result;  /* body of the answer; NULL = none, or a stream */
	const struct api_field *there;   /* body of 409 where that is the state found, and no error; NULL = none */
};
const struct operation *operation_at(enum api_operation_id id);

/* By method and raw path. NULL: *ret_path_known says whether another method would do. Up to 2 raw path parameters. */
#define API_PATH_PARAMETERS 2
const struct operation *operation_find(struct str method, struct str path,
				       struct str ret_parameters[API_PATH_PARAMETERS], bool *ret_path_known);
/* The name of a type as JSON Schema has it: "string", "integer" … */
const char *api_type_name(enum api_type type);
/*
 * INVALID_REQUEST names the member ("bindings[0].source.kind"): unknown, missing, of another type, too long, not one of
 * the values. SEALED_REQUIRED as above. `fields` NULL stands for an object without members. Any thread.
 */
int api_validate(const struct api_field *fields, const struct json *object, struct err *err)
	__attribute__((warn_unused_result));
