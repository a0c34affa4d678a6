/*
 * client: one daemon, found and proven before it is told anything
 *
 * Where: AILERON_API_URL (a loopback "http://HOST:PORT", with or without /v1) when it is set, else what daemon.json in the
 * state directory says, the Unix socket before TCP. A daemon that was found through daemon.json is alive when its lock is
 * held and /v1/health echoes the file's instance_id; only then the token is sent. When none is alive it is spawned
 * (daemon/spawn.h), if the caller wants that. The token is AILERON_TOKEN, else that of daemon.json, which goes to no other
 * address than the file's own. A daemon of another API revision is refused with API_REVISION.
 *
 * Blocking; one request at a time; one thread.
 */
#pragma once
#include "api/operation.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "daemon/discovery.h"
#include "text/json.h"

#define CLIENT_ANSWER_MAX ((size_t)64 << 20)
#define CLIENT_TIMEOUT_MS 30000 /* when a request says nothing else */

struct client;
struct client_options {
	const char *state_dir;
	const char *api_url;        /* NULL = by daemon.json */
	const struct secret *token; /* NULL = of daemon.json; outlives the client */
	bool spawn;
};
/* 1 with a client; 0 when no daemon runs and none was to be spawned; -1, UNREACHABLE when one runs and does not answer. */
int client_open(const struct client_options *options, struct client **ret, struct err *err)
	__attribute__((warn_unused_result));
void client_free(struct client *client); /* NULL is fine */
DEFINE_AUTO(client, client_free)

/* What its health said, and what daemon.json says of it; NULL with AILERON_API_URL. Borrowed. */
const struct json *client_health(const struct client *client);
const struct discovery *client_discovery(const struct client *client);
const char *client_url(const struct client *client); /* "http://127.0.0.1:53817" */

struct client_request {
	enum api_operation_id operation;
	struct str parameters[API_PATH_PARAMETERS]; /* of the route, as they are: escaped here */
	struct str query;                           /* client_query_add() */
	struct str body;                            /* JSON; "" = none */
	uint64_t timeout_ms;                        /* 0 = CLIENT_TIMEOUT_MS */
};
/* Appends "name=value" escaped, behind '&' when there is something. */
void client_query_add(struct buf *query, const char *name, struct str value);
/*
 * The answer, which the caller frees (NULL for 204). The daemon's error comes back as it made it: class, message, details.
 * UNREACHABLE when the connection fails, PROTOCOL when the answer is none.
 */
int client_call(struct client *client, const struct client_request *request, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));
/* The bytes of a stream as they come; `piece` ends it with non-zero. No time limit. */
int client_stream(struct client *client, const struct client_request *request,
		  int (*piece)(void *user, struct str bytes), void *user, struct err *err)
	__attribute__((warn_unused_result));
