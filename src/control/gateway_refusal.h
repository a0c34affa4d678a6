/*
 * gateway_refusal: errors of our own, in the words of the provider that a client believes to talk to
 *
 * The two shapes are those that the providers document, so that a client's library reads them as it reads theirs. Any thread;
 * the exchange is gone afterwards.
 */
#pragma once
#include "egress/stream_protocol.h"
#include "http/server/server.h"

/* Its status. */
unsigned gateway_refuse(struct http_exchange *x, enum stream_provider provider, const struct err *err);
/* Of the error as a client gets it: 412 where a credential is missing, 502 for what befell the upstream. */
unsigned gateway_refusal_status(const struct err *err);
