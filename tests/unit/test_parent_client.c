#include "control/parent_client.h"
#include "base/time.h"
#include "os/file.h"
#include "text/wire.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>

/* A client on a loop of its own thread, and the parent's end of the link in the test's hands. */
struct stage {
	struct loop *loop;
	struct loop_source *stop;
	struct parent_client *client;
	int parent;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int events; /* all that was told */
	enum supervise_role role;
	int peer_fd;
	uint32_t child_pid;
	uint64_t stop_ms;
	uint32_t watch; /* that changed */
	bool gone;
	unsigned crashes;
	char crashed[128]; /* the last: whose, and how */
};

static void told(struct stage *stage)
{
	stage->events++;
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

static void on_peer(void *user, enum supervise_role role, int fd)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->role = role;
	stage->peer_fd = fd;
	told(stage);
}

static void on_child(void *user, const struct supervise_child *child)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->child_pid = child->pid;
	told(stage);
}

static void on_stop_asked(void *user, uint64_t ms)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->stop_ms = ms;
	told(stage);
}

static void on_gone(void *user)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->gone = true;
	told(stage);
}

static void on_changed(void *user, uint32_t watch)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->watch = watch;
	told(stage);
}

static void on_crashed(void *user, struct str connector, struct str how)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->crashes++;
	snprintf(stage->crashed, sizeof stage->crashed, "%.*s: %.*s", STR_FMT(connector), STR_FMT(how));
	told(stage);
}

static void wait_events(struct stage *stage, int n)
{
	pthread_mutex_lock(&stage->lock);
	while (stage->events < n)
		pthread_cond_wait(&stage->changed, &stage->lock);
	pthread_mutex_unlock(&stage->lock);
}

static void on_stop(void *user, int what)
{
	(void)what;
	loop_stop(((struct stage *)user)->loop);
}

static void *run_loop(void *user)
{
	loop_run(((struct stage *)user)->loop);
	return NULL;
}

static void set_up(struct stage *stage)
{
	*stage = (struct stage){.peer_fd = -1};
	pthread_mutex_init(&stage->lock, NULL);
	pthread_cond_init(&stage->changed, NULL);
	int ends[2];
	assert_int_equal(supervise_pair(ends, NULL), 0);
	stage->parent = ends[1];
	if (ends[0] != SUPERVISE_FD) {
		assert_int_equal(dup2(ends[0], SUPERVISE_FD), SUPERVISE_FD);
		close(ends[0]);
	}
	stage->loop = loop_new(NULL);
	stage->stop = loop_wakeup(stage->loop, on_stop, stage, NULL);
	const struct parent_listener listener = {on_peer,    on_child, on_stop_asked, on_gone,
						 on_changed, stage,    NULL,          on_crashed};
	stage->client = parent_client_new(stage->loop, &listener, NULL);
	assert_non_null(stage->client);
	pthread_create(&stage->thread, NULL, run_loop, stage);
}

static void tear_down(struct stage *stage)
{
	loop_wake(stage->stop);
	pthread_join(stage->thread, NULL);
	parent_client_free(stage->client);
	loop_source_free(stage->stop);
	loop_free(stage->loop);
	if (stage->parent >= 0)
		close(stage->parent);
	close(SUPERVISE_FD);
	if (stage->peer_fd >= 0)
		close(stage->peer_fd);
}

static struct supervise_message expect(struct stage *stage, uint32_t type)
{
	struct supervise_message message;
	assert_int_equal(supervise_recv(stage->parent, &message, NULL), 1);
	assert_int_equal(message.frame.type, type);
	return message;
}

static void tell(struct stage *stage, uint32_t type, uint32_t id, const struct buf *body, const int *fds, size_t n_fds)
{
	assert_int_equal(
		supervise_send(stage->parent, type, id, body != NULL ? buf_str(body) : STR_EMPTY, fds, n_fds, NULL), 0);
}

/* A descriptor that holds a text, and what another holds. */
static int file_of(const char *text)
{
	int fd = file_in_memory("test", NULL);
	assert_true(fd >= 0);
	assert_int_equal(file_write_fd(fd, "test", str_from(text), NULL), 0);
	return fd;
}

