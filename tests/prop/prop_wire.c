/* Random messages: what is put is got, and a message cut anywhere is refused as a whole. */
#include "text/wire.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t seed = 20260101;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

enum field { U8, U16, U32, U64, I32, BOOL, STR, LIST, ERR, FIELD__MAX };

enum { FIELDS_MAX = 12, LIST_MAX = 5 };

struct message {
	size_t n;
	struct {
		enum field field;
		uint64_t value;
		struct str text;
		struct err *err;
	} fields[FIELDS_MAX];
};

static const char letters[] = "some \"text\" with \0 and \xff in it, long enough to be cut";

static struct err *draw_error(void)
{
	struct err *err = NEW(struct err);
	if (draw() % 4 == 0)
		return err;
	(fail)(err, (enum err_class)(1 + draw() % (ERR_CLASS__MAX - 1)), "failure %d", (int)(draw() % 1000));
	for (uint64_t i = draw() % 3; i > 0; i--)
		err_detail(err, "key", str_of(letters, draw() % sizeof letters));
	err->retriable = draw() % 2 == 0;
	return err;
}

static struct message draw_message(void)
{
	struct message m = {.n = 1 + draw() % FIELDS_MAX};
	for (size_t i = 0; i < m.n; i++) {
		m.fields[i].field = (enum field)(draw() % FIELD__MAX);
		m.fields[i].value = draw() >> draw() % 64;
		m.fields[i].text = str_of(letters, draw() % sizeof letters);
		if (m.fields[i].field == ERR)
			m.fields[i].err = draw_error();
	}
	return m;
}

static void release_message(struct message *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->fields[i].err);
}

static void put_field(struct buf *out, const struct message *m, size_t i)
{
	uint64_t v = m->fields[i].value;
	switch (m->fields[i].field) {
	case U8:
		wire_put_u8(out, (uint8_t)v);
		break;
	case U16:
		wire_put_u16(out, (uint16_t)v);
		break;
	case U32:
		wire_put_u32(out, (uint32_t)v);
		break;
	case U64:
		wire_put_u64(out, v);
		break;
	case I32:
		wire_put_i32(out, (int32_t)v);
		break;
	case BOOL:
		wire_put_bool(out, v % 2 == 0);
		break;
	case STR:
		wire_put_str(out, m->fields[i].text);
		break;
	case LIST:
		wire_put_u32(out, (uint32_t)(v % LIST_MAX));
		for (uint64_t k = 0; k < v % LIST_MAX; k++)
			wire_put_u64(out, v + k);
		break;
	case ERR:
		wire_put_err(out, m->fields[i].err);
		break;
	case FIELD__MAX:
		break;
	}
}

static bool same_error(struct wire_reader *r, const struct err *want)
{
	AUTO_FREE struct err *got = NEW(struct err);
	wire_get_err(r, got);
	return got->class == want->class && got->boundary == want->boundary && got->retriable == want->retriable &&
	       strcmp(got->message, want->message) == 0 && strcmp(got->details, want->details) == 0;
}

/* Whether the next field reads as it was written. */
static bool get_field(struct wire_reader *r, const struct message *m, size_t i)
{
	uint64_t v = m->fields[i].value;
	bool same = true;
	switch (m->fields[i].field) {
	case U8:
		return wire_u8(r) == (uint8_t)v;
	case U16:
		return wire_u16(r) == (uint16_t)v;
	case U32:
		return wire_u32(r) == (uint32_t)v;
	case U64:
		return wire_u64(r) == v;
	case I32:
		return wire_i32(r) == (int32_t)v;
	case BOOL:
		return wire_bool(r) == (v % 2 == 0);
	case STR:
		return str_eq(wire_str(r), m->fields[i].text);
	case LIST:
		same = wire_count(r, 8) == v % LIST_MAX;
		for (uint64_t k = 0; same && k < v % LIST_MAX; k++)
			same = wire_u64(r) == v + k;
		return same;
	case ERR:
		return same_error(r, m->fields[i].err);
	case FIELD__MAX:
		break;
	}
	return false;
}

static void what_is_put_is_got_and_no_cut_passes(void **state)
{
	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct message m = draw_message();
		AUTO_BUF body = BUF_INIT(1 << 20);
		for (size_t i = 0; i < m.n; i++)
			put_field(&body, &m, i);
		assert_true(buf_ok(&body));

		struct wire_reader r = wire_reader(buf_str(&body));
		for (size_t i = 0; i < m.n; i++)
			assert_true(get_field(&r, &m, i));
		assert_int_equal(wire_done(&r, "message", NULL), 0);

		for (size_t n = 0; n < body.n; n++) {
			/* The exact size lets the sanitizer see a read past the end. */
			AUTO_FREE char *copy = xmalloc(n + 1);
			memcpy(copy, body.p, n);
			r = wire_reader(str_of(copy, n));
			for (size_t i = 0; i < m.n; i++)
				(void)get_field(&r, &m, i);
			assert_int_equal(wire_done(&r, "message", NULL), -1);
		}
		release_message(&m);
	}
}

/* Any bytes read as any message end in an answer, and what was borrowed lies inside the body. */
static void noise_is_answered(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t n = draw() % 64;
		AUTO_FREE char *body = xmalloc(n + 1);
		for (size_t i = 0; i < n; i++)
			body[i] = (char)(draw() % 3 == 0 ? draw() : draw() % 8);
		struct message m = draw_message();
		struct wire_reader r = wire_reader(str_of(body, n));
		for (size_t i = 0; i < m.n; i++)
			(void)get_field(&r, &m, i);
		struct str s = wire_str(&r);
		assert_true(s.n == 0 || (s.p >= body && s.p + s.n <= body + n));
		assert_int_equal(wire_done(&r, "noise", NULL), r.bad || r.rest.n > 0 ? -1 : 0);
		release_message(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_got_and_no_cut_passes),
		cmocka_unit_test(noise_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
