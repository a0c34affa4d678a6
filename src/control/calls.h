/*
 * calls: the connectors' calls of all workers, driven by one of them at a time
 *
 * The pool of runners and the link to egress are not thread-safe: one thread leads, and runs what the others hand over. Who
 * waits leads when nobody does; a thread of its own sees to what the clock asks for meanwhile. A worker whose connector has no
 * living runner loads it itself (connector/load.h, which blocks) and gives it to the pool.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "connector/call.h"
#include "connector/grant.h"
#include "connector/peer.h"

struct calls;
/*
 * `launcher` starts runners; it and `allowed`, the boundaries that the user goes without (confine_judge), outlive this.
 * Compiled code is kept in the folder `cache` ("compiled").
 */
struct calls *calls_new(const struct peer_launcher *launcher, const char *cache, struct str allowed, struct err *err)
	__attribute__((warn_unused_result));
/* Ends the runners. NULL is fine. Nobody waits for anything any more, nor begins it. */
void calls_free(struct calls *calls);
DEFINE_AUTO(calls, calls_free)
/* The channel to a new egress; takes over the descriptor. Calls of the old one end with network_error. Any thread. */
void calls_attach_egress(struct calls *calls, int fd);

struct calls_spec {
	const struct connector_manifest *manifest;
	struct str manifest_bytes;
	int module_fd; /* opened now; what is hashed is what runs */
	const uint8_t *content_hash;
	struct str op;
	const struct json *args;
	struct call_limits limits;        /* resolved */
	const struct egress_grant *grant; /* lives until calls_run() returns */
	bool trace;
	/* Scrubbed by egress, raw otherwise; called on the thread that leads, which waits for them. NULL = not wanted. */
	void (*log)(void *user, struct str level, struct str message);
	void (*traced)(void *user, struct str text, uint64_t nanoseconds);
	/* A line of the connector's own (audit_emit), checked: a JSON object. Answers 0 (it will be stored) or another code. */
	int32_t (*audit)(void *user, struct str object);
	/* Polled while it is loaded and while it runs, by several threads: true cancels. NULL = never. */
	bool (*gone)(void *user);
	void *user;
};
struct calls_result {
	bool ok;
	struct err error;
	struct buf output; /* JSON object; the caller releases, whatever came */
	struct call_report report;
	bool warm; /* the runner was there */
};
/*
 * Sees to it that a runner of that module is there, so that a call's time is not spent on compiling. Waits for nobody when
 * it is there, for whoever loads the same (loads.h) when it is not. CANCELLED when `gone` says so. Any worker.
 */
int calls_prepare(struct calls *calls, const struct calls_spec *spec, struct err *err)
	__attribute__((warn_unused_result));
/* Waits until it has ended. Any worker. */
void calls_run(struct calls *calls, const struct calls_spec *spec, struct calls_result *ret);
/* OAuth steps and posts of egress. Wait until answered. Any worker. */
int calls_oauth(struct calls *calls, const struct egress_oauth *request, struct arena *arena,
		struct egress_oauth_result *ret, struct err *err) __attribute__((warn_unused_result));
int calls_post(struct calls *calls, const struct egress_post *request, int *ret_status, struct err *err)
	__attribute__((warn_unused_result));
/* One runner for `status`. Texts in the arena. */
struct calls_runner {
	int pid;
	uint64_t calls; /* that it was given */
	struct str connector, content_hash;
	const struct confine_report *proof; /* in the arena; NULL while there is none */
};
/* Any worker. */
size_t calls_list_runners(struct calls *calls, struct arena *arena, struct calls_runner **ret);
