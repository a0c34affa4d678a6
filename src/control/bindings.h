/*
 * bindings: what the keeper lists, as bindings
 *
 * A binding is an entry of the vault whose name is <kind>/<service>/<identity> (reference: the label and type win over the
 * name's parts, a missing status is "active"). Everything here is metadata; while the vault is locked it was read without its
 * authentication, which `verified` says. All strings live in the arena that was given. Worker threads.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "control/control.h"
#include "vault/binding.h"
#include "vault/keeper_protocol.h"

#define BINDINGS_OF_CALL_MAX 64 /* of one connector and kind */

struct binding {
	struct str name;
	struct binding_fields fields;
	struct str status, stale_reason;
	struct str granted_scopes, missing_scopes; /* joined by one space */
	uint64_t created_at, last_refreshed_at;    /* Unix seconds, 0 = unknown */
	uint64_t last_used_at;                     /* of the database; in a list after bindings_add_uses() */
	bool has_refresh_token;
	bool verified;
	bool consented; /* false: it was made before consent was asked for, and may be used nowhere */
	struct binding_consent consent;
	uint64_t generation;
};
struct binding_list {
	struct binding *items;
	size_t n;
	bool verified; /* also of an empty one: that nothing is there was authenticated */
};

/* Which credential it is (binding_version_number()). */
uint64_t binding_number(const struct binding *binding);
/* All bindings, or those of a connector and a kind ("" = any), by name. */
int bindings_list(struct control *control, struct arena *arena, struct str connector_fqn, struct str kind,
		  struct binding_list *ret, struct err *err) __attribute__((warn_unused_result));
int bindings_add_uses(struct control *control, struct binding_list *list, struct err *err)
	__attribute__((warn_unused_result));
/* How many there are; 0 when the keeper cannot be asked. */
size_t bindings_count(struct control *control, struct arena *arena);
/* BINDING_NOT_FOUND when there is none of that name. */
int bindings_get(struct control *control, struct arena *arena, struct str name, struct binding *ret, struct err *err)
	__attribute__((warn_unused_result));
/* As the API shows one. */
void binding_put_json(struct json_writer *w, const struct binding *binding);
/*
 * Holds the oauth2 bindings of a connector against the scopes that it declares: stale (scope_drift, no_grant_record) or active
 * again. Quietly does nothing while the vault is locked.
 */
void bindings_check_drift(struct control *control, struct arena *arena, struct str connector_fqn,
			  const struct connector_manifest *manifest);
