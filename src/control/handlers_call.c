/*
 * The call of a connector, from the request to the answer: what it may use is resolved and permitted, its start is on disk
 * before it is sent, its end before it is told.
 */
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "base/vec.h"
#include "control/bindings.h"
#include "control/calls.h"
#include "control/connectors.h"
#include "control/control.h"
#include "control/execution.h"
#include "control/keeper_client.h"
#include "control/lines.h"
#include <stdlib.h>

#define GRACE_NS     (5 * TIME_SECOND) /* of a permit, past the call's wall time */
#define LINES_MAX    (6 * MIB)         /* of logs, and of trace; with the longest output they fit into an answer */
#define OPENINGS_MAX 64
#define PERMIT_MAX   (256 * KIB)

struct call_of {
	struct request *request;
	struct connector_opened opened;
	struct call_limits limits;
	struct execution execution;
	/* the credential */
	struct binding_list bindings; /* that it may use */
	struct credential credential;
	struct egress_permit *permits;
	size_t n_permits;
	struct egress_opening *openings;
	size_t n_openings;
	struct egress_grant grant;
	/* while it runs; the calls' thread writes, and the worker reads when it has ended */
	struct lines logs, trace;
	bool traced;
	struct calls_result result;
};

/* ---------------------------------------------------------------------------------------------------------- the binding */

static struct str names_of(struct arena *arena, const struct binding_list *list, const char *between)
{
	AUTO_BUF names = BUF_INIT(BINDINGS_OF_CALL_MAX * KIB);
	for (size_t i = 0; i < list->n; i++) {
		buf_add_z(&names, i > 0 ? between : "");
		buf_add_str(&names, list->items[i].name);
	}
	return arena_str(arena, buf_str(&names));
}

/* None, one, or (aws_sigv4, chosen by region when a request is made) several. */
static int choose_bindings(struct call_of *c, struct err *err)
{
	struct request *r = c->request;
	const struct manifest_credential *declared = &c->opened.manifest->credential;
	c->credential = (struct credential){.binding = BINDING_NO_RESOLVER};
	if (!declared->present)
		return 0;
	struct str kind = str_from(credential_kind_name(declared->kind));
	struct binding_list all = {0};
	if (bindings_list(r->control, r->arena, c->opened.row.fqn, kind, &all, err) < 0)
		return -1;
	struct binding_list usable = {.items = arena_array(r->arena, all.n + 1, sizeof *usable.items)};
	for (size_t i = 0; i < all.n; i++) {
		if (!str_eq(all.items[i].status, S("revoked")))
			usable.items[usable.n++] = all.items[i];
	}
	c->credential.kind = declared->kind;
	c->credential.binding = BINDING_MISSING;
	if (usable.n == 0) {
		c->credential.error = arena_printf(
			r->arena,
			"'%.*s' needs a credential of kind '%.*s' and none is bound; run `aileron binding setup %.*s`",
			STR_FMT(c->opened.row.fqn), STR_FMT(kind), STR_FMT(c->opened.row.fqn));
		return 0;
	}
	if (usable.n > BINDINGS_OF_CALL_MAX || (usable.n > 1 && declared->kind != CREDENTIAL_AWS_SIGV4)) {
		c->credential.error =
			arena_printf(r->arena, "several bindings fit '%.*s': %.*s; revoke all but one",
				     STR_FMT(c->opened.row.fqn), STR_FMT(names_of(r->arena, &usable, ", ")));
		return 0;
	}
	c->bindings = usable;
	c->credential.binding = BINDING_PERMIT;
	c->execution.binding = names_of(r->arena, &usable, " ");
	return 0;
}

/* What this call may reach with that binding: what the manifest names and the person agreed to. */
static struct str_list hosts_of(const struct call_of *c, const struct binding *binding)
{
	struct arena *arena = c->request->arena;
	const struct connector_manifest *manifest = c->opened.manifest;
	static const struct str any[] = {{"*", 1}};
	if (grant_is_permissive(manifest))
		return binding_consent_allows(&binding->consent, S("*")) ? (struct str_list){any, 1}
									 : (struct str_list){NULL, 0};
	struct str *hosts = arena_array(arena, manifest->hosts.n + 1, sizeof *hosts);
	size_t n = 0;
	for (size_t i = 0; i < manifest->hosts.n; i++) {
		if (binding_consent_allows(&binding->consent, manifest->hosts.items[i]))
			hosts[n++] = arena_lower(arena, manifest->hosts.items[i]);
	}
	return (struct str_list){hosts, n};
}

