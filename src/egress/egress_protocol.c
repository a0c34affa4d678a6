#include "egress/egress_protocol.h"
#include "base/arena.h"
#include "base/limits.h"
#include "text/wire.h"

/* An err is at most its fields and their framing; notes are one line. */
#define RESULT_HEAD_MAX (64 * KIB)

const struct rpc_rule egress_parent_rules[] = {
	{EGRESS_HELLO, EGRESS_STATE_NEW, 64 * KIB, "hello"},
	{EGRESS_RESULT, EGRESS_STATE_SERVING, LIMIT_RESPONSE_BODY + RESULT_HEAD_MAX, "result"},
	{EGRESS_OAUTH_RESULT, EGRESS_STATE_SERVING, RESULT_HEAD_MAX, "oauth result"},
	{0, 0, 0, NULL},
};

const struct rpc_rule egress_child_rules[] = {
	{EGRESS_START, EGRESS_STATE_NEW, 16, "start"},
	{EGRESS_GRANT, EGRESS_STATE_SERVING, EGRESS_GRANT_MAX + SECRET_MAX, "grant"},
	{EGRESS_REQUEST, EGRESS_STATE_SERVING, LIMIT_ENVELOPE + 64, "request"},
	{EGRESS_CANCEL, EGRESS_STATE_SERVING, 0, "cancel"},
	{EGRESS_END, EGRESS_STATE_SERVING, 0, "end"},
	{EGRESS_OAUTH, EGRESS_STATE_SERVING, EGRESS_OAUTH_MAX, "oauth"},
	{EGRESS_POST, EGRESS_STATE_SERVING, EGRESS_POST_MAX, "post"},
	{0, 0, 0, NULL},
};

static void put_list(struct buf *out, const struct str *items, size_t n)
{
	wire_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		wire_put_str(out, items[i]);
}

static void put_openings(struct buf *out, const struct egress_opening *openings, size_t n)
{
	wire_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		wire_put_str(out, openings[i].host);
		wire_put_u16(out, openings[i].port);
		wire_put_str(out, openings[i].address);
		wire_put_u16(out, openings[i].address_port);
	}
}

static void put_permits(struct buf *out, const struct egress_permit *permits, size_t n)
{
	wire_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		wire_put_u64(out, permits[i].use);
		wire_put_str(out, permits[i].binding);
		wire_put_str(out, permits[i].region);
		wire_put_str(out, permits[i].access_key_id);
	}
}

void egress_grant_put_head(struct buf *out, const struct egress_grant *m)
{
	wire_put_str(out, m->connector);
	wire_put_str(out, m->version);
	wire_put_bool(out, m->permissive);
	put_list(out, m->hosts, m->n_hosts);
	put_list(out, m->subset, m->n_subset);
	put_openings(out, m->openings, m->n_openings);
	wire_put_u32(out, m->request_max);
	wire_put_u32(out, m->response_max);

	wire_put_u8(out, (uint8_t)m->declared);
	wire_put_str(out, m->header);
	wire_put_str(out, m->format);
	wire_put_str(out, m->service);
	wire_put_str(out, m->region);
	wire_put_str(out, m->access_key_id);
	wire_put_str(out, m->algorithm);
	wire_put_str(out, m->key_id);
	wire_put_str(out, m->label);
	put_list(out, m->components, m->n_components);

	wire_put_u8(out, (uint8_t)m->binding);
	wire_put_u8(out, (uint8_t)m->bound);
	wire_put_str(out, m->binding_error);
	wire_put_str(out, m->username);
	wire_put_str(out, m->bound_region);
	wire_put_str(out, m->bound_access_key_id);
	wire_put_str(out, m->pool);
	put_permits(out, m->permits, m->n_permits);
	wire_put_u32(out, m->relay);
	wire_put_u32(out, m->relay_call);
}

static struct str get_str(struct wire_reader *r, struct arena *arena)
{
	return arena_str(arena, wire_str(r));
}

static const struct str *get_list(struct wire_reader *r, struct arena *arena, size_t *ret_n)
{
	uint32_t n = wire_count(r, sizeof(uint32_t));
	if (n > EGRESS_GRANT_LIST_MAX) {
		r->bad = true;
		n = 0;
	}
	struct str *items = arena_array(arena, n, sizeof *items);
	for (uint32_t i = 0; i < n; i++)
		items[i] = get_str(r, arena);
	*ret_n = n;
	return items;
}

