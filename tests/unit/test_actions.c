/*
 * Linked actions as control has them, over a database of its own and a parent that is a thread of the test: it lists and opens
 * real files, and tells of changes when the test says so, not by the clock.
 */
#include "control/actions.h"
#include "base/time.h"
#include "control/parent_client.h"
#include "daemon/watched.h"
#include "os/file.h"
#include "text/wire.h"
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>

#define WATCHES 200

struct stage {
	char home[64];
	struct control control;
	struct loop_source *stop;
	pthread_t turning, parent;
	int parent_fd;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t ids[WATCHES]; /* 0 = free */
	struct watched watched[WATCHES];
	unsigned n_opened; /* files, by the parent */
	unsigned n_sets;   /* that were told */
};

/* ---- the parent */

static struct watched *find(struct stage *stage, uint32_t id)
{
	for (size_t i = 0; i < WATCHES; i++) {
		if (id != 0 && stage->ids[i] == id)
			return &stage->watched[i];
	}
	return NULL;
}

static int watch(struct stage *stage, uint32_t id, struct wire_reader *r, struct buf *body, struct err *err)
{
	uint8_t kind = wire_u8(r);
	bool keep = wire_bool(r);
	struct str path = wire_str(r);
	size_t i = 0;
	while (stage->ids[i] != 0)
		i++;
	if (watched_name((enum supervise_watch)kind, path, keep, &stage->watched[i], err) != 0)
		return -1;
	stage->ids[i] = id;
	AUTO_BUF told = BUF_INIT(PATH_MAX);
	watched_put_path(&stage->watched[i], &told);
	wire_put_str(body, buf_str(&told));
	return SUPERVISE_WATCHED;
}

/* Two files a page: so that there are pages. */
static int list(const struct watched *watched, struct str after, struct buf *body, struct err *err)
{
	AUTO_WATCHED_FILES files = {0};
	if (watched_list(watched, &files, err) != 0)
		return -1;
	size_t from = 0;
	while (from < files.n && str_cmp(str_from(files.items[from].name), after) <= 0)
		from++;
	size_t n = MIN(files.n - from, (size_t)2);
	wire_put_bool(body, from + n < files.n);
	wire_put_u32(body, (uint32_t)n);
	for (size_t i = from; i < from + n; i++) {
		wire_put_str(body, str_from(files.items[i].name));
		wire_put_u64(body, files.items[i].stamp);
	}
	return SUPERVISE_LISTING;
}

static int open_file(struct stage *stage, const struct watched *watched, struct str name, int *ret_fd, struct buf *body,
		     struct err *err)
{
	uint64_t stamp = 0;
	*ret_fd = watched_open(watched, name, &stamp, err);
	if (*ret_fd < 0)
		return -1;
	stage->n_opened++;
	wire_put_u64(body, stamp);
	return SUPERVISE_FILE;
}

static void serve(struct stage *stage, const struct supervise_message *m)
{
	static struct err err;
	err_clear(&err);
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	AUTO_FD fd = -1;
	struct wire_reader r = wire_reader(supervise_body(m));
	int answer;
	if (m->frame.type == SUPERVISE_UNWATCH) {
		for (size_t i = 0; i < WATCHES; i++)
			stage->ids[i] = stage->ids[i] == m->frame.id ? 0 : stage->ids[i];
		return;
	}
	if (m->frame.type == SUPERVISE_WATCH) {
		answer = watch(stage, m->frame.id, &r, &body, &err);
	} else {
		const struct watched *watched = find(stage, wire_u32(&r));
		struct str name = wire_str(&r);
		assert_non_null(watched);
		answer = m->frame.type == SUPERVISE_LIST ? list(watched, name, &body, &err)
							 : open_file(stage, watched, name, &fd, &body, &err);
	}
	if (answer < 0)
		supervise_put_err(&body, &err);
	(void)!supervise_send(stage->parent_fd, answer < 0 ? SUPERVISE_WATCH_FAILED : (uint32_t)answer, m->frame.id,
			      buf_str(&body), &fd, fd >= 0 ? 1 : 0, NULL);
}

