#include "egress/oauth.h"
#include "base/arena.h"
#include "base/time.h"
#include "egress/fetch.h"
#include "egress/keeper_link.h"
#include "egress/oauth_answer.h"
#include "egress/scrub.h"
#include "os/loop.h"
#include "text/form.h"
#include <stdlib.h>

#define FORM_MAX          (1 * MIB)
#define SLOW_DOWN_SECONDS 5 /* RFC 8628 3.5 */
#define HOUR_MS           UINT64_C(3600000)

/*
 * One token request:
 *
 *     oauth_step -> (keeper) on_ticket ---> send_form -> (endpoint) on_answer -> (keeper) on_stored -> finish
 *     oauth_refresh ----------------------------^                   |
 *                                                                   +-> the keeper, finish
 */
struct step {
	struct oauth *oauth;
	struct step *next, **place;  /* among those under way */
	enum egress_oauth_step kind; /* 0: a refresh */
	uint32_t id;
	bool forgotten; /* nobody waits for the result */
	uint64_t ticket;
	uint64_t until_ns;
	struct loop_source *timer;
	struct arena *arena;
	struct buf code;     /* OAUTH_CODE; secret */
	struct str redirect; /* the same */
	uint32_t asking;     /* the keeper's question; 0 = none */
	struct fetch *fetch;
	struct buf form;                    /* secret */
	struct secret *sent[SCRUB_SECRETS]; /* what must not come back in an error */
	size_t n_sent;
	struct egress_oauth_result result;
};

struct oauth {
	struct oauth_options options;
	struct step *steps;
	size_t open;
};

struct oauth *oauth_new(const struct oauth_options *options)
{
	struct oauth *oauth = NEW(struct oauth);
	oauth->options = *options;
	return oauth;
}

size_t oauth_open(const struct oauth *oauth)
{
	return oauth->open;
}

static void step_free(struct step *step)
{
	*step->place = step->next;
	if (step->next != NULL)
		step->next->place = step->place;
	step->oauth->open--;
	keeper_forget(step->oauth->options.keeper, step->asking);
	fetch_cancel(step->fetch);
	loop_source_free(step->timer);
	buf_release(&step->code);
	buf_release(&step->form);
	while (step->n_sent > 0)
		secret_free(step->sent[--step->n_sent]);
	arena_free(step->arena);
	free(step);
}

void oauth_free(struct oauth *oauth)
{
	if (oauth == NULL)
		return;
	while (oauth->steps != NULL)
		step_free(oauth->steps);
	free(oauth);
}

void oauth_forget_asker(struct oauth *oauth)
{
	for (struct step *step = oauth->steps; step != NULL; step = step->next)
		step->forgotten = step->kind != 0;
}

/* ---- the end ---- */

/* What a refresh may fail with: refused for good, or nobody knows. */
static void finish_refresh_failed(struct step *step)
{
	struct err *err = &step->result.err;
	enum err_class class = err->class == ERR_BINDING_FAILED ? ERR_BINDING_FAILED : ERR_NETWORK_ERROR;
	if (err->class != class)
		fail(err, class, "%s", err->message);
	wrap(err, "refreshing the token");
	keeper_refresh_failed(step->oauth->options.keeper, step->id, err);
}

/* With step->result. From the loop. */
static void finish(struct step *step)
{
	const struct oauth_options *options = &step->oauth->options;
	if (step->kind == 0 && step->result.err.class != ERR_NONE)
		finish_refresh_failed(step);
	else if (step->kind != 0 && !step->forgotten)
		options->done(options->context, step->id, &step->result);
	step_free(step);
}

/* Strikes out of an error what was secret in the request. Without memory for that, only its class is told. */
static void scrub_error(const struct step *step, struct err *err)
{
	AUTO(scrubber) *scrubber = scrubber_new(NULL);
	bool ready = scrubber != NULL;
	for (size_t i = 0; i < step->n_sent && ready; i++)
		ready = scrub_add(scrubber, step->sent[i], NULL) == 0;
	if (ready)
		scrub_err(scrubber, err);
	else
		fail(err, err->class, "the token request failed");
}