static const struct egress_opening *get_openings(struct wire_reader *r, struct arena *arena, size_t *ret_n)
{
	uint32_t n = wire_count(r, 2 * sizeof(uint32_t) + 2 * sizeof(uint16_t));
	if (n > EGRESS_GRANT_LIST_MAX) {
		r->bad = true;
		n = 0;
	}
	struct egress_opening *openings = arena_array(arena, n, sizeof *openings);
	for (uint32_t i = 0; i < n; i++) {
		openings[i].host = get_str(r, arena);
		openings[i].port = wire_u16(r);
		openings[i].address = get_str(r, arena);
		openings[i].address_port = wire_u16(r);
	}
	*ret_n = n;
	return openings;
}

static const struct egress_permit *get_permits(struct wire_reader *r, struct arena *arena, size_t *ret_n)
{
	uint32_t n = wire_count(r, sizeof(uint64_t) + 3 * sizeof(uint32_t));
	if (n > EGRESS_PERMITS_MAX) {
		r->bad = true;
		n = 0;
	}
	struct egress_permit *permits = arena_array(arena, n, sizeof *permits);
	for (uint32_t i = 0; i < n; i++) {
		permits[i].use = wire_u64(r);
		permits[i].binding = get_str(r, arena);
		permits[i].region = get_str(r, arena);
		permits[i].access_key_id = get_str(r, arena);
		r->bad = r->bad || permits[i].use == 0;
	}
	*ret_n = n;
	return permits;
}

/* A value below `end`; anything else makes the message bad. */
static uint8_t get_enum(struct wire_reader *r, uint8_t end)
{
	uint8_t v = wire_u8(r);
	if (v < end)
		return v;
	r->bad = true;
	return 0;
}

static void get_limits(struct wire_reader *r, struct egress_grant *g)
{
	g->request_max = wire_u32(r);
	g->response_max = wire_u32(r);
	if (g->request_max > LIMIT_REQUEST_BODY || g->response_max > LIMIT_RESPONSE_BODY)
		r->bad = true;
}

static void get_credential(struct wire_reader *r, struct arena *arena, struct egress_grant *g)
{
	g->declared = (enum credential_kind)get_enum(r, CREDENTIAL__MAX);
	g->header = get_str(r, arena);
	g->format = get_str(r, arena);
	g->service = get_str(r, arena);
	g->region = get_str(r, arena);
	g->access_key_id = get_str(r, arena);
	g->algorithm = get_str(r, arena);
	g->key_id = get_str(r, arena);
	g->label = get_str(r, arena);
	g->components = get_list(r, arena, &g->n_components);
}

static void get_binding(struct wire_reader *r, struct arena *arena, struct egress_grant *g)
{
	g->binding = (enum egress_binding)get_enum(r, BINDING__MAX);
	g->bound = (enum credential_kind)get_enum(r, CREDENTIAL__MAX);
	g->binding_error = get_str(r, arena);
	g->username = get_str(r, arena);
	g->bound_region = get_str(r, arena);
	g->bound_access_key_id = get_str(r, arena);
	g->pool = get_str(r, arena);
	g->permits = get_permits(r, arena, &g->n_permits);
	g->relay = wire_u32(r);
	g->relay_call = wire_u32(r);
}

/*
 * A token that was pasted or read from a file comes with a line end or a blank, and HTTP takes blanks off the ends of a
 * value: what is sent would not be what is looked for in answers. A signing key is bytes, not text.
 */
static struct str without_blanks(enum credential_kind kind, struct str secret)
{
	return kind == CREDENTIAL_SIGNING_KEY ? secret : str_trim(secret);
}

static int read_grant(struct arena *arena, struct str body, struct egress_grant *ret, struct secret **ret_secret,
		      struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct egress_grant g = {.connector = get_str(&r, arena)};
	g.version = get_str(&r, arena);
	g.permissive = wire_bool(&r);
	g.hosts = get_list(&r, arena, &g.n_hosts);
	g.subset = get_list(&r, arena, &g.n_subset);
	g.openings = get_openings(&r, arena, &g.n_openings);
	get_limits(&r, &g);
	get_credential(&r, arena, &g);
	get_binding(&r, arena, &g);

	struct str bytes = wire_str(&r);
	if (wire_done(&r, "grant", err) != 0)
		return -1;
	if ((g.binding == BINDING_FOUND) != (bytes.n > 0))
		return fail(err, ERR_PROTOCOL,
			    "message 'grant' has a secret without a binding, or a binding without a secret");
	if ((g.binding == BINDING_PERMIT) != (g.n_permits > 0) || (g.n_permits > 1 && g.bound != CREDENTIAL_AWS_SIGV4))
		return fail(err, ERR_PROTOCOL, "message 'grant' has permits that do not agree with its binding");

	AUTO(secret) *secret = NULL;
	if (bytes.n > 0) {
		secret = secret_from(without_blanks(g.bound, bytes), err);
		if (secret == NULL)
			return -1;
	}
	g.secret = secret;
	*ret = g;
	*ret_secret = TAKE(secret);
	return 0;
}

