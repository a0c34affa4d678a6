/*
 * stream: one request of the gateway, from where it may go to the last byte of the answer
 *
 * To the upstream that the person set (struct stream_upstream; the parent says which, control cannot), with the target of the
 * request behind its path. Addresses are judged as everywhere, and only the person's own setting opens private ones; plain http
 * goes to this machine alone. Headers that belong to a connection are left out, both ways; Host is the upstream's; everything else is
 * passed on as it came. A redirect is an answer like any other. With a key to inject the request's own keys are left out, and
 * the value is claimed from the keeper when the address is known, put into secret memory, and wiped with the stream. It is not
 * looked for in the answer: the upstream is one that the person gave it to.
 *
 * At most STREAM_WINDOW bytes of the request are held, and nothing of the answer. No deadline but that for connecting: who
 * asked cancels. One loop's thread; callbacks come from the loop, from within the transport too, and none of them may free the
 * stream but `ended`.
 */
#pragma once
#include "egress/keeper_link.h"
#include "egress/request.h"
#include "egress/stream_protocol.h"

/* Of one provider; lives as long as the process. */
struct stream_upstream {
	struct str url;     /* "https://api.example.com", with a path or not */
	struct str inject;  /* entry of the vault whose value is the key; "" = the request's own is passed on */
	bool allow_private; /* it may be on this machine or in a private network */
};

struct egress_stream;
struct stream_ask {
	const struct egress_net *net;
	struct keeper_link *keeper;
	const struct stream_upstream *upstream;
	const struct stream_open *open; /* copied */
	void (*head)(void *context, const struct stream_head *head);
	void (*data)(void *context, struct str bytes);       /* as much as there is credit for */
	void (*more)(void *context, uint32_t bytes);         /* of the body went out: so much more may come */
	void (*ended)(void *context, const struct err *err); /* NULL = whole; the stream is gone then */
	void *context;
};
struct egress_stream *stream_start(const struct stream_ask *ask) __attribute__((warn_unused_result, returns_nonnull));
/* Of the body. False when it is more than there was room for, or more than was announced. */
bool stream_body(struct egress_stream *stream, struct str bytes) __attribute__((warn_unused_result));
/* Who reads the answer takes so many bytes more. False when that is more than it can have had. */
bool stream_credit(struct egress_stream *stream, uint32_t bytes) __attribute__((warn_unused_result));
void stream_free(struct egress_stream *stream); /* without a callback, the connection is closed; NULL is fine */
