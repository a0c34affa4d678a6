#include "egress/resolve.h"
#include "base/escape.h"
#include "base/map.h"
#include "os/loop.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define RESOLVE_FLIGHTS_MAX 4096 /* names asked for at once: queries and threads, of which callers have far fewer */

/* One lookup, handed from the loop to a thread and back. */
struct job {
	struct job *next;
	char *host;
	struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
	size_t n;
	int code; /* of getaddrinfo() */
	int os_errno;
};

/* What loop and threads share; freed by whoever lets go last, since a lookup may outlive the resolver. */
struct workshop {
	pthread_mutex_t lock;
	pthread_cond_t work;
	resolve_lookup *lookup;
	void *lookup_context;
	struct job *todo, **todo_tail;
	struct job *done;
	int wake; /* eventfd: `done` is not empty */
	unsigned threads, idle, users;
	bool closed;
};

/* A name that is being asked for, and who waits for it. */
struct flight {
	struct resolver *resolver;
	struct resolve_query *first;
	struct job *job; /* the threads' or the queue's */
};

struct resolve_query {
	struct flight *flight;
	struct resolve_query *prev, *next;
	void (*done)(void *context, const struct resolve_answer *answer);
	void *context;
};

struct known {
	uint64_t until;
	size_t n;
	struct sockaddr_storage addresses[];
};

struct resolver {
	struct resolver_options options;
	struct workshop *workshop;
	struct loop_source *watch;
	struct map *known;   /* host -> struct known, oldest first */
	struct map *flights; /* host -> struct flight */
};

/* ---- the threads' side ---- */

static int ask_system(void *context, const char *host, struct sockaddr_storage ret[RESOLVE_ADDRESSES_MAX],
		      size_t *ret_n)
{
	(void)context;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
	int code = getaddrinfo(host, NULL, &hints, &list);
	if (code != 0)
		return code;
	size_t n = 0;
	for (const struct addrinfo *a = list; a != NULL && n < RESOLVE_ADDRESSES_MAX; a = a->ai_next) {
		if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
			memcpy(&ret[n++], a->ai_addr, a->ai_addrlen);
	}
	freeaddrinfo(list);
	*ret_n = n;
	return n > 0 ? 0 : EAI_NONAME;
}

static void free_jobs(struct job *job)
{
	while (job != NULL) {
		struct job *next = job->next;
		free(job->host);
		free(job);
		job = next;
	}
}

/* With the lock held, which is released. */
static void leave(struct workshop *w)
{
	bool last = --w->users == 0;
	pthread_mutex_unlock(&w->lock);
	if (!last)
		return;
	free_jobs(w->todo);
	free_jobs(w->done);
	close(w->wake);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void *thread_main(void *arg)
{
	struct workshop *w = arg;
	pthread_mutex_lock(&w->lock);
	while (!w->closed) {
		struct job *job = w->todo;
		if (job == NULL) {
			w->idle++;
			pthread_cond_wait(&w->work, &w->lock);
			w->idle--;
			continue;
		}
		w->todo = job->next;
		if (w->todo == NULL)
			w->todo_tail = &w->todo;
		pthread_mutex_unlock(&w->lock);

		errno = 0;
		job->code = w->lookup(w->lookup_context, job->host, job->addresses, &job->n);
		job->os_errno = errno;

		pthread_mutex_lock(&w->lock);
		job->next = w->done;
		w->done = job;
		eventfd_write(w->wake, 1);
	}
	leave(w);
	return NULL;
}

/* With the lock held. Without a new thread the work waits for one that is busy; without any it can never be done. */
static int start_thread(struct workshop *w)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_t thread;
	int rc = pthread_create(&thread, &attr, thread_main, w);
	pthread_attr_destroy(&attr);
	if (rc == 0) {
		w->threads++;
		w->users++;
	}
	return w->threads > 0 ? 0 : rc;
}

/* ---- the loop's side ---- */

static struct job *fly(struct resolver *resolver, struct str host)
{
	struct workshop *w = resolver->workshop;
	struct job *job = NEW(struct job);
	job->host = str_dup(host);
	pthread_mutex_lock(&w->lock);
	int rc = w->idle == 0 && w->threads < RESOLVE_THREADS ? start_thread(w) : 0;
	if (rc != 0) { /* no thread at all: the answer is that error, by the usual way */
		job->code = EAI_SYSTEM;
		job->os_errno = rc;
		job->next = w->done;
		w->done = job;
		eventfd_write(w->wake, 1);
	} else {
		*w->todo_tail = job;
		w->todo_tail = &job->next;
		pthread_cond_signal(&w->work);
	}
	pthread_mutex_unlock(&w->lock);
	return job;
}

/* Takes a job back that no thread has begun, so that names which nobody waits for any more do not pile up. */
static bool recall(struct workshop *w, struct job *job)
{
	pthread_mutex_lock(&w->lock);
	struct job **link = &w->todo;
	while (*link != NULL && *link != job)
		link = &(*link)->next;
	bool found = *link != NULL;
	if (found) {
		*link = job->next;
		if (w->todo_tail == &job->next)
			w->todo_tail = link;
	}
	pthread_mutex_unlock(&w->lock);
	return found;
}

