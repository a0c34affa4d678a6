#include "base/log.h"
#include "base/time.h"
#include "base/wait.h"
#include "control/calls_private.h"
#include "control/loads.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>

#define GONE_POLL_NS (250 * TIME_MILLISECOND) /* how often a waiting worker asks whether its client is still there */

/*
 * A call alone looks so long before it sleeps: a core that has gone idle wakes up in about the time that a runner or egress
 * takes, and there are three such waits in a call of one request. Whoever else wants the core has it.
 */
#define LOOK_NS     (500 * TIME_MICROSECOND)
#define LOOK_ALL_NS (5 * TIME_MILLISECOND) /* in all its waits */

/*
 * The pool of runners and the link to egress are driven by one thread at a time: it leads. Whoever waits for a task leads when
 * nobody does, until that is done, so that a call alone pays for no switch of threads; then one of the others that wait does.
 * While nobody waits, the thread sees to what has its time, in a moment of leading.
 */

/* -------------------------------------------------------------------------------------------------- between the threads */

static void ring(int fd)
{
	const uint64_t one = 1;
	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void calls_wake(struct calls *calls)
{
	ring(calls->wake_fd);
	ring(calls->thread_fd);
}

void calls_task_init(struct task *task, void (*begin)(struct calls *, struct task *))
{
	*task = (struct task){.begin = begin};
	wait_init(&task->wake);
}

/* Under the lock. */
static void leave_awaited(struct calls *calls, const struct task *task)
{
	for (struct task **at = &calls->awaited; *at != NULL; at = &(*at)->next_awaited) {
		if (*at == task) {
			*at = task->next_awaited;
			return;
		}
	}
}

void calls_finish(struct calls *calls, struct task *task)
{
	pthread_mutex_lock(&calls->lock);
	task->done = true;
	leave_awaited(calls, task);
	pthread_cond_signal(&task->wake);
	pthread_mutex_unlock(&calls->lock);
}

/* Under the lock: one of those who wait leads on. */
static void pass_on(struct calls *calls)
{
	calls->led = false;
	if (calls->awaited != NULL)
		pthread_cond_signal(&calls->awaited->wake);
}

/* ------------------------------------------------------------------------------------------------------------- leading */

static int until(uint64_t deadline)
{
	if (deadline == UINT64_MAX)
		return -1;
	uint64_t now = clock_monotonic_ns(NULL);
	uint64_t left = deadline > now ? (deadline - now + MS - 1) / MS : 0;
	return (int)MIN(left, UINT64_C(3600000));
}

/* For a while, as long as something of `left_ns` is left. */
static bool look(struct pollfd *fds, nfds_t n, uint64_t *left_ns)
{
	uint64_t start = clock_monotonic_ns(NULL), now = start, most = MIN(*left_ns, LOOK_NS);
	int ready;
	while ((ready = poll(fds, n, 0)) == 0 && now - start < most) {
		sched_yield();
		now = clock_monotonic_ns(NULL);
	}
	*left_ns -= MIN(*left_ns, now - start);
	return ready != 0;
}

static void wait_for_something(struct calls *calls, uint64_t deadline, uint64_t *look_ns)
{
	struct pollfd fds[CALLS_RUNNERS_MAX + 2];
	size_t n = 0;
	fds[n++] = (struct pollfd){.fd = calls->wake_fd, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = egress_link_fd(calls->link), .events = egress_link_events(calls->link)};
	deadline = MIN(deadline, egress_link_deadline(calls->link));
	for (size_t i = 0; i < runner_pool_count(calls->pool) && n < ARRAY_LEN(fds); i++) {
		const struct runner *runner = runner_pool_at(calls->pool, i);
		fds[n++] = (struct pollfd){.fd = runner_fd(runner), .events = runner_events(runner)};
		deadline = MIN(deadline, runner_deadline(runner));
	}
	if (!calls_is_one_run(calls) || !look(fds, n, look_ns))
		(void)poll(fds, n, until(deadline));
	uint64_t count;
	if (fds[0].revents != 0)
		(void)!read(calls->wake_fd, &count, sizeof count);
}

static void attach_egress(struct calls *calls, int fd)
{
	struct err err = {0};
	if (egress_link_attach(calls->link, fd, &err) < 0)
		log_error("egress_not_attached", log_err(&err));
}

/* Takes over what workers handed in. True when all is to end. */
static bool take_tasks(struct calls *calls)
{
	pthread_mutex_lock(&calls->lock);
	struct task *task = TAKE(calls->first);
	calls->last = &calls->first;
	int egress = TAKE_FD(calls->egress_fd);
	bool stopping = calls->stopping;
	pthread_mutex_unlock(&calls->lock);
	if (egress >= 0)
		attach_egress(calls, egress);
	while (task != NULL) {
		struct task *next = task->next;
		task->begin(calls, task);
		task = next;
	}
	return stopping;
}

void calls_process_runners(struct calls *calls)
{
	for (size_t i = 0; i < runner_pool_count(calls->pool); i++)
		(void)runner_process(runner_pool_at(calls->pool, i), NULL);
}

/* What there is to do now. */
static void look_round(struct calls *calls)
{
	bool stopping = take_tasks(calls);
	egress_link_process(calls->link);
	calls_process_runners(calls);
	calls_tend_runs(calls, stopping);
	uint64_t now = clock_monotonic_ns(NULL);
	calls->due = MIN(runner_pool_expire(calls->pool, now), egress_link_deadline(calls->link));
	if (runner_pool_count(calls->pool) != calls->served.n)
		calls_prune_served(calls);
	if (loads_tend(calls->loads))
		calls->due = MIN(calls->due, now + LOADS_POLL_NS);
}

/* Under the lock, which is let go of meanwhile: until the task is done. */
static void lead(struct calls *calls, struct task *task)
{
	calls->led = true;
	pthread_mutex_unlock(&calls->lock);
	uint64_t poll_ns = clock_monotonic_ns(NULL) + GONE_POLL_NS, look_ns = LOOK_ALL_NS;
	for (;;) {
		look_round(calls);
		if (task->done) /* by us alone, now */
			break;
		wait_for_something(calls, task->tick != NULL ? MIN(poll_ns, calls->due) : calls->due, &look_ns);
		if (task->tick != NULL && clock_monotonic_ns(NULL) >= poll_ns) {
			task->tick(calls, task);
			poll_ns = clock_monotonic_ns(NULL) + GONE_POLL_NS;
		}
	}
	pthread_mutex_lock(&calls->lock);
	pass_on(calls);
	/* Who waits sees to everything; when nobody does, the thread. */
	if (calls->awaited == NULL && (calls->due < calls->thread_until || calls->egress_fd >= 0 || calls->stopping))
		ring(calls->thread_fd);
}

/* Under the lock: until it is done, or its turn to lead may have come. */
static void follow(struct calls *calls, struct task *task)
{
	uint64_t poll_ns = task->tick != NULL ? clock_monotonic_ns(NULL) + GONE_POLL_NS : UINT64_MAX;
	task->next_awaited = calls->awaited;
	calls->awaited = task;
	while (!task->done && calls->led) {
		if (wait_until(&task->wake, &calls->lock, poll_ns) || task->done)
			continue;
		pthread_mutex_unlock(&calls->lock);
		task->tick(calls, task);
		pthread_mutex_lock(&calls->lock);
		poll_ns = clock_monotonic_ns(NULL) + GONE_POLL_NS;
	}
	leave_awaited(calls, task);
}

void calls_perform(struct calls *calls, struct task *task)
{
	pthread_mutex_lock(&calls->lock);
	*calls->last = task;
	calls->last = &task->next;
	if (calls->led)
		ring(calls->wake_fd);
	while (!task->done) {
		if (calls->led)
			follow(calls, task);
		else
			lead(calls, task);
	}
	pthread_mutex_unlock(&calls->lock);
	pthread_cond_destroy(&task->wake);
}

/* Looks when it is rung for and when it is time, until all is to end and nobody waits for anything. */
void *calls_thread(void *user)
{
	struct calls *calls = user;
	pthread_mutex_lock(&calls->lock);
	for (;;) {
		calls->thread_until = UINT64_MAX; /* the last who leads rings */
		if (!calls->led) {
			calls->led = true;
			pthread_mutex_unlock(&calls->lock);
			look_round(calls);
			pthread_mutex_lock(&calls->lock);
			calls->thread_until = calls->due;
			pass_on(calls);
			if (calls->stopping && calls->awaited == NULL && calls->running == NULL)
				break;
			if (calls->egress_fd >= 0) /* came after the look */
				continue;
		}
		struct pollfd bell = {.fd = calls->thread_fd, .events = POLLIN};
		uint64_t count, until_ns = calls->thread_until;
		pthread_mutex_unlock(&calls->lock);
		(void)poll(&bell, 1, until(until_ns));
		(void)!read(calls->thread_fd, &count, sizeof count);
		pthread_mutex_lock(&calls->lock);
	}
	pthread_mutex_unlock(&calls->lock);
	return NULL;
}
