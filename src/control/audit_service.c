#include "control/audit_service.h"
#include "base/log.h"
#include "base/time.h"
#include "base/wait.h"
#include "control/history.h"
#include "control/keeper_client.h"
#include "control/workers.h"
#include "text/wire.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOOK_MS     1000 /* between a commit and the look whether a checkpoint is due */
#define LOOK_IDLE_S 600  /* without commits */
#define DAY_NS      (24 * TIME_HOUR)

struct audit_service {
	struct control *control;
	struct loop_source *wake, *timer;
	uint64_t retained_ns; /* of whoever looks: when old checkpoints were dropped last, monotonic */
	uint64_t keep_ns;     /* 0 = for ever */
	_Atomic bool looking; /* a worker does */
	_Atomic bool armed;   /* a look is near; set by whoever writes, taken back on the loop's thread */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	uint64_t commits;
	size_t followers;
	bool stopped;
};

/* ------------------------------------------------------------------------------------------------------ checkpoints */

int audit_sign_head(struct control *control, const struct audit_head *head, uint64_t count, struct audit_signature *ret,
		    struct err *err)
{
	unsigned char message[AUDIT_HEAD_MESSAGE];
	audit_head_message(head, count, message);
	AUTO_BUF body = BUF_INIT(AUDIT_HEAD_MESSAGE + 8);
	wire_put_str(&body, str_of(message, sizeof message));
	AUTO(arena) *arena = arena_new();
	struct str answer;
	if (keeper_ask(control->keeper, KEEPER_SIGN_HEAD, buf_str(&body), arena, &answer, err) < 0)
		return -1;
	if (answer.n != sizeof *ret)
		return fail(err, ERR_PROTOCOL, "the keeper's signature has %zu bytes", answer.n);
	memcpy(ret->signature, answer.p, sizeof ret->signature);
	memcpy(ret->public_key, answer.p + sizeof ret->signature, sizeof ret->public_key);
	return 0;
}

struct checkpoint {
	struct audit_head head;
	struct audit_signature signature;
};

static int store_checkpoint(struct db_tx *tx, void *user, struct err *err)
{
	const struct checkpoint *checkpoint = user;
	const struct audit_signature *s = &checkpoint->signature;
	return audit_checkpoint_store(tx, &checkpoint->head, str_of(s->signature, sizeof s->signature),
				      str_of(s->public_key, sizeof s->public_key), err);
}

static int make_checkpoint(struct audit_service *service, struct err *err)
{
	struct checkpoint checkpoint;
	struct db_tx *tx = db_read(service->control->db);
	bool due = audit_checkpoint_due(tx, clock_wall_ns(NULL), &checkpoint.head);
	db_done(tx);
	if (!due)
		return 0;
	if (audit_sign_head(service->control, &checkpoint.head, checkpoint.head.seq, &checkpoint.signature, err) < 0)
		return -1;
	return db_write(service->control->db, store_checkpoint, &checkpoint, err);
}

struct retention {
	int64_t (*drop)(struct db_tx *tx, uint64_t older_than_ns, struct err *err);
	uint64_t older_than_ns;
	int64_t dropped;
};

static int retain(struct db_tx *tx, void *user, struct err *err)
{
	struct retention *retention = user;
	retention->dropped = retention->drop(tx, retention->older_than_ns, err);
	return retention->dropped < 0 ? -1 : 0;
}

/* Piece by piece, so that others write in between. */
static uint64_t drop_all(struct audit_service *service, struct retention *retention)
{
	struct err err;
	err_clear(&err);
	uint64_t all = 0;
	do {
		if (db_write(service->control->db, retain, retention, &err) < 0) {
			log_warn("old_rows_not_dropped", log_err(&err));
			return all;
		}
		all += (uint64_t)retention->dropped;
	} while (retention->dropped > 0 && !service->control->over);
	return all;
}

