#include "cli/client.h"
#include "api/query.h"
#include "base/arena.h"
#include "base/limits.h"
#include "base/version.h"
#include "daemon/spawn.h"
#include "http/h1/client.h"
#include "text/url.h"
#include <stdlib.h>

#define CONNECT_MS    1000
#define HEALTH_MS     2000
#define HEALTH_MAX    ((size_t)64 << 10)
#define TARGET_MAX    ((size_t)32 << 10)
#define HEADERS_MAX   4
#define AUTHORITY_MAX 64

struct client {
	struct client_options options;
	struct discovery discovery;
	bool has_discovery;
	char url[DISCOVERY_URL_MAX];
	struct h1_client *http;
	struct json *health;
};

const struct json *client_health(const struct client *client)
{
	return client->health;
}

const struct discovery *client_discovery(const struct client *client)
{
	return client->has_discovery ? &client->discovery : NULL;
}

const char *client_url(const struct client *client)
{
	return client->url;
}

void client_free(struct client *client)
{
	if (client == NULL)
		return;
	h1_client_free(client->http);
	json_free(client->health);
	if (client->has_discovery)
		discovery_release(&client->discovery);
	free(client);
}

/* ------------------------------------------------------------------------------------------------------------ is alive */

static struct str text_member(const struct json *object, const char *name)
{
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(object, str_from(name)), &text);
	return text;
}

static struct str authority_of(const char *url)
{
	struct str text = str_from(url), scheme = S("http://");
	return str_starts(text, scheme) ? str_slice(text, scheme.n, text.n) : text;
}

static struct json *ask_health(struct h1_client *http, struct err *err)
{
	AUTO_BUF body = BUF_INIT(HEALTH_MAX);
	struct h1_response response;
	const struct h1_request request = {
		.method = S("GET"),
		.target = str_from(operation_at(OP_HEALTH)->route),
		.timeout_ms = HEALTH_MS,
	};
	if (h1_client_do(http, &request, &response, &body, err) < 0)
		return NULL;
	if (response.status != 200) {
		fail(err, ERR_PROTOCOL, "the health of the daemon is status %u", response.status);
		return NULL;
	}
	return json_parse(buf_str(&body), JSON_READ_STRICT, err);
}

static bool echoes(const struct json *health, const char *instance_id)
{
	struct str said;
	return json_get_str(json_member(health, S("instance_id")), &said) && str_eq(said, str_from(instance_id));
}

/* Takes over the connection when whoever answers there is that daemon. */
static bool try_connection(struct client *client, struct h1_client *http, const char *instance_id)
{
	if (http == NULL)
		return false;
	struct json *health = ask_health(http, NULL);
	if (health == NULL || !echoes(health, instance_id)) {
		json_free(health);
		h1_client_free(http);
		return false;
	}
	h1_client_free(client->http);
	json_free(client->health);
	client->http = http;
	client->health = health;
	return true;
}

static bool ask(void *context, const struct discovery *daemon)
{
	struct client *client = context;
	struct str authority = authority_of(daemon->url);
	if (daemon->socket[0] != '\0' &&
	    try_connection(client, h1_client_unix(daemon->socket, authority, NULL), daemon->instance_id))
		return true;
	return try_connection(client, h1_client_tcp(authority, CONNECT_MS, NULL), daemon->instance_id);
}

static int check_revision(const struct client *client, struct err *err)
{
	int64_t revision = 0;
	if (json_get_int(json_member(client->health, S("api_revision")), &revision) && revision == API_REVISION)
		return 0;
	return fail(err, ERR_API_REVISION,
		    "the running daemon speaks revision %lld of the API, this program revision %d: "
		    "'aileron daemon restart' starts the daemon of this program",
		    (long long)revision, API_REVISION);
}

/* -------------------------------------------------------------------------------------------------------------- opening */

static int find_by_file(struct client *client, struct err *err)
{
	const struct client_options *options = &client->options;
	int found;
	if (options->spawn) {
		const struct daemon_spawn_options spawn = {
			.state_dir = options->state_dir, .ask = ask, .context = client};
		found = daemon_spawn(&spawn, &client->discovery, err) < 0 ? -1 : 1;
	} else {
		found = discovery_find(options->state_dir, ask, client, &client->discovery, err);
	}
	if (found == 0 && discovery_is_locked(options->state_dir, NULL) == 1)
		return discovery_refuse(options->state_dir, err);
	if (found != 1)
		return found;
	client->has_discovery = true;
	snprintf(client->url, sizeof client->url, "%s", client->discovery.url);
	if (client->http == NULL && !ask(client, &client->discovery))
		return fail(err, ERR_UNREACHABLE, "the daemon at '%s' does not answer", client->url);
	return 1;
}

