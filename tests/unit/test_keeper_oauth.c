#include "base/log.h"
#include "keeper_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define PASSPHRASE "correct horse battery staple"
#define HOST       "api.example.com:443"
#define PATH       "oauth2/svc/work"
#define VERIFIER   "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

static const struct rig_binding oauth2 = {
	.path = PATH,
	.kind = "oauth2",
	/* 1000 s after the rig's clock */
	.value = "{\"access_token\":\"at-1\",\"refresh_token\":\"rt-1\",\"expires_at\":\"2026-01-01T00:16:40Z\","
		 "\"token_type\":\"Bearer\",\"client_id\":\"client-1\",\"token_url\":\"https://old.example.com/token\","
		 "\"scopes\":[\"mail.read\",\"mail.send\"]}",
	.hosts = {HOST},
	.token_url = "https://auth.example.com/token",
};

static int start(void **state)
{
	static struct rig rig;
	rig_start(&rig);
	assert_int_equal(rig_with_passphrase(&rig, KEEPER_OP_INIT, PASSPHRASE), 0);
	*state = &rig;
	return 0;
}

static int stop(void **state)
{
	rig_stop(*state);
	return 0;
}

static void unlock(struct rig *rig)
{
	assert_int_equal(rig_with_passphrase(rig, KEEPER_OP_UNLOCK, PASSPHRASE), 0);
}

static void assert_class(const struct rig *rig, enum err_class class)
{
	if (rig->err.class != class)
		fail_msg("%s: %s", err_row(rig->err.class)->name, rig->err.message);
}

static void permit(struct rig *rig, uint64_t use)
{
	if (rig_permit(rig, use, PATH, "oauth2", HOST) != 0)
		fail_msg("%s", rig->err.message);
}

static void assert_labelled(struct rig *rig, const char *text)
{
	const char *labels = rig_labels(rig, PATH);
	if (strstr(labels, text) == NULL)
		fail_msg("%s lacks %s", labels, text);
}

static void assert_not_labelled(struct rig *rig, const char *text)
{
	assert_null(strstr(rig_labels(rig, PATH), text));
}

/* The exchange that REFRESH or TICKET carries. */
static struct keeper_exchange read_exchange(struct rig *rig, struct str body)
{
	struct wire_reader r = wire_reader(arena_str(rig->arena, body));
	struct keeper_exchange exchange;
	keeper_exchange_get(&r, &exchange);
	assert_int_equal(wire_done(&r, "exchange", NULL), 0);
	return exchange;
}

/* A binding whose token is due, a claim `id` of use `use`, and the REFRESH that it leads to. */
static struct keeper_exchange begin_refresh(struct rig *rig, uint32_t id, uint64_t use)
{
	permit(rig, use);
	rig_claim(rig, id, use, HOST);
	uint32_t got = 0;
	bool ok = false;
	struct str rest = STR_EMPTY;
	assert_int_equal(rig_hear_egress(rig, &got, &ok, &rest), KEEPER_REFRESH);
	assert_int_equal(got, id);
	return read_exchange(rig, rest);
}

static void make_due(struct rig *rig)
{
	assert_int_equal(rig_put(rig, &oauth2), 0);
	rig_pass(rig, 940 * TIME_SECOND);
}

static const struct keeper_tokens rotated = {
	.access_token = {"at-2", 4},
	.refresh_token = {"rt-2", 4},
	.token_type = {"Bearer", 6},
	.expires_in = 3600,
};

/* ---- claims and refreshes ---- */

