/*
 * listeners: the sockets that control accepts connections on, made by the parent
 *
 * A loopback TCP socket, and the Unix socket daemon.sock in the state directory (mode 0600). A service manager may have
 * made either and passed it on (LISTEN_PID, LISTEN_FDS: sd_listen_fds(3)); such a Unix socket is left in its place at the end.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <sys/un.h>

struct listeners {
	int tcp;
	int local;          /* the Unix socket; -1 = none could be made */
	bool local_is_ours; /* to be removed */
	char address[64];   /* of the TCP socket: "127.0.0.1:53817", "[::1]:53817" */
};
#define LISTENERS_INIT ((struct listeners){.tcp = -1, .local = -1})

/* Whether it is an address to listen on, as below. */
int listener_check_address(const char *bind, struct err *err) __attribute__((warn_unused_result));
/*
 * `bind`: "127.0.0.1:PORT" or "[::1]:PORT", port 0 = any; NULL = "127.0.0.1:0". VALIDATION_ERROR for any other address.
 * Under the daemon's lock, since a daemon.sock that is there is replaced. Takes LISTEN_* out of the environment.
 */
int listeners_open(struct listeners *listeners, const char *state_dir, const char *bind, struct err *err)
	__attribute__((warn_unused_result));
/* With `remove`, daemon.sock goes too, when it is ours. Safe on LISTENERS_INIT and twice. */
void listeners_close(struct listeners *listeners, const char *state_dir, bool remove);

/*
 * The address of daemon.sock. It has room for 107 bytes; a longer path goes by way of `folder`, the open state directory.
 */
struct sockaddr_un listener_local_address(const char *state_dir, int folder);
/* Whether it fits without, so that a program that knows the path alone can connect. */
bool listener_local_fits(const char *state_dir);
