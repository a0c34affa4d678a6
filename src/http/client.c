#include "http/client.h"
#include "http/transfer.h"
#include "http/trust.h"
#include "http/wiping_memory.h"
#include "os/loop.h"
#include <openssl/ssl.h>
#include <stdlib.h>

/*
 * One multi handle a pool. libcurl asks for sockets to be watched and for one timer; the loop tells it what happened.
 * `driven` counts the calls into libcurl that are on the stack: such a pool must not be freed.
 */
struct http_pool {
	struct http_client *client;
	struct http_pool *next;
	char *name;
	size_t name_n;
	CURLM *multi;
	struct loop_source *timer;
	size_t open; /* transfers in it */
	size_t buffered;
	unsigned driven;
	uint64_t last_use;
};

struct http_client {
	struct http_client_options options;
	int ca_fd; /* -1 = the system's bundle */
	struct http_pool *pools;
	size_t n_pools;
	struct http_transfer *oldest, *newest;
	size_t open;
	size_t buffered, outside;
	size_t slice;               /* bytes of body since everything last paused for a turn of the loop */
	struct loop_source *turned; /* wakes when there is something to do at the loop's next turn */
	uint64_t uses;
	struct trust *trust; /* NULL until the first https request */
};

static void drive(struct http_pool *pool, curl_socket_t fd, int what);
static void finish(struct http_transfer *t, CURLcode code);

/* ---- libcurl's sockets and timer on the loop ---- */

/* One socket of libcurl's, as it asked for it. */
struct watched {
	struct http_pool *pool;
	curl_socket_t fd;
	struct loop_source *source;
};

static void on_socket_event(void *user, int events)
{
	const struct watched *w = user;
	int what = 0;
	if ((events & (LOOP_READ | LOOP_GONE)) != 0) /* reading tells how it ended */
		what |= CURL_CSELECT_IN;
	if ((events & LOOP_WRITE) != 0)
		what |= CURL_CSELECT_OUT;
	drive(w->pool, w->fd, what);
}

static void unwatch(struct watched *w)
{
	loop_source_free(w->source);
	free(w);
}

static int on_watch_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
	(void)easy;
	struct http_pool *pool = context;
	struct watched *w = known;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL)
			unwatch(w);
		curl_multi_assign(pool->multi, fd, NULL);
		return 0;
	}
	int events = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= LOOP_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= LOOP_WRITE;
	if (w != NULL) {
		loop_watch_set(w->source, events);
		return 0;
	}
	w = NEW(struct watched);
	*w = (struct watched){.pool = pool, .fd = fd};
	w->source = loop_watch(pool->client->options.loop, fd, events, on_socket_event, w, NULL);
	if (w->source == NULL) {
		free(w);
		return -1; /* libcurl ends its transfers */
	}
	curl_multi_assign(pool->multi, fd, w);
	return 0;
}

static void on_timer(void *user, int what)
{
	(void)what;
	drive(user, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *multi, long ms, void *context)
{
	(void)multi;
	struct http_pool *pool = context;
	if (ms < 0)
		loop_timer_stop(pool->timer);
	else
		loop_timer_start(pool->timer, (uint64_t)ms, 0);
	return 0;
}

static void drive(struct http_pool *pool, curl_socket_t fd, int what)
{
	int running;
	pool->driven++;
	curl_multi_socket_action(pool->multi, fd, what, &running);
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(pool->multi, &left)) != NULL;) {
		if (m->msg != CURLMSG_DONE)
			continue;
		struct http_transfer *t = NULL;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		finish(t, m->data.result);
	}
	pool->driven--;
}

/* ---- pools ---- */

static struct http_pool *pool_new(struct http_client *client, struct str name)
{
	struct http_pool *pool = NEW(struct http_pool);
	pool->client = client;
	pool->name = str_dup(name);
	pool->name_n = name.n;
	pool->timer = loop_timer(client->options.loop, on_timer, pool);
	pool->multi = curl_multi_init();
	if (pool->multi == NULL)
		abort(); /* out of memory */
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_watch_wanted);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_POOL_CONNECTIONS);
	pool->next = client->pools;
	client->pools = pool;
	client->n_pools++;
	return pool;
}

static void pool_free(struct http_pool *pool)
{
	struct http_client *client = pool->client;
	struct http_pool **link = &client->pools;
	while (*link != pool)
		link = &(*link)->next;
	*link = pool->next;
	client->n_pools--;
	curl_multi_cleanup(pool->multi); /* closes the kept connections, and their watches through on_watch_wanted() */
	loop_source_free(pool->timer);
	free(pool->name);
	free(pool);
}