static void a_token_that_is_good_is_released(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(rig_put(rig, &oauth2), 0);
	rig_pass(rig, 939 * TIME_SECOND); /* the last second before it is due */
	permit(rig, 1);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, HOST, &released), 0);
	assert_string_equal(released.kind, "oauth2");
	assert_string_equal(released.secret, "at-1");
	assert_int_equal(rig_claim_now(rig, 1, HOST, &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
}

static void without_expiry_or_refresh_token_it_is_used_as_it_is(void **state)
{
	struct rig *rig = *state;
	static const char *const values[] = {
		"{\"access_token\":\"at-1\",\"expires_at\":\"0001-01-01T00:00:00Z\",\"refresh_token\":\"rt-1\"}",
		"{\"access_token\":\"at-1\",\"expires_at\":\"2025-01-01T00:00:00Z\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct rig_binding binding = oauth2;
		binding.value = values[i];
		assert_int_equal(rig_put(rig, &binding), 0);
		permit(rig, i + 1);
		struct rig_released released = {0};
		assert_int_equal(rig_claim_now(rig, i + 1, HOST, &released), 0);
		assert_string_equal(released.secret, "at-1");
	}
}

static void a_refresh_replaces_both_tokens_before_the_new_one_is_used(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	struct keeper_exchange asked = begin_refresh(rig, 21, 1);
	/* Endpoint and client are those that the person agreed to, not those that stand with the token. */
	assert_true(str_eq(asked.token_url, S("https://auth.example.com/token")));
	assert_true(str_eq(asked.client_id, S("client-1")));
	assert_true(str_eq(asked.refresh_token, S("rt-1")));
	assert_true(str_eq(asked.scopes, S("mail.read mail.send")));
	assert_int_equal(asked.verifier.n, 0);
	assert_false(asked.allow_private);
	assert_labelled(rig, "refresh_started_at");

	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), 0);
	assert_string_equal(released.secret, "at-2");
	assert_not_labelled(rig, "refresh_started_at");
	assert_labelled(rig, "\"last_refreshed_at\":\"1767226540\"");
	assert_labelled(rig, "\"status\":\"active\"");
	rig_hear(rig);
	assert_string_equal(rig->notes[0].what, "refreshed");
	assert_string_equal(rig->notes[1].what, "released");

	/* It is on the disk: a keeper that is killed now has it. */
	rig_close(rig);
	rig_open(rig);
	unlock(rig);
	permit(rig, 2);
	assert_int_equal(rig_claim_now(rig, 2, HOST, &released), 0);
	assert_string_equal(released.secret, "at-2");
	rig_pass(rig, 3540 * TIME_SECOND);
	asked = begin_refresh(rig, 31, 3);
	assert_true(str_eq(asked.refresh_token, S("rt-2")));
	/* One that is not rotated stays; an expiry that is not said is the old one, so it is due again. */
	rig_refreshed(rig, 31,
		      &(struct keeper_tokens){.access_token = S("at-3"), .has_scope = true, .scope = S("mail.read")});
	assert_int_equal(rig_hear_release(rig, 31, &released), 0);
	assert_string_equal(released.secret, "at-3");
	assert_labelled(rig, "\"granted_scopes\":\"mail.read\"");
	asked = begin_refresh(rig, 32, 4);
	assert_true(str_eq(asked.refresh_token, S("rt-2")));
}

static void one_refresh_at_a_time(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	permit(rig, 2);
	permit(rig, 3);
	rig_claim(rig, 22, 2, HOST);
	rig_claim(rig, 23, 3, HOST);
	rig_end_use(rig, 3); /* its call gave up meanwhile */
	struct rpc_frame frame;
	assert_false(rig_next(rig, rig->egress, &frame));
	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), 0);
	assert_string_equal(released.secret, "at-2");
	assert_int_equal(rig_hear_release(rig, 22, &released), 0);
	assert_string_equal(released.secret, "at-2");
	assert_int_equal(rig_hear_release(rig, 23, &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
	/* The outcome told twice is nobody's. */
	rig_refreshed(rig, 21, &rotated);
	assert_false(rig_next(rig, rig->egress, &frame));
}

static void a_claim_twice_waits_once(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	rig_claim(rig, 22, 1, HOST);
	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), 0);
	assert_int_equal(rig_hear_release(rig, 22, &released), -1);
	assert_class(rig, ERR_CAPABILITY_DENIED);
}

static void refresh_failed(struct rig *rig, uint32_t id, enum err_class class)
{
	struct err why = {0};
	(fail)(&why, class, "the token endpoint says no");
	AUTO_BUF body = BUF_INIT(65536);
	wire_put_err(&body, &why);
	rig_tell(rig, KEEPER_REFRESH_FAILED, id, &body);
}

