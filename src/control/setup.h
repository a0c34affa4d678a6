/*
 * setup: what making a binding has in common, whether its value is typed or comes from an authorization server
 *
 * Worker threads; strings live in the request's arena.
 */
#pragma once
#include "control/bindings.h"
#include "control/connectors.h"
#include "control/control.h"
#include "control/event.h"

/* Whether the connector declares a credential of that kind: NO_CREDENTIAL_CAPABILITY, UNSUPPORTED_KIND, KIND_MISMATCH. */
int setup_check_kind(const struct connector_opened *opened, struct str kind, struct err *err)
	__attribute__((warn_unused_result));
/* The event for what becomes of a binding, ended: names, hosts, never a value. The caller releases it, whatever came. */
int setup_tell(struct request *r, enum audit_type type, const struct binding *binding, struct event *ret,
	       struct err *err) __attribute__((warn_unused_result));
int setup_record(struct request *r, enum audit_type type, const struct binding *binding, struct err *err)
	__attribute__((warn_unused_result));
