#include "guest/address.h"
#include "base/mem.h"
#include "guest/scan.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define FILE_MAX  ((size_t)16 << 10)
#define ID_LENGTH 26

#define NOT_RUNNING "the Aileron daemon is not running; start it with `aileron daemon start`"

void address_release(struct address *address)
{
	if (address->fd >= 0)
		close(TAKE_FD(address->fd));
	mem_wipe(address->token, sizeof address->token);
}

/* ------------------------------------------------------------------------------------------------------------- files */

static int open_folder(struct err *err)
{
	const char *home = getenv("AILERON_HOME");
	if (home == NULL || home[0] == '\0') {
		const char *user = getenv("HOME");
		if (user == NULL || user[0] != '/')
			return fail(err, ERR_USAGE, "neither AILERON_HOME nor HOME is set to a folder");
		AUTO_FREE char *path = xasprintf("%s/.aileron", user);
		int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return fd >= 0 ? fd
			       : fail(err, ERR_UNREACHABLE,
				      "the Aileron daemon was never started here; start it with `aileron daemon "
				      "start`");
	}
	int fd = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd
		       : fail(err, ERR_UNREACHABLE,
			      "the folder that AILERON_HOME names cannot be opened; start the daemon with `aileron "
			      "daemon start`");
}

/* What only we could have written. -1 with errno: there is none that is to be trusted. */
static int read_own(int folder, const char *name, struct buf *out, mode_t others)
{
	AUTO_FD fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & others) != 0) {
		errno = EPERM;
		return -1;
	}
	char *room = buf_reserve(out, FILE_MAX);
	ssize_t n = read(fd, room, FILE_MAX);
	if (n < 0)
		return -1;
	buf_commit(out, (size_t)n);
	return 0;
}

static bool is_id(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'A' && id.p[i] <= 'Z')))
			return false;
	}
	return id.n == ID_LENGTH;
}

static int set_token(struct str text, struct address *ret, struct err *err)
{
	struct str token = str_trim(text);
	for (size_t i = 0; i < token.n; i++) {
		if (token.p[i] <= ' ' || token.p[i] > '~')
			token.n = 0;
	}
	if (token.n == 0 || token.n >= sizeof ret->token)
		return fail(err, ERR_UNAUTHORIZED, "the agent's token is damaged; run `aileron mcp install` again");
	memcpy(ret->token, token.p, token.n);
	ret->token[token.n] = '\0';
	return 0;
}

static int read_token(int folder, const char *id, struct address *ret, struct err *err)
{
	if (!is_id(str_from(id)))
		return fail(err, ERR_USAGE, "--as wants the id of a registered agent");
	AUTO_FREE char *name = xasprintf("run/agents/%s", id);
	AUTO_BUF text = BUF_INIT_SECRET(FILE_MAX);
	if (read_own(folder, name, &text, 077) == 0)
		return set_token(buf_str(&text), ret, err);
	if (errno == EPERM)
		return fail(err, ERR_UNAUTHORIZED, "the agent's token file can be read by others, or is not ours");
	return fail(err, ERR_UNAUTHORIZED, "this agent is not registered any more; run `aileron mcp install` again");
}

/* --------------------------------------------------------------------------------------------------------- connecting */

static int make_socket(int family, struct err *err)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 ? fd : fail_errno(err, "cannot make a socket");
}

static int connect_local(int folder, bool *ret_missing, struct err *err)
{
	*ret_missing = false;
	AUTO_FD fd = make_socket(AF_UNIX, err);
	if (fd < 0)
		return -1;
	/* However long the folder's path is. */
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/daemon.sock", folder);
	struct ucred peer;
	socklen_t n = sizeof peer;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		*ret_missing = errno == ENOENT;
		return fail(err, ERR_UNREACHABLE, NOT_RUNNING);
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 || peer.uid != geteuid())
		return fail(err, ERR_UNREACHABLE, "the daemon's socket belongs to another user");
	return TAKE_FD(fd);
}

