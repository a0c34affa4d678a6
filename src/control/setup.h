/*
 * setup: what making a binding has in common, whether its value is typed or comes from an authorization server
 *
 * Worker threads; strings live in the request's arena.
 */
#pragma once
#include "control/bindings.h"
#include "control/connectors.h"
#include "control/control.h"

/* Whether the connector declares a credential of that kind: NO_CREDENTIAL_CAPABILITY, UNSUPPORTED_KIND, KIND_MISMATCH. */
int setup_check_kind(const struct connector_opened *opened, struct str kind, struct err *err)
	__attribute__((warn_unused_result));
/* The event for what became of a binding: names, hosts, never a value. Its texts live in the arena. */
void setup_tell(struct request *r, enum audit_type type, const struct binding *binding, struct audit_event *ret);
int setup_record(struct request *r, enum audit_type type, const struct binding *binding, struct err *err)
	__attribute__((warn_unused_result));