static void a_refusal_is_final(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	refresh_failed(rig, 21, ERR_BINDING_FAILED);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	assert_labelled(rig, "\"status\":\"stale\"");
	assert_labelled(rig, "\"stale_reason\":\"refresh_refused\"");
	assert_int_equal(rig_permit(rig, 2, PATH, "oauth2", HOST), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	rig_hear(rig);
	assert_string_equal(rig->notes[0].what, "stale");
	assert_string_equal(rig->notes[0].detail, "refresh_refused");
}

static void whoever_was_not_reached_is_asked_again(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	refresh_failed(rig, 21, ERR_NETWORK_ERROR);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	assert_class(rig, ERR_NETWORK_ERROR);
	assert_labelled(rig, "\"status\":\"active\"");
	assert_not_labelled(rig, "refresh_started_at");
	struct keeper_exchange asked = begin_refresh(rig, 22, 2);
	assert_true(str_eq(asked.refresh_token, S("rt-1")));
	refresh_failed(rig, 22, ERR_INTERNAL); /* none of the two that there are */
	struct rpc_frame frame;
	assert_false(rig_next(rig, rig->egress, &frame));
}

static void a_refresh_whose_egress_ends_is_lost(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	rig_attach_egress(rig);
	assert_labelled(rig, "\"stale_reason\":\"refresh_lost\"");
	assert_not_labelled(rig, "refresh_started_at");
	assert_int_equal(rig_permit(rig, 2, PATH, "oauth2", HOST), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	rig_hear(rig);
	assert_string_equal(rig->notes[0].what, "stale");
	assert_string_equal(rig->notes[0].detail, "refresh_lost");
	/* A value that is put anew is good. */
	assert_int_equal(rig_put(rig, &oauth2), 0);
	assert_not_labelled(rig, "stale");
}

static void copy_file(const char *folder, const char *from, const char *to)
{
	char paths[2][160];
	snprintf(paths[0], sizeof paths[0], "%s/%s", folder, from);
	snprintf(paths[1], sizeof paths[1], "%s/%s", folder, to);
	FILE *in = fopen(paths[0], "rb"), *out = fopen(paths[1], "wb");
	assert_non_null(in);
	assert_non_null(out);
	for (int c = fgetc(in); c != EOF; c = fgetc(in))
		fputc(c, out);
	fclose(in);
	fclose(out);
}

/* What is on the disk while REFRESH is out is what a keeper that was killed then finds. */
static void a_refresh_that_a_crash_cut_off_is_lost(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	copy_file(rig->folder, "secrets.json", "crashed");
	rig_close(rig);
	copy_file(rig->folder, "crashed", "secrets.json");
	rig_open(rig);
	assert_labelled(rig, "refresh_started_at"); /* while it is locked it cannot be said */
	unlock(rig);
	assert_labelled(rig, "\"stale_reason\":\"refresh_lost\"");
	assert_not_labelled(rig, "refresh_started_at");
	assert_string_equal(rig->notes[0].what, "stale");
	assert_int_equal(rig_permit(rig, 2, PATH, "oauth2", HOST), -1);
	assert_class(rig, ERR_BINDING_FAILED);
}

static void tokens_that_come_while_it_is_locked_are_lost(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	keeper_lock(rig->keeper, "signal");
	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	assert_class(rig, ERR_BINDING_REQUIRED);
	unlock(rig);
	assert_labelled(rig, "\"stale_reason\":\"refresh_lost\"");
}

/* What a person asks for waits a little for what would be lost. */
static void locking_waits_for_tokens_that_are_on_their_way(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	assert_int_equal(rpc_send(rig->control, KEEPER_LOCK, 500, NULL, 0, NULL), 0);
	struct rpc_frame frame;
	assert_false(rig_next(rig, rig->control, &frame));
	assert_int_equal(rig_permit(rig, 2, PATH, "oauth2", HOST), -1); /* nothing else is served */
	assert_class(rig, ERR_VAULT_LOCKED);
	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	assert_class(rig, ERR_BINDING_REQUIRED);
	assert_true(rig_next(rig, rig->control, &frame));
	assert_int_equal(frame.id, 500);
	assert_false(keeper_is_unlocked(rig->keeper));
	assert_string_equal(rig->reason, "locked");
	unlock(rig);
	assert_labelled(rig, "\"status\":\"active\"");
	permit(rig, 3);
	assert_int_equal(rig_claim_now(rig, 3, HOST, &released), 0);
	assert_string_equal(released.secret, "at-2");
}

static void locking_waits_for_five_seconds_and_once(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	struct rpc_frame frame;
	begin_refresh(rig, 21, 1);
	assert_int_equal(rpc_send(rig->control, KEEPER_LOCK, 500, NULL, 0, NULL), 0);
	assert_false(rig_next(rig, rig->control, &frame));
	assert_true(keeper_is_unlocked(rig->keeper));
	rig_pass(rig, 5 * TIME_SECOND);
	assert_true(rig_next(rig, rig->control, &frame));
	assert_int_equal(frame.id, 500);
	assert_false(keeper_is_unlocked(rig->keeper));
	unlock(rig);
	refresh_failed(rig, 21, ERR_NETWORK_ERROR);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);

	begin_refresh(rig, 22, 2);
	assert_int_equal(rpc_send(rig->control, KEEPER_LOCK, 501, NULL, 0, NULL), 0);
	assert_int_equal(rpc_send(rig->control, KEEPER_LOCK, 502, NULL, 0, NULL), 0);
	assert_true(rig_next(rig, rig->control, &frame));
	assert_int_equal(frame.id, 501);
	assert_true(rig_next(rig, rig->control, &frame));
	assert_int_equal(frame.id, 502);
	assert_false(keeper_is_unlocked(rig->keeper));
}

static void tokens_that_come_after_it_was_locked_and_opened_are_kept(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	keeper_lock(rig->keeper, "signal");
	unlock(rig);
	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1); /* its use is gone */
	assert_class(rig, ERR_CAPABILITY_DENIED);
	assert_labelled(rig, "\"status\":\"active\"");
	permit(rig, 2);
	assert_int_equal(rig_claim_now(rig, 2, HOST, &released), 0);
	assert_string_equal(released.secret, "at-2");
}

