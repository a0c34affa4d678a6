/*
 * gateway_private: what the files of the gateway share
 *
 * gateway.c is the door and the channel to egress; gateway_pass.c one request on its way. The loop's thread, but for what is
 * marked.
 */
#pragma once
#include "control/gateway.h"
#include "control/gateway_capabilities.h"
#include "control/gateway_model.h"
#include "egress/stream_protocol.h"
#include <pthread.h>

#define GATEWAY_METHOD_SIZE 33
#define GATEWAY_PATH_MAX    512 /* of a path in an event */

/* One request under way. */
struct pass {
	struct gateway *gateway;
	struct http_exchange *x;
	uint32_t id;
	enum stream_provider provider;
	char session[GATEWAY_SESSION_SIZE];
	char method[GATEWAY_METHOD_SIZE], path[GATEWAY_PATH_MAX + 1];
	struct str target; /* of the exchange's memory */
	uint64_t began_ns, answered_ns;
	uint64_t use;          /* of the key that is injected; 0 = none */
	uint64_t sent, credit; /* of the body: bytes that went, and that may go beyond */
	uint64_t received,
		told;       /* of the answer: bytes that came, and those that the client has and egress was told of */
	unsigned status;    /* as the client got it; 0 = no head yet */
	bool opened, whole; /* egress has it; its answer came to its end */
	bool given_up;      /* by its client, or with its session */
	bool permitting;    /* a worker has it */
	struct gateway_model model;
	struct pass *next_permitted; /* under the gateway's lock */
	struct err *refusal;         /* of the keeper; NULL = none */
};

struct gateway {
	struct control *control;
	struct gateway_capabilities *capabilities;
	struct str inject[STREAM_PROVIDER__MAX];    /* entries of the vault, "" = none */
	struct str authority[STREAM_PROVIDER__MAX]; /* "host:port" of the upstreams, for permits */
	struct arena *arena;
	struct rpc_channel *channel; /* NULL while there is no egress */
	struct loop_source *socket, *wakeup, *broken;
	struct loop_source *again; /* asks the parent for another pair until it comes */
	uint32_t n_pairs;          /* that came */
	int events;
	struct map *passes; /* id -> struct pass */
	uint32_t last_id;
	struct err err;

	pthread_mutex_t lock;
	struct pass *permitted;      /* that workers are done with */
	struct ended_session *ended; /* until the loop has looked */
};

struct ended_session {
	struct ended_session *next;
	char id[GATEWAY_SESSION_SIZE];
};

/* To egress; what cannot be sent ends the channel at the loop's next turn. */
void gateway_send(struct gateway *gateway, uint16_t type, uint32_t id, struct str body);
void gateway_send_more(struct gateway *gateway, uint32_t id, uint64_t bytes);

/* Takes the exchange over: it is answered, whatever comes. */
void pass_begin(struct pass *pass);
/* A worker is done with it. */
void pass_permitted(struct pass *pass);
void pass_more(struct pass *pass, uint32_t bytes);
void pass_head(struct pass *pass, const struct stream_head *head);
void pass_data(struct pass *pass, struct str bytes);
/* NULL = whole. The pass is gone. */
void pass_ended(struct pass *pass, const struct err *err);
void pass_give_up(struct pass *pass);
