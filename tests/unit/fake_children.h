/*
 * fake_children: control, keeper, egress and runners that do nothing but what a test asks for; for test_daemon.c alone
 *
 * They are this program, confined by the real policies. The fake control answers lines on the daemon's Unix socket, one
 * at a time; it asks the other two by single bytes over the pairs that the parent made. What lies in their folders tells
 * the keeper and control how to misbehave: "fail", "die", "lie".
 */
#pragma once
#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"
#include "confine/policies.h"
#include "supervise/supervise.h"
#include "text/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define NEIGHBOURS SUPERVISE_ROLE__MAX
static int peers[NEIGHBOURS] = {-1, -1, -1, -1, -1};
static unsigned n_peers[NEIGHBOURS], n_gateways, n_logs, n_locks;

static void on_peer_frame(const struct supervise_message *m)
{
	unsigned role = m->frame.body[0];
	if (m->frame.n != 1 || m->n_fds != 1 || role >= NEIGHBOURS)
		_exit(40);
	if (peers[role] >= 0)
		close(peers[role]);
	peers[role] = m->fds[0];
	n_peers[role]++;
}

static void on_log_frame(const struct supervise_message *m)
{
	if (m->n_fds != 1 || dup2(m->fds[0], STDERR_FILENO) < 0)
		_exit(41);
	close(m->fds[0]);
	n_logs++;
}

static bool has(int folder, const char *name)
{
	return faccessat(folder, name, F_OK, 0) == 0;
}

/* "mute" in its folder: it hangs, as far as the parent can tell. */
static void on_ping_frame(void)
{
	if (!has(AT_FDCWD, "mute"))
		(void)!supervise_send(SUPERVISE_FD, SUPERVISE_PONG, 0, STR_EMPTY, NULL, 0, NULL);
}

/* A proof that nothing was tried for. */
static void lie(void)
{
	static const struct confine_report report;
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	confine_report_put(&body, &report);
	(void)!supervise_send(SUPERVISE_FD, SUPERVISE_PROOF, 0, buf_str(&body), NULL, 0, NULL);
	static struct supervise_message m;
	(void)!supervise_recv(SUPERVISE_FD, &m, NULL);
	_exit(42);
}

static void fail_or_die(int folder)
{
	if (has(folder, "die"))
		_exit(9);
	if (!has(folder, "fail"))
		return;
	static struct err err;
	(fail)(&err, ERR_VAULT_TRUNCATED, "the vault file is cut short");
	supervised_failed(&err);
	_exit(1);
}

/* ---- keeper and egress: a byte over a pair gets a byte back */

/* 'x' ends it; 'c', 'k', 'e' = how many pairs with control, keeper, egress it was given; 'g' = of the gateway's; 'l' = orders to lock. */
static void answer_byte(int fd)
{
	unsigned char byte;
	if (recv(fd, &byte, 1, MSG_DONTWAIT) != 1)
		return;
	if (byte == 'x')
		_exit(9);
	unsigned count = byte == 'c'   ? n_peers[SUPERVISE_CONTROL]
			 : byte == 'k' ? n_peers[SUPERVISE_KEEPER]
			 : byte == 'e' ? n_peers[SUPERVISE_EGRESS]
			 : byte == 'g' ? n_gateways
				       : n_locks;
	byte = (unsigned char)('0' + count);
	(void)!send(fd, &byte, 1, MSG_NOSIGNAL);
}

/* A relay passes each byte of the runner on, raised by one. */
static int relay[2] = {-1, -1};

static void pass_on(void)
{
	unsigned char byte;
	if (recv(relay[0], &byte, 1, MSG_DONTWAIT) != 1)
		return;
	byte++;
	(void)!send(relay[1], &byte, 1, MSG_NOSIGNAL);
}

static void on_order(const struct supervise_message *m)
{
	switch (m->frame.type) {
	case SUPERVISE_PEER:
		return on_peer_frame(m);
	case SUPERVISE_LOG:
		return on_log_frame(m);
	case SUPERVISE_LOCK:
		n_locks++;
		return;
	case SUPERVISE_RELAY:
		relay[0] = m->fds[0];
		relay[1] = m->fds[1];
		return;
	case SUPERVISE_GATEWAY: /* stays open, as a real one's would */
		n_gateways++;
		return;
	case SUPERVISE_STOP:
		_exit(0);
	case SUPERVISE_PING:
		return on_ping_frame();
	default:
		_exit(43);
	}
}

