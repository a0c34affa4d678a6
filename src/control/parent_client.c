#include "control/parent_client.h"
#include "base/log.h"
#include "base/time.h"
#include "base/vec.h"
#include "base/wait.h"
#include "text/wire.h"
#include <pthread.h>
#include <stdlib.h>

#define ANSWER_MS 10000

/* One worker that waits for an answer with its number. On the worker's stack. */
struct wait {
	struct wait *next;
	uint32_t id, want, refusal; /* types of the frames that answer it */
	bool over;
	int rc;
	struct supervise_message *answer; /* with its descriptors the worker's */
	struct err *err;
};

/* What is asked. */
struct question {
	uint32_t type;
	struct str body;
	int fds[SUPERVISE_FDS_MAX];
	size_t n_fds;
};

/* A runner from the moment it was asked for until it was seen to have ended. */
struct runner {
	struct runner *next;
	uint32_t id;
	char *connector; /* "" = not known */
	bool ended;
	int exit_status, signal;
};

struct parent_client {
	struct parent_listener listener;
	struct loop_source *watch;
	struct peer_launcher launcher;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct wait *waits;
	struct runner *runners;
	uint32_t last_id;
	bool gone;
};

/* ----------------------------------------------------------------------------------------------- what is waited for */

static struct wait *wait_take(struct parent_client *client, uint32_t id, uint32_t type)
{
	for (struct wait **at = &client->waits; *at != NULL; at = &(*at)->next) {
		if ((*at)->id == id && ((*at)->want == type || (*at)->refusal == type)) {
			struct wait *wait = *at;
			*at = wait->next;
			return wait;
		}
	}
	return NULL;
}