static int permit_one(struct call_of *c, const struct binding *binding, struct egress_permit *permit, struct err *err)
{
	struct control *control = c->request->control;
	struct str_list hosts = hosts_of(c, binding);
	if (hosts.n == 0)
		return fail(err, ERR_BINDING_FAILED,
			    "the binding '%.*s' was consented for other hosts than '%.*s' names now; see them with "
			    "`aileron "
			    "binding inspect`, change them with `aileron binding hosts`",
			    STR_FMT(binding->name), STR_FMT(c->opened.row.fqn));
	const struct keeper_permit ask = {
		.use = keeper_new_number(control->keeper),
		.path = binding->name,
		.connector = c->opened.row.fqn,
		.kind = binding->fields.kind,
		.hosts = hosts.items,
		.n_hosts = hosts.n,
		.deadline_ns = clock_monotonic_ns(NULL) + c->limits.wall_time + GRACE_NS,
	};
	AUTO_BUF body = BUF_INIT(PERMIT_MAX);
	keeper_permit_put(&body, &ask);
	if (buf_check(&body, "the permit", err) < 0 ||
	    keeper_ask(control->keeper, KEEPER_PERMIT, buf_str(&body), c->request->arena, NULL, err) < 0)
		return -1;
	*permit = (struct egress_permit){
		.use = ask.use,
		.binding = binding->name,
		.region = binding->fields.region,
		.access_key_id = binding->fields.access_key_id,
	};
	return 0;
}

/* A locked vault is a binding that is required; what else the keeper refuses keeps its own class, if callers know it. */
static int tell_refusal(struct err *err)
{
	if (err->class == ERR_VAULT_LOCKED || err->class == ERR_VAULT_MISSING || err->class == ERR_UNAVAILABLE) {
		char why[256];
		struct str text = str_slice(str_from(err->message), 0, sizeof why - 1);
		memcpy(why, text.p, text.n);
		why[text.n] = '\0';
		fail(err, ERR_BINDING_REQUIRED, "the credential cannot be used: %s", why);
		err_detail(err, "required", S("vault.passphrase"));
		err_detail(err, "hint", S("run `aileron vault unlock`"));
	} else if (!err_class_is_closed(err->class)) {
		err->class = ERR_BINDING_FAILED;
		err->boundary = err_row(ERR_BINDING_FAILED)->boundary;
	}
	return -1;
}

static int permit_all(struct call_of *c, struct err *err)
{
	c->permits = arena_array(c->request->arena, c->bindings.n + 1, sizeof *c->permits);
	for (size_t i = 0; i < c->bindings.n; i++) {
		if (permit_one(c, &c->bindings.items[i], &c->permits[i], err) < 0)
			return tell_refusal(err);
		c->n_permits++;
	}
	return 0;
}

static void end_uses(struct call_of *c)
{
	for (size_t i = 0; i < c->n_permits; i++)
		keeper_tell_end_use(c->request->control->keeper, c->permits[i].use);
}

/* The hosts that the person opened although their addresses are private. */
static void add_openings(struct call_of *c)
{
	struct arena *arena = c->request->arena;
	c->openings = arena_array(arena, OPENINGS_MAX, sizeof *c->openings);
	for (size_t i = 0; i < c->bindings.n; i++) {
		const struct binding_consent *consent = &c->bindings.items[i].consent;
		for (size_t k = 0; k < consent->n_allow_private && c->n_openings < OPENINGS_MAX; k++) {
			struct str text = arena_lower(arena, consent->allow_private[k]);
			size_t colon = str_find_last_char(text, ':');
			uint64_t port = 0;
			if (colon == STR_NPOS || !str_to_u64(str_slice(text, colon + 1, text.n), UINT16_MAX, &port))
				continue;
			c->openings[c->n_openings++] = (struct egress_opening){
				.host = str_slice(text, 0, colon),
				.port = (uint16_t)port,
			};
		}
	}
}