static void *be_parent(void *user)
{
	struct stage *stage = user;
	static struct supervise_message m;
	while (supervise_recv(stage->parent_fd, &m, NULL) == 1) {
		pthread_mutex_lock(&stage->lock);
		serve(stage, &m);
		pthread_mutex_unlock(&stage->lock);
	}
	return NULL;
}

/* Something of every watch changed. */
static void tell_all(struct stage *stage)
{
	pthread_mutex_lock(&stage->lock);
	for (size_t i = 0; i < WATCHES; i++) {
		if (stage->ids[i] != 0)
			(void)!supervise_send(stage->parent_fd, SUPERVISE_CHANGED, stage->ids[i], STR_EMPTY, NULL, 0,
					      NULL);
	}
	pthread_mutex_unlock(&stage->lock);
}

/* ---- control */

static void on_peer(void *user, enum supervise_role role, int fd)
{
	(void)user;
	(void)role;
	close(fd);
}

static void on_child(void *user, const struct supervise_child *child)
{
	(void)user;
	(void)child;
}

static void on_stop_asked(void *user, uint64_t ms)
{
	(void)user;
	(void)ms;
}

static void on_gone(void *user)
{
	(void)user;
}

static void on_changed(void *user, uint32_t watch)
{
	struct stage *stage = user;
	actions_told(stage->control.actions, watch);
}

static void on_set(void *user)
{
	struct stage *stage = user;
	pthread_mutex_lock(&stage->lock);
	stage->n_sets++;
	pthread_cond_broadcast(&stage->changed);
	pthread_mutex_unlock(&stage->lock);
}

/* Until `n` more sets than `before` were made. */
static void await_sets(struct stage *stage, unsigned before, unsigned n)
{
	pthread_mutex_lock(&stage->lock);
	while (stage->n_sets < before + n)
		pthread_cond_wait(&stage->changed, &stage->lock);
	pthread_mutex_unlock(&stage->lock);
}

static unsigned sets(struct stage *stage)
{
	pthread_mutex_lock(&stage->lock);
	unsigned n = stage->n_sets;
	pthread_mutex_unlock(&stage->lock);
	return n;
}

static void on_stop(void *user, int what)
{
	(void)what;
	loop_stop(((struct stage *)user)->control.loop);
}

static void *turn(void *user)
{
	loop_run(((struct stage *)user)->control.loop);
	return NULL;
}

static void start(struct stage *stage)
{
	struct control *control = &stage->control;
	int ends[2];
	assert_int_equal(supervise_pair(ends, NULL), 0);
	if (ends[0] != SUPERVISE_FD) {
		assert_int_equal(dup2(ends[0], SUPERVISE_FD), SUPERVISE_FD);
		close(ends[0]);
	}
	stage->parent_fd = ends[1];
	stage->n_sets = 0;
	control->loop = loop_new(NULL);
	stage->stop = loop_wakeup(control->loop, on_stop, stage, NULL);
	const struct parent_listener listener = {on_peer,    on_child, on_stop_asked, on_gone,
						 on_changed, stage,    NULL,          NULL};
	control->parent = parent_client_new(control->loop, &listener, NULL);
	const struct db_options options = {.name = "aileron.db"};
	control->db = db_open(&options, NULL);
	assert_non_null(control->db);
	control->actions = actions_new(control);
	actions_on_change(control->actions, on_set, stage);
	assert_int_equal(pthread_create(&stage->turning, NULL, turn, stage), 0);
	assert_int_equal(pthread_create(&stage->parent, NULL, be_parent, stage), 0);
	assert_int_equal(actions_start(control->actions, NULL), 0);
	await_sets(stage, 0, 1);
}

static void end(struct stage *stage)
{
	struct control *control = &stage->control;
	loop_wake(stage->stop);
	pthread_join(stage->turning, NULL);
	parent_client_close(control->parent);
	actions_stop(control->actions);
	actions_free(control->actions);
	db_close(control->db);
	parent_client_free(control->parent);
	loop_source_free(stage->stop);
	loop_free(control->loop);
	shutdown(stage->parent_fd, SHUT_RDWR);
	pthread_join(stage->parent, NULL);
	close(stage->parent_fd);
	close(SUPERVISE_FD);
	memset(stage->ids, 0, sizeof stage->ids);
}