static void a_value_that_was_put_meanwhile_stays(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	struct rig_binding other = oauth2;
	other.value = "{\"access_token\":\"at-9\"}";
	assert_int_equal(rig_put(rig, &other), 0);
	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	assert_labelled(rig, "\"status\":\"active\"");
	permit(rig, 2);
	assert_int_equal(rig_claim_now(rig, 2, HOST, &released), 0);
	assert_string_equal(released.secret, "at-9");
}

static void egress_must_answer_in_time(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	rig_pass(rig, KEEPER_REFRESH_WAIT_NS);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	assert_labelled(rig, "\"stale_reason\":\"refresh_lost\"");
	rig_refreshed(rig, 21, &rotated);
	struct rpc_frame frame;
	assert_false(rig_next(rig, rig->egress, &frame));
}

static void a_refresh_under_way_keeps_it_from_idling_and_from_ending(void **state)
{
	struct rig *rig = *state;
	rig_close(rig);
	rig->auto_lock_ms = 60000;
	rig_open(rig);
	unlock(rig);
	struct rig_binding due = oauth2;
	due.value = "{\"access_token\":\"at-1\",\"refresh_token\":\"rt-1\",\"expires_at\":\"2026-01-01T00:00:00Z\"}";
	assert_int_equal(rig_put(rig, &due), 0);
	begin_refresh(rig, 21, 1);
	rig_pass(rig, 100 * TIME_SECOND);
	assert_true(keeper_is_unlocked(rig->keeper));
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, 10000);
	assert_int_equal(supervise_send(rig->parent, SUPERVISE_STOP, 0, buf_str(&body), NULL, 0, NULL), 0);
	assert_int_equal(rig_turn(rig), 1);
	rig_refreshed(rig, 21, &rotated);
	assert_int_equal(rig_turn(rig), 0);
	/* So no refresh is lost by stopping. */
	struct rpc_frame frame;
	assert_int_equal(rpc_pump(rig->egress, &frame, NULL), 1);
	assert_int_equal(frame.type, KEEPER_RELEASED);
}

/* A folder that is not where it was: nothing can be written. */
static void move_folder(struct rig *rig, bool away)
{
	char elsewhere[80];
	snprintf(elsewhere, sizeof elsewhere, "%s.away", rig->folder);
	assert_int_equal(away ? rename(rig->folder, elsewhere) : rename(elsewhere, rig->folder), 0);
}

static void without_the_mark_on_the_disk_no_refresh_goes_out(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	permit(rig, 1);
	move_folder(rig, true);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, HOST, &released), -1); /* an answer, and no REFRESH */
	assert_class(rig, ERR_BINDING_FAILED);
	move_folder(rig, false);
	begin_refresh(rig, 21, 2);
}