static void assert_holds(int fd, const char *text)
{
	char got[64] = "";
	assert_true(pread(fd, got, sizeof got - 1, 0) >= 0);
	assert_string_equal(got, text);
}

/* ---------------------------------------------------------------------------------------------------------- folders */

struct folder {
	struct parent_client *client;
	char path[32], canonical[64];
	int manifest, wasm, rc;
	struct err err;
	pthread_t thread;
};

static void *open_folder(void *user)
{
	struct folder *folder = user;
	AUTO(arena) *arena = arena_new();
	struct str path = STR_EMPTY;
	folder->manifest = folder->wasm = -1;
	folder->rc = parent_open_folder(folder->client, str_from(folder->path), arena, &path, &folder->manifest,
					&folder->wasm, &folder->err);
	snprintf(folder->canonical, sizeof folder->canonical, "%.*s", STR_FMT(path));
	return NULL;
}

static struct folder *open_many(struct stage *stage, size_t n)
{
	struct folder *folders = xcalloc(n, sizeof *folders);
	for (size_t i = 0; i < n; i++) {
		folders[i].client = stage->client;
		snprintf(folders[i].path, sizeof folders[i].path, "/home/u/%zu", i);
		assert_int_equal(pthread_create(&folders[i].thread, NULL, open_folder, &folders[i]), 0);
	}
	return folders;
}

#define MANY 16

static void each_of_many_gets_its_own_folder(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct folder *folders = open_many(&stage, MANY);
	struct supervise_message *asked = xcalloc(MANY, sizeof *asked);
	for (size_t i = 0; i < MANY; i++)
		asked[i] = expect(&stage, SUPERVISE_OPEN_FOLDER);
	for (size_t i = MANY; i-- > 0;) {
		struct wire_reader r = wire_reader(supervise_body(&asked[i]));
		AUTO_BUF text = BUF_INIT(64);
		AUTO_BUF body = BUF_INIT(256);
		struct str path = wire_str(&r);
		buf_addf(&text, "/real%.*s", STR_FMT(path));
		wire_put_str(&body, buf_str(&text));
		AUTO_FD manifest = file_of(text.p);
		AUTO_FD wasm = file_of("wasm");
		const int fds[] = {manifest, wasm};
		tell(&stage, SUPERVISE_FOLDER, asked[i].frame.id, &body, fds, 2);
	}
	free(asked);
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(folders[i].thread, NULL);
		assert_int_equal(folders[i].rc, 0);
		char expected[64];
		snprintf(expected, sizeof expected, "/real%s", folders[i].path);
		assert_string_equal(folders[i].canonical, expected);
		assert_holds(folders[i].manifest, expected);
		assert_holds(folders[i].wasm, "wasm");
		close(folders[i].manifest);
		close(folders[i].wasm);
	}
	free(folders);
	tear_down(&stage);
}

static void a_refused_folder_says_why(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct folder *folder = open_many(&stage, 1);
	uint32_t id = expect(&stage, SUPERVISE_OPEN_FOLDER).frame.id;
	struct err refusal = {0};
	(fail)(&refusal, ERR_NOT_FOUND, "there is no 'manifest.toml'");
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_err(&body, &refusal);
	tell(&stage, SUPERVISE_FOLDER_FAILED, id, &body, NULL, 0);
	pthread_join(folder->thread, NULL);
	assert_int_equal(folder->rc, -1);
	assert_int_equal(folder->err.class, ERR_NOT_FOUND);
	assert_string_equal(folder->err.message, refusal.message);
	assert_int_equal(folder->manifest, -1);
	free(folder);

	struct err err = {0};
	static char path[SUPERVISE_BODY + 1];
	memset(path, 'x', sizeof path);
	AUTO(arena) *arena = arena_new();
	struct str canonical;
	int manifest, wasm;
	assert_int_equal(
		parent_open_folder(stage.client, str_of(path, sizeof path), arena, &canonical, &manifest, &wasm, &err),
		-1);
	assert_int_equal(err.class, ERR_LIMIT);
	tear_down(&stage);
}