int egress_grant_get(struct arena *arena, char *body, size_t n, struct egress_grant *ret, struct secret **ret_secret,
		     struct err *err)
{
	int rc = read_grant(arena, str_of(body, n), ret, ret_secret, err);
	mem_wipe(body, n); /* whatever happened: nobody but the secret keeps these bytes */
	return rc;
}

void egress_result_put_head(struct buf *out, const struct egress_result *m)
{
	wire_put_i32(out, m->rc);
	wire_put_i32(out, m->status);
	wire_put_str(out, m->note);
	wire_put_u64(out, m->nanoseconds);
	wire_put_bool(out, m->rc != 0);
	if (m->rc != 0)
		wire_put_err(out, &m->err);
}

int egress_result_get(struct str body, struct egress_result *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	int32_t rc = wire_i32(&r);
	int32_t status = wire_i32(&r);
	struct str note = wire_str(&r);
	uint64_t nanoseconds = wire_u64(&r);
	bool has_err = wire_bool(&r);
	struct err carried = {0};
	if (has_err)
		wire_get_err(&r, &carried);
	struct str answer = wire_str(&r);
	if (wire_done(&r, "result", err) != 0)
		return -1;
	if (rc > 0 || rc < -2 || has_err != (rc != 0) || (has_err && carried.class == ERR_NONE))
		return fail(err, ERR_PROTOCOL, "message 'result' with return code %d does not agree with its error",
			    (int)rc);

	*ret = (struct egress_result){
		.rc = rc, .status = status, .err = carried, .note = note, .nanoseconds = nanoseconds, .body = answer};
	return 0;
}

void egress_oauth_put(struct buf *out, const struct egress_oauth *m)
{
	wire_put_u8(out, (uint8_t)m->step);
	wire_put_u64(out, m->ticket);
	wire_put_u64(out, m->left_ns);
	wire_put_str(out, m->code);
	wire_put_str(out, m->redirect_uri);
}

int egress_oauth_get(struct str body, struct egress_oauth *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct egress_oauth m = {.step = (enum egress_oauth_step)get_enum(&r, OAUTH_STEP__MAX)};
	m.ticket = wire_u64(&r);
	m.left_ns = wire_u64(&r);
	m.code = wire_str(&r);
	m.redirect_uri = wire_str(&r);
	if (wire_done(&r, "oauth", err) != 0)
		return -1;
	if (m.step == 0 || m.ticket == 0 || (m.step == OAUTH_CODE) != (m.code.n > 0))
		return fail(err, ERR_PROTOCOL, "message 'oauth' with fields that do not agree");
	*ret = m;
	return 0;
}

void egress_oauth_result_put(struct buf *out, const struct egress_oauth_result *m)
{
	wire_put_bool(out, m->err.class != ERR_NONE);
	if (m->err.class != ERR_NONE)
		wire_put_err(out, &m->err);
	wire_put_bool(out, m->pending);
	wire_put_str(out, m->scope);
	wire_put_u64(out, m->expires_in);
	wire_put_bool(out, m->has_refresh_token);
	wire_put_str(out, m->user_code);
	wire_put_str(out, m->verification_uri);
	wire_put_str(out, m->verification_uri_complete);
	wire_put_u32(out, m->interval);
}

int egress_oauth_result_get(struct str body, struct egress_oauth_result *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	ret->err.class = ERR_NONE;
	bool has_err = wire_bool(&r);
	if (has_err)
		wire_get_err(&r, &ret->err);
	ret->pending = wire_bool(&r);
	ret->scope = wire_str(&r);
	ret->expires_in = wire_u64(&r);
	ret->has_refresh_token = wire_bool(&r);
	ret->user_code = wire_str(&r);
	ret->verification_uri = wire_str(&r);
	ret->verification_uri_complete = wire_str(&r);
	ret->interval = wire_u32(&r);
	if (wire_done(&r, "oauth result", err) != 0)
		return -1;
	if (has_err != (ret->err.class != ERR_NONE))
		return fail(err, ERR_PROTOCOL, "message 'oauth result' with an error that is none");
	return 0;
}

void egress_post_put(struct buf *out, const struct egress_post *m)
{
	wire_put_str(out, m->url);
	wire_put_str(out, m->content_type);
	wire_put_str(out, m->body);
	wire_put_u64(out, m->left_ns);
}

int egress_post_get(struct str body, struct egress_post *ret, struct err *err)
{
	struct wire_reader r = wire_reader(body);
	struct egress_post m = {.url = wire_str(&r)};
	m.content_type = wire_str(&r);
	m.body = wire_str(&r);
	m.left_ns = wire_u64(&r);
	if (wire_done(&r, "post", err) != 0)
		return -1;
	*ret = m;
	return 0;
}