static int serve_bytes(void)
{
	static struct supervise_message m;
	for (;;) {
		struct pollfd fds[] = {
			{SUPERVISE_FD, POLLIN, 0}, {peers[SUPERVISE_CONTROL], POLLIN, 0}, {relay[0], POLLIN, 0}};
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return 44;
		if (fds[0].revents != 0) {
			if (supervise_recv(SUPERVISE_FD, &m, NULL) != 1)
				return 0;
			on_order(&m);
			continue; /* descriptors have changed */
		}
		if (fds[1].revents != 0)
			answer_byte(peers[SUPERVISE_CONTROL]);
		if (fds[2].revents != 0)
			pass_on();
	}
}

static int be_keeper(int argc, char **argv)
{
	const struct supervised_spec spec = {"aileron-keeper", &confine_keeper, KEEPER_FDS, KEEPER_FD_FOLDER};
	if (has(KEEPER_FD_FOLDER, "lie"))
		lie();
	if (supervised_begin(&spec, argc, argv) == NULL)
		return 1;
	fail_or_die(AT_FDCWD);
	static const char key[32] = "public key of the keeper, a test";
	static const char device[32] = "public key of device, in a test.";
	AUTO_BUF body = BUF_INIT(256);
	wire_put_str(&body, str_of(key, sizeof key));
	wire_put_str(&body, str_of(device, sizeof device));
	wire_put_str(&body, S("12345678"));
	if (supervised_ready(buf_str(&body), NULL) != 0)
		return 1;
	return serve_bytes();
}

static int be_egress(int argc, char **argv)
{
	const struct supervised_spec spec = {"aileron-egress", &confine_egress, 5, -1};
	if (supervised_begin(&spec, argc, argv) == NULL || supervised_ready(STR_EMPTY, NULL) != 0)
		return 1;
	return serve_bytes();
}

/* ---- a runner: says a word on its standard error and one on its socket, and waits for the socket's end */

static int be_runner(char **argv)
{
	char byte = argv[1][0] == 's' ? 'r' : 'C';
	(void)!write(STDERR_FILENO, "words", 5);
	(void)!send(3, &byte, 1, MSG_NOSIGNAL);
	return recv(3, &byte, 1, 0) == 0 ? 7 : 8;
}

/* ---- control */

struct seen {
	bool running, silent;
	uint32_t pid, restarts;
	uint64_t down_ns; /* when its end was told */
	char last_end[64];
	bool proven;
};
static struct seen seen[NEIGHBOURS];
static const struct supervise_start *settings;
static int runner_fd = -1;
static uint32_t last_runner;

static void on_child_frame(const struct supervise_message *m)
{
	struct supervise_child child;
	if (supervise_child_get(supervise_body(m), &child, NULL) != 0)
		_exit(45);
	struct seen *s = &seen[child.role];
	if (s->running && !child.running)
		s->down_ns = clock_monotonic_ns(NULL);
	s->running = child.running;
	s->silent = child.silent;
	s->pid = child.pid;
	s->restarts = child.restarts;
	s->proven = child.confinement.n > 0;
	snprintf(s->last_end, sizeof s->last_end, "%.*s", STR_FMT(child.last_end));
}

/* The next frame is dealt with; true when it is of the type that is waited for, which is left in *m. */
static bool control_frame(struct supervise_message *m, uint32_t type)
{
	if (supervise_recv(SUPERVISE_FD, m, NULL) != 1)
		_exit(0);
	if (m->frame.type == SUPERVISE_CHILD)
		on_child_frame(m);
	else if (m->frame.type == SUPERVISE_PEER)
		on_peer_frame(m);
	else if (m->frame.type == SUPERVISE_LOG)
		on_log_frame(m);
	else if (m->frame.type == SUPERVISE_PING)
		on_ping_frame();
	else if (m->frame.type == SUPERVISE_STOP)
		_exit(has(AT_FDCWD, "linger") ? poll(NULL, 0, -1) : 0);
	return m->frame.type == type;
}

static void await(struct supervise_message *m, uint32_t type)
{
	while (!control_frame(m, type))
		continue;
}