static int set_up(void **state)
{
	static struct stage stage;
	stage = (struct stage){.parent_fd = -1};
	pthread_mutex_init(&stage.lock, NULL);
	pthread_cond_init(&stage.changed, NULL);
	snprintf(stage.home, sizeof stage.home, "/tmp/aileron-actions-XXXXXX");
	if (mkdtemp(stage.home) == NULL || chdir(stage.home) != 0 || mkdir("actions", 0700) != 0)
		return -1;
	*state = &stage;
	start(&stage);
	return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void)info;
	(void)kind;
	(void)at;
	return remove(path);
}

static int tear_down(void **state)
{
	struct stage *stage = *state;
	end(stage);
	return chdir("/") == 0 ? nftw(stage->home, remove_entry, 16, FTW_DEPTH | FTW_PHYS) : -1;
}

/* ---- actions */

static const struct audit_event person = {.actor = AUDIT_ACTOR_HUMAN, .actor_id = {"user", 4}};

static void put_text(struct buf *out, const char *name, const char *intent)
{
	buf_addf(out,
		 "+++\nname = \"%s\"\nversion = \"1.0.0\"\nsource = \"github://acme/a@1.0.0\"\n"
		 "[[requires.connectors]]\nname = \"github://acme/c\"\nversion = \"1.0.0\"\n"
		 "hash = \"sha256:bound-at-release\"\ncapabilities = [\"op\"]\n[match]\nintent = \"%s\"\n"
		 "[[execute]]\nid = \"a\"\nconnector = \"github://acme/c\"\nop = \"op\"\n+++\n",
		 name, intent);
}

/* Takes the place of what has that name. */
static void put(const char *path, const char *name, const char *intent)
{
	AUTO_BUF text = BUF_INIT(4096);
	put_text(&text, name, intent);
	assert_int_equal(file_replace(path, buf_str(&text), 0600, NULL), 0);
}

/* In the file itself, of the same length when the intent is. */
static void write_over(const char *path, const char *name, const char *intent)
{
	AUTO_BUF text = BUF_INIT(4096);
	AUTO_FD fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	put_text(&text, name, intent);
	assert_int_equal(file_write_fd(fd, path, buf_str(&text), NULL), 0);
}

static int link_at(struct stage *stage, const char *name, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct str told;
	struct str path = arena_printf(arena, "%s%s%s", stage->home, name[0] != '\0' ? "/" : "", name);
	int rc = actions_link(stage->control.actions, path, &person, arena, &told, err);
	if (rc == 0)
		assert_true(str_eq(told, path));
	return rc;
}

static void assert_intent(struct stage *stage, const char *name, const char *intent)
{
	const struct action_set *set = NULL;
	const struct action_entry *entry = actions_use(stage->control.actions, str_from(name), &set, NULL);
	assert_non_null(entry);
	assert_true(str_eq(entry->action->intent, str_from(intent)));
	actions_release(set);
}

static unsigned n_events(struct stage *stage, const char *type)
{
	struct db_tx *tx = db_read(stage->control.db);
	struct db_stmt *q = db_stmt(tx, "SELECT count(*) FROM audit WHERE type = ?");
	db_bind_str(q, str_from(type));
	assert_int_equal(db_step(q, NULL), 1);
	unsigned n = (unsigned)db_int(q, 0);
	db_finish(q);
	db_done(tx);
	return n;
}

/* ---- the tests */