static struct runner **runner_find(struct parent_client *client, uint32_t id)
{
	struct runner **at = &client->runners;
	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void runner_forget(struct parent_client *client, uint32_t id)
{
	struct runner **at = runner_find(client, id);
	struct runner *runner = *at;
	if (runner == NULL)
		return;
	*at = runner->next;
	free(runner->connector);
	free(runner);
}

static uint32_t next_id(struct parent_client *client)
{
	if (++client->last_id == 0)
		client->last_id = 1;
	return client->last_id;
}

/* Under the lock, which is let go of while it waits. */
static int ask(struct parent_client *client, const struct question *question, struct wait *wait, struct err *err)
{
	if (client->gone)
		return fail(err, ERR_UNAVAILABLE, "the daemon is ending");
	wait->err = err;
	wait->next = client->waits;
	client->waits = wait;
	pthread_mutex_unlock(&client->lock);
	int sent = supervise_send(SUPERVISE_FD, question->type, wait->id, question->body, question->fds,
				  question->n_fds, NULL);
	pthread_mutex_lock(&client->lock);
	uint64_t deadline_ns = clock_monotonic_ns(NULL) + ANSWER_MS * TIME_MILLISECOND;
	bool in_time = true;
	while (sent == 0 && !wait->over && in_time)
		in_time = wait_until(&client->changed, &client->lock, deadline_ns);
	if (wait->over)
		return wait->rc;
	for (struct wait **at = &client->waits; *at != NULL; at = &(*at)->next) {
		if (*at == wait) {
			*at = wait->next;
			break;
		}
	}
	if (sent < 0)
		return fail(err, ERR_UNAVAILABLE, "the parent cannot be asked");
	return fail(err, ERR_UNAVAILABLE, "the parent did not answer within %d ms", ANSWER_MS);
}

/* --------------------------------------------------------------------------------------------------------- the loop */

static int read_refusal(const struct supervise_message *message, struct err *err)
{
	struct err told;
	err_clear(&told);
	struct wire_reader r = wire_reader(supervise_body(message));
	wire_get_err(&r, &told);
	if (wire_done(&r, "refusal", err) < 0)
		return -1;
	if (told.class == ERR_NONE)
		return fail(err, ERR_PROTOCOL, "the parent refused without saying why");
	if (err != NULL)
		*err = told;
	return -1;
}

static void send_kill(uint32_t id)
{
	/* A parent that is gone has taken its runners along. */
	(void)!supervise_send(SUPERVISE_FD, SUPERVISE_KILL_RUNNER, id, STR_EMPTY, NULL, 0, NULL);
}

/* An answer to a worker; one that nobody waits for any more is dropped with its descriptors. */
static void on_answer(struct parent_client *client, struct supervise_message *message)
{
	uint32_t type = message->frame.type;
	pthread_mutex_lock(&client->lock);
	struct wait *wait = wait_take(client, message->frame.id, type);
	if (wait != NULL) {
		wait->over = true;
		wait->rc = type == wait->refusal ? read_refusal(message, wait->err) : 0;
		*wait->answer = *message;
		if (wait->rc == 0)
			message->n_fds = 0;
		else
			wait->answer->n_fds = 0;
		pthread_cond_broadcast(&client->changed);
	}
	pthread_mutex_unlock(&client->lock);
	bool late_runner = wait == NULL && type == SUPERVISE_RUNNER_STARTED;
	supervise_close_fds(message);
	if (late_runner)
		send_kill(message->frame.id);
}

static void on_runner_ended(struct parent_client *client, const struct supervise_message *message)
{
	struct wire_reader r = wire_reader(supervise_body(message));
	int exit_status = wire_i32(&r), signal = wire_i32(&r);
	bool crashed = wire_bool(&r);
	AUTO_FREE char *connector = NULL; /* whoever waits forgets the runner */
	pthread_mutex_lock(&client->lock);
	struct runner *runner = *runner_find(client, message->frame.id);
	if (runner != NULL) {
		connector = xstrdup(runner->connector);
		runner->ended = true;
		runner->exit_status = exit_status;
		runner->signal = signal;
		pthread_cond_broadcast(&client->changed);
	}
	pthread_mutex_unlock(&client->lock);
	/* One that was to end just then is nobody's any more. */
	if (!crashed || connector == NULL || client->listener.crashed == NULL)
		return;
	const struct child child = {.ended = true, .exit_status = exit_status, .term_signal = signal};
	char how[64];
	client->listener.crashed(client->listener.user, str_from(connector),
				 str_from(child_how_ended(&child, how, sizeof how)));
}

static int on_peer(void *user, enum supervise_role role, int fd, struct err *err)
{
	struct parent_client *client = user;
	(void)err;
	client->listener.peer(client->listener.user, role, fd);
	return 0;
}

static void on_stop(void *user, uint64_t ms)
{
	struct parent_client *client = user;
	client->listener.stop(client->listener.user, ms);
}

static int on_child(struct parent_client *client, const struct supervise_message *message, struct err *err)
{
	struct supervise_child child;
	if (supervise_child_get(supervise_body(message), &child, err) < 0)
		return -1;
	client->listener.child(client->listener.user, &child);
	return 0;
}

static int on_gateway(struct parent_client *client, struct supervise_message *message, struct err *err)
{
	if (message->n_fds != 1)
		return fail(err, ERR_PROTOCOL, "the parent sent no end of a pair for the gateway");
	if (client->listener.gateway != NULL)
		client->listener.gateway(client->listener.user, TAKE_FD(message->fds[0]));
	return 0;
}

static int on_other(void *user, struct supervise_message *message, struct err *err)
{
	struct parent_client *client = user;
	switch (message->frame.type) {
	case SUPERVISE_CHILD:
		return on_child(client, message, err);
	case SUPERVISE_RUNNER_ENDED:
		on_runner_ended(client, message);
		return 0;
	case SUPERVISE_RUNNER_STARTED:
	case SUPERVISE_RUNNER_FAILED:
	case SUPERVISE_FOLDER:
	case SUPERVISE_FOLDER_FAILED:
	case SUPERVISE_WATCHED:
	case SUPERVISE_LISTING:
	case SUPERVISE_FILE:
	case SUPERVISE_WATCH_FAILED:
		on_answer(client, message);
		return 0;
	case SUPERVISE_GATEWAY:
		return on_gateway(client, message, err);
	case SUPERVISE_CHANGED:
		client->listener.changed(client->listener.user, message->frame.id);
		return 0;
	default:
		return supervised_refuse(message, err);
	}
}

void parent_client_close(struct parent_client *client)
{
	loop_source_free(TAKE(client->watch));
	pthread_mutex_lock(&client->lock);
	client->gone = true;
	while (client->waits != NULL) {
		struct wait *wait = client->waits;
		client->waits = wait->next;
		wait->over = true;
		wait->rc = fail(wait->err, ERR_UNAVAILABLE, "the daemon is ending");
	}
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

static void on_gone(struct parent_client *client)
{
	parent_client_close(client);
	client->listener.gone(client->listener.user);
}

static void on_ready(void *user, int what)
{
	(void)what;
	struct parent_client *client = user;
	static struct err err; /* of the loop's thread */
	err_clear(&err);
	const struct supervised_orders orders = {
		.neighbours = 1U << SUPERVISE_KEEPER | 1U << SUPERVISE_EGRESS,
		.peer = on_peer,
		.stop = on_stop,
		.other = on_other,
		.user = client,
	};
	struct supervise_message message;
	int got;
	while ((got = supervise_recv(SUPERVISE_FD, &message, &err)) == 1) {
		got = supervised_obey(SUPERVISE_FD, &message, &orders, &err);
		supervise_close_fds(&message);
		if (got < 0)
			break;
		if (client->watch == NULL)
			return;
	}
	if (got == 2)
		return;
	if (got < 0)
		log_error("parent_link_broken", log_err(&err));
	on_gone(client);
}

/* ----------------------------------------------------------------------------------------------------- the launcher */

/* Descriptors in the order of their numbers in the runner: input, and for `compile` output. */
static size_t ordered_fds(const struct peer_spec *spec, int ret[SUPERVISE_FDS_MAX])
{
	_Static_assert(PEER_FDS_MAX == 2 && PEER_FDS_MAX <= SUPERVISE_FDS_MAX,
		       "two at most, which one comparison sorts");
	for (size_t i = 0; i < spec->n_fds; i++)
		ret[i] = spec->fds[i].from;
	if (spec->n_fds == 2 && spec->fds[0].to > spec->fds[1].to) {
		ret[0] = spec->fds[1].from;
		ret[1] = spec->fds[0].from;
	}
	return spec->n_fds;
}

static int read_started(struct supervise_message *answer, struct peer_started *ret, struct err *err)
{
	struct wire_reader r = wire_reader(supervise_body(answer));
	uint32_t pid = wire_u32(&r);
	uint64_t namespaces = wire_u64(&r);
	if (wire_done(&r, "runner started", err) < 0 || answer->n_fds != 2) {
		supervise_close_fds(answer);
		return fail(err, ERR_PROTOCOL, "the parent's word of a new runner cannot be read");
	}
	*ret = (struct peer_started){.id = answer->frame.id,
				     .pid = (int)pid,
				     .namespaces = namespaces,
				     .socket_fd = answer->fds[0],
				     .stderr_fd = answer->fds[1]};
	return 0;
}

/* The last word about a runner: nobody asks how it ended. */
static void kill_runner(void *context, uint32_t id)
{
	struct parent_client *client = context;
	pthread_mutex_lock(&client->lock);
	const struct runner *runner = *runner_find(client, id);
	bool lives = runner != NULL && !runner->ended;
	runner_forget(client, id);
	pthread_mutex_unlock(&client->lock);
	if (lives)
		send_kill(id);
}

static int launch(void *context, const struct peer_spec *spec, struct peer_started *ret, struct err *err)
{
	struct parent_client *client = context;
	bool serves = spec->life != NULL && strcmp(spec->life, "serve") == 0;
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u8(&body, serves ? 1 : 0);
	struct question question = {.type = SUPERVISE_START_RUNNER, .body = buf_str(&body)};
	question.n_fds = ordered_fds(spec, question.fds);
	struct supervise_message answer = {.n_fds = 0};
	struct wait wait = {.want = SUPERVISE_RUNNER_STARTED, .refusal = SUPERVISE_RUNNER_FAILED, .answer = &answer};

	pthread_mutex_lock(&client->lock);
	wait.id = next_id(client);
	struct runner *runner = NEW(struct runner);
	*runner = (struct runner){.next = client->runners, .id = wait.id, .connector = str_dup(spec->connector)};
	client->runners = runner;
	int rc = ask(client, &question, &wait, err);
	bool lies = rc == 0 && read_started(&answer, ret, err) < 0;
	if (rc < 0 || lies)
		runner_forget(client, wait.id);
	pthread_mutex_unlock(&client->lock);
	if (lies)
		send_kill(wait.id);
	return rc < 0 || lies ? wrap(err, "starting a runner") : 0;
}

static int runner_ended(void *context, uint32_t id, int ms, int *ret_exit_status, int *ret_signal)
{
	struct parent_client *client = context;
	uint64_t deadline_ns = ms < 0 ? UINT64_MAX : clock_monotonic_ns(NULL) + (uint64_t)ms * TIME_MILLISECOND;
	pthread_mutex_lock(&client->lock);
	struct runner *runner;
	bool in_time = true;
	while ((runner = *runner_find(client, id)) != NULL && !runner->ended && !client->gone && in_time)
		in_time = wait_until(&client->changed, &client->lock, deadline_ns);
	int rc = runner == NULL || runner->ended || client->gone ? 1 : 0;
	if (rc == 1) {
		*ret_exit_status = runner != NULL && runner->ended ? runner->exit_status : -1;
		*ret_signal = runner != NULL && runner->ended ? runner->signal : 0;
		runner_forget(client, id);
	}
	pthread_mutex_unlock(&client->lock);
	return rc;
}

const struct peer_launcher *parent_launcher(struct parent_client *client)
{
	return &client->launcher;
}

/* ------------------------------------------------------------------------------------------------------- the client */

struct parent_client *parent_client_new(struct loop *loop, const struct parent_listener *listener, struct err *err)
{
	struct parent_client *client = NEW(struct parent_client);
	client->listener = *listener;
	client->launcher =
		(struct peer_launcher){.start = launch, .kill = kill_runner, .ended = runner_ended, .context = client};
	pthread_mutex_init(&client->lock, NULL);
	wait_init(&client->changed);
	client->watch = loop_watch(loop, SUPERVISE_FD, LOOP_READ, on_ready, client, err);
	if (client->watch != NULL)
		return client;
	parent_client_free(client);
	return NULL;
}

void parent_client_free(struct parent_client *client)
{
	if (client == NULL)
		return;
	loop_source_free(client->watch);
	while (client->runners != NULL)
		runner_forget(client, client->runners->id);
	pthread_cond_destroy(&client->changed);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

int parent_open_folder(struct parent_client *client, struct str path, struct arena *arena, struct str *ret_path,
		       int *ret_manifest, int *ret_wasm, struct err *err)
{
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_str(&body, path);
	if (buf_check(&body, "the path of the folder", err) < 0)
		return -1;
	const struct question question = {.type = SUPERVISE_OPEN_FOLDER, .body = buf_str(&body)};
	struct supervise_message answer;
	struct wait wait = {.want = SUPERVISE_FOLDER, .refusal = SUPERVISE_FOLDER_FAILED, .answer = &answer};
	pthread_mutex_lock(&client->lock);
	wait.id = next_id(client);
	int rc = ask(client, &question, &wait, err);
	pthread_mutex_unlock(&client->lock);
	if (rc < 0)
		return -1;
	struct wire_reader r = wire_reader(supervise_body(&answer));
	struct str canonical = wire_str(&r);
	if (wire_done(&r, "folder", err) < 0 || answer.n_fds != 2) {
		supervise_close_fds(&answer);
		return fail(err, ERR_PROTOCOL, "the parent's word of a folder cannot be read");
	}
	*ret_path = arena_str(arena, canonical);
	*ret_manifest = answer.fds[0];
	*ret_wasm = answer.fds[1];
	return 0;
}

/* ---------------------------------------------------------------------------------------------------- watched files */

/* WATCH, LIST or OPEN_FILE; *ret_id may be NULL. The answer's descriptors are the caller's. */
struct asking {
	uint32_t type, want;
	struct str body;
};
static int ask_about_files(struct parent_client *client, const struct asking *asking, struct supervise_message *ret,
			   uint32_t *ret_id, struct err *err)
{
	const struct question question = {.type = asking->type, .body = asking->body};
	struct wait wait = {.want = asking->want, .refusal = SUPERVISE_WATCH_FAILED, .answer = ret};
	pthread_mutex_lock(&client->lock);
	wait.id = next_id(client);
	int rc = ask(client, &question, &wait, err);
	pthread_mutex_unlock(&client->lock);
	if (rc == 0 && ret_id != NULL)
		*ret_id = wait.id;
	return rc;
}

void parent_unwatch(struct parent_client *client, uint32_t watch)
{
	(void)client;
	/* A parent that is gone watches nothing. */
	(void)!supervise_send(SUPERVISE_FD, SUPERVISE_UNWATCH, watch, STR_EMPTY, NULL, 0, NULL);
}

void parent_notify(struct parent_client *client, struct str id)
{
	(void)client;
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_str(&body, id);
	const struct supervise_outgoing notice = {.type = SUPERVISE_NOTIFY, .body = buf_str(&body)};
	/* Where the parent has no time for it, the page and `approval watch` tell it all the same. */
	if (supervise_notice_is_valid(id) && buf_ok(&body))
		(void)!supervise_try_send(SUPERVISE_FD, &notice, NULL);
}

void parent_gateway_lost(struct parent_client *client, uint32_t had)
{
	(void)client;
	const struct supervise_outgoing lost = {.type = SUPERVISE_GATEWAY_LOST, .id = had};
	(void)!supervise_try_send(SUPERVISE_FD, &lost, NULL);
}

int parent_watch(struct parent_client *client, const struct parent_watch *watch, struct arena *arena,
		 uint32_t *ret_watch, struct str *ret_path, struct err *err)
{
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u8(&body, (uint8_t)watch->kind);
	wire_put_bool(&body, watch->keep);
	wire_put_str(&body, watch->path);
	if (buf_check(&body, "the path", err) < 0)
		return -1;
	const struct asking asking = {SUPERVISE_WATCH, SUPERVISE_WATCHED, buf_str(&body)};
	struct supervise_message answer;
	uint32_t id = 0;
	if (ask_about_files(client, &asking, &answer, &id, err) < 0)
		return -1;
	supervise_close_fds(&answer);
	struct wire_reader r = wire_reader(supervise_body(&answer));
	struct str path = wire_str(&r);
	if (wire_done(&r, "watch", err) < 0) {
		parent_unwatch(client, id);
		return -1;
	}
	*ret_watch = id;
	if (ret_path != NULL)
		*ret_path = arena_str(arena, path);
	return 0;
}

struct listing {
	struct arena *arena;
	VEC(struct parent_file) files;
	bool more;
};

static int read_page(struct listing *listing, struct str body, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	listing->more = wire_bool(&r);
	uint32_t n = wire_count(&r, 12);
	for (uint32_t i = 0; i < n; i++) {
		struct str name = wire_str(&r);
		uint64_t stamp = wire_u64(&r);
		if (!r.bad && !vec_push(&listing->files, (struct parent_file){arena_str(listing->arena, name), stamp}))
			return fail(err, ERR_PROTOCOL, "the parent's list of files does not end");
	}
	if (n == 0 && listing->more)
		return fail(err, ERR_PROTOCOL, "the parent's list of files does not go on");
	return wire_done(&r, "list of files", err);
}

static int ask_page(struct parent_client *client, uint32_t watch, struct listing *listing, struct err *err)
{
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u32(&body, watch);
	wire_put_str(&body, listing->files.n > 0 ? vec_last(&listing->files)->name : STR_EMPTY);
	const struct asking asking = {SUPERVISE_LIST, SUPERVISE_LISTING, buf_str(&body)};
	struct supervise_message answer;
	if (ask_about_files(client, &asking, &answer, NULL, err) < 0)
		return -1;
	supervise_close_fds(&answer);
	return read_page(listing, supervise_body(&answer), err);
}

int parent_list(struct parent_client *client, uint32_t watch, struct arena *arena, struct parent_files *ret,
		struct err *err)
{
	struct listing listing = {.arena = arena, .files = VEC_INIT(SUPERVISE_WATCH_FILES_MAX)};
	int rc;
	do
		rc = ask_page(client, watch, &listing, err);
	while (rc == 0 && listing.more);
	if (rc == 0) {
		ret->n = listing.files.n;
		ret->items = arena_array(arena, ret->n + 1, sizeof *ret->items);
		for (size_t i = 0; i < ret->n; i++)
			ret->items[i] = listing.files.items[i];
	}
	vec_release(&listing.files);
	return rc;
}

int parent_open_file(struct parent_client *client, uint32_t watch, struct str name, uint64_t *ret_stamp,
		     struct err *err)
{
	AUTO_BUF body = BUF_INIT(SUPERVISE_BODY);
	wire_put_u32(&body, watch);
	wire_put_str(&body, name);
	const struct asking asking = {SUPERVISE_OPEN_FILE, SUPERVISE_FILE, buf_str(&body)};
	struct supervise_message answer;
	if (buf_check(&body, "the name of the file", err) < 0 ||
	    ask_about_files(client, &asking, &answer, NULL, err) < 0)
		return -1;
	struct wire_reader r = wire_reader(supervise_body(&answer));
	uint64_t stamp = wire_u64(&r);
	if (wire_done(&r, "file", err) < 0 || answer.n_fds != 1) {
		supervise_close_fds(&answer);
		return fail(err, ERR_PROTOCOL, "the parent's word of a file cannot be read");
	}
	*ret_stamp = stamp;
	return answer.fds[0];
}