static void make_grant(struct call_of *c)
{
	add_openings(c);
	c->grant = grant_make(c->opened.manifest, &c->limits, &c->credential,
			      (struct grant_openings){c->openings, c->n_openings});
	c->grant.connector = c->opened.row.fqn;
	c->grant.permits = c->permits;
	c->grant.n_permits = c->n_permits;
	if (c->bindings.n == 1) {
		const struct binding_fields *f = &c->bindings.items[0].fields;
		if (f->username.n > 0)
			c->grant.username = f->username;
		c->grant.bound_region = f->region;
		c->grant.bound_access_key_id = f->access_key_id;
	}
}

/* ------------------------------------------------------------------------------------------------------- while it runs */

static void on_log(void *user, struct str level, struct str message)
{
	struct call_of *c = user;
	lines_add_log(&c->logs, level, message);
}

static void on_trace(void *user, struct str text, uint64_t nanoseconds)
{
	struct call_of *c = user;
	lines_add_trace(&c->trace, text, nanoseconds);
}

/*
 * One line of the connector's own on its way into the record. Jobs of the writer are done in order, so that it is on disk
 * before the end of its call is, which is before the caller is answered.
 */
struct emitted {
	struct buf payload;
	char *connector;
};

static int do_emit(struct db_tx *tx, void *user, struct err *err)
{
	const struct emitted *emitted = user;
	const struct audit_event event = {
		.type = AUDIT_CONNECTOR_EVENT,
		.actor = AUDIT_ACTOR_CONNECTOR_RUNTIME,
		.actor_id = str_from(emitted->connector),
		.payload_text = buf_str(&emitted->payload),
	};
	return audit_append(tx, &event, NULL, NULL, err);
}

static void on_emitted(void *user, const struct err *err)
{
	struct emitted *emitted = user;
	if (err != NULL)
		log_error("connector_event_lost", log_z("connector", emitted->connector), log_err(err));
	buf_release(&emitted->payload);
	free(emitted->connector);
	free(emitted);
}