/* Once an hour is often enough; each time is a commit, which is a reason to look again. */
static void drop_old(struct audit_service *service)
{
	uint64_t now = clock_wall_ns(NULL), monotonic = clock_monotonic_ns(NULL);
	if (service->keep_ns == 0 || now <= service->keep_ns)
		return;
	if (service->retained_ns != 0 && monotonic - service->retained_ns < TIME_HOUR)
		return;
	service->retained_ns = monotonic;
	struct retention events = {.drop = audit_retain, .older_than_ns = now - service->keep_ns};
	struct retention history = {.drop = history_forget, .older_than_ns = events.older_than_ns};
	uint64_t n_events = drop_all(service, &events), n_rows = drop_all(service, &history);
	if (n_events > 0 || n_rows > 0)
		log_info("old_rows_dropped", log_u64("events", n_events), log_u64("history", n_rows));
}

static void look(void *user)
{
	struct audit_service *service = user;
	struct err err;
	err_clear(&err);
	/* A keeper that is being restarted signs at the next look. */
	if (make_checkpoint(service, &err) < 0)
		log_warn("checkpoint_not_made", log_err(&err));
	drop_old(service);
	service->looking = false;
}

static void on_timer(void *user, int what)
{
	(void)what;
	struct audit_service *service = user;
	service->armed = false;
	loop_timer_start(service->timer, LOOK_IDLE_S * 1000, 0);
	if (service->looking)
		return;
	service->looking = true;
	if (!workers_add(service->control->workers, look, service))
		service->looking = false;
}

static void on_wake(void *user, int what)
{
	(void)what;
	struct audit_service *service = user;
	loop_timer_start(service->timer, LOOK_MS, 0);
}

/* -------------------------------------------------------------------------------------------------------- following */

/* On the thread that wrote. */
static void on_commit(void *user)
{
	struct audit_service *service = user;
	pthread_mutex_lock(&service->lock);
	service->commits++;
	if (service->followers > 0)
		pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);
	if (!atomic_exchange(&service->armed, true))
		loop_wake(service->wake);
}

int audit_follow(struct audit_service *service, struct err *err)
{
	pthread_mutex_lock(&service->lock);
	bool stopped = service->stopped, room = service->followers < AUDIT_FOLLOWERS;
	service->followers += room && !stopped;
	pthread_mutex_unlock(&service->lock);
	if (stopped)
		return fail(err, ERR_UNAVAILABLE, "the daemon is stopping");
	if (!room)
		return fail(err, ERR_UNAVAILABLE, "the record is streamed %d times already; end one", AUDIT_FOLLOWERS);
	return 0;
}

void audit_unfollow(struct audit_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->followers--;
	pthread_mutex_unlock(&service->lock);
}

bool audit_wait(struct audit_service *service, uint64_t *seen, uint64_t ms)
{
	uint64_t deadline_ns = clock_monotonic_ns(NULL) + ms * TIME_MILLISECOND;
	bool in_time = true;
	pthread_mutex_lock(&service->lock);
	while (!service->stopped && service->commits == *seen && in_time)
		in_time = wait_until(&service->changed, &service->lock, deadline_ns);
	*seen = service->commits;
	bool go_on = !service->stopped;
	pthread_mutex_unlock(&service->lock);
	return go_on;
}

/* ------------------------------------------------------------------------------------------------------- life cycle */

struct audit_service *audit_service_new(struct control *control, struct err *err)
{
	struct audit_service *service = NEW(struct audit_service);
	service->control = control;
	service->keep_ns =
		MIN(supervise_setting_u64(control->start, SETTING_AUDIT_KEEP_DAYS, 0), SETTING_AUDIT_KEEP_DAYS_MAX) *
		DAY_NS;
	pthread_mutex_init(&service->lock, NULL);
	wait_init(&service->changed);
	service->timer = loop_timer(control->loop, on_timer, service);
	service->wake = loop_wakeup(control->loop, on_wake, service, err);
	if (service->wake == NULL) {
		audit_service_free(service);
		return NULL;
	}
	loop_source_background(service->timer);
	loop_source_background(service->wake);
	db_on_commit(control->db, on_commit, service);
	return service;
}

void audit_service_stop(struct audit_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->stopped = true;
	pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);
}

void audit_service_free(struct audit_service *service)
{
	if (service == NULL)
		return;
	loop_source_free(service->timer);
	loop_source_free(service->wake);
	pthread_cond_destroy(&service->changed);
	pthread_mutex_destroy(&service->lock);
	free(service);
}
