/* Another protocol over a connection: its 101, its bytes. */
#include "http/server/connection.h"

struct str http_upgrade_asked(const struct http_exchange *x)
{
	if (x->is_old || !str_listed(http_header(x, S("Connection")), S("Upgrade")))
		return STR_EMPTY;
	return http_header(x, S("Upgrade"));
}

static void put_head(struct http_exchange *x, const struct http_upgrade *upgrade)
{
	struct buf *out = &x->queued;
	h1_put_status_line(out, 101);
	h1_put_header(out, S("Connection"), S("Upgrade"));
	h1_put_header(out, S("Upgrade"), upgrade->protocol);
	h1_put_header(out, S("X-Request-ID"), http_request_id(x));
	for (size_t i = 0; i < upgrade->n_headers; i++)
		h1_put_header(out, upgrade->headers[i].name, upgrade->headers[i].value);
	h1_put_end(out);
}

void http_upgrade(struct http_exchange *x, const struct http_upgrade *upgrade)
{
	x->keep = false;
	x->bare = true;
	x->is_bodiless = false;
	pthread_mutex_lock(&x->connection->server->lock);
	put_head(x, upgrade);
	x->unsent = x->queued.n;
	x->connection->server->upgrades_unsent += x->unsent;
	x->streaming = true;
	x->receive_user = upgrade->user;
	x->receive = upgrade->receive;
	answer_hand_over(x);
}

int http_upgraded_write(struct http_exchange *x, struct str bytes)
{
	struct http_server *server = x->connection->server;
	pthread_mutex_lock(&server->lock);
	if (x->broken || bytes.n > HTTP_UPGRADE_QUEUE - MIN(x->unsent, HTTP_UPGRADE_QUEUE)) {
		pthread_mutex_unlock(&server->lock);
		return -1;
	}
	size_t sent = answer_send_at_once(x, bytes);
	if (sent == bytes.n) {
		pthread_mutex_unlock(&server->lock);
		return 0;
	}
	bytes = str_slice(bytes, sent, bytes.n);
	buf_add_str(&x->queued, bytes);
	x->unsent += bytes.n;
	server->upgrades_unsent += bytes.n;
	bool over = server->upgrades_unsent > server->upgrades_max;
	answer_hand_over(x);
	return over;
}

uint64_t http_upgrades_excess(struct http_server *server)
{
	pthread_mutex_lock(&server->lock);
	uint64_t unsent = server->upgrades_unsent, max = server->upgrades_max;
	pthread_mutex_unlock(&server->lock);
	return unsent > max ? unsent - max : 0;
}

bool upgrade_reads(struct http_exchange *x)
{
	struct http_server *server = x->connection->server;
	pthread_mutex_lock(&server->lock);
	bool reads = x->receive != NULL && !x->finished && x->unsent <= HTTP_STREAM_HIGH;
	pthread_mutex_unlock(&server->lock);
	return reads;
}

size_t upgrade_receive(struct http_exchange *x, struct str bytes)
{
	return x->receive(x->receive_user, bytes);
}
