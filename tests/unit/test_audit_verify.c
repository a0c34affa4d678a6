/* Whatever is done to an export is found, at the line where it was done: any byte, any line, any end. */
#include "unit/audit_fixture.h"
#include "audit/line.h"

static char text[1 << 16];
static size_t text_n;

/* Six events with a checkpoint in the middle, two lines of which are not events. */
static int make_export(void **state)
{
	if (fixture_start(state) != 0)
		return -1;
	fixture_fill(*state, 3);
	assert_int_equal(db_write(*state, fixture_checkpoint_job, NULL, NULL), 0);
	struct audit_event event = {.type = AUDIT_EXECUTION_STARTED, .trace_id = S("4bf92f3577b34da6a3ce929d0e0e4736")};
	assert_int_equal(audit_record(*state, &event, NULL, NULL), 0);
	fixture_fill(*state, 2);
	AUTO_BUF out = BUF_INIT(sizeof text);
	fixture_export(*state, &out);
	memcpy(text, out.p, out.n);
	text_n = out.n;
	return 0;
}

static struct str whole(void)
{
	return str_of(text, text_n);
}

/* Line i from 0, with its newline. */
static struct str line_at(size_t i)
{
	struct str rest = whole();
	for (; i > 0; i--)
		rest = str_slice(rest, str_find_char(rest, '\n') + 1, rest.n);
	return str_slice(rest, 0, str_find_char(rest, '\n') + 1);
}

#define LINES 8

static void the_whole_is_intact(void **state)
{
	(void)state;
	struct audit_verdict verdict = fixture_verify(whole(), fixture_public_key());
	assert_string_equal(verdict.why, "");
	assert_true(verdict.intact && verdict.origin_proven);
	assert_string_equal(verdict.note, "chain intact, origin proven");
	assert_int_equal(verdict.events, 6);
	assert_int_equal(verdict.checkpoints, 1);
	assert_int_equal(verdict.broken_line, 0);

	verdict = fixture_verify(whole(), STR_EMPTY);
	assert_true(verdict.intact && !verdict.origin_proven);
	assert_string_equal(verdict.note, "chain intact, origin not proven");

	char other[ED25519_PUBLIC_SIZE] = {1};
	verdict = fixture_verify(whole(), str_of(other, sizeof other));
	assert_true(verdict.intact && !verdict.origin_proven);
	assert_non_null(strstr(verdict.note, "another key"));

	struct err err = {0};
	assert_int_equal(audit_verify_file(-1, "x", S("short"), &verdict, &err), -1);
	assert_int_equal(err.class, ERR_VALIDATION_ERROR);
	assert_int_equal(audit_verify_file(-1, "x", STR_EMPTY, &verdict, &err), -1);
	assert_int_equal(err.class, ERR_SYSTEM);
}

/* A chain in which a byte was changed breaks at that line, or at the next when a newline went. */
static void every_flipped_byte_is_found(void **state)
{
	(void)state;
	uint64_t line = 1;
	for (size_t i = 0; i < text_n; i++) {
		char byte = text[i];
		for (int bit = (int)(i % 3); bit < 8; bit += 3) {
			text[i] = (char)(byte ^ (1 << bit));
			struct audit_verdict verdict = fixture_verify(whole(), STR_EMPTY);
			if (verdict.intact || verdict.why[0] == '\0')
				fail_msg("byte %zu, bit %d", i, bit);
			assert_false(verdict.origin_proven);
			assert_string_equal(verdict.note, ""); /* nothing is said that an intact one is told */
			/* A checkpoint is compared with its event where that stands. */
			assert_in_range(verdict.broken_line, line, line == 1 ? 4 : line + 1);
		}
		text[i] = byte;
		line += byte == '\n';
	}
}

static void every_cut_end_is_found(void **state)
{
	(void)state;
	for (size_t n = 0; n < text_n; n++) {
		struct audit_verdict verdict = fixture_verify(str_slice(whole(), 0, n), fixture_public_key());
		assert_false(verdict.intact || verdict.origin_proven);
		assert_non_null(strstr(verdict.why, "the end is missing"));
	}
}

/* The lines in an order, each by its number. */
static struct audit_verdict arranged(const char *order)
{
	AUTO_BUF out = BUF_INIT(2 * sizeof text);
	for (; *order != '\0'; order++)
		buf_add_str(&out, line_at((size_t)(*order - '0')));
	return fixture_verify(buf_str(&out), fixture_public_key());
}

static void removed_swapped_and_repeated_lines_are_found(void **state)
{
	(void)state;
	assert_true(arranged("01234567").intact);
	static const struct {
		const char *order;
		uint64_t line;
	} broken[] = {
		/* Without its checkpoint a chain is still one; without events it is not. */
		{"0234567", 2},  {"0134567", 3},  {"0124567", 4},   {"0123567", 5},   {"0123467", 6},  {"0123457", 7},
		{"0123456", 8},  {"234567", 1},   {"0213456", 2},   {"0124356", 4},   {"01234576", 7}, {"01234467", 6},
		{"00123456", 2}, {"10234567", 2}, {"012345677", 9}, {"012345670", 9}, {"7", 1},        {"07", 2},
		{"01234566", 8}, {"", 1},         {"456", 1},       {"0567", 2},
	};
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct audit_verdict verdict = arranged(broken[i].order);
		if (verdict.intact || verdict.broken_line != broken[i].line)
			fail_msg("'%s' breaks at line %d: %s", broken[i].order, (int)verdict.broken_line, verdict.why);
	}
	/* What the checkpoint covers may be gone, as retention leaves it, but the head counts what there is. */
	struct audit_verdict verdict = arranged("04567");
	assert_false(verdict.intact);
	assert_string_equal(verdict.note, "");
	assert_non_null(strstr(verdict.why, "the head is of 6 events"));
}

