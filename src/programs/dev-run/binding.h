/*
 * binding: the credential of the harness, from the environment
 *
 *     AILERON_DEV_TOKEN           the secret, for whatever kind the manifest declares
 *     AILERON_DEV_ACCESS_KEY_ID   aws_sigv4
 *     AILERON_DEV_REGION          aws_sigv4; without it the request's host says
 *     AILERON_DEV_USERNAME        basic
 *     AILERON_DEV_KEY_FILE        signing_key: a file with the key, instead of the token
 *
 * Reading moves the secret out of the environment, which is wiped, into locked memory. Single-threaded.
 */
#pragma once
#include "base/err.h"
#include "connector/grant.h"

struct dev_binding {
	struct secret *token, *key; /* NULL = the variable is not set */
	struct str username, region, access_key_id;
};

int dev_binding_read(struct dev_binding *ret, struct err *err) __attribute__((warn_unused_result));
void dev_binding_release(struct dev_binding *binding);
/* Forgets the secrets alone: somebody else has them now. */
void dev_binding_forget(struct dev_binding *binding);

/* What stands bound for a manifest; borrowed from both. */
struct credential dev_binding_for(const struct dev_binding *binding, const struct connector_manifest *manifest);
/* The variable that a credential of that kind comes from. */
const char *dev_binding_variable(enum credential_kind kind);