static void say_err(const struct supervise_message *m, struct buf *out)
{
	static struct err err;
	struct wire_reader r = wire_reader(supervise_body(m));
	wire_get_err(&r, &err);
	buf_addf(out, "%s: %s", err_row(err.class)->name, err.message);
}

static unsigned role_named(struct str name)
{
	for (unsigned role = 1; role < NEIGHBOURS; role++) {
		if (str_eq(name, str_from(supervise_role_name((enum supervise_role)role))))
			return role;
	}
	_exit(46);
}

/* "ask keeper x" */
static void do_ask(struct str words, struct buf *out)
{
	struct str role, byte = str_cut(words, ' ', &role);
	int fd = peers[role_named(role)];
	char answer;
	if (send(fd, byte.p, 1, MSG_NOSIGNAL) == 1 && recv(fd, &answer, 1, 0) == 1)
		buf_add_char(out, answer);
	else
		buf_add_z(out, "gone");
}

/* "child keeper": once it runs and has its proof */
static void do_child(struct str role, struct buf *out)
{
	static struct supervise_message m;
	struct seen *s = &seen[role_named(role)];
	while (!s->running || !s->proven)
		await(&m, SUPERVISE_CHILD);
	buf_addf(out, "%u %u %s", s->pid, s->restarts, s->last_end);
}

/* "silent keeper", "heard keeper": once the parent has missed signs of life, or has them again */
static void await_silence(struct str role, bool silent)
{
	static struct supervise_message m;
	const struct seen *s = &seen[role_named(role)];
	while (s->silent != silent)
		await(&m, SUPERVISE_CHILD);
}

static void do_silent(struct str role, struct buf *out)
{
	await_silence(role, true);
	buf_add_z(out, "silent");
}

static void do_heard(struct str role, struct buf *out)
{
	await_silence(role, false);
	buf_add_z(out, "heard");
}

/* "down keeper": waits until it is; then "back keeper" gives the milliseconds until its next pair came */
static void do_down(struct str role, struct buf *out)
{
	static struct supervise_message m;
	struct seen *s = &seen[role_named(role)];
	while (s->running)
		await(&m, SUPERVISE_CHILD);
	buf_add_z(out, s->last_end);
}

static void do_back(struct str role, struct buf *out)
{
	static struct supervise_message m;
	struct seen *s = &seen[role_named(role)];
	await(&m, SUPERVISE_PEER);
	buf_addf(out, "%llu", (unsigned long long)((clock_monotonic_ns(NULL) - s->down_ns) / TIME_MILLISECOND));
}

/* "runner serve": its number, what it says on its socket and on its standard error */
static void do_runner(struct str life, struct buf *out)
{
	static struct supervise_message m;
	unsigned char number = str_eq(life, S("serve"));
	int files[2] = {open("input", O_RDWR | O_CREAT | O_CLOEXEC, 0600), -1};
	files[1] = files[0];
	uint32_t id = ++last_runner;
	if (supervise_send(SUPERVISE_FD, SUPERVISE_START_RUNNER, id, str_of(&number, 1), files, number == 1 ? 1 : 2,
			   NULL) != 0)
		_exit(47);
	close(files[0]);
	while (!control_frame(&m, SUPERVISE_RUNNER_STARTED) && m.frame.type != SUPERVISE_RUNNER_FAILED)
		continue;
	if (m.frame.type == SUPERVISE_RUNNER_FAILED)
		return say_err(&m, out);
	char byte = '-', words[16] = "";
	(void)!recv(m.fds[0], &byte, 1, 0);
	struct pollfd ready = {m.fds[1], POLLIN, 0};
	(void)!poll(&ready, 1, -1);
	(void)!read(m.fds[1], words, sizeof words - 1);
	close(m.fds[1]);
	if (runner_fd >= 0)
		close(runner_fd);
	runner_fd = m.fds[0];
	struct wire_reader r = wire_reader(supervise_body(&m));
	buf_addf(out, "%u %c %s %u", m.frame.id, byte, words, wire_u32(&r));
}

/*
 * "kill": the last runner, how it ended, and whether that was a crash; "release": the same by closing its socket; "late": by
 * both, for a parent that is stopped and so hears of its end and of what is to be killed together
 */
