#include "daemon/discovery.h"
#include "daemon/listeners.h"
#include "daemon/state_dir.h"
#include "os/file.h"
#include "os/lock.h"
#include "text/json.h"
#include "text/json_writer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define FILE_MAX    ((size_t)16 << 10)
#define CONNECT_S   2
#define COMMAND_MAX ((size_t)64 << 10)

void discovery_release(struct discovery *discovery)
{
	secret_free(discovery->token);
	discovery->token = NULL;
}

/* ---- reading */

static int copy_member(const struct json *root, const char *key, char *ret, size_t n, struct err *err)
{
	struct str value = STR_EMPTY;
	const struct json *member = json_member(root, str_from(key));
	if (member != NULL && !json_get_str(member, &value))
		return fail(err, ERR_PARSE_ERROR, "'%s' is not text", key);
	if (value.n >= n || memchr(value.n > 0 ? value.p : "", '\0', value.n) != NULL)
		return fail(err, ERR_PARSE_ERROR, "'%s' is too long", key);
	if (value.n > 0)
		memcpy(ret, value.p, value.n);
	ret[value.n] = '\0';
	return 0;
}

static int read_numbers(const struct json *root, struct discovery *ret, struct err *err)
{
	int64_t pid = 0, revision = 0;
	if (!json_get_int(json_member(root, S("pid")), &pid) || pid < 1 || pid > INT32_MAX)
		return fail(err, ERR_PARSE_ERROR, "'pid' is no process");
	(void)json_get_int(json_member(root, S("api_revision")), &revision);
	ret->pid = (int)pid;
	ret->api_revision = revision > 0 && revision <= INT32_MAX ? (unsigned)revision : 0;
	return 0;
}

/* Wherever else the file may lead, the token would go there. */
static int check_url(const char *url, struct err *err)
{
	static const char *const starts[] = {"http://127.0.0.1:", "http://[::1]:"};
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		struct str text = str_from(url), start = str_from(starts[i]);
		uint64_t port;
		if (str_starts(text, start) && str_to_u64(str_slice(text, start.n, text.n), UINT16_MAX, &port))
			return 0;
	}
	return fail(err, ERR_PARSE_ERROR, "'url' is no address of this machine");
}

static int read_token(const struct json *root, struct discovery *ret, struct err *err)
{
	struct str token;
	if (!json_get_str(json_member(root, S("token")), &token))
		return 0;
	if (token.n != DISCOVERY_TOKEN_DIGITS)
		return fail(err, ERR_PARSE_ERROR, "'token' is not %d digits long", DISCOVERY_TOKEN_DIGITS);
	ret->token = secret_from(token, err);
	return ret->token != NULL ? 0 : -1;
}

static int read_members(const struct json *root, struct discovery *ret, struct err *err)
{
	if (json_kind(root) != JSON_KIND_OBJECT)
		return fail(err, ERR_PARSE_ERROR, "it is no object");
	if (copy_member(root, "url", ret->url, sizeof ret->url, err) != 0 || check_url(ret->url, err) != 0 ||
	    read_numbers(root, ret, err) != 0 ||
	    copy_member(root, "version", ret->version, sizeof ret->version, err) != 0 ||
	    copy_member(root, "started_at", ret->started_at, sizeof ret->started_at, err) != 0 ||
	    copy_member(root, "instance_id", ret->instance_id, sizeof ret->instance_id, err) != 0 ||
	    copy_member(root, "socket", ret->socket, sizeof ret->socket, err) != 0)
		return -1;
	return read_token(root, ret, err);
}

/* What others could have written would lead them to the token, or us to them. */
static int check_file(int fd, struct err *err)
{
	struct stat info;
	if (fstat(fd, &info) != 0)
		return fail_errno(err, "cannot look at it");
	if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0)
		return fail(err, ERR_SYSTEM, "it is not a private file of this user (mode %03o, user %u)",
			    (unsigned)(info.st_mode & 0777), info.st_uid);
	return 0;
}

int discovery_parse(struct str text, struct discovery *ret, struct err *err)
{
	AUTO(json) *root = json_parse(text, JSON_READ_SENSITIVE, err);
	if (root == NULL)
		return -1;
	AUTO_DISCOVERY got = {0};
	if (read_members(root, &got, err) != 0)
		return -1;
	discovery_release(ret);
	*ret = got;
	got.token = NULL;
	return 0;
}

static int read_file(int fd, struct discovery *ret, struct err *err)
{
	AUTO_BUF text = BUF_INIT_SECRET(FILE_MAX);
	if (check_file(fd, err) != 0 || file_read_fd(fd, "daemon.json", &text, err) != 0)
		return -1;
	return discovery_parse(buf_str(&text), ret, err);
}

int discovery_read(const char *state_dir, struct discovery *ret, struct err *err)
{
	AUTO_FREE char *path = state_dir_file(state_dir, "daemon.json");
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot open '%s'", path);
	return read_file(fd, ret, err) == 0 ? 1 : wrap(err, "reading '%s'", path);
}

/* ---- writing */

static void put(struct json_writer *w, const char *key, const char *value)
{
	jsonw_key(w, str_from(key));
	jsonw_str(w, str_from(value));
}

