/* The record: what an event looks like, what is refused, how events are found, checkpoints and retention. */
#include "unit/audit_fixture.h"
#include "base/hex.h"
#include "base/time.h"
#include "crypto/digest.h"
#include "os/file.h"
#include "text/canonical.h"
#include <semaphore.h>

static void get_text(struct db *db, const char *id, struct buf *out)
{
	struct db_tx *tx = db_read(db);
	assert_int_equal(audit_get(tx, str_from(id), out, NULL), 1);
	db_done(tx);
}

static void every_event_is_documented(void **state)
{
	(void)state;
	AUTO_BUF page = BUF_INIT((size_t)1 << 20);
	assert_int_equal(file_read(SOURCE_DIR "/docs/formats/audit.md", &page, NULL), 0);
	for (enum audit_type type = 0; type < AUDIT_EXTERNAL; type++) {
		char quoted[64];
		snprintf(quoted, sizeof quoted, "`%s`", audit_type_name(type));
		if (str_find(buf_str(&page), str_from(quoted)) == STR_NPOS)
			fail_msg("docs/formats/audit.md has no %s", quoted);
	}
}

static void an_event_is_one_canonical_line(void **state)
{
	struct audit_event event = {
		.type = AUDIT_EXECUTION_SUCCEEDED,
		.actor = AUDIT_ACTOR_AGENT,
		.actor_id = S("01JZ0000000000000000000000"),
		.identity_label = S("ali\"ce"),
		.credential_binding = S("api_key/stripe/work"),
		.trace_id = S("4bf92f3577b34da6a3ce929d0e0e4736"),
		.payload_text = S(" { \"b\" : 1.5, \"a\":[ 9007199254740993 , \"\\u0041\\u0000\"] }"),
	};
	char id[AUDIT_ID_SIZE];
	uint64_t before = clock_wall_ns(NULL);
	assert_int_equal(audit_record(*state, &event, id, NULL), 0);
	AUTO_BUF text = BUF_INIT(AUDIT_TEXT_MAX);
	get_text(*state, id, &text);
	assert_true(json_is_canonical(buf_str(&text)));

	AUTO_BUF front = BUF_INIT(AUDIT_TEXT_MAX);
	buf_addf(&front,
		 "{\"event\":{\"actor\":{\"credential_binding\":\"api_key/stripe/"
		 "work\",\"id\":\"01JZ0000000000000000000000\","
		 "\"identity_label\":\"ali\\\"ce\",\"type\":\"agent\"},\"audit_id\":\"%s\",\"event_type\":"
		 "\"execution.succeeded\",\"payload\":{\"a\":[\"9007199254740993\",\"A\\u0000\"],\"b\":\"1.5\"},"
		 "\"timestamp\":\"",
		 id);
	assert_true(str_starts(buf_str(&text), buf_str(&front)));
	struct str time = str_slice(buf_str(&text), front.n, front.n + TIME_RFC3339_SIZE - 1);
	char earliest[TIME_RFC3339_SIZE], latest[TIME_RFC3339_SIZE];
	assert_true(str_cmp(time, str_from(time_format_rfc3339(before, 9, earliest))) >= 0);
	assert_true(str_cmp(time, str_from(time_format_rfc3339(clock_wall_ns(NULL), 9, latest))) <= 0);
	buf_add_str(&front, time);
	buf_add_z(&front, "\"}");

	/* The hash by the definition: over the text without the member. */
	AUTO_BUF back = BUF_INIT(1000);
	buf_add_z(&back, ",\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"seq\":1,"
			 "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}");
	AUTO_BUF hashed = BUF_INIT(AUDIT_TEXT_MAX);
	buf_add_str(&hashed, S("aileron-audit-1\0"));
	static const char none[32];
	buf_add(&hashed, none, sizeof none);
	buf_add_str(&hashed, buf_str(&front));
	buf_add_str(&hashed, buf_str(&back));
	char hash[SHA256_HEX_TEXT_SIZE];
	buf_addf(&front, ",\"hash\":\"%s\"%s", sha256_hex(buf_str(&hashed), hash), back.p);
	assert_string_equal(text.p, front.p);
}

static void ids_are_random_and_of_version_4(void **state)
{
	char one[AUDIT_ID_SIZE], other[AUDIT_ID_SIZE];
	assert_int_equal(fixture_record(*state, AUDIT_VAULT_LOCKED, "", one, NULL), 0);
	assert_int_equal(fixture_record(*state, AUDIT_VAULT_LOCKED, "{}", other, NULL), 0);
	assert_string_not_equal(one, other);
	assert_int_equal(strlen(one), AUDIT_ID_SIZE - 1);
	assert_memory_equal(one, "audit-", 6);
	assert_int_equal(one[6 + 14], '4');
	assert_non_null(strchr("89ab", one[6 + 19]));
}

