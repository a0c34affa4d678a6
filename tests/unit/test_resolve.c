#include "base/time.h"
#include "egress/resolve.h"
#include "os/loop.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

/* A resolver whose answers the test decides, and which can be held. */
static struct fake {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool held;
	int waiting;
	atomic_int lookups;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static uint64_t now = 1;

static uint64_t test_now(void *context)
{
	(void)context;
	return now;
}
static const struct clock test_clock = {.monotonic = test_now, .wall = test_now};

static int fake_lookup(void *context, const char *host, struct sockaddr_storage ret[RESOLVE_ADDRESSES_MAX],
		       size_t *ret_n)
{
	struct fake *f = context;
	atomic_fetch_add(&f->lookups, 1);
	pthread_mutex_lock(&f->lock);
	f->waiting++;
	pthread_cond_broadcast(&f->changed);
	while (f->held)
		pthread_cond_wait(&f->changed, &f->lock);
	f->waiting--;
	pthread_mutex_unlock(&f->lock);
	if (strncmp(host, "no", 2) == 0)
		return EAI_NONAME;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000200 + (unsigned char)host[0])};
	memcpy(&ret[0], &a, sizeof a);
	*ret_n = 1;
	return 0;
}

static void hold(bool held)
{
	pthread_mutex_lock(&fake.lock);
	fake.held = held;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

static void wait_until_held(int threads)
{
	pthread_mutex_lock(&fake.lock);
	while (fake.waiting < threads)
		pthread_cond_wait(&fake.changed, &fake.lock);
	pthread_mutex_unlock(&fake.lock);
}

struct asked {
	int answers;
	size_t n;
	uint32_t address;
	struct err err;
	struct resolve_query *cancels; /* this one, when the answer comes */
};

static void on_answer(void *context, const struct resolve_answer *answer)
{
	struct asked *asked = context;
	asked->answers++;
	asked->n = answer->n;
	asked->err = answer->err;
	if (answer->n > 0) {
		struct sockaddr_in a;
		memcpy(&a, &answer->addresses[0], sizeof a);
		asked->address = ntohl(a.sin_addr.s_addr);
	}
	resolve_cancel(asked->cancels);
}

static struct loop *loop;
static struct resolver *resolver;

static int set_up(void **state)
{
	(void)state;
	atomic_store(&fake.lookups, 0);
	loop = loop_new(NULL);
	struct resolver_options options = {
		.loop = loop, .clock = &test_clock, .lookup = fake_lookup, .lookup_context = &fake};
	resolver = resolver_new(&options, NULL);
	return resolver != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	resolver_free(resolver);
	loop_free(loop);
	return 0;
}

static void wait_for(struct asked *asked)
{
	while (asked->answers == 0)
		loop_turn(loop, true);
}

static void an_answer_is_kept_for_a_while(void **state)
{
	(void)state;
	struct asked a = {0}, again = {0};
	struct sockaddr_storage known[RESOLVE_ADDRESSES_MAX];
	size_t n;
	assert_false(resolver_known(resolver, S("a.test"), known, &n));
	resolver_ask(resolver, S("a.test"), on_answer, &a);
	wait_for(&a);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.address, 0xc0000200 + 'a');
	assert_true(resolver_known(resolver, S("a.test"), known, &n));
	assert_int_equal(n, 1);

	now += RESOLVE_KEEP_NS;
	assert_false(resolver_known(resolver, S("a.test"), known, &n));
	resolver_ask(resolver, S("a.test"), on_answer, &again);
	wait_for(&again);
	assert_int_equal(atomic_load(&fake.lookups), 2);
}

static void failures_are_told_and_not_kept(void **state)
{
	(void)state;
	struct asked a = {0};
	struct sockaddr_storage known[RESOLVE_ADDRESSES_MAX];
	size_t n;
	resolver_ask(resolver, S("no.test"), on_answer, &a);
	wait_for(&a);
	assert_int_equal(a.n, 0);
	assert_int_equal(a.err.class, ERR_NETWORK_ERROR);
	assert_string_equal(a.err.message, "cannot resolve 'no.test': Name or service not known");
	assert_false(resolver_known(resolver, S("no.test"), known, &n));
}

