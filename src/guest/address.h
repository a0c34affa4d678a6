/*
 * address: where the daemon is, and by what token it lets us in
 *
 * On the host both are read anew each time: the Unix socket in the state folder (AILERON_HOME, or ~/.aileron), else the
 * loopback address of daemon.json; the token from run/agents/ID there, which must be our own and nobody else's to read. In a
 * container AILERON_URL (http://, a numeric address or localhost, a port) and AILERON_TOKEN say it. No name is ever resolved.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define ADDRESS_HOST_MAX  64
#define ADDRESS_TOKEN_MAX 256

struct address {
	int fd;                      /* connecting, non-blocking; owned */
	char host[ADDRESS_HOST_MAX]; /* for the header Host */
	char token[ADDRESS_TOKEN_MAX];
};
void address_release(struct address *address);
/* `id` NULL = as a container's environment says. Starts connecting. UNREACHABLE, UNAUTHORIZED, USAGE. */
int address_open(const char *id, struct address *ret, struct err *err) __attribute__((warn_unused_result));
/* "http://127.0.0.1:80", "http://[::1]:80", "http://localhost:80/"; false for anything else. For tests. */
struct sockaddr_storage;
bool address_parse_url(struct str url, struct sockaddr_storage *ret, char ret_host[ADDRESS_HOST_MAX]);