static void what_is_refused_leaves_no_trace(void **state)
{
	AUTO_BUF large = BUF_INIT(1 << 20), deep = BUF_INIT(1000), close = BUF_INIT(1000);
	buf_add_z(&large, "{\"a\":\"");
	for (size_t i = 0; i < AUDIT_TEXT_MAX; i++)
		buf_add_char(&large, 'x');
	buf_add_z(&large, "\"}");
	for (int i = 0; i < AUDIT_DEPTH_MAX + 1; i++) {
		buf_add_z(&deep, "{\"a\":");
		buf_add_z(&close, "}");
	}
	buf_addf(&deep, "1%s", close.p);
	const struct {
		struct audit_event event;
		enum err_class class;
	} refused[] = {
		{{.payload_text = S("[]")}, ERR_VALIDATION_ERROR},
		{{.payload_text = S("{")}, ERR_VALIDATION_ERROR},
		{{.payload_text = S("{\"a\":1,\"a\":2}")}, ERR_VALIDATION_ERROR},
		{{.payload_text = buf_str(&deep)}, ERR_VALIDATION_ERROR},
		{{.payload_text = buf_str(&large)}, ERR_LIMIT},
		{{.actor_id = buf_str(&large)}, ERR_LIMIT},
		{{.actor_id = S("\xff")}, ERR_VALIDATION_ERROR},
		{{.trace_id = S("4BF92F3577B34DA6A3CE929D0E0E4736")}, ERR_VALIDATION_ERROR},
		{{.trace_id = S("4bf92f3577b34da6a3ce929d0e0e473")}, ERR_VALIDATION_ERROR},
		{{.type = AUDIT_EXTERNAL, .external_name = S("vault.unlocked")}, ERR_VALIDATION_ERROR},
		{{.type = AUDIT_EXTERNAL}, ERR_VALIDATION_ERROR},
	};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct err err = {0};
		char id[AUDIT_ID_SIZE] = "untouched";
		assert_int_equal(audit_record(*state, &refused[i].event, id, &err), -1);
		assert_int_equal(err.class, refused[i].class);
		assert_string_equal(id, "untouched");
	}
	struct audit_event external = {.type = AUDIT_EXTERNAL, .external_name = S("sandbox.proxy.upgrade")};
	assert_int_equal(audit_record(*state, &external, NULL, NULL), 0);
	struct audit_verdict verdict = fixture_verify_db(*state, STR_EMPTY);
	assert_true(verdict.intact);
	assert_int_equal(verdict.events, 1);
}

/* Jobs of one group: the chain goes on behind what stayed, whatever was undone between. */
struct step {
	int appends;
	bool fails;
};

static int take_step(struct db_tx *tx, void *user, struct err *err)
{
	const struct step *step = user;
	for (int i = 0; i < step->appends; i++) {
		struct audit_event event = {.type = AUDIT_VAULT_LOCKED};
		struct audit_event bad = {.type = AUDIT_VAULT_LOCKED, .payload_text = S("[]")};
		assert_int_equal(audit_append(tx, &event, NULL, NULL, err), 0);
		assert_int_equal(audit_append(tx, &bad, NULL, NULL, NULL), -1);
	}
	return step->fails ? (fail)(err, ERR_CONFLICT, "undone") : 0;
}

struct gate {
	sem_t opens;
	struct step step;
};

static int wait_for_gate(struct db_tx *tx, void *user, struct err *err)
{
	struct gate *gate = user;
	while (sem_wait(&gate->opens) != 0)
		;
	return take_step(tx, &gate->step, err);
}

/* The first job of a group is undone in another way than the others. */
static void check_group(struct db *db, struct step first, uint64_t events)
{
	static struct step steps[] = {{2, false}, {2, true}, {1, false}, {0, true}, {3, true}, {3, true}, {2, false}};
	struct gate gate = {.step = first};
	sem_init(&gate.opens, 0, 0);
	db_write_later(db, wait_for_gate, &gate, NULL);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		db_write_later(db, take_step, &steps[i], NULL);
	sem_post(&gate.opens);
	fixture_fill(db, 1);
	sem_destroy(&gate.opens);
	struct audit_verdict verdict = fixture_verify_db(db, STR_EMPTY);
	assert_string_equal(verdict.why, "");
	assert_int_equal(verdict.events, events);
	assert_int_equal(verdict.last_seq, events);
}