static void finish_failed(struct step *step)
{
	scrub_error(step, &step->result.err);
	finish(step);
}

/* At the loop's next turn, whoever is calling. */
static void fail_soon(struct step *step)
{
	loop_timer_start(step->timer, 0, 0);
}

static void on_timer(void *user, int what)
{
	(void)what;
	struct step *step = user;
	struct err *err = &step->result.err;
	if (err->class == ERR_NONE && step->asking != 0)
		fail(err, ERR_UNAVAILABLE, "the keeper of the vault did not answer in time");
	else if (err->class == ERR_NONE)
		fail(err, ERR_NETWORK_ERROR, "the token request did not end in time");
	finish_failed(step);
}

/* ---- the answer ---- */

static bool is_transient(struct str code)
{
	return str_eq(code, S("temporarily_unavailable")) || str_eq(code, S("server_error")) ||
	       str_eq(code, S("slow_down"));
}

/* An answer without tokens: what it means. */
static int refuse(struct step *step, int status, const struct oauth_answer *answer, struct err *err)
{
	bool client_error = status >= 400 && status < 500 && status != 408 && status != 429;
	bool refused = answer->has_error ? !is_transient(answer->error) && status < 500 : client_error;
	enum err_class class = step->kind == 0 ? ERR_BINDING_FAILED : ERR_TOKEN_EXCHANGE_FAILED;
	struct str code = answer->error.n > 0 ? answer->error : S("no known code");
	if (!refused)
		class = ERR_NETWORK_ERROR;
	if (answer->has_error)
		fail(err, class, "the token endpoint refused with '%.*s' (status %d)", STR_FMT(code), status);
	else
		fail(err, class, "the token endpoint answered with status %d", status);
	if (answer->error.n > 0)
		err_detail(err, "error", answer->error);
	err_detail_int(err, "status", status);
	return -1;
}

static bool still_pending(struct step *step, const struct oauth_answer *answer)
{
	if (step->kind != OAUTH_DEVICE_POLL || !answer->has_error)
		return false;
	bool slow_down = str_eq(answer->error, S("slow_down"));
	step->result.pending = slow_down || str_eq(answer->error, S("authorization_pending"));
	step->result.interval = slow_down ? SLOW_DOWN_SECONDS : 0;
	return step->result.pending;
}

static int check_tokens(const struct oauth_answer *answer, struct err *err)
{
	if (answer->access_token.n == 0)
		return fail(err, ERR_NETWORK_ERROR, "the answer of the token endpoint has no access_token");
	if (answer->token_type.n > 0 && !str_eq_fold(answer->token_type, S("bearer")))
		return fail(err, ERR_NETWORK_ERROR, "the token endpoint gives tokens of another type than Bearer");
	return 0;
}

static void on_stored(void *context, const struct keeper_answer *answer)
{
	struct step *step = context;
	step->asking = 0;
	if (answer->err == NULL) {
		finish(step);
		return;
	}
	step->result.err = *answer->err;
	finish_failed(step);
}

/* 1 when the step is over, 0 when the keeper was asked to store, -1. */
static int take_tokens(struct step *step, const struct oauth_answer *answer, struct err *err)
{
	struct keeper_link *keeper = step->oauth->options.keeper;
	const struct keeper_tokens tokens = {
		.access_token = answer->access_token,
		.refresh_token = answer->refresh_token,
		.token_type = answer->token_type,
		.expires_in = answer->expires_in,
		.has_scope = answer->has_scope,
		.scope = answer->scope,
	};
	if (check_tokens(answer, err) != 0)
		return -1;
	if (step->kind == 0) {
		keeper_refreshed(keeper, step->id, &tokens);
		return 1;
	}
	const struct keeper_ask ask = {.answered = on_stored, .context = step};
	step->result.scope = arena_str(step->arena, answer->scope);
	step->result.expires_in = answer->expires_in;
	step->result.has_refresh_token = answer->refresh_token.n > 0;
	step->asking = keeper_store_tokens(keeper, step->ticket, &tokens, &ask, err);
	return step->asking != 0 ? 0 : -1;
}