static void a_set_stays_as_it_is_while_it_is_held(void **state)
{
	struct stage *stage = *state;
	struct actions *actions = stage->control.actions;
	put("actions/a.md", "a", "first");
	put("actions/b.md", "b", "other");
	put("actions/c.md", "c", "third");
	assert_int_equal(link_at(stage, "actions", NULL), 0);
	const struct action_set *held = actions_hold(actions);
	assert_int_equal(held->n, 3);
	assert_ptr_equal(action_named(held, S("b")), &held->items[1]);
	assert_ptr_equal(action_of_tool(held, S("c")), &held->items[2]);
	assert_null(action_named(held, S("d")));
	assert_null(action_of_tool(held, S("")));
	unsigned before = sets(stage), opened = stage->n_opened;
	put("actions/a.md", "a", "second");
	assert_int_equal(unlink("actions/b.md"), 0);
	tell_all(stage);
	await_sets(stage, before, 1);
	assert_int_equal(stage->n_opened, opened + 1); /* what is the same is not read again */
	const struct action_set *next = actions_hold(actions);
	assert_true(next->generation > held->generation);
	assert_int_equal(next->n, 2);
	assert_true(str_eq(next->items[0].action->intent, S("second")));
	assert_true(str_eq(held->items[0].action->intent, S("first")));
	assert_true(str_eq(held->items[1].action->intent, S("other")));
	actions_release(next);
	actions_release(held);
	assert_int_equal(n_events(stage, "action.linked"), 3);
	assert_int_equal(n_events(stage, "action.changed"), 1);
	assert_int_equal(n_events(stage, "action.unlinked"), 1);
}

static void for_use_it_is_read_again_without_being_told(void **state)
{
	struct stage *stage = *state;
	put("actions/a.md", "a", "one");
	assert_int_equal(link_at(stage, "actions", NULL), 0);
	assert_intent(stage, "a", "one");
	unsigned opened = stage->n_opened;
	assert_intent(stage, "a", "one");
	assert_int_equal(stage->n_opened, opened);
	write_over("actions/a.md", "a", "two"); /* in place */
	assert_intent(stage, "a", "two");
	put("actions/a.md", "a", "six"); /* by another file */
	assert_intent(stage, "a", "six");
	assert_int_equal(n_events(stage, "action.changed"), 2);

	struct err err = {0};
	const struct action_set *set = NULL;
	write_over("actions/a.md", "", "broken");
	assert_null(actions_use(stage->control.actions, S("a"), &set, &err));
	assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	assert_non_null(strstr(err.message, "the action 'a' cannot be used"));
	assert_int_equal(unlink("actions/a.md"), 0);
	unsigned before = sets(stage);
	tell_all(stage);
	await_sets(stage, before, 1);
	err_clear(&err);
	assert_null(actions_use(stage->control.actions, S("a"), &set, &err));
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_null(set);
}

static void the_switch_is_remembered(void **state)
{
	struct stage *stage = *state;
	struct err err = {0};
	const struct action_set *set = NULL;
	put("actions/a.md", "a", "one");
	assert_int_equal(link_at(stage, "actions/a.md", NULL), 0);
	assert_int_equal(actions_enable(stage->control.actions, S("a"), false, &person, NULL), 0);
	assert_int_equal(actions_enable(stage->control.actions, S("a"), false, &person, NULL), 0);
	assert_int_equal(n_events(stage, "action.disabled"), 1);
	assert_null(actions_use(stage->control.actions, S("a"), &set, &err));
	assert_int_equal(err.class, ERR_ACTION_DISABLED);
	end(stage);
	start(stage);
	assert_null(actions_use(stage->control.actions, S("a"), &set, &err));
	assert_int_equal(actions_enable(stage->control.actions, S("a"), true, &person, NULL), 0);
	assert_intent(stage, "a", "one");
	assert_int_equal(actions_enable(stage->control.actions, S("b"), true, &person, &err), -1);
	assert_int_equal(n_events(stage, "action.linked"), 1); /* the start told nothing anew */
}

static void what_changed_while_nobody_looked_is_told_at_the_start(void **state)
{
	struct stage *stage = *state;
	put("actions/a.md", "a", "one");
	put("actions/b.md", "b", "two");
	assert_int_equal(link_at(stage, "actions", NULL), 0);
	end(stage);
	put("actions/a.md", "a", "six");
	assert_int_equal(unlink("actions/b.md"), 0);
	start(stage);
	assert_intent(stage, "a", "six");
	assert_int_equal(n_events(stage, "action.changed"), 1);
	assert_int_equal(n_events(stage, "action.unlinked"), 1);
}