static void one_lookup_answers_all_who_wait(void **state)
{
	(void)state;
	struct asked asked[3] = {0};
	hold(true);
	struct resolve_query *cancelled = resolver_ask(resolver, S("b.test"), on_answer, &asked[0]);
	resolver_ask(resolver, S("b.test"), on_answer, &asked[1]);
	resolver_ask(resolver, S("b.test"), on_answer, &asked[2]);
	resolve_cancel(cancelled);
	hold(false);
	wait_for(&asked[1]);
	wait_for(&asked[2]);
	assert_int_equal(asked[0].answers, 0);
	assert_int_equal(atomic_load(&fake.lookups), 1);
}

static void an_answer_may_cancel_another(void **state)
{
	(void)state;
	struct asked asked[2] = {0};
	hold(true);
	struct resolve_query *first = resolver_ask(resolver, S("c.test"), on_answer, &asked[0]);
	struct resolve_query *second = resolver_ask(resolver, S("c.test"), on_answer, &asked[1]);
	(void)second;
	asked[1].cancels = first; /* the newest is told first */
	hold(false);
	wait_for(&asked[1]);
	assert_int_equal(asked[0].answers, 0);
}

/* More names than threads: those that nobody waits for any more are never looked up. */
static void forgotten_questions_are_taken_back(void **state)
{
	(void)state;
	enum { N = 100 };
	struct asked asked[N] = {0};
	struct resolve_query *queries[N];
	hold(true);
	for (int i = 0; i < N; i++) {
		char host[16];
		snprintf(host, sizeof host, "d%d.test", i);
		queries[i] = resolver_ask(resolver, str_from(host), on_answer, &asked[i]);
		if (i == RESOLVE_THREADS - 1)
			wait_until_held(RESOLVE_THREADS);
	}
	for (int i = 0; i < N - 1; i++)
		resolve_cancel(queries[i]);
	hold(false);
	wait_for(&asked[N - 1]);
	assert_int_equal(atomic_load(&fake.lookups), RESOLVE_THREADS + 1);
}

static void the_cache_has_an_end(void **state)
{
	(void)state;
	struct sockaddr_storage known[RESOLVE_ADDRESSES_MAX];
	size_t n;
	for (int i = 0; i <= RESOLVE_CACHE_MAX; i++) {
		struct asked a = {0};
		char host[16];
		snprintf(host, sizeof host, "e%d.test", i);
		resolver_ask(resolver, str_from(host), on_answer, &a);
		wait_for(&a);
	}
	assert_false(resolver_known(resolver, S("e0.test"), known, &n));
	assert_true(resolver_known(resolver, S("e1.test"), known, &n));
	assert_true(resolver_known(resolver, S("e256.test"), known, &n));
}

/* The thread comes back to a resolver that is gone; what it shares must still be there (the sanitizer looks). */
static void a_lookup_may_outlive_the_resolver(void **state)
{
	(void)state;
	struct asked a = {0};
	hold(true);
	struct resolve_query *query = resolver_ask(resolver, S("f.test"), on_answer, &a);
	wait_until_held(1);
	resolve_cancel(query);
	resolver_free(resolver);
	resolver = NULL;
	hold(false);
	assert_int_equal(a.answers, 0);
}

static void the_system_knows_localhost(void **state)
{
	(void)state;
	struct resolver_options options = {.loop = loop};
	struct resolver *real = resolver_new(&options, NULL);
	struct asked a = {0};
	resolver_ask(real, S("localhost"), on_answer, &a);
	wait_for(&a);
	assert_true(a.n > 0);
	resolver_free(real);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_is_kept_for_a_while),      TEST(failures_are_told_and_not_kept),
		TEST(one_lookup_answers_all_who_wait),    TEST(an_answer_may_cancel_another),
		TEST(forgotten_questions_are_taken_back), TEST(the_cache_has_an_end),
		TEST(a_lookup_may_outlive_the_resolver),  TEST(the_system_knows_localhost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