static void do_end_runner(struct str how, struct buf *out)
{
	static struct supervise_message m;
	if (!str_eq(how, S("release")))
		(void)!supervise_send(SUPERVISE_FD, SUPERVISE_KILL_RUNNER, last_runner, STR_EMPTY, NULL, 0, NULL);
	if (!str_eq(how, S("kill")))
		close(TAKE_FD(runner_fd));
	await(&m, SUPERVISE_RUNNER_ENDED);
	struct wire_reader r = wire_reader(supervise_body(&m));
	int status = wire_i32(&r), sig = wire_i32(&r);
	buf_addf(out, "%u %d %d%s", m.frame.id, status, sig, wire_bool(&r) ? " crashed" : "");
}

static void do_folder(struct str path, struct buf *out)
{
	static struct supervise_message m;
	AUTO_BUF body = BUF_INIT(8192);
	wire_put_str(&body, path);
	(void)!supervise_send(SUPERVISE_FD, SUPERVISE_OPEN_FOLDER, 1, buf_str(&body), NULL, 0, NULL);
	while (!control_frame(&m, SUPERVISE_FOLDER) && m.frame.type != SUPERVISE_FOLDER_FAILED)
		continue;
	if (m.frame.type == SUPERVISE_FOLDER_FAILED)
		return say_err(&m, out);
	char text[2][16] = {"", ""};
	struct wire_reader r = wire_reader(supervise_body(&m));
	buf_add_str(out, wire_str(&r));
	for (int i = 0; i < 2; i++) {
		(void)!read(m.fds[i], text[i], sizeof text[i] - 1);
		buf_addf(out, " %s", text[i]);
	}
	supervise_close_fds(&m);
}

/* An answer of that type, or the refusal as text: then false. */
static bool answered(struct supervise_message *m, uint32_t type, struct buf *out)
{
	while (!control_frame(m, type) && m->frame.type != SUPERVISE_WATCH_FAILED)
		continue;
	if (m->frame.type == SUPERVISE_WATCH_FAILED)
		say_err(m, out);
	return m->frame.type == type;
}

#define WATCH 7 /* the one watch of the fake control */

/* A file or a folder of actions; "unwatch": no more */
static void do_watch(struct str path, struct buf *out)
{
	static struct supervise_message m;
	AUTO_BUF body = BUF_INIT(8192);
	wire_put_u8(&body, SUPERVISE_WATCH_ACTIONS);
	wire_put_bool(&body, false);
	wire_put_str(&body, path);
	(void)!supervise_send(SUPERVISE_FD, SUPERVISE_WATCH, WATCH, buf_str(&body), NULL, 0, NULL);
	if (!answered(&m, SUPERVISE_WATCHED, out))
		return;
	struct wire_reader r = wire_reader(supervise_body(&m));
	buf_add_str(out, wire_str(&r));
}

static void do_unwatch(struct str words, struct buf *out)
{
	(void)words;
	(void)!supervise_send(SUPERVISE_FD, SUPERVISE_UNWATCH, WATCH, STR_EMPTY, NULL, 0, NULL);
	buf_add_z(out, "done");
}

static void ask_watch(uint32_t type, struct str name)
{
	AUTO_BUF body = BUF_INIT(512);
	wire_put_u32(&body, WATCH);
	wire_put_str(&body, name);
	(void)!supervise_send(SUPERVISE_FD, type, 8, buf_str(&body), NULL, 0, NULL);
}

/* "a.md b.md", or with more to come "+ a.md b.md": those behind a name */
static void do_list(struct str after, struct buf *out)
{
	static struct supervise_message m;
	ask_watch(SUPERVISE_LIST, after);
	if (!answered(&m, SUPERVISE_LISTING, out))
		return;
	struct wire_reader r = wire_reader(supervise_body(&m));
	buf_add_z(out, wire_bool(&r) ? "+ " : "");
	uint32_t n = wire_u32(&r);
	for (uint32_t i = 0; i < n; i++) {
		struct str name = wire_str(&r);
		buf_addf(out, "%s%.*s", i > 0 ? " " : "", STR_FMT(name));
		(void)wire_u64(&r);
	}
}

static void do_open(struct str name, struct buf *out)
{
	static struct supervise_message m;
	ask_watch(SUPERVISE_OPEN_FILE, name);
	if (!answered(&m, SUPERVISE_FILE, out))
		return;
	char text[16] = "";
	(void)!read(m.fds[0], text, sizeof text - 1);
	buf_add_z(out, text);
	supervise_close_fds(&m);
}