/* "http://127.0.0.1:53817", from a text with or without "/v1" behind it. */
static int read_api_url(const char *text, char ret[DISCOVERY_URL_MAX], struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct url url;
	if (url_parse(arena, str_from(text), &url, err) < 0)
		return wrap(err, "reading AILERON_API_URL");
	struct str path = url.path;
	if (str_ends(path, S("/")))
		path = str_slice(path, 0, path.n - 1);
	if (!str_eq(url.scheme, S("http")) || url.host.n == 0 || url.has_query || url.fragment.n > 0 ||
	    (path.n > 0 && !str_eq(path, S("/v1"))))
		return fail(err, ERR_USAGE, "AILERON_API_URL is '%s': it must be http://HOST:PORT, with or without /v1",
			    text);
	int n = snprintf(ret, DISCOVERY_URL_MAX, url.host_is_ipv6 ? "http://[%.*s]:%u" : "http://%.*s:%u",
			 STR_FMT(url.host), (unsigned)url.port);
	if (n < 0 || n >= DISCOVERY_URL_MAX)
		return fail(err, ERR_USAGE, "AILERON_API_URL is too long");
	return 0;
}

/* The file's token is for the daemon that the file is about, and goes nowhere else. */
static void take_token_of_file(struct client *client)
{
	AUTO_DISCOVERY found = {.pid = 0};
	if (discovery_read(client->options.state_dir, &found, NULL) != 1)
		return;
	if (strcmp(found.url, client->url) != 0 || !echoes(client->health, found.instance_id))
		return;
	client->discovery = found;
	client->has_discovery = true;
	found = (struct discovery){.pid = 0};
}

static int find_by_url(struct client *client, struct err *err)
{
	if (read_api_url(client->options.api_url, client->url, err) < 0)
		return -1;
	client->http = h1_client_tcp(authority_of(client->url), CONNECT_MS, err);
	if (client->http == NULL)
		return wrap(err, "reaching AILERON_API_URL");
	client->health = ask_health(client->http, err);
	if (client->health == NULL)
		return wrap(err, "asking '%s' how it is", client->url);
	if (client->options.token == NULL)
		take_token_of_file(client);
	return 1;
}

int client_open(const struct client_options *options, struct client **ret, struct err *err)
{
	AUTO(client) *client = NEW(struct client);
	client->options = *options;
	int found = options->api_url != NULL ? find_by_url(client, err) : find_by_file(client, err);
	if (found != 1)
		return found;
	if (check_revision(client, err) < 0)
		return -1;
	*ret = TAKE(client);
	return 1;
}

/* ------------------------------------------------------------------------------------------------------------- requests */

void client_query_add(struct buf *query, const char *name, struct str value)
{
	buf_addf(query, "%s%s=", query->n > 0 ? "&" : "", name);
	api_escape(query, value);
}

static int put_target(struct buf *out, const struct client_request *request, struct err *err)
{
	struct str route = str_from(operation_at(request->operation)->route);
	for (size_t i = 0; route.n > 0; i++) {
		struct str plain;
		bool parameter = str_find_char(route, '{') != STR_NPOS;
		route = str_cut(route, '{', &plain);
		buf_add_str(out, plain);
		if (!parameter)
			break;
		api_escape(out, request->parameters[i]);
		route = str_cut(route, '}', &plain);
	}
	if (request->query.n > 0) {
		buf_add_char(out, '?');
		buf_add_str(out, request->query);
	}
	return buf_check(out, "the request's path", err);
}

/*
 * The token and what is sealed go to the daemon that was found, and to nobody who listens in its place by now: a new
 * connection, after the daemon closed one that was idle for long, is asked anew who is there before it gets anything.
 */
static int reach_again(struct client *client, struct err *err)
{
	if (h1_client_is_connected(client->http))
		return 0;
	struct json *health = ask_health(client->http, err);
	if (health == NULL)
		return -1;
	struct str found = text_member(client->health, "instance_id");
	bool same = str_eq(text_member(health, "instance_id"), found);
	json_free(health);
	return same ? 0 : fail(err, ERR_UNREACHABLE, "the daemon was started anew meanwhile; try again");
}

/* What a request is made of, until it is sent. */
struct prepared {
	struct buf target, authorization;
	struct h1_header headers[HEADERS_MAX];
	struct h1_request request;
};

static void prepared_release(struct prepared *prepared)
{
	buf_release(&prepared->target);
	buf_release(&prepared->authorization);
}

static void add_header(struct prepared *prepared, struct str name, struct str value)
{
	prepared->headers[prepared->request.n_headers++] = (struct h1_header){.name = name, .value = value};
}