static void the_chain_goes_on_behind_what_stayed(void **state)
{
	check_group(*state, (struct step){0, false}, 6);
	check_group(*state, (struct step){2, true}, 12);
	check_group(*state, (struct step){2, false}, 20);
}

/* ----------------------------------------------------------------------------------------------------------- finding */

struct seen {
	uint64_t seqs[2000];
	size_t n, most;
};

static int see(void *user, uint64_t seq, struct str text)
{
	struct seen *seen = user;
	char member[40];
	snprintf(member, sizeof member, ",\"seq\":%llu}", (unsigned long long)seq);
	assert_true(str_ends(text, str_from(member)));
	seen->seqs[seen->n++] = seq;
	return seen->n == seen->most;
}

static void list(struct db *db, struct audit_query query, size_t most, const char *wanted)
{
	static struct seen seen;
	seen = (struct seen){.most = most};
	struct db_tx *tx = db_read(db);
	assert_int_equal(audit_list(tx, &query, see, &seen, NULL), 0);
	db_done(tx);
	AUTO_BUF got = BUF_INIT(10000);
	for (size_t i = 0; i < seen.n; i++)
		buf_addf(&got, "%s%llu", i > 0 ? " " : "", (unsigned long long)seen.seqs[i]);
	assert_string_equal(got.p, wanted);
}

static void events_are_found_by_every_filter(void **state)
{
	struct db *db = *state;
	char id[AUDIT_ID_SIZE];
	assert_int_equal(
		fixture_record(db, AUDIT_EXECUTION_STARTED, "{\"aileron.connector.fqn\":\"a/b/c\"}", NULL, NULL), 0);
	assert_int_equal(
		fixture_record(db, AUDIT_EXECUTION_FAILED,
			       "{\"aileron.connector.fqn\":\"a/b/c\",\"aileron.failure.class\":\"network_error\"}", id,
			       NULL),
		0);
	uint64_t middle = clock_wall_ns(NULL);
	assert_int_equal(
		fixture_record(db, AUDIT_EXECUTION_FAILED,
			       "{\"aileron.failure.details\":{\"connector\":\"a/b/c\"},\"aileron.binding.name\":\"x\"}",
			       NULL, NULL),
		0);
	assert_int_equal(fixture_record(db, AUDIT_EXECUTION_STARTED, "{\"aileron.action.fqn\":\"a/b/c\"}", NULL, NULL),
			 0);
	struct audit_event event = {.type = AUDIT_BINDING_REBOUND, .credential_binding = S("x")};
	assert_int_equal(audit_record(db, &event, NULL, NULL), 0);

	list(db, (struct audit_query){0}, 0, "5 4 3 2 1");
	list(db, (struct audit_query){.limit = 2}, 0, "5 4");
	list(db, (struct audit_query){0}, 3, "5 4 3");
	list(db, (struct audit_query){.before_seq = 3}, 0, "2 1");
	list(db, (struct audit_query){.after_seq = 3}, 0, "4 5");
	list(db, (struct audit_query){.after_seq = 5}, 0, "");
	list(db, (struct audit_query){.since_ns = middle}, 0, "5 4 3");
	list(db, (struct audit_query){.until_ns = middle}, 0, "2 1");
	list(db, (struct audit_query){.since_ns = UINT64_MAX}, 0, "");
	list(db, (struct audit_query){.audit_id = str_from(id)}, 0, "2");
	list(db, (struct audit_query){.audit_id = S("audit-none")}, 0, "");
	list(db, (struct audit_query){.type = S("execution.failed")}, 0, "3 2");
	list(db, (struct audit_query){.type = S("execution.started")}, 0, "4 1");
	list(db, (struct audit_query){.type = S("execution.started"), .after_seq = 1}, 0, "4");
	list(db, (struct audit_query){.type = S("execution")}, 0, "");
	list(db, (struct audit_query){.connector_fqn = S("a/b/c")}, 0, "4 3 2 1");
	list(db, (struct audit_query){.connector_fqn = S("a/b/c"), .after_seq = 1, .limit = 2}, 0, "2 3");
	list(db, (struct audit_query){.connector_fqn = S("a/b")}, 0, "");
	list(db, (struct audit_query){.class = S("network_error")}, 0, "2");
	list(db, (struct audit_query){.class = S("network_error"), .type = S("execution.started")}, 0, "");
	list(db, (struct audit_query){.binding = S("x")}, 0, "5 3");
	list(db, (struct audit_query){.binding = S("x"), .since_ns = middle, .type = S("execution.failed")}, 0, "3");
	/* Those that no index by type has, among others. */
	assert_int_equal(fixture_record(db, AUDIT_RUN_STARTED, "{}", NULL, NULL), 0);
	assert_int_equal(fixture_record(db, AUDIT_RUN_COMPLETED, "{}", NULL, NULL), 0);
	assert_int_equal(fixture_record(db, AUDIT_RUN_FAILED, "{}", NULL, NULL), 0);
	list(db, (struct audit_query){.type = S("run.started")}, 0, "6");
	list(db, (struct audit_query){.type = S("run.completed"), .after_seq = 1}, 0, "7");
	list(db, (struct audit_query){.type = S("run.failed")}, 0, "8");
	list(db, (struct audit_query){.type = S("run")}, 0, "");
	AUTO_BUF out = BUF_INIT(1000);
	struct db_tx *tx = db_read(db);
	assert_int_equal(audit_get(tx, S("audit-none"), &out, NULL), 0);
	db_done(tx);
}

