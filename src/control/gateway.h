/*
 * gateway: requests to providers of models, passed on for the agents of sessions
 *
 *     /llm/<capability>/anthropic/…      the upstream of Anthropic's API, with … behind its path
 *     /llm/<capability>/openai/v1/…      the upstream of OpenAI's, with /v1/… behind it
 *
 *     /llm/-/…                           either, with the capability in the header Aileron-Capability
 *
 * The methods of stream_protocol.h; path below, query, headers and bodies unchanged, but for headers that belong to a
 * connection, Host and Aileron-Capability. The answer is passed on as it comes, held up by its reader and by nothing else; a client that goes
 * cancels it. Who is let in is known by the capability of a session (gateway_capabilities.h), which is in no log. Where it
 * goes is egress's to know (egress/stream.h).
 * docs/formats/gateway.md has the whole of it.
 *
 * The request's own key passes through here on its way: the one secret that does. It is in no log and no event, and every buffer
 * that it was in is wiped. With a key of the vault's the client needs none; that one control never sees.
 *
 * On the loop's thread but for what says otherwise.
 */
#pragma once
#include "control/control.h"
#include "control/gateway_capabilities.h"

/* For a program whose base URL stands where others can read it, and which can be told of a header by way of a variable. */
#define GATEWAY_CAPABILITY_HEADER "Aileron-Capability"

#define GATEWAY_OF_ONE 64 /* requests of one session under way; of all together STREAMS_MAX */

struct gateway;
/* With control->sessions, to which it listens. */
struct gateway *gateway_new(struct control *control, struct err *err) __attribute__((warn_unused_result));
/* After the server and the workers. NULL is fine. */
void gateway_free(struct gateway *gateway);
DEFINE_AUTO(gateway, gateway_free)

/* The pair to a new egress; takes over the descriptor. What was under way over the old one ends. */
void gateway_attach(struct gateway *gateway, int fd);

bool gateway_is_path(struct str path);
/* As http_admit_body. */
bool gateway_admits(struct gateway *gateway, const struct http_exchange *x, uint64_t *ret_max);
/* A request for such a path: answers it, now or later. */
void gateway_serve(struct gateway *gateway, struct http_exchange *x);

/* The capability of a session that begins, which is wiped by who got it. UNAVAILABLE: there are too many. Any thread. */
int gateway_begin_session(struct gateway *gateway, struct str session, char ret_capability[GATEWAY_CAPABILITY_TEXT + 1],
			  struct err *err) __attribute__((warn_unused_result));
/* The member "gateway" of that session: {"capability","anthropic_url","openai_url"}. Any thread. */
void gateway_put_session(struct gateway *gateway, const char *capability, struct json_writer *w);
/* Its capability is good for nothing any more, and what it asked for is given up. Any thread; as sessions_listen() says. */
void gateway_end_session(struct gateway *gateway, struct str session);