static void a_folder_without_its_files_is_a_lie(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct folder *folder = open_many(&stage, 1);
	uint32_t id = expect(&stage, SUPERVISE_OPEN_FOLDER).frame.id;
	AUTO_BUF body = BUF_INIT(64);
	wire_put_str(&body, S("/x"));
	AUTO_FD one = file_of("one");
	tell(&stage, SUPERVISE_FOLDER, id, &body, &one, 1);
	pthread_join(folder->thread, NULL);
	assert_int_equal(folder->err.class, ERR_PROTOCOL);
	free(folder);
	tear_down(&stage);
}

static void the_end_of_the_parent_ends_every_wait(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct folder *folders = open_many(&stage, MANY);
	for (size_t i = 0; i < MANY; i++)
		expect(&stage, SUPERVISE_OPEN_FOLDER);
	close(stage.parent);
	stage.parent = -1;
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(folders[i].thread, NULL);
		assert_int_equal(folders[i].rc, -1);
		assert_int_equal(folders[i].err.class, ERR_UNAVAILABLE);
	}
	free(folders);
	wait_events(&stage, 1);
	assert_true(stage.gone);
	tear_down(&stage);
}

/* ---------------------------------------------------------------------------------------------------------- watches */

struct asking {
	struct parent_client *client;
	struct arena *arena;
	int what; /* 0 watch, 1 list, 2 open */
	uint32_t watch;
	struct str path;
	struct parent_files files;
	uint64_t stamp;
	int rc; /* or the descriptor */
	struct err err;
	pthread_t thread;
};

static void *ask_parent(void *user)
{
	struct asking *asking = user;
	const struct parent_watch watch = {SUPERVISE_WATCH_ACTIONS, true, S("/home/u/actions")};
	if (asking->what == 0)
		asking->rc = parent_watch(asking->client, &watch, asking->arena, &asking->watch, &asking->path,
					  &asking->err);
	else if (asking->what == 1)
		asking->rc = parent_list(asking->client, 5, asking->arena, &asking->files, &asking->err);
	else
		asking->rc = parent_open_file(asking->client, 5, S("a.md"), &asking->stamp, &asking->err);
	return NULL;
}

static struct asking *begin_asking(struct stage *stage, int what)
{
	struct asking *asking = NEW(struct asking);
	*asking = (struct asking){.client = stage->client, .arena = arena_new(), .what = what};
	assert_int_equal(pthread_create(&asking->thread, NULL, ask_parent, asking), 0);
	return asking;
}

static void end_asking(struct asking *asking)
{
	arena_free(asking->arena);
	free(asking);
}

static void what_is_watched_is_told_by_its_number(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct asking *asking = begin_asking(&stage, 0);
	struct supervise_message m = expect(&stage, SUPERVISE_WATCH);
	struct wire_reader r = wire_reader(supervise_body(&m));
	assert_int_equal(wire_u8(&r), SUPERVISE_WATCH_ACTIONS);
	assert_true(wire_bool(&r));
	assert_true(str_eq(wire_str(&r), S("/home/u/actions")));
	AUTO_BUF body = BUF_INIT(256);
	wire_put_str(&body, S("/real/actions"));
	tell(&stage, SUPERVISE_WATCHED, m.frame.id, &body, NULL, 0);
	pthread_join(asking->thread, NULL);
	assert_int_equal(asking->rc, 0);
	assert_int_equal(asking->watch, m.frame.id);
	assert_true(str_eq(asking->path, S("/real/actions")));
	tell(&stage, SUPERVISE_CHANGED, asking->watch, NULL, NULL, 0);
	wait_events(&stage, 1);
	assert_int_equal(stage.watch, asking->watch);
	parent_unwatch(stage.client, asking->watch);
	assert_int_equal(expect(&stage, SUPERVISE_UNWATCH).frame.id, asking->watch);
	end_asking(asking);
	tear_down(&stage);
}

