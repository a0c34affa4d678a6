/*
 * gateway_capabilities: what lets an agent of a session through the gateway
 *
 * 32 random bytes for each session, as 43 characters of base64url in the path of its base URL. Kept hashed and in memory alone:
 * a capability ends with its session, and with control. Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdbool.h>

#define GATEWAY_CAPABILITIES_MAX 4096
#define GATEWAY_CAPABILITY_TEXT  43
#define GATEWAY_SESSION_SIZE     32 /* of a session's id, with a NUL */

struct gateway_capabilities;
struct gateway_capabilities *gateway_capabilities_new(void) __attribute__((warn_unused_result, returns_nonnull));
void gateway_capabilities_free(struct gateway_capabilities *capabilities); /* NULL is fine */
DEFINE_AUTO(gateway_capabilities, gateway_capabilities_free)

/* UNAVAILABLE above GATEWAY_CAPABILITIES_MAX: none of a session that runs makes room. */
int gateway_capabilities_mint(struct gateway_capabilities *capabilities, struct str session,
			      char ret[GATEWAY_CAPABILITY_TEXT + 1], struct err *err)
	__attribute__((warn_unused_result));
/* Whose it is. False when it is nobody's, or not any more. */
bool gateway_capabilities_find(struct gateway_capabilities *capabilities, struct str text,
			       char ret_session[GATEWAY_SESSION_SIZE]);
/* Whether it had any. */
bool gateway_capabilities_end(struct gateway_capabilities *capabilities, struct str session);