static int prepare(const struct client *client, const struct client_request *request, struct prepared *ret,
		   struct err *err)
{
	const struct operation *operation = operation_at(request->operation);
	const struct secret *token = client->options.token;
	*ret = (struct prepared){.target = BUF_INIT(TARGET_MAX), .authorization = BUF_INIT_SECRET(4 * KIB)};
	if (token == NULL && client->has_discovery)
		token = client->discovery.token;
	if (put_target(&ret->target, request, err) < 0)
		return -1;
	ret->request = (struct h1_request){
		.method = str_from(operation->method),
		.target = buf_str(&ret->target),
		.headers = ret->headers,
		.body = request->body,
		.timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : CLIENT_TIMEOUT_MS,
		.same_peer = true,
	};
	add_header(ret, S("X-Aileron-Api"), S(STR_DIGITS(API_REVISION)));
	if (request->body.n > 0)
		add_header(ret, S("Content-Type"), S("application/json"));
	if (token == NULL || operation->permission == API_OPEN)
		return 0;
	buf_add_z(&ret->authorization, "Bearer ");
	buf_add_str(&ret->authorization, secret_borrow(token));
	add_header(ret, S("Authorization"), buf_str(&ret->authorization));
	return buf_check(&ret->authorization, "the token", err);
}

/* What the verbs look at in the details, an object or an array of objects. */
static void take_details(const struct json *details, struct err *err)
{
	static const char *const known[] = {"required", "member", "hint", "ran"};
	for (size_t i = 0; json_kind(details) == JSON_KIND_ARRAY && i < json_length(details); i++)
		take_details(json_at(details, i), err);
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct str text = text_member(details, known[i]);
		if (text.n > 0)
			err_detail(err, known[i], text);
	}
}

/* Both envelopes become what they were made of. */
static int take_error(const struct h1_response *response, struct str body, struct err *err)
{
	AUTO(json) *json = json_parse(body, JSON_READ_STRICT, NULL);
	const struct json *error = json_member(json, S("error"));
	struct str name = text_member(error, "code");
	if (name.n == 0)
		name = text_member(error, "class");
	enum err_class class = err_class_named(name);
	if (class == ERR_NONE)
		return fail(err, ERR_PROTOCOL, "the daemon answered status %u: %.*s", response->status,
			    STR_FMT(str_slice(body, 0, 256)));
	struct str message = text_member(error, "message");
	fail(err, class, "%.*s", STR_FMT(message));
	take_details(json_member(error, S("details")), err);
	struct str audit_id = text_member(error, "audit_id");
	if (audit_id.n > 0)
		err_detail(err, "audit_id", audit_id);
	return -1;
}

static int call(struct client *client, const struct client_request *request, struct prepared *prepared,
		struct json **ret, struct err *err)
{
	AUTO_BUF body = BUF_INIT(CLIENT_ANSWER_MAX);
	struct h1_response response;
	if (prepare(client, request, prepared, err) < 0 || reach_again(client, err) < 0 ||
	    h1_client_do(client->http, &prepared->request, &response, &body, err) < 0)
		return -1;
	/* Unlocking what is unlocked is a conflict that tells the state all the same. */
	bool told = response.status == 409 && request->operation == OP_VAULT_UNLOCK &&
		    str_find(buf_str(&body), S("\"error\"")) == STR_NPOS;
	if ((response.status < 200 || response.status > 299) && !told)
		return take_error(&response, buf_str(&body), err);
	struct json *json = NULL;
	if (response.status != 204) {
		json = json_parse(buf_str(&body), JSON_READ_STRICT, err);
		if (json == NULL)
			return wrap(err, "reading the daemon's answer");
	}
	if (ret != NULL)
		*ret = TAKE(json);
	json_free(json);
	return 0;
}

int client_call(struct client *client, const struct client_request *request, struct json **ret, struct err *err)
{
	struct prepared prepared;
	int rc = call(client, request, &prepared, ret, err);
	prepared_release(&prepared);
	return rc;
}

/* ------------------------------------------------------------------------------------------------------------- streams */

struct streaming {
	const struct h1_response *response;
	struct buf error; /* the body of an answer that is none */
	int (*piece)(void *user, struct str bytes);
	void *user;
};

static int take_piece(void *user, struct str bytes)
{
	struct streaming *streaming = user;
	if (streaming->response->status == 200)
		return streaming->piece(streaming->user, bytes);
	buf_add_str(&streaming->error, bytes);
	return 0;
}

int client_stream(struct client *client, const struct client_request *request,
		  int (*piece)(void *user, struct str bytes), void *user, struct err *err)
{
	struct prepared prepared;
	struct h1_response response = {0};
	struct streaming streaming = {
		.response = &response, .error = BUF_INIT(HEALTH_MAX), .piece = piece, .user = user};
	int rc = prepare(client, request, &prepared, err);
	prepared.request.timeout_ms = 0;
	if (rc == 0)
		rc = reach_again(client, err);
	if (rc == 0)
		rc = h1_client_stream(client->http, &prepared.request, &response, take_piece, &streaming, err);
	if (rc == 0 && response.status != 200)
		rc = take_error(&response, buf_str(&streaming.error), err);
	buf_release(&streaming.error);
	prepared_release(&prepared);
	return rc;
}