/* Where to begin is told by checkpoints: neither by more events than match nor by fewer. */
static void events_since_a_time_are_found_behind_checkpoints(void **state)
{
	struct db *db = *state;
	uint64_t since[4];
	for (size_t i = 0; i < ARRAY_LEN(since); i++) {
		since[i] = clock_wall_ns(NULL);
		fixture_fill(db, 2);
		if (i < 2)
			assert_int_equal(db_write(db, fixture_checkpoint_job, NULL, NULL), 0);
		fixture_fill(db, 1);
	}
	list(db, (struct audit_query){.since_ns = since[0]}, 0, "12 11 10 9 8 7 6 5 4 3 2 1");
	list(db, (struct audit_query){.since_ns = since[1]}, 0, "12 11 10 9 8 7 6 5 4");
	list(db, (struct audit_query){.since_ns = since[1] - 1, .until_ns = since[2]}, 0, "6 5 4");
	list(db, (struct audit_query){.since_ns = since[2]}, 0, "12 11 10 9 8 7");
	list(db, (struct audit_query){.since_ns = since[3]}, 0, "12 11 10");
	list(db, (struct audit_query){.since_ns = clock_wall_ns(NULL)}, 0, "");
}

static void a_list_has_a_limit(void **state)
{
	fixture_fill(*state, 120);
	static struct seen seen;
	seen = (struct seen){0};
	struct db_tx *tx = db_read(*state);
	assert_int_equal(audit_list(tx, &(struct audit_query){0}, see, &seen, NULL), 0);
	db_done(tx);
	assert_int_equal(seen.n, 100);
	assert_int_equal(seen.seqs[0], 120);
}

/* ------------------------------------------------------------------------------------------- checkpoints, retention */

static void a_checkpoint_is_due_by_number_and_by_time(void **state)
{
	struct db *db = *state;
	struct audit_head head;
	uint64_t now = clock_wall_ns(NULL), later = now + AUDIT_CHECKPOINT_S * TIME_SECOND + TIME_MINUTE;
	struct db_tx *tx = db_read(db);
	assert_false(audit_checkpoint_due(tx, later, &head));
	db_done(tx);
	fixture_fill(db, 2);
	tx = db_read(db);
	assert_false(audit_checkpoint_due(tx, now, &head));
	assert_true(audit_checkpoint_due(tx, later, &head));
	assert_int_equal(head.seq, 2);
	assert_int_equal(head.first, 1);
	db_done(tx);
	assert_int_equal(db_write(db, fixture_checkpoint_job, NULL, NULL), 0);
	tx = db_read(db);
	assert_false(audit_checkpoint_due(tx, later, &head));
	db_done(tx);
	fixture_fill(db, AUDIT_CHECKPOINT_N);
	tx = db_read(db);
	assert_true(audit_checkpoint_due(tx, now, &head));
	assert_int_equal(head.seq, 2 + AUDIT_CHECKPOINT_N);
	db_done(tx);
}

static int store_wrongly(struct db_tx *tx, void *user, struct err *err)
{
	struct audit_head *head = user;
	unsigned char signature[ED25519_SIGNATURE_SIZE];
	fixture_sign(head, head->seq, signature);
	return audit_checkpoint_store(tx, head, str_of(signature, sizeof signature), fixture_public_key(), err);
}

static int store_unsigned(struct db_tx *tx, void *user, struct err *err)
{
	unsigned char signature[ED25519_SIGNATURE_SIZE] = {1};
	return audit_checkpoint_store(tx, user, str_of(signature, sizeof signature), fixture_public_key(), err);
}