static int take_device_code(struct step *step, const struct oauth_answer *answer, struct err *err)
{
	struct egress_oauth_result *result = &step->result;
	const struct keeper_ask ask = {.answered = on_stored, .context = step};
	if (answer->device_code.n == 0 || answer->user_code.n == 0 || answer->verification_uri.n == 0)
		return fail(err, ERR_NETWORK_ERROR, "the answer of the device endpoint lacks a code or the address");
	result->user_code = arena_str(step->arena, answer->user_code);
	result->verification_uri = arena_str(step->arena, answer->verification_uri);
	result->verification_uri_complete = arena_str(step->arena, answer->verification_uri_complete);
	result->expires_in = answer->expires_in;
	result->interval = (uint32_t)answer->interval;
	step->asking =
		keeper_store_device_code(step->oauth->options.keeper, step->ticket, answer->device_code, &ask, err);
	return step->asking != 0 ? 0 : -1;
}

/* As take_tokens(). */
static int take_answer(struct step *step, int status, struct buf *body, struct err *err)
{
	struct oauth_answer answer = {.has_error = false};
	bool readable = oauth_answer_parse(body->p, body->n, &answer, err) == 0;
	bool good = status >= 200 && status < 300;
	if (!readable && good)
		return fail(err, ERR_NETWORK_ERROR, "%s", err->message);
	if (!good || answer.has_error)
		return still_pending(step, &answer) ? 1 : refuse(step, status, &answer, err);
	if (step->kind == OAUTH_DEVICE_START)
		return take_device_code(step, &answer, err);
	return take_tokens(step, &answer, err);
}

static void on_answer(void *context, const struct fetch_answer *answer)
{
	struct step *step = context;
	struct err *err = &step->result.err;
	step->fetch = NULL;
	int over = -1;
	if (answer->err != NULL)
		*err = *answer->err;
	else
		over = take_answer(step, answer->status, answer->body, err);
	if (over < 0)
		finish_failed(step);
	else if (over > 0)
		finish(step);
}

/* ---- the request ---- */

/* One field of the form; what is secret in it is remembered, to be struck out of errors. */
static int put_secret(struct step *step, struct str name, struct str value, struct err *err)
{
	if (value.n == 0)
		return 0;
	form_put(&step->form, name, value);
	if (step->n_sent == ARRAY_LEN(step->sent))
		BUG("a token request with more secrets than it has fields");
	struct secret *secret = secret_from(value, err);
	if (secret == NULL)
		return -1;
	step->sent[step->n_sent++] = secret;
	return 0;
}

static int fill_code(struct step *step, const struct keeper_exchange *exchange, struct err *err)
{
	form_put(&step->form, S("grant_type"), S("authorization_code"));
	form_put(&step->form, S("redirect_uri"), step->redirect);
	if (put_secret(step, S("code"), buf_str(&step->code), err) != 0)
		return -1;
	return put_secret(step, S("code_verifier"), exchange->verifier, err);
}

static int fill_device_start(struct step *step, const struct keeper_exchange *exchange, struct err *err)
{
	(void)err;
	if (exchange->scopes.n > 0)
		form_put(&step->form, S("scope"), exchange->scopes);
	return 0;
}

static int fill_device_poll(struct step *step, const struct keeper_exchange *exchange, struct err *err)
{
	form_put(&step->form, S("grant_type"), S("urn:ietf:params:oauth:grant-type:device_code"));
	return put_secret(step, S("device_code"), exchange->device_code, err);
}

static int fill_refresh(struct step *step, const struct keeper_exchange *exchange, struct err *err)
{
	form_put(&step->form, S("grant_type"), S("refresh_token"));
	return put_secret(step, S("refresh_token"), exchange->refresh_token, err);
}