static void what_broke_among_many_is_not_gone(void **state)
{
	struct stage *stage = *state;
	struct actions *actions = stage->control.actions;
	put("actions/z.md", "z", "last of all");
	assert_int_equal(link_at(stage, "actions", NULL), 0);
	char path[32];
	for (int i = 0; i < ACTION_FAULTS_MAX; i++) {
		snprintf(path, sizeof path, "actions/%03d.md", i);
		assert_int_equal(file_replace(path, S("no action"), 0600, NULL), 0);
	}
	write_over("actions/z.md", "", "broken");
	unsigned before = sets(stage);
	tell_all(stage);
	await_sets(stage, before, 1);
	const struct action_set *set = actions_hold(actions);
	assert_int_equal(set->n_faults, ACTION_FAULTS_MAX + 1);
	actions_release(set);
	assert_int_equal(n_events(stage, "action.unlinked"), 0);
	struct err err = {0};
	assert_null(actions_use(actions, S("z"), &set, &err));
	assert_int_equal(err.class, ERR_VALIDATION_ERROR);
}

static void too_many_links_are_refused(void **state)
{
	struct stage *stage = *state;
	struct err err = {0};
	char name[32];
	int rc = 0;
	for (int i = 0; rc == 0; i++) {
		assert_true(i <= 128);
		snprintf(name, sizeof name, "actions/%d", i);
		assert_int_equal(mkdir(name, 0700), 0);
		rc = link_at(stage, name, &err);
	}
	assert_int_equal(err.class, ERR_LIMIT);
	AUTO(arena) *arena = arena_new();
	struct actions_unlinked gone;
	struct str path = arena_printf(arena, "%s/actions/7/", stage->home);
	assert_int_equal(actions_unlink(stage->control.actions, path, &person, arena, &gone, NULL), 0);
	assert_int_equal(gone.n, 0);
	assert_int_equal(actions_unlink(stage->control.actions, path, &person, arena, &gone, &err), -1);
	assert_int_equal(link_at(stage, name, NULL), 0); /* there is room again */
}

static void a_touch_is_a_new_generation(void **state)
{
	struct stage *stage = *state;
	unsigned before = sets(stage);
	const struct action_set *held = actions_hold(stage->control.actions);
	actions_touch(stage->control.actions);
	await_sets(stage, before, 1);
	const struct action_set *next = actions_hold(stage->control.actions);
	assert_int_equal(next->generation, held->generation + 1);
	actions_release(held);
	actions_release(next);
}

static void *use_often(void *user)
{
	struct stage *stage = user;
	for (int i = 0; i < 200; i++) {
		const struct action_set *set = NULL;
		const struct action_entry *entry = actions_use(stage->control.actions, S("a"), &set, NULL);
		if (entry == NULL)
			return stage; /* it was broken, or not there */
		if (entry->action->intent.n != 3)
			return stage;
		actions_release(set);
	}
	return NULL;
}

static void many_use_it_while_it_changes(void **state)
{
	struct stage *stage = *state;
	pthread_t threads[4];
	put("actions/a.md", "a", "one");
	assert_int_equal(link_at(stage, "actions", NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_often, stage), 0);
	for (int i = 0; i < 20; i++) {
		put("actions/a.md", "a", i % 2 == 0 ? "two" : "one");
		tell_all(stage);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *trouble;
		pthread_join(threads[i], &trouble);
		assert_null(trouble);
	}
	assert_intent(stage, "a", "one");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
int main(void)
{
	/* Descriptor 3 is the link's in every process that has one; nothing else of the test is to get it. */
	if (dup2(STDIN_FILENO, SUPERVISE_FD) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		TEST(a_set_stays_as_it_is_while_it_is_held),
		TEST(for_use_it_is_read_again_without_being_told),
		TEST(the_switch_is_remembered),
		TEST(what_changed_while_nobody_looked_is_told_at_the_start),
		TEST(what_broke_among_many_is_not_gone),
		TEST(too_many_links_are_refused),
		TEST(a_touch_is_a_new_generation),
		TEST(many_use_it_while_it_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
