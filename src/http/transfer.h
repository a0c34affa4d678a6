/*
 * transfer: one request inside the client; for src/http alone
 *
 * Owns the libcurl handle of one request: which options it has, what its callbacks collect, how its end is told. The
 * client (client.c) owns pools, sockets, timers and the order of transfers. One loop's thread.
 */
#pragma once
#include "http/client.h"
#include <curl/curl.h>

struct loop_source;

struct http_pool;

struct http_transfer {
	struct http_client *client;
	struct http_pool *pool;
	struct http_transfer *prev, *next; /* in the order of their start */
	CURL *easy;
	void (*done)(void *context, struct http_answer *answer);
	void *context;

	struct sockaddr_storage address;
	char *peer;                    /* for messages */
	struct curl_slist *lines;      /* one array; data is the caller's, or one of `spare` */
	char **spare;                  /* lines of our own, NULL-terminated */
	struct curl_slist *dial;       /* CURLOPT_CONNECT_TO */
	struct loop_source *handshake; /* limits the TLS handshake; NULL before */
	struct str request_body;
	size_t request_sent;
	bool is_stream;
	struct http_stream stream;
	bool resumed;    /* a stream that paused may go on */
	bool repeatable; /* the method is idempotent, so a body may be sent a second time */

	size_t headers_max, headers_seen;
	struct buf headers, body;
	size_t received; /* bytes of body that the client counts */
	enum http_coding coding;
	unsigned n_codings; /* that the answer names, all heads together */
	bool mid_head;      /* a status line came and its blank line did not yet */
	bool head_done;     /* what follows are trailers */
	bool connected;     /* TCP stands */
	bool paused;
	CURLcode broken; /* what resuming it led to, until that is told */
	bool headers_too_large, body_too_large, coding_refused;
	int line_status; /* of the status line being read */
	char error[CURL_ERROR_SIZE];
};

struct http_transfer *transfer_new(struct http_client *client, const struct http_call *call, struct err *err)
	__attribute__((warn_unused_result));
void transfer_free(struct http_transfer *transfer); /* not while it is in a multi handle; NULL is fine */
/* What became of it; borrows from the transfer. */
void transfer_answer(struct http_transfer *transfer, CURLcode code, struct http_answer *ret);

/* What the callbacks ask of the client. */
bool client_must_pause(const struct http_transfer *transfer);
void client_received(struct http_transfer *transfer, size_t bytes);
struct x509_store_st *client_trust(struct http_client *client);
void client_handshake_begins(struct http_transfer *transfer);
void client_handshake_ended(struct http_transfer *transfer);