static bool parse_host(struct str host, struct sockaddr_storage *ret)
{
	char text[INET6_ADDRSTRLEN];
	bool is_v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (is_v6)
		host = str_slice(host, 1, host.n - 1);
	if (str_eq_fold(host, S("localhost")))
		host = S("127.0.0.1");
	if (host.n >= sizeof text)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	*ret = (struct sockaddr_storage){.ss_family = is_v6 ? AF_INET6 : AF_INET};
	void *to = is_v6 ? (void *)&((struct sockaddr_in6 *)(void *)ret)->sin6_addr
			 : (void *)&((struct sockaddr_in *)(void *)ret)->sin_addr;
	return inet_pton(ret->ss_family, text, to) == 1;
}

bool address_parse_url(struct str url, struct sockaddr_storage *ret, char ret_host[ADDRESS_HOST_MAX])
{
	struct str scheme = S("http://");
	if (!str_starts(url, scheme))
		return false;
	struct str authority = str_slice(url, scheme.n, url.n);
	if (str_ends(authority, S("/")))
		authority.n--;
	size_t colon = str_find_last_char(authority, ':');
	uint64_t port;
	if (colon == STR_NPOS || authority.n >= ADDRESS_HOST_MAX ||
	    !str_to_u64(str_slice(authority, colon + 1, authority.n), UINT16_MAX, &port) || port == 0 ||
	    !parse_host(str_slice(authority, 0, colon), ret))
		return false;
	/* The port stands in the same place for both families. */
	((struct sockaddr_in *)(void *)ret)->sin_port = htons((uint16_t)port);
	memcpy(ret_host, authority.p, authority.n);
	ret_host[authority.n] = '\0';
	return true;
}

static int connect_url(struct str url, struct address *ret, struct err *err)
{
	struct sockaddr_storage address;
	if (!address_parse_url(url, &address, ret->host))
		return fail(err, ERR_USAGE, "the daemon's URL must be http:// with a numeric address and a port");
	AUTO_FD fd = make_socket(address.ss_family, err);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	socklen_t n = address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (connect(fd, (struct sockaddr *)&address, n) != 0 && errno != EINPROGRESS)
		return fail(err, ERR_UNREACHABLE, NOT_RUNNING);
	return TAKE_FD(fd);
}

/*
 * A daemon that could not make its socket has its port alone. Where there is a socket that nobody answers at, the daemon is
 * dead, and whoever has its port now is a stranger.
 */
static int connect_by_file(int folder, struct address *ret, struct err *err)
{
	AUTO_BUF text = BUF_INIT_SECRET(FILE_MAX);
	if (read_own(folder, "daemon.json", &text, 022) < 0)
		return fail(err, ERR_UNREACHABLE, NOT_RUNNING);
	struct str url = scan_member(buf_str(&text), "url");
	if (url.n > 2)
		url = str_slice(url, 1, url.n - 1);
	if (!str_starts(url, S("http://127.0.0.1:")) && !str_starts(url, S("http://[::1]:")))
		return fail(err, ERR_UNREACHABLE, "daemon.json is damaged");
	return connect_url(url, ret, err);
}

static int open_on_host(const char *id, struct address *ret, struct err *err)
{
	AUTO_FD folder = open_folder(err);
	if (folder < 0 || read_token(folder, id, ret, err) < 0)
		return -1;
	snprintf(ret->host, sizeof ret->host, "localhost");
	bool missing;
	ret->fd = connect_local(folder, &missing, err);
	if (ret->fd < 0 && missing)
		ret->fd = connect_by_file(folder, ret, err);
	return ret->fd < 0 ? -1 : 0;
}

static int open_in_container(struct address *ret, struct err *err)
{
	const char *url = getenv("AILERON_URL"), *token = getenv("AILERON_TOKEN");
	if (url == NULL || token == NULL)
		return fail(err, ERR_USAGE,
			    "neither --as ID nor AILERON_URL and AILERON_TOKEN say which agent this is");
	if (set_token(str_from(token), ret, err) < 0)
		return -1;
	ret->fd = connect_url(str_from(url), ret, err);
	return ret->fd < 0 ? -1 : 0;
}

int address_open(const char *id, struct address *ret, struct err *err)
{
	struct address address = {.fd = -1};
	int rc = id != NULL ? open_on_host(id, &address, err) : open_in_container(&address, err);
	if (rc == 0)
		*ret = address;
	else
		address_release(&address);
	return rc;
}
