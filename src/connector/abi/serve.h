/*
 * serve: a runner's second life: answers calls of one connector until its socket closes
 *
 * One socket, many threads. The thread that holds the lead reads frames: answers and cancellations go to the call that
 * they are for, a CALL frame is run by the leader itself. It keeps the lead meanwhile, since the next frame is most often
 * the next call and waking another thread costs more than a short call does; it gives it away when calls usually take
 * long, before it blocks in a host function, and when the ticker finds it still running. After a short call it looks at
 * the socket for some ten microseconds before it sleeps, since its caller is often back by then. `threads` calls run at
 * once; what comes beyond waits in memory, RUNNER_WAITING_MAX at most, so that answers behind it in the socket are still
 * read.
 *
 * The ticker is one more thread. It interrupts guests that are over their time and sleeps while nothing runs.
 */
#pragma once
#include "base/err.h"
#include "connector/runner_protocol.h"

struct server;

/*
 * Checks the code behind `code_fd` (code_file.h), maps and links it. The descriptor stays the caller's and may be closed
 * afterwards; the channel is borrowed. Fails as code_file_check() and program_load() do.
 */
struct server *server_new(struct rpc_channel *channel, const struct runner_start *start, int code_fd, struct err *err)
	__attribute__((warn_unused_result));
void server_free(struct server *server); /* NULL is fine */
DEFINE_AUTO(server, server_free)

/* Sends READY, starts the threads, and returns when the parent has closed the socket (0) or broken the protocol (-1). */
int server_run(struct server *server, struct err *err) __attribute__((warn_unused_result));
