/* The request of an exchange. */
#include "base/ascii.h"
#include "base/hex.h"
#include "http/server/connection.h"

static bool is_request_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_letter(s.p[i]) && !ascii_is_digit(s.p[i]) && s.p[i] != '.' && s.p[i] != '_' &&
		    s.p[i] != '-')
			return false;
	}
	return s.n > 0 && s.n <= HTTP_REQUEST_ID_MAX;
}

/* SplitMix64 from a random start: names that do not repeat, and no secrets. */
void exchange_make_id(struct http_exchange *x)
{
	uint64_t z = x->connection->server->id_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	char digits[2 * sizeof z + 1];
	hex_format(str_of(&z, sizeof z), digits);
	memcpy(x->request_id, digits, 2 * sizeof z);
	x->request_id_n = 2 * sizeof z;
}

void exchange_begin(struct http_exchange *x, const struct h1_head *head)
{
	x->query = str_cut(head->target, '?', &x->path);
	x->is_head = str_eq(head->method, S("HEAD"));
	x->is_old = head->minor == 0;
	x->keep = head->keep_alive && !x->is_old;
	struct str id = h1_header(head, S("X-Request-ID"), NULL);
	if (is_request_id(id)) {
		memcpy(x->request_id, id.p, id.n);
		x->request_id_n = id.n;
	} else {
		exchange_make_id(x);
	}
}

void exchange_sent(struct http_exchange *x, size_t n)
{
	n = MIN(n, x->unsent);
	x->unsent -= n;
	if (x->receive != NULL)
		x->connection->server->upgrades_unsent -= n;
}

void exchange_clear(struct http_exchange *x)
{
	x->connection->server->body_bytes -= x->body.n;
	buf_clear(&x->body);
	x->path = x->query = STR_EMPTY;
	x->request_id_n = 0;
	x->is_head = x->is_old = x->is_bodiless = x->bare = x->keep = false;
	x->is_gone = false;
	pthread_mutex_lock(&x->connection->server->lock);
	exchange_sent(x, x->unsent);
	pthread_mutex_unlock(&x->connection->server->lock);
	x->streaming = x->finished = x->incomplete = false;
	x->has_length = false;
	x->gone = x->sent = NULL;
	x->receive = NULL;
}

static bool is_ours(const struct http_server *server, struct str host)
{
	for (size_t i = 0; i < server->n_hosts; i++) {
		if (str_eq_fold(host, server->hosts[i]))
			return true;
	}
	return false;
}

const char *exchange_forbidden(const struct http_exchange *x, const struct h1_head *head)
{
	const struct http_server *server = x->connection->server;
	if (x->connection->is_unix)
		return NULL; /* no browser gets there */
	if (!is_ours(server, h1_header(head, S("Host"), NULL)))
		return "the Host is not this server";
	size_t n;
	struct str origin = h1_header(head, S("Origin"), &n);
	if (n == 0)
		return NULL;
	struct str scheme = S("http://");
	if (n > 1 || !str_starts(origin, scheme) || !is_ours(server, str_slice(origin, scheme.n, origin.n)))
		return "the Origin is not this server";
	return NULL;
}

static const struct h1_head *head_of(const struct http_exchange *x)
{
	return h1_head(x->connection->parser);
}

struct str http_method(const struct http_exchange *x)
{
	return head_of(x)->method;
}

struct str http_target(const struct http_exchange *x)
{
	return head_of(x)->target;
}

struct str http_path(const struct http_exchange *x)
{
	return x->path;
}

struct str http_query(const struct http_exchange *x)
{
	return x->query;
}

struct str http_header(const struct http_exchange *x, struct str name)
{
	return h1_header(head_of(x), name, NULL);
}

size_t http_header_count(const struct http_exchange *x, struct str name)
{
	size_t n;
	(void)h1_header(head_of(x), name, &n);
	return n;
}

const struct h1_header *http_headers(const struct http_exchange *x, size_t *ret_n)
{
	*ret_n = head_of(x)->n_headers;
	return head_of(x)->headers;
}

struct str http_body(const struct http_exchange *x)
{
	return buf_str(&x->body);
}

struct str http_request_id(const struct http_exchange *x)
{
	return str_of(x->request_id, x->request_id_n);
}

bool http_is_gone(const struct http_exchange *x)
{
	return x->is_gone;
}