static void a_checkpoint_is_of_a_stored_event_and_signed(void **state)
{
	struct db *db = *state;
	fixture_fill(db, 3);
	struct audit_head head;
	struct db_tx *tx = db_read(db);
	assert_int_equal(audit_head(tx, &head, NULL), 0);
	db_done(tx);
	struct err err = {0};
	struct audit_head other = head;
	other.hash[0] ^= 1;
	assert_int_equal(db_write(db, store_wrongly, &other, &err), -1);
	assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	other = head;
	other.seq = 9;
	assert_int_equal(db_write(db, store_wrongly, &other, &err), -1);
	assert_int_equal(db_write(db, store_unsigned, &head, &err), -1);
	assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	assert_int_equal(db_write(db, store_wrongly, &head, &err), 0);
}

struct retaining {
	uint64_t older_than_ns;
	int64_t went;
};

static int retain_job(struct db_tx *tx, void *user, struct err *err)
{
	struct retaining *retaining = user;
	retaining->went = audit_retain(tx, retaining->older_than_ns, err);
	return retaining->went < 0 ? -1 : 0;
}

static int64_t retain(struct db *db, uint64_t older_than_ns)
{
	struct retaining retaining = {.older_than_ns = older_than_ns};
	assert_int_equal(db_write(db, retain_job, &retaining, NULL), 0);
	return retaining.went;
}

static void retention_drops_whole_checkpoints_and_leaves_a_chain(void **state)
{
	struct db *db = *state;
	fixture_fill(db, 5);
	assert_int_equal(db_write(db, fixture_checkpoint_job, NULL, NULL), 0);
	fixture_fill(db, 5);
	uint64_t middle = clock_wall_ns(NULL);
	fixture_fill(db, 1);
	assert_int_equal(db_write(db, fixture_checkpoint_job, NULL, NULL), 0);
	fixture_fill(db, 3);

	/* Ten are older, but only the first checkpoint is older as a whole. */
	assert_int_equal(retain(db, 1), 0);
	assert_int_equal(retain(db, middle), 5);
	assert_int_equal(retain(db, middle), 0);
	list(db, (struct audit_query){0}, 0, "14 13 12 11 10 9 8 7 6");

	AUTO_BUF text = BUF_INIT(1 << 20);
	fixture_export(db, &text);
	struct audit_verdict verdict = fixture_verify(buf_str(&text), fixture_public_key());
	assert_string_equal(verdict.why, "");
	assert_true(verdict.intact && verdict.origin_proven);
	assert_int_equal(verdict.events, 9);
	assert_int_equal(verdict.checkpoints, 2);
	assert_int_equal(verdict.first_seq, 6);
	assert_int_equal(verdict.last_seq, 14);

	/* A further checkpoint, and everything goes: the chain still goes on behind it. */
	assert_int_equal(db_write(db, fixture_checkpoint_job, NULL, NULL), 0);
	assert_int_equal(retain(db, UINT64_MAX), 9);
	assert_true(fixture_verify_db(db, STR_EMPTY).intact);
	buf_clear(&text);
	fixture_export(db, &text);
	verdict = fixture_verify(buf_str(&text), fixture_public_key());
	assert_string_equal(verdict.why, "");
	assert_true(verdict.intact && verdict.origin_proven);
	assert_int_equal(verdict.events, 0);
	fixture_fill(db, 1);
	list(db, (struct audit_query){0}, 0, "15");
	verdict = fixture_verify_db(db, fixture_public_key());
	assert_true(verdict.intact && verdict.origin_proven);
	assert_string_equal(verdict.note, "chain intact, origin proven up to event 14");
}

static void retention_takes_a_limited_number_at_once(void **state)
{
	struct db *db = *state;
	for (int i = 0; i < AUDIT_RETAIN_CHECKPOINTS + 3; i++) {
		fixture_fill(db, 2);
		assert_int_equal(db_write(db, fixture_checkpoint_job, NULL, NULL), 0);
	}
	assert_int_equal(retain(db, UINT64_MAX), 2 * AUDIT_RETAIN_CHECKPOINTS);
	assert_int_equal(retain(db, UINT64_MAX), 6);
	assert_int_equal(retain(db, UINT64_MAX), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_is_documented),
		TEST(an_event_is_one_canonical_line),
		TEST(ids_are_random_and_of_version_4),
		TEST(what_is_refused_leaves_no_trace),
		TEST(the_chain_goes_on_behind_what_stayed),
		TEST(events_are_found_by_every_filter),
		TEST(events_since_a_time_are_found_behind_checkpoints),
		TEST(a_list_has_a_limit),
		TEST(a_checkpoint_is_due_by_number_and_by_time),
		TEST(a_checkpoint_is_of_a_stored_event_and_signed),
		TEST(retention_drops_whole_checkpoints_and_leaves_a_chain),
		TEST(retention_takes_a_limited_number_at_once),
	};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
