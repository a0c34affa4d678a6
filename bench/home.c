#include "home.h"
#include "base/mem.h"
#include "http/h1/client.h"
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LINE_ROOM ((size_t)8 << 20)

void want(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static void must(int result, const struct err *err)
{
	if (result < 0)
		give_up(err);
}

/* --------------------------------------------------------------------------------------------------------------- home */

void home_make(struct home *home, const char *bin)
{
	*home = (struct home){.bin = bin};
	snprintf(home->folder, sizeof home->folder, "/var/tmp/aileron-bench-XXXXXX"); /* commits cost what they cost */
	want(mkdtemp(home->folder) != NULL, "no folder");
	snprintf(home->state, sizeof home->state, "%s/.aileron", home->folder);
	home->environment[0] = xasprintf("HOME=%s", home->folder);
	home->environment[1] = xasprintf("AILERON_HOME=%s", home->state);
	home->environment[2] = "PATH=/usr/bin:/bin";
	home->environment[3] = "AILERON_VAULT_PASSPHRASE=correct horse battery staple";
}

void home_put(const struct home *home, const char *name, struct str text)
{
	AUTO_FREE char *path = xasprintf("%s/%s", home->folder, name);
	for (char *slash = strchr(path + strlen(home->folder) + 1, '/'); slash != NULL; slash = NULL) {
		*slash = '\0';
		want(mkdir(path, 0755) == 0 || access(path, X_OK) == 0, "no folder");
		*slash = '/';
	}
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	want(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n, "a file cannot be written");
}

void home_verb(const struct home *home, const char *const *argv)
{
	struct talk talk;
	talk_start(&talk, home, argv);
	talk_end(&talk);
}

void home_request(const struct home *home, const char *method, const char *target, const char *body, unsigned status,
		  struct buf *answer)
{
	struct err err = {0};
	AUTO(h1_client) *client = h1_client_unix(home->daemon.socket, S("localhost"), &err);
	must(client != NULL ? 0 : -1, &err);
	AUTO_FREE char *bearer = xasprintf("Bearer %.*s", STR_FMT(secret_borrow(home->daemon.token)));
	const struct h1_header headers[] = {{S("Authorization"), str_from(bearer)},
					    {S("Content-Type"), S("application/json")}};
	const struct h1_request request = {
		.method = str_from(method),
		.target = str_from(target),
		.headers = headers,
		.n_headers = ARRAY_LEN(headers),
		.body = str_from(body),
	};
	struct h1_response response;
	buf_clear(answer);
	must(h1_client_do(client, &request, &response, answer, &err), &err);
	if (response.status != status)
		fprintf(stderr, "bench: %s\n", answer->p);
	want(response.status == status, "another answer than expected");
}

/* ----------------------------------------------------------------------------------------------------------- an agent */

static void copy_member(const struct buf *answer, const char *name, char *ret, size_t room)
{
	AUTO_FREE char *sought = xasprintf("\"%s\":\"", name);
	const char *at = strstr(answer->p, sought);
	want(at != NULL, "a member is missing");
	at += strlen(sought);
	want((size_t)snprintf(ret, room, "%.*s", (int)strcspn(at, "\""), at) < room, "a member is too long");
}

static void write_token(const struct home *home)
{
	AUTO_FREE char *run = xasprintf("%s/run", home->state);
	AUTO_FREE char *agents = xasprintf("%s/agents", run);
	AUTO_FREE char *path = xasprintf("%s/%s", agents, home->agent);
	want((mkdir(run, 0700) == 0 || access(run, X_OK) == 0) && mkdir(agents, 0700) == 0, "no folder for tokens");
	AUTO_FD fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	want(fd >= 0 && write(fd, home->token, strlen(home->token)) == (ssize_t)strlen(home->token), "no token file");
}

void home_start(struct home *home)
{
	struct err err = {0};
	HOME_VERB(home, "daemon", "start");
	want(discovery_read(home->state, &home->daemon, &err) == 1, "the daemon cannot be found");
	AUTO_BUF answer = BUF_INIT(1 << 16);
	home_request(home, "POST", "/v1/agents", "{\"name\":\"bench\",\"kind\":\"registered\"}", 201, &answer);
	copy_member(&answer, "id", home->agent, sizeof home->agent);
	copy_member(&answer, "token", home->token, sizeof home->token);
	write_token(home);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	return remove(path);
}

void home_stop(struct home *home)
{
	HOME_VERB(home, "daemon", "stop");
	discovery_release(&home->daemon);
	nftw(home->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ------------------------------------------------------------------------------------------------------------- talking */

void talk_start(struct talk *talk, const struct home *home, const char *const *argv)
{
	struct err err = {0};
	int in[2], out[2];
	want(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "no pipes");
	AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_FREE char *path = xasprintf("%s/%s", home->bin, argv[0]);
	talk->child = CHILD_INIT;
	talk->child.path = argv[0][0] == '/' ? argv[0] : path;
	talk->child.argv = argv;
	talk->child.envp = home->environment;
	talk->child.fds[talk->child.n_fds++] = (struct child_fd){in[0], STDIN_FILENO};
	talk->child.fds[talk->child.n_fds++] = (struct child_fd){out[1], STDOUT_FILENO};
	talk->child.fds[talk->child.n_fds++] = (struct child_fd){null, STDERR_FILENO};
	must(child_start(&talk->child, &err), &err);
	close(in[0]);
	close(out[1]);
	talk->in = in[1];
	talk->out = out[0];
}

/* Forked without threads in between: it calls what needs no lock of theirs. */
void talk_echo(struct talk *talk)
{
	int ends[2];
	want(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
	pid_t child = fork();
	want(child >= 0, "no process");
	if (child == 0) {
		static char bytes[65536];
		ssize_t n;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		while ((n = recv(ends[1], bytes, sizeof bytes, 0)) > 0 &&
		       send(ends[1], bytes, (size_t)n, MSG_NOSIGNAL) == n)
			;
		_exit(0);
	}
	close(ends[1]);
	*talk = (struct talk){.child = CHILD_INIT, .in = ends[0], .out = ends[0]};
}

void talk_control(struct talk *talk, const struct home *home)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	want(strlen(home->daemon.socket) < sizeof un.sun_path, "the socket's name is too long");
	memcpy(un.sun_path, home->daemon.socket, strlen(home->daemon.socket));
	want(connect(fd, (struct sockaddr *)&un, sizeof un) == 0, "no connection");
	AUTO_FREE char *head = xasprintf("GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
					 "Connection: Upgrade\r\nUpgrade: aileron-mcp-lines\r\n\r\n",
					 home->token);
	want(send(fd, head, strlen(head), MSG_NOSIGNAL) == (ssize_t)strlen(head), "nothing sent");
	char in[4096] = {0};
	for (size_t n = 0; strstr(in, "\r\n\r\n") == NULL;) {
		ssize_t got = recv(fd, in + n, sizeof in - 1 - n, 0);
		want(got > 0, "not let in");
		n += (size_t)got;
	}
	want(strncmp(in, "HTTP/1.1 101 ", 13) == 0, "not let in");
	*talk = (struct talk){.child = CHILD_INIT, .in = fd, .out = fd};
}

void talk_end(struct talk *talk)
{
	struct err err = {0};
	close(talk->in);
	if (talk->child.pid == 0)
		return;
	must(child_wait(&talk->child, -1, &err), &err);
	close(talk->out);
	want(talk->child.exit_status == 0, talk->child.argv[0]);
	child_release(&talk->child);
}

void talk_send(const struct talk *talk, struct str line)
{
	want(write(talk->in, line.p, line.n) == (ssize_t)line.n, "nothing was taken");
}

struct str talk_ask(const struct talk *talk, struct str line)
{
	static char bytes[LINE_ROOM];
	size_t n = 0;
	talk_send(talk, line);
	do {
		ssize_t got = read(talk->out, bytes + n, sizeof bytes - n);
		want(got > 0, "no answer");
		n += (size_t)got;
	} while (bytes[n - 1] != '\n');
	return str_of(bytes, n);
}
