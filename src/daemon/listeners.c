#include "daemon/listeners.h"
#include "base/log.h"
#include "base/time.h"
#include "daemon/state_dir.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BACKLOG         1024
#define PORT_WAIT_MS    1000 /* children of a daemon that was killed hold its port for a moment */
#define PORT_POLL_MS    25
#define LISTEN_FD_FIRST 3
#define LISTEN_FDS_MAX  4

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

/* ---- TCP */

static int parse_address(const char *text, union address *ret, socklen_t *ret_n, struct err *err)
{
	struct str whole = str_from(text), v4 = S("127.0.0.1:"), v6 = S("[::1]:");
	bool is_v4 = str_starts(whole, v4);
	uint64_t port = 0;
	if ((!is_v4 && !str_starts(whole, v6)) ||
	    !str_to_u64(str_slice(whole, is_v4 ? v4.n : v6.n, whole.n), UINT16_MAX, &port))
		return fail(err, ERR_VALIDATION_ERROR,
			    "'%s' is no loopback address; give 127.0.0.1:PORT or [::1]:PORT, with port 0 for any",
			    text);
	*ret = (union address){0};
	if (is_v4) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((uint16_t)port);
		ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*ret_n = sizeof ret->v4;
	} else {
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons((uint16_t)port);
		ret->v6.sin6_addr = in6addr_loopback;
		*ret_n = sizeof ret->v6;
	}
	return 0;
}

int listener_check_address(const char *bind, struct err *err)
{
	union address address;
	socklen_t n;
	return parse_address(bind, &address, &n, err);
}

static int bind_patiently(int fd, const union address *address, socklen_t n)
{
	uint64_t until_ns = clock_monotonic_ns(NULL) + PORT_WAIT_MS * TIME_MILLISECOND;
	while (bind(fd, &address->any, n) != 0 || listen(fd, BACKLOG) != 0) {
		if (errno != EADDRINUSE || clock_monotonic_ns(NULL) >= until_ns)
			return -1;
		(void)poll(NULL, 0, PORT_POLL_MS);
	}
	return 0;
}

static int listen_tcp(const char *text, struct err *err)
{
	union address address;
	socklen_t n;
	if (parse_address(text, &address, &n, err) != 0)
		return -1;
	AUTO_FD fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind_patiently(fd, &address, n) != 0)
		return fail_errno(err, "cannot listen on '%s'", text);
	return TAKE_FD(fd);
}

/* Where it listens, in the form that a URL has. False when it is no loopback address. */
static bool format_address(int fd, char *ret, size_t room)
{
	union address address;
	socklen_t n = sizeof address;
	if (getsockname(fd, &address.any, &n) != 0)
		return false;
	if (address.any.sa_family == AF_INET && address.v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
		snprintf(ret, room, "127.0.0.1:%u", ntohs(address.v4.sin_port));
		return true;
	}
	if (address.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr)) {
		snprintf(ret, room, "[::1]:%u", ntohs(address.v6.sin6_port));
		return true;
	}
	return false;
}

/* ---- the Unix socket */

bool listener_local_fits(const char *state_dir)
{
	return strlen(state_dir) + sizeof "/daemon.sock" <= sizeof((struct sockaddr_un){0}).sun_path;
}

struct sockaddr_un listener_local_address(const char *state_dir, int folder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (listener_local_fits(state_dir))
		snprintf(address.sun_path, sizeof address.sun_path, "%s/daemon.sock", state_dir);
	else
		snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/daemon.sock", folder);
	return address;
}

/* Some file systems have no sockets; the daemon is reached by TCP then. */
static int listen_local(const char *state_dir, struct err *err)
{
	AUTO_FD folder = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (folder < 0 || fd < 0)
		return fail_errno(err, "cannot make a socket in '%s'", state_dir);
	unlinkat(folder, "daemon.sock", 0); /* of a daemon that died */
	struct sockaddr_un address = listener_local_address(state_dir, folder);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
		return fail_errno(err, "cannot make a socket in '%s'", state_dir);
	if (fchmodat(folder, "daemon.sock", 0600, 0) != 0 || listen(fd, BACKLOG) != 0)
		return fail_errno(err, "cannot listen on the socket in '%s'", state_dir);
	return TAKE_FD(fd);
}

/* ---- passed on by a service manager */

static size_t count_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t for_pid = 0, n = 0;
	bool ours = pid != NULL && fds != NULL && str_to_u64(str_from(pid), INT32_MAX, &for_pid) &&
		    str_to_u64(str_from(fds), LISTEN_FDS_MAX, &n) && for_pid == (uint64_t)getpid();
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return ours ? (size_t)n : 0;
}

static bool is_listening_stream(int fd, int *ret_family)
{
	int type = 0, listening = 0;
	socklen_t n = sizeof type;
	union address address;
	socklen_t address_n = sizeof address;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) != 0 || listening == 0 ||
	    getsockname(fd, &address.any, &address_n) != 0)
		return false;
	*ret_family = address.any.sa_family;
	return true;
}

static int take_passed(struct listeners *listeners, int fd, struct err *err)
{
	int family;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || !is_listening_stream(fd, &family))
		return fail(err, ERR_VALIDATION_ERROR,
			    "descriptor %d, passed on by the service manager, does not listen", fd);
	int *slot = family == AF_UNIX ? &listeners->local : &listeners->tcp;
	if (*slot >= 0)
		return fail(err, ERR_VALIDATION_ERROR, "the service manager passed on two sockets of one kind");
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
		return fail_errno(err, "cannot prepare descriptor %d", fd);
	*slot = fd;
	return 0;
}

int listeners_open(struct listeners *listeners, const char *state_dir, const char *bind, struct err *err)
{
	size_t n = count_passed();
	for (size_t i = 0; i < n; i++) {
		if (take_passed(listeners, LISTEN_FD_FIRST + (int)i, err) != 0)
			return -1;
	}
	if (listeners->tcp < 0)
		listeners->tcp = listen_tcp(bind != NULL ? bind : "127.0.0.1:0", err);
	if (listeners->tcp < 0)
		return -1;
	if (!format_address(listeners->tcp, listeners->address, sizeof listeners->address))
		return fail(err, ERR_VALIDATION_ERROR, "the TCP socket does not listen on a loopback address");
	if (listeners->local >= 0)
		return 0;
	static struct err why;
	err_clear(&why);
	listeners->local = listen_local(state_dir, &why);
	listeners->local_is_ours = listeners->local >= 0;
	if (listeners->local < 0)
		log_warn("unix_socket_not_made", log_err(&why));
	return 0;
}

void listeners_close(struct listeners *listeners, const char *state_dir, bool remove)
{
	if (remove && listeners->local_is_ours) {
		AUTO_FREE char *path = state_dir_file(state_dir, "daemon.sock");
		unlink(path);
	}
	if (listeners->tcp >= 0)
		close(listeners->tcp);
	if (listeners->local >= 0)
		close(listeners->local);
	*listeners = LISTENERS_INIT;
}
