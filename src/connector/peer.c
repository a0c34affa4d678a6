#include "connector/peer.h"
#include "base/escape.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#define PEER_FD_SOCKET 3
#define LAST_WORDS_MAX 400  /* bytes of a dead peer's standard error that an error shows */
#define DEATH_MS       2000 /* between the end of its socket and its death; then it is killed */

/* Sanitizers explain themselves at length on standard error; in such builds it is the parent's own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PEER_SHARES_STDERR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PEER_SHARES_STDERR 1
#endif
#endif
#ifndef PEER_SHARES_STDERR
#define PEER_SHARES_STDERR 0
#endif

struct launch {
	const char *path;
	int null_fd, stderr_fd, socket_fd;
};

static int start_child(struct peer *peer, const struct peer_spec *spec, uint64_t wanted, const struct launch *launch,
		       struct err *err)
{
	char parent[16], namespaces[24];
	const char *argv[5] = {spec->name};
	size_t n = 1;
	if (spec->life != NULL)
		argv[n++] = spec->life;
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	snprintf(namespaces, sizeof namespaces, "%llu", (unsigned long long)wanted);
	argv[n++] = parent;
	argv[n++] = namespaces;

	struct child child = CHILD_INIT;
	child.path = launch->path;
	child.argv = argv;
	child.namespaces = wanted != 0 ? confine_given(spec->policy) : 0;
	child.fds[child.n_fds++] = (struct child_fd){launch->null_fd, STDIN_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){launch->null_fd, STDOUT_FILENO};
	child.fds[child.n_fds++] =
		(struct child_fd){PEER_SHARES_STDERR ? STDERR_FILENO : launch->stderr_fd, STDERR_FILENO};
	child.fds[child.n_fds++] = (struct child_fd){launch->socket_fd, PEER_FD_SOCKET};
	for (size_t i = 0; i < spec->n_fds; i++)
		child.fds[child.n_fds++] = spec->fds[i];
	if (child_start(&child, err) < 0)
		return -1;
	/* Neither outlives this function. */
	child.argv = NULL;
	child.path = NULL;
	peer->child = child;
	return 0;
}

/*
 * A child is told in its arguments which namespaces it has, or is to enter. Where the kernel refused to give them it was
 * told wrong, so it is started a second time without; it proves what it has either way.
 */
static int start_truthfully(struct peer *peer, const struct peer_spec *spec, const struct launch *launch,
			    struct err *err)
{
	uint64_t given = confine_given(spec->policy);
	if (start_child(peer, spec, spec->policy->namespaces, launch, err) < 0)
		return -1;
	/* The user namespace, which all others need, is not always among those that are asked for. */
	if ((peer->child.ret_namespaces & given) == given)
		return 0;
	child_release(&peer->child);
	return start_child(peer, spec, 0, launch, err);
}

static int unblock(int fd, const char *name, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return fail_errno(err, "cannot prepare a descriptor of '%s'", name);
	return 0;
}

static int start_elsewhere(struct peer *peer, const struct peer_spec *spec, struct err *err)
{
	const struct peer_launcher *launcher = spec->launcher;
	struct peer_started started;
	if (launcher->start(launcher->context, spec, &started, err) < 0)
		return -1;
	AUTO_FD socket_fd = started.socket_fd;
	AUTO_FD stderr_fd = started.stderr_fd;
	if (unblock(socket_fd, spec->name, err) < 0 || unblock(stderr_fd, spec->name, err) < 0) {
		launcher->kill(launcher->context, started.id);
		return -1;
	}
	peer->name = spec->name;
	peer->title = spec->title;
	peer->launcher = launcher;
	peer->id = started.id;
	peer->child = CHILD_INIT;
	peer->child.pid = started.pid;
	peer->child.ret_namespaces = started.namespaces;
	peer->stderr_fd = TAKE_FD(stderr_fd);
	peer->channel = rpc_channel_new(TAKE_FD(socket_fd), spec->rules);
	return 0;
}

static int start_here(struct peer *peer, const struct peer_spec *spec, struct err *err)
{
	AUTO_FREE char *path = spec->program != NULL ? xstrdup(spec->program) : child_own_program(spec->name, err);
	if (path == NULL)
		return -1;
	AUTO_FD null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return fail_errno(err, "cannot open '/dev/null'");
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail_errno(err, "cannot make a pipe for '%s'", spec->name);
	AUTO_FD read_end = ends[0];
	AUTO_FD write_end = ends[1];
	int sockets[2];
	if (child_socketpair(sockets, err) < 0)
		return -1;
	AUTO_FD ours = sockets[0];
	AUTO_FD theirs = sockets[1];
	if (unblock(ours, spec->name, err) < 0)
		return -1;

	struct launch launch = {path, null_fd, write_end, theirs};
	if (start_truthfully(peer, spec, &launch, err) < 0)
		return -1;
	peer->name = spec->name;
	peer->title = spec->title;
	peer->stderr_fd = TAKE_FD(read_end);
	peer->channel = rpc_channel_new(TAKE_FD(ours), spec->rules);
	return 0;
}

int peer_start(struct peer *peer, const struct peer_spec *spec, struct err *err)
{
	return spec->launcher != NULL ? start_elsewhere(peer, spec, err) : start_here(peer, spec, err);
}