static int (*const fillers[OAUTH_STEP__MAX])(struct step *step, const struct keeper_exchange *exchange,
					     struct err *err) = {
	[0] = fill_refresh,
	[OAUTH_CODE] = fill_code,
	[OAUTH_DEVICE_START] = fill_device_start,
	[OAUTH_DEVICE_POLL] = fill_device_poll,
};

static int send_form(struct step *step, const struct keeper_exchange *exchange, struct err *err)
{
	uint64_t now = clock_monotonic_ns(step->oauth->options.net->clock);
	struct str url = step->kind == OAUTH_DEVICE_START ? exchange->device_authorization_url : exchange->token_url;
	if (fillers[step->kind](step, exchange, err) != 0)
		return -1;
	form_put(&step->form, S("client_id"), exchange->client_id);
	if (put_secret(step, S("client_secret"), exchange->client_secret, err) != 0 ||
	    buf_check(&step->form, "the token request", err) != 0)
		return -1;
	const struct fetch_ask ask = {
		.net = step->oauth->options.net,
		.url = arena_str(step->arena, url),
		.lines = {"Accept: application/json", "Content-Type: application/x-www-form-urlencoded",
			  "User-Agent: aileron"},
		.n_lines = 3,
		.body = buf_str(&step->form),
		.sensitive = true,
		.answer_max = OAUTH_ANSWER_MAX,
		.left_ns = step->until_ns > now ? step->until_ns - now : 0,
		.done = on_answer,
		.context = step,
	};
	step->fetch = fetch_start(&ask);
	return 0;
}

static void on_ticket(void *context, const struct keeper_answer *answer)
{
	struct step *step = context;
	struct err *err = &step->result.err;
	step->asking = 0;
	if (answer->err != NULL)
		*err = *answer->err;
	if (answer->err != NULL || send_form(step, answer->exchange, err) != 0)
		finish_failed(step);
}

static struct step *step_new(struct oauth *oauth, uint32_t id, uint64_t left_ns)
{
	struct step *step = NEW(struct step);
	step->oauth = oauth;
	step->id = id;
	step->arena = arena_new();
	step->code = BUF_INIT_SECRET(EGRESS_OAUTH_MAX);
	step->form = BUF_INIT_SECRET(FORM_MAX);
	step->next = oauth->steps;
	step->place = &oauth->steps;
	if (step->next != NULL)
		step->next->place = &step->next;
	oauth->steps = step;
	oauth->open++;
	left_ns = MIN(left_ns, HOUR_MS * MS);
	step->until_ns = clock_monotonic_ns(oauth->options.net->clock) + left_ns;
	step->timer = loop_timer(oauth->options.net->loop, on_timer, step);
	loop_timer_start(step->timer, left_ns / MS + 1, 0);
	return step;
}

void oauth_step(struct oauth *oauth, uint32_t id, const struct egress_oauth *what)
{
	bool full = oauth->open >= OAUTH_STEPS_MAX;
	struct step *step = step_new(oauth, id, what->left_ns);
	struct err *err = &step->result.err;
	const struct keeper_ask ask = {.answered = on_ticket, .context = step};
	step->kind = what->step;
	step->ticket = what->ticket;
	buf_add_str(&step->code, what->code);
	step->redirect = arena_str(step->arena, what->redirect_uri);
	if (full)
		fail(err, ERR_UNAVAILABLE, "too many token requests are under way");
	else
		step->asking = keeper_exchange(oauth->options.keeper, what->ticket, &ask, err);
	if (step->asking == 0)
		fail_soon(step);
}

void oauth_refresh(struct oauth *oauth, uint32_t id, const struct keeper_exchange *exchange)
{
	struct step *step = step_new(oauth, id, OAUTH_REFRESH_NS);
	if (send_form(step, exchange, &step->result.err) != 0)
		fail_soon(step);
}