static void do_changed(struct str words, struct buf *out)
{
	static struct supervise_message m;
	(void)words;
	await(&m, SUPERVISE_CHANGED);
	buf_addf(out, "%u", m.frame.id);
}

static void do_setting(struct str key, struct buf *out)
{
	AUTO_FREE char *name = str_dup(key);
	buf_add_str(out, supervise_setting(settings, name));
}

static void do_peers(struct str words, struct buf *out)
{
	static struct supervise_message m;
	(void)words;
	while (n_peers[SUPERVISE_KEEPER] == 0 || n_peers[SUPERVISE_EGRESS] == 0)
		await(&m, SUPERVISE_PEER);
	buf_addf(out, "%u %u", n_peers[SUPERVISE_KEEPER], n_peers[SUPERVISE_EGRESS]);
}

static void do_log(struct str words, struct buf *out)
{
	static struct supervise_message m;
	(void)words;
	while (n_logs == 0)
		await(&m, SUPERVISE_LOG);
	buf_add_z(out, "reopened");
	(void)!write(STDERR_FILENO, "control writes\n", 15);
}

/* What is not its to send. */
static void do_misbehave(struct str words, struct buf *out)
{
	(void)words;
	(void)out;
	(void)!supervise_send(SUPERVISE_FD, SUPERVISE_PROOF, 0, STR_EMPTY, NULL, 0, NULL);
	(void)poll(NULL, 0, -1);
}

static void do_fail(struct str words, struct buf *out)
{
	(void)words;
	(void)out;
	static struct err err;
	(fail)(&err, ERR_SYSTEM, "the disk went away");
	supervised_failed(&err);
	_exit(1);
}

static void do_exit(struct str words, struct buf *out)
{
	(void)words;
	(void)out;
	_exit(9);
}

static const struct {
	const char *word;
	void (*act)(struct str words, struct buf *out);
} acts[] = {
	{"ask", do_ask},       {"child", do_child},         {"down", do_down},       {"back", do_back},
	{"runner", do_runner}, {"end", do_end_runner},      {"folder", do_folder},   {"setting", do_setting},
	{"peers", do_peers},   {"misbehave", do_misbehave}, {"exit", do_exit},       {"log", do_log},
	{"silent", do_silent}, {"heard", do_heard},         {"fail", do_fail},       {"watch", do_watch},
	{"list", do_list},     {"open", do_open},           {"changed", do_changed}, {"unwatch", do_unwatch},
};

static void answer_line(int fd)
{
	char line[8192];
	ssize_t n = recv(fd, line, sizeof line, 0);
	struct str word, words = str_cut(str_trim(str_of(line, n > 0 ? (size_t)n : 0)), ' ', &word);
	AUTO_BUF out = BUF_INIT(16384);
	for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
		if (str_eq(word, str_from(acts[i].word)))
			acts[i].act(words, &out);
	}
	(void)!send(fd, out.p, out.n, MSG_NOSIGNAL);
}

static int be_control(int argc, char **argv)
{
	const struct supervised_spec spec = {"aileron-control", &confine_control, CONTROL_FDS, CONTROL_FD_FOLDER};
	settings = supervised_begin(&spec, argc, argv);
	if (settings == NULL)
		return 1;
	fail_or_die(AT_FDCWD);
	if (supervised_ready(STR_EMPTY, NULL) != 0)
		return 1;
	static struct supervise_message m;
	for (;;) {
		struct pollfd fds[] = {{SUPERVISE_FD, POLLIN, 0}, {CONTROL_FD_UNIX, POLLIN, 0}};
		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			return 48;
		if (fds[0].revents != 0) {
			(void)control_frame(&m, 0);
			continue;
		}
		AUTO_FD connection = accept4(CONTROL_FD_UNIX, NULL, NULL, SOCK_CLOEXEC);
		if (connection >= 0)
			answer_line(connection);
	}
}

/* -1 = this is none of them. */
static int be_fake_child(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} children[] = {{"aileron-control", be_control}, {"aileron-keeper", be_keeper}, {"aileron-egress", be_egress}};
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		if (strcmp(argv[0], children[i].name) == 0)
			return children[i].run(argc, argv);
	}
	return strcmp(argv[0], "aileron-runner") == 0 ? be_runner(argv) : -1;
}