/* What names something else than an id is told to nobody: what comes next is the next request. */
static void a_notice_is_an_id_and_nothing_else(void **state)
{
	(void)state;
	static const char *const ids[] = {"act-20260101T000000-0123456789abcdef", "a"};
	static const char *const none[] = {"",         "a b", "-a",
					   "<b>x</b>", "a\n", "12345678901234567890123456789012345678901"};
	struct stage stage;
	set_up(&stage);
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		parent_notify(stage.client, str_from(none[i]));
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		parent_notify(stage.client, str_from(ids[i]));
		struct supervise_message m = expect(&stage, SUPERVISE_NOTIFY);
		struct wire_reader r = wire_reader(supervise_body(&m));
		assert_true(str_eq(wire_str(&r), str_from(ids[i])));
		assert_int_equal(wire_done(&r, "notice", NULL), 0);
		assert_int_equal(m.n_fds, 0);
	}
	tear_down(&stage);
}

static void a_lost_pair_of_the_gateway_is_asked_for(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	parent_gateway_lost(stage.client, 7);
	struct supervise_message m = expect(&stage, SUPERVISE_GATEWAY_LOST);
	assert_int_equal(m.frame.id, 7);
	assert_int_equal(m.frame.n, 0);
	assert_int_equal(m.n_fds, 0);
	tear_down(&stage);
}

/* One page of a list: "more", then names. */
static void tell_page(struct stage *stage, struct str expected_after, bool more, const char *name)
{
	struct supervise_message m = expect(stage, SUPERVISE_LIST);
	struct wire_reader r = wire_reader(supervise_body(&m));
	assert_int_equal(wire_u32(&r), 5);
	assert_true(str_eq(wire_str(&r), expected_after));
	AUTO_BUF body = BUF_INIT(512);
	wire_put_bool(&body, more);
	wire_put_u32(&body, name != NULL ? 1 : 0);
	if (name != NULL) {
		wire_put_str(&body, str_from(name));
		wire_put_u64(&body, 77);
	}
	tell(stage, SUPERVISE_LISTING, m.frame.id, &body, NULL, 0);
}

static void a_list_of_pages_is_one_and_must_go_on(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	struct asking *asking = begin_asking(&stage, 1);
	tell_page(&stage, S(""), true, "a.md");
	tell_page(&stage, S("a.md"), false, "b.md");
	pthread_join(asking->thread, NULL);
	assert_int_equal(asking->rc, 0);
	assert_int_equal(asking->files.n, 2);
	assert_true(str_eq(asking->files.items[1].name, S("b.md")));
	assert_true(asking->files.items[1].stamp == 77);
	end_asking(asking);

	asking = begin_asking(&stage, 1);
	tell_page(&stage, S(""), true, NULL);
	pthread_join(asking->thread, NULL);
	assert_int_equal(asking->err.class, ERR_PROTOCOL);
	end_asking(asking);

	asking = begin_asking(&stage, 1);
	char name[16] = "", before[16];
	for (int i = 0; i <= SUPERVISE_WATCH_FILES_MAX; i++) { /* one that has no end */
		snprintf(before, sizeof before, "%s", name);
		snprintf(name, sizeof name, "%d.md", i);
		tell_page(&stage, str_from(before), true, name);
	}
	pthread_join(asking->thread, NULL);
	assert_int_equal(asking->err.class, ERR_PROTOCOL);
	end_asking(asking);
	tear_down(&stage);
}

static void a_file_without_its_descriptor_is_a_lie(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_BUF body = BUF_INIT(16);
	wire_put_u64(&body, 9);
	AUTO_FD file = file_of("text");
	for (size_t n = 0; n < 2; n++) {
		struct asking *asking = begin_asking(&stage, 2);
		uint32_t id = expect(&stage, SUPERVISE_OPEN_FILE).frame.id;
		tell(&stage, SUPERVISE_FILE, id, &body, &file, n);
		pthread_join(asking->thread, NULL);
		if (n == 0) {
			assert_int_equal(asking->err.class, ERR_PROTOCOL);
		} else {
			assert_holds(asking->rc, "text");
			assert_true(asking->stamp == 9);
			close(asking->rc);
		}
		end_asking(asking);
	}
	tear_down(&stage);
}