int discovery_write(const char *state_dir, const struct discovery *discovery, struct err *err)
{
	AUTO_BUF text = BUF_INIT_SECRET(FILE_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	put(&w, "url", discovery->url);
	jsonw_key(&w, S("pid"));
	jsonw_int(&w, discovery->pid);
	put(&w, "version", discovery->version);
	put(&w, "started_at", discovery->started_at);
	if (discovery->token != NULL) {
		jsonw_key(&w, S("token"));
		jsonw_str(&w, secret_borrow(discovery->token));
	}
	put(&w, "instance_id", discovery->instance_id);
	jsonw_key(&w, S("api_revision"));
	jsonw_int(&w, discovery->api_revision);
	put(&w, "socket", discovery->socket);
	jsonw_end_object(&w);
	if (buf_check(&text, "daemon.json", err) != 0)
		return -1;

	char pid[16];
	snprintf(pid, sizeof pid, "%d\n", discovery->pid);
	AUTO_FREE char *pid_path = state_dir_file(state_dir, "daemon.pid");
	AUTO_FREE char *path = state_dir_file(state_dir, "daemon.json");
	if (file_publish(pid_path, str_from(pid), 0600, err) != 0)
		return -1;
	return file_publish(path, buf_str(&text), 0600, err);
}

void discovery_remove(const char *state_dir)
{
	static const char *const names[] = {"daemon.pid", "daemon.json"}; /* who waits looks for the second */
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = state_dir_file(state_dir, names[i]);
		unlink(path);
	}
}

/* ---- alive */

int discovery_is_locked(const char *state_dir, struct err *err)
{
	AUTO_FREE char *path = state_dir_file(state_dir, "daemon.lock");
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	AUTO_LOCK lock = LOCK_INIT;
	/* Shared, so that two who ask are not in each other's way. */
	int got = lock_try(&lock, path, LOCK_SHARED, err);
	return got < 0 ? -1 : !got;
}

int discovery_find(const char *state_dir, discovery_ask *ask, void *context, struct discovery *ret, struct err *err)
{
	AUTO_DISCOVERY found = {0};
	if (discovery_read(state_dir, &found, NULL) != 1 || found.instance_id[0] == '\0')
		return 0;
	int locked = discovery_is_locked(state_dir, err);
	if (locked != 1)
		return locked;
	if (!ask(context, &found))
		return 0;
	discovery_release(ret);
	*ret = found;
	found.token = NULL;
	return 1;
}

/* A number that is left behind may be another's by now. */
static bool runs_as_daemon(int pid)
{
	char path[32];
	AUTO_BUF line = BUF_INIT(COMMAND_MAX);
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	return file_read(path, &line, NULL) == 0 && str_find(buf_str(&line), S("\0daemon\0run\0")) != STR_NPOS;
}

int discovery_pid(const char *state_dir)
{
	AUTO_BUF text = BUF_INIT(64);
	AUTO_FREE char *path = state_dir_file(state_dir, "daemon.pid");
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	uint64_t pid;
	if (fd < 0 || check_file(fd, NULL) != 0 || file_read_fd(fd, "daemon.pid", &text, NULL) != 0 ||
	    !str_to_u64(str_trim(buf_str(&text)), INT32_MAX, &pid) || pid == 0)
		return 0;
	return runs_as_daemon((int)pid) ? (int)pid : 0;
}

int discovery_refuse(const char *state_dir, struct err *err)
{
	AUTO_DISCOVERY found = {0};
	int got = discovery_read(state_dir, &found, NULL), pid = discovery_pid(state_dir);
	if (got == 1)
		return fail(
			err, ERR_UNREACHABLE,
			"a daemon holds '%s/daemon.lock' and does not answer; see daemon.log beside it, or start it "
			"anew: 'aileron daemon restart'",
			state_dir);
	if (pid > 0)
		return fail(err, ERR_UNREACHABLE,
			    "the daemon, process %d, runs and cannot be found: '%s/daemon.json' %s; 'aileron daemon "
			    "restart' starts it anew",
			    pid, state_dir, got == 0 ? "is gone" : "cannot be read");
	return fail(
		err, ERR_UNREACHABLE,
		"a process holds '%s/daemon.lock', and neither daemon.json nor daemon.pid says which: a daemon that is "
		"starting, or one whose files were deleted; see daemon.log beside it, and end that process ('fuser "
		"%s/daemon.lock' names it)",
		state_dir, state_dir);
}

/* ---- the Unix socket */

int discovery_connect(const char *state_dir, struct err *err)
{
	AUTO_FD folder = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (folder < 0 || fd < 0)
		return fail(err, ERR_UNREACHABLE, "the daemon has no socket in '%s'", state_dir);
	/* Where nobody accepts, a full queue would be waited for without end. */
	struct timeval patience = {.tv_sec = CONNECT_S}, none = {0};
	struct sockaddr_un address = listener_local_address(state_dir, folder);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) != 0)
		return fail(err, ERR_UNREACHABLE, "nobody answers at the daemon's socket in '%s'", state_dir);
	struct ucred peer;
	socklen_t n = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 || peer.uid != geteuid())
		return fail(err, ERR_UNREACHABLE, "the daemon's socket in '%s' belongs to another user", state_dir);
	return TAKE_FD(fd);
}