static void remember(struct resolver *resolver, const struct job *job)
{
	struct str host = str_from(job->host);
	struct map_iter oldest = {0};
	if (map_count(resolver->known) == RESOLVE_CACHE_MAX && map_next(resolver->known, &oldest))
		free(map_remove(resolver->known, oldest.key));
	struct known *known = xmalloc(sizeof *known + job->n * sizeof known->addresses[0]);
	known->until = clock_monotonic_ns(resolver->options.clock) + RESOLVE_KEEP_NS;
	known->n = job->n;
	memcpy(known->addresses, job->addresses, job->n * sizeof known->addresses[0]);
	free(map_remove(resolver->known, host)); /* so that it moves to the end of the order */
	if (!map_add(resolver->known, host, known))
		free(known);
}

static void describe(const struct job *job, struct err *err)
{
	AUTO_BUF host = BUF_INIT(2048);
	escape_quoted(&host, str_slice(str_from(job->host), 0, 255));
	char text[128];
	const char *reason =
		job->code == EAI_SYSTEM ? strerror_r(job->os_errno, text, sizeof text) : gai_strerror(job->code);
	fail(err, ERR_NETWORK_ERROR, "cannot resolve '%s': %s", host.p, reason);
}

static void land(struct resolver *resolver, const struct job *job)
{
	struct flight *flight = map_remove(resolver->flights, str_from(job->host));
	struct resolve_answer answer = {.addresses = job->addresses, .n = job->code == 0 ? job->n : 0};
	if (answer.n > 0)
		remember(resolver, job);
	else
		describe(job, &answer.err);
	/* A callback may cancel others that wait here, so the list is popped and not walked. */
	for (struct resolve_query *query; (query = flight->first) != NULL;) {
		flight->first = query->next;
		if (query->next != NULL)
			query->next->prev = NULL;
		query->done(query->context, &answer);
		free(query);
	}
	free(flight);
}

static void on_wake(void *user, int what)
{
	(void)what;
	struct resolver *resolver = user;
	struct workshop *w = resolver->workshop;
	eventfd_t count;
	eventfd_read(w->wake, &count);
	pthread_mutex_lock(&w->lock);
	struct job *done = TAKE(w->done);
	pthread_mutex_unlock(&w->lock);
	for (const struct job *job = done; job != NULL; job = job->next)
		land(resolver, job);
	free_jobs(done);
}

bool resolver_known(struct resolver *resolver, struct str host, struct sockaddr_storage ret[RESOLVE_ADDRESSES_MAX],
		    size_t *ret_n)
{
	const struct known *known = map_get(resolver->known, host);
	if (known == NULL)
		return false;
	if (clock_monotonic_ns(resolver->options.clock) >= known->until) {
		free(map_remove(resolver->known, host));
		return false;
	}
	memcpy(ret, known->addresses, known->n * sizeof ret[0]);
	*ret_n = known->n;
	return true;
}

struct resolve_query *resolver_ask(struct resolver *resolver, struct str host,
				   void (*done)(void *context, const struct resolve_answer *answer), void *context)
{
	struct flight *flight = map_get(resolver->flights, host);
	if (flight == NULL) {
		flight = NEW(struct flight);
		if (!map_add(resolver->flights, host, flight))
			BUG("more than %d names are asked for at once", RESOLVE_FLIGHTS_MAX);
		flight->resolver = resolver;
		flight->job = fly(resolver, host);
	}
	struct resolve_query *query = NEW(struct resolve_query);
	*query = (struct resolve_query){.flight = flight, .next = flight->first, .done = done, .context = context};
	if (flight->first != NULL)
		flight->first->prev = query;
	flight->first = query;
	return query;
}

void resolve_cancel(struct resolve_query *query)
{
	if (query == NULL)
		return;
	*(query->prev != NULL ? &query->prev->next : &query->flight->first) = query->next;
	if (query->next != NULL)
		query->next->prev = query->prev;
	struct flight *flight = query->flight;
	free(query);
	if (flight->first == NULL && recall(flight->resolver->workshop, flight->job)) {
		map_remove(flight->resolver->flights, str_from(flight->job->host));
		flight->job->next = NULL;
		free_jobs(flight->job);
		free(flight);
	}
}

struct resolver *resolver_new(const struct resolver_options *options, struct err *err)
{
	AUTO_FD wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0) {
		fail_errno(err, "cannot make an event descriptor");
		return NULL;
	}
	struct workshop *w = NEW(struct workshop);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	w->lookup = options->lookup != NULL ? options->lookup : ask_system;
	w->lookup_context = options->lookup_context;
	w->todo_tail = &w->todo;
	w->wake = TAKE_FD(wake);
	w->users = 1;

	struct resolver *resolver = NEW(struct resolver);
	resolver->options = *options;
	resolver->workshop = w;
	resolver->known = map_new(RESOLVE_CACHE_MAX);
	resolver->flights = map_new(RESOLVE_FLIGHTS_MAX);
	resolver->watch = loop_watch(options->loop, w->wake, LOOP_READ, on_wake, resolver, err);
	if (resolver->watch == NULL) {
		resolver_free(resolver);
		return NULL;
	}
	return resolver;
}

void resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	loop_source_free(resolver->watch);
	map_free_with(resolver->known, free);
	map_free_with(resolver->flights, free);
	struct workshop *w = resolver->workshop;
	pthread_mutex_lock(&w->lock);
	w->closed = true;
	pthread_cond_broadcast(&w->work);
	leave(w);
	free(resolver);
}