/* ---------------------------------------------------------------------------------------------------------- runners */

struct start {
	struct parent_client *client;
	struct peer_spec spec;
	struct peer_started started;
	int rc;
	struct err err;
	pthread_t thread;
};

static void *start_runner(void *user)
{
	struct start *start = user;
	const struct peer_launcher *launcher = parent_launcher(start->client);
	start->rc = launcher->start(launcher->context, &start->spec, &start->started, &start->err);
	return NULL;
}

static void a_runner_is_started_and_seen_to_end(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_FD input = file_of("input");
	AUTO_FD output = file_of("output");
	/* In the order of their numbers in the runner, whatever order they are listed in. */
	struct start start = {
		.client = stage.client,
		.spec = {.name = "aileron-runner", .life = "compile", .fds = {{output, 5}, {input, 4}}, .n_fds = 2}};
	pthread_create(&start.thread, NULL, start_runner, &start);
	struct supervise_message asked = expect(&stage, SUPERVISE_START_RUNNER);
	assert_int_equal(asked.frame.n, 1);
	assert_int_equal(asked.frame.body[0], 0);
	assert_int_equal(asked.n_fds, 2);
	assert_holds(asked.fds[0], "input");
	assert_holds(asked.fds[1], "output");
	supervise_close_fds(&asked);
	AUTO_BUF body = BUF_INIT(64);
	wire_put_u32(&body, 4711);
	wire_put_u64(&body, 0x30);
	AUTO_FD socket = file_of("socket");
	AUTO_FD words = file_of("words");
	const int fds[] = {socket, words};
	tell(&stage, SUPERVISE_RUNNER_STARTED, asked.frame.id, &body, fds, 2);
	pthread_join(start.thread, NULL);
	assert_int_equal(start.rc, 0);
	assert_int_equal(start.started.pid, 4711);
	assert_int_equal(start.started.namespaces, 0x30);
	assert_int_equal(start.started.id, asked.frame.id);
	assert_holds(start.started.socket_fd, "socket");
	assert_holds(start.started.stderr_fd, "words");
	close(start.started.socket_fd);
	close(start.started.stderr_fd);

	const struct peer_launcher *launcher = parent_launcher(stage.client);
	int status = 1, signal = 1;
	assert_int_equal(launcher->ended(launcher->context, start.started.id, 0, &status, &signal), 0);
	AUTO_BUF end = BUF_INIT(16);
	wire_put_i32(&end, -1);
	wire_put_i32(&end, 9);
	tell(&stage, SUPERVISE_RUNNER_ENDED, asked.frame.id, &end, NULL, 0);
	assert_int_equal(launcher->ended(launcher->context, start.started.id, -1, &status, &signal), 1);
	assert_int_equal(status, -1);
	assert_int_equal(signal, 9);
	assert_int_equal(stage.crashes, 0);
	/* Let go: there is nobody left to kill. */
	launcher->kill(launcher->context, start.started.id);
	tear_down(&stage);
}

/* Starts one that serves the connector: its number. */
static uint32_t serve(struct stage *stage, const char *connector)
{
	AUTO_FD code = file_of("code");
	struct start start = {.client = stage->client,
			      .spec = {.name = "aileron-runner",
				       .life = "serve",
				       .fds = {{code, 4}},
				       .n_fds = 1,
				       .connector = str_from(connector)}};
	pthread_create(&start.thread, NULL, start_runner, &start);
	struct supervise_message asked = expect(stage, SUPERVISE_START_RUNNER);
	supervise_close_fds(&asked);
	AUTO_BUF body = BUF_INIT(64);
	wire_put_u32(&body, 4711);
	wire_put_u64(&body, 0);
	const int fds[] = {code, code};
	tell(stage, SUPERVISE_RUNNER_STARTED, asked.frame.id, &body, fds, 2);
	pthread_join(start.thread, NULL);
	assert_int_equal(start.rc, 0);
	close(start.started.socket_fd);
	close(start.started.stderr_fd);
	return start.started.id;
}