/* Keeps the number of pools at the limit as far as idle ones can go. */
static void close_least_used(struct http_client *client)
{
	while (client->n_pools > HTTP_POOLS_MAX) {
		struct http_pool *least = NULL;
		for (struct http_pool *p = client->pools; p != NULL; p = p->next) {
			if (p->open == 0 && p->driven == 0 && (least == NULL || p->last_use < least->last_use))
				least = p;
		}
		if (least == NULL)
			return;
		pool_free(least);
	}
}

static struct http_pool *pool_named(struct http_client *client, struct str name)
{
	struct http_pool *pool = client->pools;
	while (pool != NULL && !str_eq(str_of(pool->name, pool->name_n), name))
		pool = pool->next;
	if (pool == NULL)
		pool = pool_new(client, name);
	pool->last_use = ++client->uses;
	return pool;
}

/* ---- transfers ---- */

static void link_transfer(struct http_client *client, struct http_transfer *t)
{
	t->prev = client->newest;
	if (client->newest != NULL)
		client->newest->next = t;
	else
		client->oldest = t;
	client->newest = t;
	client->open++;
	t->pool->open++;
}

static void unlink_transfer(struct http_transfer *t)
{
	struct http_client *client = t->client;
	*(t->prev != NULL ? &t->prev->next : &client->oldest) = t->next;
	*(t->next != NULL ? &t->next->prev : &client->newest) = t->prev;
	client->open--;
	t->pool->open--;
}

static bool is_oldest_of_pool(const struct http_transfer *t)
{
	const struct http_transfer *older = t->prev;
	while (older != NULL && older->pool != t->pool)
		older = older->prev;
	return older == NULL;
}

bool client_must_pause(const struct http_transfer *t)
{
	const struct http_client *client = t->client;
	size_t max = client->options.buffered_max;
	if (client->outside >= max || client->slice >= HTTP_SLICE)
		return true;
	if (t->received < HTTP_FLOOR || t == client->oldest)
		return false;
	if (client->buffered + client->outside >= max)
		return true;
	return t->pool->buffered >= max / HTTP_POOL_SHARE && !is_oldest_of_pool(t);
}

void client_received(struct http_transfer *t, size_t bytes)
{
	t->received += bytes;
	t->client->buffered += bytes;
	t->pool->buffered += bytes;
	t->client->slice += bytes;
	if (t->client->slice >= HTTP_SLICE)
		loop_wake(t->client->turned);
}

static bool may_go_on(const struct http_transfer *t)
{
	return t->paused && (t->is_stream ? t->resumed : !client_must_pause(t));
}

/*
 * Lets go on whoever may. Only called from outside libcurl. A resumed transfer may at once get bytes that libcurl held
 * back, and pause again, or break by them; libcurl tells that only here. Who is told waits for the loop.
 */
static void resume(struct http_client *client)
{
	for (struct http_transfer *t = client->oldest; t != NULL; t = t->next) {
		if (!may_go_on(t))
			continue;
		t->paused = t->resumed = false;
		t->broken = curl_easy_pause(t->easy, CURLPAUSE_CONT);
		if (t->broken != CURLE_OK)
			loop_wake(client->turned);
	}
}

/* Out of libcurl and out of the lists; what it collected is still there. */
static void detach(struct http_transfer *t)
{
	struct http_pool *pool = t->pool;
	pool->driven++; /* removing may call back for sockets and timer */
	curl_multi_remove_handle(pool->multi, t->easy);
	pool->driven--;
	client_handshake_ended(t);
	t->client->buffered -= t->received;
	pool->buffered -= t->received;
	unlink_transfer(t);
}

static void finish(struct http_transfer *t, CURLcode code)
{
	struct http_client *client = t->client;
	struct http_answer answer;
	transfer_answer(t, code, &answer);
	detach(t);
	t->done(t->context, &answer);
	buf_release(&answer.body);
	transfer_free(t);
	resume(client);
	close_least_used(client);
}

static struct http_transfer *first_broken(const struct http_client *client)
{
	struct http_transfer *t = client->oldest;
	while (t != NULL && t->broken == CURLE_OK)
		t = t->next;
	return t;
}

static void on_turned(void *user, int what)
{
	(void)what;
	struct http_client *client = user;
	client->slice = 0;
	resume(client);
	for (struct http_transfer *t; (t = first_broken(client)) != NULL;)
		finish(t, t->broken);
}