static void tokens_that_cannot_be_stored_are_not_used(void **state)
{
	struct rig *rig = *state;
	make_due(rig);
	begin_refresh(rig, 21, 1);
	permit(rig, 2);
	move_folder(rig, true);
	rig_refreshed(rig, 21, &rotated);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	move_folder(rig, false);
	/* The old refresh token is not tried again: the server may have taken it already. */
	assert_int_equal(rig_claim_now(rig, 2, HOST, &released), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	assert_labelled(rig, "\"stale_reason\":\"refresh_lost\"");
}

static void without_an_endpoint_nothing_is_refreshed(void **state)
{
	struct rig *rig = *state;
	struct rig_binding binding = oauth2;
	binding.token_url = NULL;
	assert_int_equal(rig_put(rig, &binding), 0);
	rig_pass(rig, 2000 * TIME_SECOND);
	permit(rig, 1);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, HOST, &released), -1);
	assert_class(rig, ERR_BINDING_FAILED);
	assert_not_labelled(rig, "refresh_started_at");
}

/* ---- tickets ---- */

static int make_ticket(struct rig *rig, uint64_t number, const struct rig_binding *binding, const char *verifier)
{
	bool device = (binding->flags & KEEPER_FLAG_DEVICE) != 0;
	const struct sealed_field fields[] = {{device ? SEALED_PASSPHRASE : SEALED_VERIFIER, str_from(verifier)},
					      {SEALED_CONSENT, rig_consent(rig, binding)}};
	struct keeper_sealed m = {.operation = KEEPER_OP_OAUTH,
				  .flags = binding->flags,
				  .path = str_from(binding->path),
				  .metadata = rig_metadata(rig, binding),
				  .ticket = number};
	return rig_sealed(rig, m, fields, 2, NULL);
}

static int exchange(struct rig *rig, uint64_t number, struct keeper_exchange *ret)
{
	AUTO_BUF body = BUF_INIT(8);
	wire_put_u64(&body, number);
	struct str answer = STR_EMPTY;
	if (rig_ticket(rig, KEEPER_EXCHANGE, &body, &answer) != 0)
		return -1;
	*ret = read_exchange(rig, answer);
	return 0;
}

static int bring_tokens(struct rig *rig, uint64_t number, const struct keeper_tokens *tokens)
{
	AUTO_BUF body = BUF_INIT(65536);
	wire_put_u64(&body, number);
	keeper_tokens_put(&body, tokens);
	return rig_ticket(rig, KEEPER_TOKENS, &body, NULL);
}

static void a_code_is_exchanged_once(void **state)
{
	struct rig *rig = *state;
	struct rig_binding binding = oauth2;
	binding.flags = KEEPER_FLAG_CREATE;
	assert_int_equal(make_ticket(rig, 5, &binding, VERIFIER), 0);
	assert_int_equal(bring_tokens(rig, 5, &rotated), -1); /* nobody asked for any yet */
	struct keeper_exchange asked = {0};
	assert_int_equal(exchange(rig, 5, &asked), 0);
	assert_true(str_eq(asked.verifier, S(VERIFIER)));
	assert_true(str_eq(asked.token_url, S("https://auth.example.com/token")));
	assert_true(str_eq(asked.client_id, S("client-1")));
	assert_true(str_eq(asked.scopes, S("mail.read mail.send")));
	assert_int_equal(exchange(rig, 5, &asked), -1);
	assert_class(rig, ERR_SESSION_NOT_FOUND);
	assert_int_equal(bring_tokens(rig, 5, &rotated), 0);
	assert_int_equal(bring_tokens(rig, 5, &rotated), -1);
	assert_class(rig, ERR_SESSION_NOT_FOUND);
	assert_labelled(rig, "\"granted_scopes\":\"mail.read mail.send\"");
	assert_labelled(rig, "\"refresh_token_present\":\"true\"");
	assert_labelled(rig, "\"created_at\":\"1767225600\"");
	assert_labelled(rig, "\"status\":\"active\"");
	permit(rig, 1);
	struct rig_released released = {0};
	assert_int_equal(rig_claim_now(rig, 1, HOST, &released), 0);
	assert_string_equal(released.secret, "at-2");
	rig_pass(rig, 3540 * TIME_SECOND);
	asked = begin_refresh(rig, 40, 2);
	assert_true(str_eq(asked.refresh_token, S("rt-2")));
}