static void a_runner_that_crashed_is_told_of_unless_it_was_let_go(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	const struct peer_launcher *launcher = parent_launcher(stage.client);
	uint32_t gone = serve(&stage, "github://acme/gone"), lives = serve(&stage, "github://acme/lives");
	AUTO_BUF end = BUF_INIT(16);
	wire_put_i32(&end, -1);
	wire_put_i32(&end, 9);
	wire_put_bool(&end, true);
	launcher->kill(launcher->context, gone);
	expect(&stage, SUPERVISE_KILL_RUNNER);
	tell(&stage, SUPERVISE_RUNNER_ENDED, gone, &end, NULL, 0);
	tell(&stage, SUPERVISE_RUNNER_ENDED, lives, &end, NULL, 0);
	wait_events(&stage, 1);
	assert_int_equal(stage.crashes, 1);
	assert_string_equal(stage.crashed, "github://acme/lives: signal 9 (Killed)");
	tear_down(&stage);
}

static void a_killed_runner_is_nobodys_any_more(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_FD code = file_of("code");
	struct start start = {.client = stage.client,
			      .spec = {.name = "aileron-runner", .life = "serve", .fds = {{code, 4}}, .n_fds = 1}};
	pthread_create(&start.thread, NULL, start_runner, &start);
	struct supervise_message asked = expect(&stage, SUPERVISE_START_RUNNER);
	supervise_close_fds(&asked);
	AUTO_BUF body = BUF_INIT(64);
	wire_put_u32(&body, 4711);
	wire_put_u64(&body, 0);
	const int fds[] = {code, code};
	tell(&stage, SUPERVISE_RUNNER_STARTED, asked.frame.id, &body, fds, 2);
	pthread_join(start.thread, NULL);
	close(start.started.socket_fd);
	close(start.started.stderr_fd);
	const struct peer_launcher *launcher = parent_launcher(stage.client);
	launcher->kill(launcher->context, start.started.id);
	launcher->kill(launcher->context, start.started.id);
	/* Once: what comes next is of the runner that is killed next. */
	assert_int_equal(expect(&stage, SUPERVISE_KILL_RUNNER).frame.id, asked.frame.id);
	tell(&stage, SUPERVISE_RUNNER_STARTED, 99, &body, fds, 2);
	assert_int_equal(expect(&stage, SUPERVISE_KILL_RUNNER).frame.id, 99);
	tear_down(&stage);
}

static void serving_is_another_life_and_a_refusal_an_error(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_FD code = file_of("code");
	struct start start = {.client = stage.client,
			      .spec = {.name = "aileron-runner", .life = "serve", .fds = {{code, 4}}, .n_fds = 1}};
	pthread_create(&start.thread, NULL, start_runner, &start);
	struct supervise_message asked = expect(&stage, SUPERVISE_START_RUNNER);
	assert_int_equal(asked.frame.body[0], 1);
	assert_int_equal(asked.n_fds, 1);
	supervise_close_fds(&asked);
	struct err refusal = {0};
	(fail)(&refusal, ERR_SYSTEM, "cannot start");
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_err(&body, &refusal);
	tell(&stage, SUPERVISE_RUNNER_FAILED, asked.frame.id, &body, NULL, 0);
	pthread_join(start.thread, NULL);
	assert_int_equal(start.rc, -1);
	assert_int_equal(start.err.class, ERR_SYSTEM);
	assert_string_equal(start.err.message, "starting a runner: cannot start");
	tear_down(&stage);
}

static void a_runner_that_nobody_asked_for_is_killed(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_BUF body = BUF_INIT(64);
	wire_put_u32(&body, 1);
	wire_put_u64(&body, 0);
	int pair[2];
	assert_int_equal(supervise_pair(pair, NULL), 0);
	tell(&stage, SUPERVISE_RUNNER_STARTED, 99, &body, pair, 2);
	close(pair[0]);
	assert_int_equal(expect(&stage, SUPERVISE_KILL_RUNNER).frame.id, 99);
	close(pair[1]);
	tear_down(&stage);
}

