#include "control/loads.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/wait.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loads {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct load_turn *first;
	size_t n;
};

struct loads *loads_new(void)
{
	struct loads *loads = NEW(struct loads);
	pthread_mutex_init(&loads->lock, NULL);
	wait_init(&loads->changed);
	return loads;
}

void loads_free(struct loads *loads)
{
	if (loads == NULL)
		return;
	pthread_cond_destroy(&loads->changed);
	pthread_mutex_destroy(&loads->lock);
	free(loads);
}

static bool is_gone(const struct load_turn *turn)
{
	return turn->gone != NULL && turn->gone(turn->user);
}

static bool is_loading(const struct loads *loads, const uint8_t *content_hash)
{
	for (const struct load_turn *turn = loads->first; turn != NULL; turn = turn->next) {
		if (memcmp(turn->content_hash, content_hash, CODE_FILE_HASH) == 0)
			return true;
	}
	return false;
}

/* With the lock, which is not held while it is asked whether somebody has gone. False: gone. */
static bool wait_a_while(struct loads *loads, const struct load_turn *turn)
{
	if (wait_until(&loads->changed, &loads->lock, clock_monotonic_ns(NULL) + LOADS_POLL_NS))
		return true;
	pthread_mutex_unlock(&loads->lock);
	bool gone = is_gone(turn);
	pthread_mutex_lock(&loads->lock);
	return !gone;
}

int loads_enter(struct loads *loads, struct load_turn *turn, struct err *err)
{
	bool same = false, stays = true;
	AUTO_FD cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cancel_fd < 0)
		return fail_errno(err, "cannot make an event descriptor");
	pthread_mutex_lock(&loads->lock);
	while (stays && (is_loading(loads, turn->content_hash) || (!same && loads->n >= LOADS_MAX))) {
		same = same || is_loading(loads, turn->content_hash);
		stays = wait_a_while(loads, turn);
	}
	if (stays && !same) {
		turn->cancel_fd = TAKE_FD(cancel_fd);
		turn->next = loads->first;
		loads->first = turn;
		loads->n++;
	}
	pthread_mutex_unlock(&loads->lock);
	if (!stays)
		return fail(err, ERR_CANCELLED, "whoever asked has gone before the connector was loaded");
	return same ? 0 : 1;
}

void loads_leave(struct loads *loads, struct load_turn *turn)
{
	pthread_mutex_lock(&loads->lock);
	struct load_turn **at = &loads->first;
	while (*at != turn)
		at = &(*at)->next;
	*at = turn->next;
	loads->n--;
	pthread_cond_broadcast(&loads->changed);
	pthread_mutex_unlock(&loads->lock);
	close(turn->cancel_fd);
}

bool loads_tend(struct loads *loads)
{
	static const uint64_t one = 1;
	pthread_mutex_lock(&loads->lock);
	for (const struct load_turn *turn = loads->first; turn != NULL; turn = turn->next) {
		if (is_gone(turn))
			(void)!write(turn->cancel_fd, &one, sizeof one);
	}
	bool some = loads->n > 0;
	pthread_mutex_unlock(&loads->lock);
	return some;
}