static void reauthorizing_keeps_what_it_does_not_name(void **state)
{
	struct rig *rig = *state;
	struct rig_binding binding = oauth2;
	struct keeper_exchange asked;
	assert_int_equal(make_ticket(rig, 5, &binding, VERIFIER), -1); /* there is none yet */
	assert_class(rig, ERR_BINDING_NOT_FOUND);
	binding.region = "eu";
	assert_int_equal(rig_put(rig, &binding), 0);
	make_due(rig);
	begin_refresh(rig, 21, 1);
	refresh_failed(rig, 21, ERR_BINDING_FAILED);
	struct rig_released released = {0};
	assert_int_equal(rig_hear_release(rig, 21, &released), -1);
	binding.flags = KEEPER_FLAG_CREATE;
	assert_int_equal(make_ticket(rig, 5, &binding, VERIFIER), -1);
	assert_class(rig, ERR_BINDING_EXISTS);
	binding.flags = 0;
	binding.region = NULL;
	assert_int_equal(make_ticket(rig, 6, &binding, VERIFIER), 0);
	assert_int_equal(exchange(rig, 6, &asked), 0);
	struct keeper_tokens tokens = rotated;
	tokens.has_scope = true;
	tokens.scope = S("mail.read");
	assert_int_equal(bring_tokens(rig, 6, &tokens), 0);
	assert_labelled(rig, "\"created_at\":\"1767225600\"");
	assert_labelled(rig, "\"granted_scopes\":\"mail.read\"");
	assert_labelled(rig, "\"status\":\"active\"");
	assert_not_labelled(rig, "stale");
	permit(rig, 2);
	assert_int_equal(rig_claim_now(rig, 2, HOST, &released), 0);
	assert_string_equal(released.secret, "at-2");
}

static void the_device_flow_wants_the_passphrase(void **state)
{
	struct rig *rig = *state;
	struct rig_binding binding = oauth2;
	binding.flags = KEEPER_FLAG_CREATE | KEEPER_FLAG_DEVICE;
	assert_int_equal(make_ticket(rig, 5, &binding, PASSPHRASE), -1); /* where to ask for a code? */
	assert_class(rig, ERR_VALIDATION_ERROR);
	binding.device_url = "http://127.0.0.1:9/device";
	binding.token_url = "http://127.0.0.1:9/token";
	assert_int_equal(make_ticket(rig, 5, &binding, "wrong"), -1);
	assert_class(rig, ERR_WRONG_PASSPHRASE);
	assert_int_equal(make_ticket(rig, 5, &binding, PASSPHRASE), 0);
	struct keeper_exchange asked = {0};
	assert_int_equal(exchange(rig, 5, &asked), 0);
	assert_true(str_eq(asked.device_authorization_url, S("http://127.0.0.1:9/device")));
	assert_true(asked.allow_private);
	assert_int_equal(asked.verifier.n, 0);
	AUTO_BUF body = BUF_INIT(1024);
	wire_put_u64(&body, 5);
	wire_put_str(&body, S("device-code"));
	assert_int_equal(rig_ticket(rig, KEEPER_DEVICE_CODE, &body, NULL), 0);
	for (int poll = 0; poll < 3; poll++) {
		rig_pass(rig, 300 * TIME_SECOND);
		assert_int_equal(exchange(rig, 5, &asked), 0);
		assert_true(str_eq(asked.device_code, S("device-code")));
	}
	assert_int_equal(bring_tokens(rig, 5, &rotated), 0);
	assert_labelled(rig, "\"status\":\"active\"");
}