static int32_t on_audit(void *user, struct str object)
{
	struct call_of *c = user;
	struct emitted *emitted = NEW(struct emitted);
	emitted->connector = str_dup(c->opened.row.fqn);
	buf_init(&emitted->payload, AUDIT_TEXT_MAX);
	struct json_writer w;
	jsonw_init(&w, &emitted->payload, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	jsonw_key(&w, S("aileron.connector.event"));
	jsonw_raw(&w, object);
	jsonw_key(&w, S("aileron.connector.fqn"));
	jsonw_str(&w, c->opened.row.fqn);
	jsonw_key(&w, S("aileron.execution.id"));
	jsonw_str(&w, str_from(c->execution.id));
	jsonw_end_object(&w);
	db_write_later(c->request->control->db, do_emit, emitted, on_emitted);
	return 0;
}

static bool is_gone(void *user)
{
	const struct call_of *c = user;
	return c->request->control->over || http_is_gone(c->request->exchange);
}

/* ----------------------------------------------------------------------------------------------------------- the answer */

static void put_int(struct json_writer *w, const char *key, uint64_t value)
{
	jsonw_key(w, str_from(key));
	jsonw_int(w, (int64_t)MIN(value, (UINT64_C(1) << 53) - 1));
}

static void put_report(struct json_writer *w, struct call_of *c)
{
	const struct call_report *report = &c->result.report;
	jsonw_begin_object(w);
	put_int(w, "total_us", report->total_ns / TIME_MICROSECOND);
	put_int(w, "instantiate_us", report->instantiate_ns / TIME_MICROSECOND);
	put_int(w, "run_us", report->run_ns / TIME_MICROSECOND);
	put_int(w, "requests", report->requests);
	put_int(w, "request_us", report->request_ns / TIME_MICROSECOND);
	put_int(w, "memory_peak", report->memory_peak);
	jsonw_key(w, S("warm"));
	jsonw_bool(w, c->result.warm);
	jsonw_key(w, S("content_hash"));
	jsonw_str(w, c->opened.content_hash);
	jsonw_key(w, S("linked"));
	jsonw_bool(w, true);
	put_int(w, "logs_dropped", report->logs_dropped + c->logs.dropped);
	jsonw_key(w, S("logs"));
	jsonw_raw(w, lines_end(&c->logs));
	if (c->traced) {
		put_int(w, "traces_dropped", report->traces_dropped + c->trace.dropped);
		jsonw_key(w, S("trace"));
		jsonw_raw(w, lines_end(&c->trace));
	}
	jsonw_end_object(w);
}

static void put_answer(struct call_of *c)
{
	struct json_writer *w = &c->request->json;
	jsonw_begin_object(w);
	jsonw_key(w, S("output"));
	jsonw_raw(w, buf_str(&c->result.output));
	jsonw_key(w, S("audit_id"));
	jsonw_str(w, str_from(c->request->audit_id));
	jsonw_key(w, S("report"));
	put_report(w, c);
	jsonw_end_object(w);
}

/* ------------------------------------------------------------------------------------------------------------- the call */

static void run(struct call_of *c, const struct calls_spec *spec)
{
	struct calls_result *result = &c->result;
	struct calls *calls = c->request->control->calls;
	/* Compiling is not on the call's time, nor on that of its permits. */
	if (calls_prepare(calls, spec, &result->error) < 0 || permit_all(c, &result->error) < 0)
		return;
	make_grant(c);
	calls_run(calls, spec, result);
}

static int begin(struct call_of *c, struct err *err)
{
	struct request *r = c->request;
	uint64_t timeout_ms = 0;
	int64_t asked;
	if (connector_open(r->control, r->arena, r->parameters[0], &c->opened, err) < 0)
		return -1;
	if (json_get_int(request_member(r, "timeout_ms"), &asked) && asked > 0)
		timeout_ms = (uint64_t)asked;
	const struct call_limits limits = {.wall_time = timeout_ms * MS};
	c->limits = call_limits_resolve(&limits, &c->opened.manifest->limits);
	c->execution.connector = c->opened.row.fqn;
	c->execution.content_hash = c->opened.content_hash;
	c->execution.op = request_str(r, "op");
	if (choose_bindings(c, err) < 0)
		return -1;
	return execution_start(r, &c->execution, err);
}

static int call(struct call_of *c, struct err *err)
{
	struct request *r = c->request;
	if (begin(c, err) < 0)
		return -1;
	lines_begin(&c->logs, LINES_MAX);
	lines_begin(&c->trace, LINES_MAX);
	c->traced = request_bool(r, "trace", false);
	const struct calls_spec spec = {
		.manifest = c->opened.manifest,
		.manifest_bytes = c->opened.manifest_bytes,
		.module_fd = c->opened.module_fd,
		.content_hash = c->opened.hash,
		.op = c->execution.op,
		.args = request_member(r, "args"),
		.limits = c->limits,
		.grant = &c->grant,
		.trace = c->traced,
		.log = on_log,
		.traced = c->traced ? on_trace : NULL,
		.audit = on_audit,
		.gone = is_gone,
		.user = c,
	};
	run(c, &spec);
	end_uses(c);
	const struct err *error = c->result.ok ? NULL : &c->result.error;
	if (execution_end(r, &c->execution, error, &c->result.report, err) < 0)
		return -1;
	if (error != NULL) {
		*err = *error;
		return -1;
	}
	put_answer(c);
	return 0;
}

int handle_connector_call(struct request *r, struct err *err)
{
	/* Two errors and more: too large for a worker's stack. */
	struct call_of *c = NEW(struct call_of);
	c->request = r;
	c->opened = CONNECTOR_OPENED_INIT;
	int rc = call(c, err);
	connector_close(&c->opened);
	lines_release(&c->logs);
	lines_release(&c->trace);
	buf_release(&c->result.output);
	free(c);
	return rc;
}