int peer_attach(struct peer *peer, const char *title, int fd, const struct rpc_rule *rules, struct err *err)
{
	AUTO_FD owned = fd;
	if (unblock(owned, title, err) < 0)
		return -1;
	peer->title = title;
	peer->attached = true;
	peer->channel = rpc_channel_new(TAKE_FD(owned), rules);
	return 0;
}

/* What is not ours to reap must not be waited for or killed by its number. */
static void let_go(struct peer *peer)
{
	if (peer->launcher == NULL) {
		child_release(&peer->child);
		return;
	}
	if (peer->child.pid != 0)
		peer->launcher->kill(peer->launcher->context, peer->id);
	peer->child.pid = 0;
	peer->launcher = NULL;
}

void peer_stop(struct peer *peer)
{
	rpc_channel_free(peer->channel);
	peer->channel = NULL;
	let_go(peer);
	if (peer->stderr_fd >= 0)
		close(peer->stderr_fd);
	peer->stderr_fd = -1;
}

bool peer_runs(const struct peer *peer)
{
	return peer->channel != NULL;
}

int peer_fd(const struct peer *peer)
{
	return peer->channel != NULL ? rpc_fd(peer->channel) : -1;
}

short peer_events(const struct peer *peer)
{
	if (peer->channel == NULL)
		return 0;
	return (short)(POLLIN | (rpc_queued(peer->channel) > 0 ? POLLOUT : 0));
}

int peer_judge(const struct peer *peer, struct str hello, struct str allowed, struct confine_report *ret_report,
	       struct err *err)
{
	struct confine_report report;
	if (confine_report_get(hello, &report, err) < 0)
		return wrap(err, "judging %s", peer->title);
	if (ret_report != NULL)
		*ret_report = report;
	return confine_judge(&report, peer->name, allowed, err);
}

int peer_send(struct peer *peer, uint16_t type, uint32_t id, const struct str *parts, size_t n_parts)
{
	if (peer->channel == NULL)
		return -1;
	return rpc_queue(peer->channel, type, id, parts, n_parts, NULL);
}

/* ": its last words", from what it wrote to standard error, as one visible line; nothing when it wrote nothing. */
static void add_last_words(const struct peer *peer, struct buf *out)
{
	char words[LAST_WORDS_MAX];
	ssize_t n = peer->stderr_fd >= 0 ? read(peer->stderr_fd, words, sizeof words) : 0;
	struct str text = str_trim(str_of(words, n > 0 ? (size_t)n : 0));
	if (text.n == 0)
		return;
	buf_add_z(out, ": ");
	escape_visible(out, text);
}

/* Waits for its death, which follows the end of its socket: whether it came, and then child_how_ended() can tell. */
static bool has_died(struct peer *peer)
{
	struct child *child = &peer->child;
	if (child->pid == 0) /* no process stands behind the socket (in a test) */
		return false;
	if (peer->launcher == NULL)
		return child_wait(child, DEATH_MS, NULL) > 0;
	if (peer->launcher->ended(peer->launcher->context, peer->id, DEATH_MS, &child->exit_status,
				  &child->term_signal) <= 0)
		return false;
	child->ended = true;
	child->pid = 0;
	return true;
}

static int fail_ended(struct peer *peer, struct err *err)
{
	char how[64];
	AUTO_BUF words = BUF_INIT(8 * LAST_WORDS_MAX);
	if (peer->attached) {
		fail(err, ERR_SYSTEM, "%s ended", peer->title);
	} else if (!has_died(peer)) {
		fail(err, ERR_SYSTEM, "%s closed its socket and did not end", peer->title);
	} else {
		add_last_words(peer, &words);
		fail(err, ERR_SYSTEM, "%s ended by %s%s", peer->title, child_how_ended(&peer->child, how, sizeof how),
		     words.p);
	}
	peer_stop(peer);
	return -1;
}

static bool is_at_end(const struct peer *peer)
{
	char byte;
	return recv(rpc_fd(peer->channel), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int peer_receive(struct peer *peer, struct rpc_frame *ret, struct err *err)
{
	if (peer->channel == NULL)
		return fail(err, ERR_SYSTEM, "%s does not run", peer->title != NULL ? peer->title : "the program");
	/* A failure shows up as the end of what can be read, after the frames that the peer sent before it died. */
	if (rpc_queued(peer->channel) > 0)
		(void)!rpc_flush(peer->channel, NULL);
	switch (rpc_pump(peer->channel, ret, err)) {
	case 1:
		return 1;
	case 2:
		return 0;
	case 0:
		return fail_ended(peer, err);
	default:
		/* A peer that died in the middle of a frame told no lie. */
		if (err->class == ERR_SYSTEM || is_at_end(peer))
			return fail_ended(peer, err);
		peer_stop(peer);
		return wrap(err, "%s was stopped", peer->title);
	}
}

bool peer_has_frame(const struct peer *peer)
{
	return peer->channel != NULL && rpc_has_frame(peer->channel);
}

int peer_break(struct peer *peer, struct err *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	failv(err, ERR_PROTOCOL, fmt, ap);
	va_end(ap);
	peer_stop(peer);
	return wrap(err, "%s was stopped", peer->title);
}
