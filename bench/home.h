/*
 * home: a daemon in a home of its own, on a disk, and processes that are talked to line by line; for the benchmarks
 *
 * Whatever fails ends the program with a message.
 */
#pragma once
#include "base/buf.h"
#include "daemon/discovery.h"
#include "measure.h"
#include "os/child.h"

struct home {
	const char *bin; /* the folder of the programs */
	char folder[64], state[80];
	const char *environment[8];
	struct discovery daemon; /* once it runs */
	char agent[32], token[128];
};

void want(bool fine, const char *what);
void home_make(struct home *home, const char *bin);
void home_start(struct home *home); /* the daemon, and an agent that is registered with it */
void home_stop(struct home *home);  /* and removes the folder */
void home_put(const struct home *home, const char *name, struct str text);
void home_verb(const struct home *home, const char *const *argv);
#define HOME_VERB(home, ...) home_verb(home, (const char *const[]){"aileron", __VA_ARGS__, NULL})
/* A request of the person's, which must be answered with `status`. */
void home_request(const struct home *home, const char *method, const char *target, const char *body, unsigned status,
		  struct buf *answer);

/* Lines to a process, or through a socket, and back. */
struct talk {
	struct child child; /* pid 0 = none: a socket */
	int in, out;
};

/* argv[0] is a program of `bin`, or a whole path. */
void talk_start(struct talk *talk, const struct home *home, const char *const *argv);
void talk_echo(struct talk *talk); /* a process that sends back what it gets, behind a socket */
void talk_control(struct talk *talk, const struct home *home); /* what the guest has: a connection of lines to /mcp */
void talk_end(struct talk *talk);
void talk_send(const struct talk *talk, struct str line);
/* One line and its answer, which lives until the next. */
struct str talk_ask(const struct talk *talk, struct str line);