static void a_ticket_is_for_a_while(void **state)
{
	struct rig *rig = *state;
	struct rig_binding binding = oauth2;
	binding.flags = KEEPER_FLAG_CREATE;
	struct keeper_exchange asked;
	assert_int_equal(exchange(rig, 1, &asked), -1);
	assert_class(rig, ERR_SESSION_NOT_FOUND);
	assert_int_equal(make_ticket(rig, 5, &binding, VERIFIER), 0);
	assert_int_equal(make_ticket(rig, 5, &binding, VERIFIER), -1); /* the number is taken */
	assert_class(rig, ERR_INVALID_REQUEST);
	rig_pass(rig, KEEPER_TICKET_NS);
	assert_int_equal(exchange(rig, 5, &asked), -1);
	assert_int_equal(make_ticket(rig, 6, &binding, VERIFIER), 0);
	assert_int_equal(exchange(rig, 6, &asked), 0);
	keeper_lock(rig->keeper, "signal");
	assert_int_equal(bring_tokens(rig, 6, &rotated), -1);
	unlock(rig);
	assert_int_equal(make_ticket(rig, 7, &binding, VERIFIER), 0);
	rig_attach_control(rig);
	assert_int_equal(exchange(rig, 7, &asked), -1);
	for (uint64_t i = 0; i < KEEPER_TICKETS_MAX; i++)
		assert_int_equal(make_ticket(rig, 100 + i, &binding, VERIFIER), 0);
	assert_int_equal(make_ticket(rig, 99, &binding, VERIFIER), -1);
	assert_class(rig, ERR_UNAVAILABLE);
}

static void tickets_for_what_is_not_so(void **state)
{
	struct rig *rig = *state;
	struct rig_binding binding = oauth2;
	binding.flags = KEEPER_FLAG_CREATE;
	assert_int_equal(make_ticket(rig, 0, &binding, VERIFIER), -1);
	assert_class(rig, ERR_INVALID_REQUEST);
	assert_int_equal(make_ticket(rig, 1, &binding, "short"), -1);
	assert_class(rig, ERR_VALIDATION_ERROR);
	assert_int_equal(make_ticket(rig, 1, &binding, VERIFIER " "), -1);
	static const char *const endpoints[] = {
		NULL,       "http://auth.example.com/token", "http://127.0.0.1.example/t",
		"nonsense", "http://localhost:1/t",          "ftp://127.0.0.1/t"};
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		binding.token_url = endpoints[i];
		assert_int_equal(make_ticket(rig, 1, &binding, VERIFIER), -1);
	}
	binding.token_url = "http://[::1]:8/t";
	assert_int_equal(make_ticket(rig, 1, &binding, VERIFIER), 0);
	binding = oauth2;
	binding.kind = "api_key";
	binding.flags = KEEPER_FLAG_CREATE;
	assert_int_equal(make_ticket(rig, 2, &binding, VERIFIER), -1);
	assert_class(rig, ERR_NOT_OAUTH2);
	binding = oauth2;
	binding.path = "secret/x";
	assert_int_equal(make_ticket(rig, 2, &binding, VERIFIER), -1);
	assert_class(rig, ERR_INVALID_IDENTITY);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	log_set_level(LOG_LEVEL_NONE);
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_token_that_is_good_is_released),
		RIG_TEST(without_expiry_or_refresh_token_it_is_used_as_it_is),
		RIG_TEST(a_refresh_replaces_both_tokens_before_the_new_one_is_used),
		RIG_TEST(one_refresh_at_a_time),
		RIG_TEST(a_claim_twice_waits_once),
		RIG_TEST(a_refusal_is_final),
		RIG_TEST(whoever_was_not_reached_is_asked_again),
		RIG_TEST(a_refresh_whose_egress_ends_is_lost),
		RIG_TEST(a_refresh_that_a_crash_cut_off_is_lost),
		RIG_TEST(tokens_that_come_while_it_is_locked_are_lost),
		RIG_TEST(locking_waits_for_tokens_that_are_on_their_way),
		RIG_TEST(locking_waits_for_five_seconds_and_once),
		RIG_TEST(tokens_that_come_after_it_was_locked_and_opened_are_kept),
		RIG_TEST(a_value_that_was_put_meanwhile_stays),
		RIG_TEST(egress_must_answer_in_time),
		RIG_TEST(a_refresh_under_way_keeps_it_from_idling_and_from_ending),
		RIG_TEST(without_the_mark_on_the_disk_no_refresh_goes_out),
		RIG_TEST(tokens_that_cannot_be_stored_are_not_used),
		RIG_TEST(without_an_endpoint_nothing_is_refreshed),
		RIG_TEST(a_code_is_exchanged_once),
		RIG_TEST(reauthorizing_keeps_what_it_does_not_name),
		RIG_TEST(the_device_flow_wants_the_passphrase),
		RIG_TEST(a_ticket_is_for_a_while),
		RIG_TEST(tickets_for_what_is_not_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
