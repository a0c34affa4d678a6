/*
 * calls: the connectors' calls of all workers, on one thread
 *
 * One thread drives the pool of runners and the link to egress (neither is thread-safe) and runs what workers hand over. A
 * worker whose connector has no living runner loads it itself (connector/load.h, which blocks) and gives it to the pool.
 */
#pragma once
#include "base/err.h"
#include "connector/call.h"
#include "connector/grant.h"
#include "control/parent_client.h"

struct calls;
struct calls *calls_new(struct parent_client *parent, struct err *err) __attribute__((warn_unused_result));
void calls_free(struct calls *calls); /* cancels what runs; NULL is fine */
/* The channel to a new egress; takes over the descriptor. Calls of the old one end with network_error. Any thread. */
void calls_attach_egress(struct calls *calls, int fd);

struct calls_spec {
	const struct connector_manifest *manifest;
	struct str manifest_bytes;
	int module_fd; /* a sealed memfd; what is hashed is what runs */
	struct str op;
	const struct json *args;
	struct call_limits limits; /* resolved */
	const struct egress_grant *grant;
	/* raw, scrubbed by egress; called on the calls' thread */
	void (*log)(void *user, struct str level, struct str message);
	int32_t (*audit)(void *user, struct str text); /* audit_emit: 0, -1, -2, -3 */
	void *user;
};
struct calls_result {
	bool ok;
	struct err error;
	struct buf output; /* JSON object; the caller releases */
	struct call_report report;
	uint8_t content_hash[CODE_FILE_HASH];
	bool warm; /* the runner was there */
};
/* Waits until it has ended; `gone` (may be NULL) is polled: true cancels. Any worker. */
void calls_run(struct calls *calls, const struct calls_spec *spec, bool (*gone)(void *user), struct calls_result *ret);
/* OAuth steps and posts of egress. Wait until answered. Any worker. */
int calls_oauth(struct calls *calls, const struct egress_oauth *request, struct arena *arena,
		struct egress_oauth_result *ret, struct err *err) __attribute__((warn_unused_result));
int calls_post(struct calls *calls, const struct egress_post *request, int *ret_status, struct err *err)
	__attribute__((warn_unused_result));
/* Told by the parent: that runner has ended. Any thread. */
size_t calls_runners(struct calls *calls);
/* One runner for `status`. Texts in arena. */
struct calls_runner {
	int pid;
	uint64_t calls;
	struct str connector, content_hash, confinement; /* report text */
};
size_t calls_list_runners(struct calls *calls, struct arena *arena, struct calls_runner **ret);