/* ----------------------------------------------------------------------------------------------------- the listener */

static void what_the_parent_tells_reaches_the_listener(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u8(&body, SUPERVISE_KEEPER);
	AUTO_FD end = file_of("a keeper");
	tell(&stage, SUPERVISE_PEER, 0, &body, &end, 1);
	wait_events(&stage, 1);
	assert_int_equal(stage.role, SUPERVISE_KEEPER);
	assert_holds(stage.peer_fd, "a keeper");

	buf_clear(&body);
	supervise_child_put(&body, &(struct supervise_child){.role = SUPERVISE_EGRESS, .running = true, .pid = 12});
	tell(&stage, SUPERVISE_CHILD, 0, &body, NULL, 0);
	buf_clear(&body);
	wire_put_u64(&body, 1500);
	tell(&stage, SUPERVISE_STOP, 0, &body, NULL, 0);
	wait_events(&stage, 3);
	assert_int_equal(stage.child_pid, 12);
	assert_int_equal(stage.stop_ms, 1500);
	tear_down(&stage);
}

static void a_new_log_becomes_standard_error(void **state)
{
	(void)state;
	struct stage stage;
	set_up(&stage);
	AUTO_FD before = dup(STDERR_FILENO);
	AUTO_FD log = file_in_memory("log", NULL);
	tell(&stage, SUPERVISE_LOG, 0, NULL, &log, 1);
	AUTO_BUF body = BUF_INIT(16);
	wire_put_u64(&body, 1);
	tell(&stage, SUPERVISE_STOP, 0, &body, NULL, 0);
	wait_events(&stage, 1);
	assert_int_equal(write(STDERR_FILENO, "word", 4), 4);
	dup2(before, STDERR_FILENO);
	assert_holds(log, "word");
	tear_down(&stage);
}

static void a_parent_that_breaks_the_protocol_is_left(void **state)
{
	(void)state;
	static const struct {
		uint32_t type;
		uint8_t role;
	} lies[] = {
		{77, 0}, {SUPERVISE_PEER, SUPERVISE_CONTROL}, {SUPERVISE_PEER, SUPERVISE_KEEPER}, {SUPERVISE_STOP, 1}};
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct stage stage;
		set_up(&stage);
		AUTO_BUF body = BUF_INIT(16);
		wire_put_u8(&body, lies[i].role);
		tell(&stage, lies[i].type, 0, &body, NULL, 0);
		wait_events(&stage, 1);
		assert_true(stage.gone);
		tear_down(&stage);
	}
}

int main(void)
{
	/* Descriptor 3 is the link's in every process that has one; nothing else of the test is to get it. */
	if (dup2(STDIN_FILENO, SUPERVISE_FD) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_many_gets_its_own_folder),
		cmocka_unit_test(a_refused_folder_says_why),
		cmocka_unit_test(a_folder_without_its_files_is_a_lie),
		cmocka_unit_test(the_end_of_the_parent_ends_every_wait),
		cmocka_unit_test(what_is_watched_is_told_by_its_number),
		cmocka_unit_test(a_list_of_pages_is_one_and_must_go_on),
		cmocka_unit_test(a_file_without_its_descriptor_is_a_lie),
		cmocka_unit_test(a_runner_is_started_and_seen_to_end),
		cmocka_unit_test(a_runner_that_crashed_is_told_of_unless_it_was_let_go),
		cmocka_unit_test(a_killed_runner_is_nobodys_any_more),
		cmocka_unit_test(serving_is_another_life_and_a_refusal_an_error),
		cmocka_unit_test(a_runner_that_nobody_asked_for_is_killed),
		cmocka_unit_test(a_lost_pair_of_the_gateway_is_asked_for),
		cmocka_unit_test(a_notice_is_an_id_and_nothing_else),
		cmocka_unit_test(what_the_parent_tells_reaches_the_listener),
		cmocka_unit_test(a_new_log_becomes_standard_error),
		cmocka_unit_test(a_parent_that_breaks_the_protocol_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
