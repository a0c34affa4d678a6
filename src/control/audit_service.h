/*
 * audit_service: what the record needs beside the writing
 *
 * Follows the commits: signs the head when a checkpoint is due (the keeper's device key, on a worker), drops old
 * checkpoints and the history of that time (history.h) when the user has asked for that (START's audit_keep_days; off by
 * default), and lets followers wait for what comes next.
 */
#pragma once
#include "control/control.h"

#define AUDIT_FOLLOWERS 8 /* streams at a time: each takes a worker */

struct audit_service;
struct audit_service *audit_service_new(struct control *control, struct err *err) __attribute__((warn_unused_result));
/* Followers end. Any thread. */
void audit_service_stop(struct audit_service *service);
void audit_service_free(struct audit_service *service); /* when no worker uses it any more; NULL is fine */
DEFINE_AUTO(audit_service, audit_service_free)

/* A worker that streams: UNAVAILABLE when AUDIT_FOLLOWERS do. Ends with audit_unfollow(). */
int audit_follow(struct audit_service *service, struct err *err) __attribute__((warn_unused_result));
void audit_unfollow(struct audit_service *service);
/*
 * Waits until something was committed after *seen (0 at first), at most `ms`; *seen is then the newest. False when it
 * is time to end.
 */
bool audit_wait(struct audit_service *service, uint64_t *seen, uint64_t ms);

/* Signature and public key of a head, from the keeper. A worker. */
struct audit_signature {
	unsigned char signature[64], public_key[32];
};
int audit_sign_head(struct control *control, const struct audit_head *head, uint64_t count, struct audit_signature *ret,
		    struct err *err) __attribute__((warn_unused_result));
