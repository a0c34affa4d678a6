#include "daemon/watches.h"
#include "base/vec.h"
#include "daemon/watched.h"
#include "text/wire.h"
#include <stdlib.h>

struct watch {
	uint32_t id;
	uint64_t stamp; /* as it was told last */
	struct watched watched;
};

struct watches {
	struct process *control;
	struct loop_source *timer;
	VEC(struct watch *) items;
	size_t next; /* where the next turn begins */
};

static void on_turn(void *user, int what);

struct watches *watches_new(struct loop *loop, struct process *control)
{
	struct watches *watches = NEW(struct watches);
	watches->control = control;
	watches->items.cap = SUPERVISE_WATCHES_MAX;
	watches->timer = loop_timer(loop, on_turn, watches);
	return watches;
}

void watches_clear(struct watches *watches)
{
	VEC_FOREACH (watch, &watches->items)
		free(*watch);
	vec_clear(&watches->items);
	watches->next = 0;
	loop_timer_stop(watches->timer);
}

void watches_free(struct watches *watches)
{
	if (watches == NULL)
		return;
	watches_clear(watches);
	loop_source_free(watches->timer);
	vec_release(&watches->items);
	free(watches);
}

static struct watch *find(const struct watches *watches, uint32_t id)
{
	for (size_t i = 0; i < watches->items.n; i++) {
		if (watches->items.items[i]->id == id)
			return watches->items.items[i];
	}
	return NULL;
}

/* ---- changes */

static void on_turn(void *user, int what)
{
	(void)what;
	struct watches *watches = user;
	size_t told = 0;
	for (size_t i = 0; i < watches->items.n && told < WATCHES_TOLD; i++) {
		struct watch *watch = watches->items.items[watches->next++ % watches->items.n];
		uint64_t stamp = watched_stamp(&watch->watched);
		if (stamp == watch->stamp)
			continue;
		watch->stamp = stamp;
		process_send(watches->control, SUPERVISE_CHANGED, watch->id, STR_EMPTY, NULL, 0);
		told++;
	}
}

/* ---- requests */

static void refuse(struct watches *watches, uint32_t id, const struct err *err)
{
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	supervise_put_err(&body, err);
	process_send(watches->control, SUPERVISE_WATCH_FAILED, id, buf_str(&body), NULL, 0);
}

static int add(struct watches *watches, uint32_t id, const struct watched *watched, struct err *err)
{
	struct watch *watch = NEW(struct watch);
	*watch = (struct watch){.id = id, .stamp = watched_stamp(watched), .watched = *watched};
	if (!vec_push(&watches->items, watch)) {
		free(watch);
		return fail(err, ERR_LIMIT, "more than %d files and folders cannot be watched", SUPERVISE_WATCHES_MAX);
	}
	if (watches->items.n == 1)
		loop_timer_start(watches->timer, WATCHES_MS, WATCHES_MS);
	return 0;
}

static bool asked_to_watch(struct watches *watches, const struct supervise_message *m, struct err *err)
{
	static struct watched watched;
	struct wire_reader r = wire_reader(supervise_body(m));
	uint8_t kind = wire_u8(&r);
	bool keep = wire_bool(&r);
	struct str path = wire_str(&r);
	if (wire_done(&r, "watch", NULL) != 0 || kind >= SUPERVISE_WATCH__MAX || find(watches, m->frame.id) != NULL)
		return false;
	if (watched_name((enum supervise_watch)kind, path, keep, &watched, err) != 0 ||
	    add(watches, m->frame.id, &watched, err) != 0) {
		refuse(watches, m->frame.id, err);
		return true;
	}
	AUTO_BUF told = BUF_INIT(PATH_MAX);
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	watched_put_path(&watched, &told);
	wire_put_str(&body, buf_str(&told));
	process_send(watches->control, SUPERVISE_WATCHED, m->frame.id, buf_str(&body), NULL, 0);
	return true;
}

/* A watch that is not there is none: what was refused, or ended by an earlier message. */
static void asked_to_end(struct watches *watches, uint32_t id)
{
	for (size_t i = 0; i < watches->items.n; i++) {
		if (watches->items.items[i]->id == id) {
			free(watches->items.items[i]);
			vec_remove(&watches->items, i);
			break;
		}
	}
	if (watches->items.n == 0)
		loop_timer_stop(watches->timer);
}

static void put_page(struct buf *body, const struct watched_files *files, const char *after)
{
	AUTO_BUF rows = BUF_INIT(SUPERVISE_BODY);
	uint32_t n = 0;
	size_t at = 0;
	while (at < files->n && strcmp(files->items[at].name, after) <= 0)
		at++;
	for (; at < files->n; at++) {
		struct str name = str_from(files->items[at].name);
		if (rows.n + name.n + 32 > SUPERVISE_BODY)
			break;
		wire_put_str(&rows, name);
		wire_put_u64(&rows, files->items[at].stamp);
		n++;
	}
	wire_put_bool(body, at < files->n);
	wire_put_u32(body, n);
	buf_add_str(body, buf_str(&rows));
}

struct question {
	const struct watch *watch; /* NULL: it is not watched */
	struct str name;
};

static bool read_question(const struct watches *watches, const struct supervise_message *m, struct question *ret)
{
	struct wire_reader r = wire_reader(supervise_body(m));
	uint32_t id = wire_u32(&r);
	ret->name = wire_str(&r);
	ret->watch = find(watches, id);
	return wire_done(&r, "question", NULL) == 0 && ret->name.n <= SUPERVISE_NAME_MAX;
}

static int list(struct watches *watches, uint32_t id, const struct question *question, struct err *err)
{
	AUTO_WATCHED_FILES files = {0};
	if (watched_list(&question->watch->watched, &files, err) != 0)
		return -1;
	AUTO_FREE char *after = str_dup(question->name);
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	put_page(&body, &files, after);
	process_send(watches->control, SUPERVISE_LISTING, id, buf_str(&body), NULL, 0);
	return 0;
}

static int open_file(struct watches *watches, uint32_t id, const struct question *question, struct err *err)
{
	uint64_t stamp = 0;
	AUTO_FD fd = watched_open(&question->watch->watched, question->name, &stamp, err);
	if (fd < 0)
		return -1;
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u64(&body, stamp);
	process_send(watches->control, SUPERVISE_FILE, id, buf_str(&body), &fd, 1);
	return 0;
}

static bool asked_for_files(struct watches *watches, const struct supervise_message *m, struct err *err)
{
	struct question question;
	if (!read_question(watches, m, &question))
		return false;
	int rc;
	if (question.watch == NULL)
		rc = fail(err, ERR_INVALID_REQUEST, "it is not watched");
	else if (m->frame.type == SUPERVISE_LIST)
		rc = list(watches, m->frame.id, &question, err);
	else
		rc = open_file(watches, m->frame.id, &question, err);
	if (rc != 0)
		refuse(watches, m->frame.id, err);
	return true;
}

bool watches_asked(struct watches *watches, const struct supervise_message *m)
{
	static struct err err;
	err_clear(&err);
	if (m->n_fds != 0)
		return false;
	switch (m->frame.type) {
	case SUPERVISE_WATCH:
		return asked_to_watch(watches, m, &err);
	case SUPERVISE_UNWATCH:
		asked_to_end(watches, m->frame.id);
		return m->frame.n == 0;
	default:
		return asked_for_files(watches, m, &err);
	}
}