void http_resume(struct http_transfer *t)
{
	t->resumed = true;
	if (t->paused)
		loop_wake(t->client->turned);
}

void http_cancel(struct http_transfer *t)
{
	if (t == NULL)
		return;
	struct http_client *client = t->client;
	detach(t);
	transfer_free(t);
	resume(client);
}

static void on_handshake_late(void *user, int what)
{
	(void)what;
	struct http_transfer *t = user;
	finish(t, CURLE_OPERATION_TIMEDOUT);
}

void client_handshake_begins(struct http_transfer *t)
{
	t->handshake = loop_timer(t->client->options.loop, on_handshake_late, t);
	loop_timer_start(t->handshake, t->client->options.handshake_ms, 0);
}

void client_handshake_ended(struct http_transfer *t)
{
	loop_source_free(TAKE(t->handshake));
}

struct x509_store_st *client_trust(struct http_client *client)
{
	return trust_store(client->trust);
}

void http_client_set_ca(struct http_client *client, int fd)
{
	client->ca_fd = fd;
}

static int load_trust(struct http_client *client, struct err *err)
{
	if (client->trust != NULL)
		return 0;
	int fd = client->ca_fd;
	client->trust = fd >= 0 ? trust_new_fd(fd, "the file of trusted certificates", err) : trust_new_system(err);
	return client->trust != NULL ? 0 : -1;
}

void http_client_warm_up(struct http_client *client)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method()); /* the first one fetches every algorithm */
	SSL_CTX_free(tls);
	(void)!load_trust(client, NULL);
}

struct http_transfer *http_start(struct http_client *client, const struct http_call *call, struct err *err)
{
	if (str_starts(call->url, S("https:")) && load_trust(client, err) != 0)
		return NULL;
	struct http_transfer *t = transfer_new(client, call, err);
	if (t == NULL)
		return NULL;
	t->pool = pool_named(client, call->pool);
	link_transfer(client, t);
	close_least_used(client);
	if (curl_multi_add_handle(t->pool->multi, t->easy) != CURLM_OK)
		abort(); /* out of memory: the handle is new and belongs to nobody */
	return t;
}

void http_client_outside(struct http_client *client, size_t bytes)
{
	bool fell = bytes < client->outside;
	client->outside = bytes;
	if (fell)
		resume(client);
}

size_t http_client_open(const struct http_client *client)
{
	return client->open;
}

size_t http_client_buffered(const struct http_client *client)
{
	return client->buffered;
}

/* ---- the client ---- */

/*
 * Once a process. OpenSSL is told first not to read its configuration file: nothing of the machine's settings changes
 * what we do, and the start is faster.
 */
static int init_libraries(struct err *err)
{
	static bool done;
	if (done)
		return 0;
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return fail(err, ERR_INTERNAL, "cannot initialise OpenSSL");
	CURLcode rc = curl_global_init_mem(CURL_GLOBAL_SSL, wiping_malloc, wiping_free, wiping_realloc, wiping_strdup,
					   wiping_calloc);
	if (rc != CURLE_OK)
		return fail(err, ERR_INTERNAL, "cannot initialise libcurl: %s", curl_easy_strerror(rc));
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	if ((info->features & CURL_VERSION_SSL) == 0 || info->ssl_version == NULL ||
	    str_find(str_from(info->ssl_version), S("OpenSSL/")) == STR_NPOS)
		return fail(err, ERR_INTERNAL, "libcurl was built with '%s' and OpenSSL is needed",
			    info->ssl_version != NULL ? info->ssl_version : "no TLS");
	done = true;
	return 0;
}

struct http_client *http_client_new(const struct http_client_options *options, struct err *err)
{
	if (init_libraries(err) != 0)
		return NULL;
	AUTO(http_client) *client = NEW(struct http_client);
	client->options = *options;
	/* No timer: what a timer's function starts may still run in the same turn. */
	client->turned = loop_wakeup(options->loop, on_turned, client, err);
	if (client->turned == NULL)
		return NULL;
	loop_source_background(client->turned);
	client->ca_fd = -1;
	if (client->options.handshake_ms == 0)
		client->options.handshake_ms = HTTP_TLS_HANDSHAKE_MS;
	return TAKE(client);
}

void http_client_free(struct http_client *client)
{
	if (client == NULL)
		return;
	while (client->oldest != NULL) {
		struct http_transfer *t = client->oldest;
		detach(t);
		transfer_free(t);
	}
	while (client->pools != NULL)
		pool_free(client->pools);
	loop_source_free(client->turned);
	trust_free(client->trust);
	free(client);
}