/* Whoever has no key can make a chain, but neither a checkpoint nor a head. */
static void a_forged_chain_lacks_its_signatures(void **state)
{
	(void)state;
	AUTO_BUF forged = BUF_INIT(sizeof text);
	buf_add_str(&forged, line_at(0));
	struct audit_link link = {0};
	for (size_t i = 1; i < LINES - 1; i++) {
		AUTO_BUF event = BUF_INIT(AUDIT_TEXT_MAX);
		struct str line = line_at(i);
		buf_add_str(&event, str_slice(line, 0, str_find(line, S(",\"hash\":"))));
		if (i == 2)
			event.p[str_find(buf_str(&event), S("\"n\":1")) + 4] = '7';
		memcpy(link.prev, link.hash, sizeof link.prev);
		link.seq++;
		audit_line_close(&event, STR_EMPTY, &link);
		buf_addf(&forged, "%s\n", event.p);
	}
	buf_add_str(&forged, line_at(LINES - 1));
	struct audit_verdict verdict = fixture_verify(buf_str(&forged), STR_EMPTY);
	assert_false(verdict.intact);
	assert_int_equal(verdict.broken_line, 4);
	assert_non_null(strstr(verdict.why, "checkpoint signed"));

	buf_consume(&forged, line_at(0).n);
	verdict = fixture_verify(buf_str(&forged), STR_EMPTY);
	assert_false(verdict.intact);
	assert_int_equal(verdict.broken_line, 7);
	assert_non_null(strstr(verdict.why, "the head is of another event"));
}

static void lines_that_are_none_are_refused(void **state)
{
	(void)state;
	static char large[300000];
	memset(large, 'x', sizeof large);
	assert_non_null(strstr(fixture_verify(str_of(large, sizeof large), STR_EMPTY).why, "longer than any"));
	large[sizeof large - 1] = '\n';
	assert_non_null(strstr(fixture_verify(str_of(large, sizeof large), STR_EMPTY).why, "longer than any"));
	assert_non_null(strstr(fixture_verify(S("\n"), STR_EMPTY).why, "neither"));
	assert_non_null(strstr(fixture_verify(S("{}\n"), STR_EMPTY).why, "neither"));
	assert_non_null(strstr(fixture_verify(S("{\"event\":\n"), STR_EMPTY).why, "no JSON"));
	assert_non_null(strstr(fixture_verify(S("{\"event\":{}}\n"), STR_EMPTY).why, "lacks a member"));
	AUTO_BUF spaced = BUF_INIT(sizeof text);
	buf_add_str(&spaced, line_at(1));
	spaced.p[spaced.n - 1] = ' ';
	buf_add_char(&spaced, '\n');
	assert_non_null(strstr(fixture_verify(buf_str(&spaced), STR_EMPTY).why, "canonical"));
}

/* In the database the columns count too: they decide what is found. */
static int change_job(struct db_tx *tx, void *user, struct err *err)
{
	return db_run(db_stmt(tx, user), err) > 0 ? 0 : -1;
}

static void every_changed_column_is_found(void **state)
{
	(void)state;
	static const struct {
		const char *sql, *why;
		uint64_t seq; /* with a checkpoint in front of it */
	} changes[] = {
		{"UPDATE audit SET text = replace(text, '\"n\":0', '\"n\":9') WHERE seq = 2", NULL, 0},
		{"UPDATE audit SET text = replace(text, '\"n\":1', '\"n\":9') WHERE seq = 2", "event 2 was changed", 2},
		{"UPDATE audit SET hash = zeroblob(32) WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET ts_ns = ts_ns + 1 WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET type = 'x' WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET audit_id = 'x' WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET connector = 'x' WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET action = 'x' WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET class = 'x' WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET binding = 'x' WHERE seq = 2", "event 2 is filed", 2},
		{"UPDATE audit SET seq = 100 WHERE seq = 6", "event 6 is filed", 6},
		{"DELETE FROM audit WHERE seq = 1", "event 2 stands where event 1 belongs", 2},
		{"DELETE FROM audit WHERE seq = 4", "event 5 stands where event 4 belongs", 5},
		{"DELETE FROM audit WHERE seq >= 3", "a checkpoint signed event 3", 0},
		{"UPDATE checkpoints SET hash = zeroblob(32)", "signature", 0},
		{"UPDATE checkpoints SET signature = zeroblob(64)", "signature", 0},
		{"UPDATE checkpoints SET signature = zeroblob(63)", "damaged", 0},
		{"UPDATE checkpoints SET seq = 4", "signature", 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		void *db = NULL;
		assert_int_equal(make_export(&db), 0);
		assert_int_equal(db_write(db, change_job, (void *)(uintptr_t)changes[i].sql, NULL), 0);
		struct audit_verdict verdict = fixture_verify_db(db, fixture_public_key());
		if (changes[i].why == NULL)
			assert_true(verdict.intact && verdict.origin_proven);
		else if (verdict.intact || strstr(verdict.why, changes[i].why) == NULL)
			fail_msg("%s: '%s'", changes[i].sql, verdict.why);
		assert_int_equal(verdict.broken_seq, changes[i].seq);
		assert_int_equal(verdict.broken_line, 0);
		db_close(db);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_export, fixture_stop)
	const struct CMUnitTest tests[] = {
		TEST(the_whole_is_intact),
		TEST(every_flipped_byte_is_found),
		TEST(every_cut_end_is_found),
		TEST(removed_swapped_and_repeated_lines_are_found),
		TEST(a_forged_chain_lacks_its_signatures),
		TEST(lines_that_are_none_are_refused),
		cmocka_unit_test(every_changed_column_is_found),
	};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
