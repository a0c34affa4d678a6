#include "base/buf.h"
#include "base/mem.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* The model: an array that is large enough, with the rules of the cap and of the failure that sticks. */
struct model {
	char bytes[400];
	size_t n, cap;
	bool failed;
};

static void model_add(struct model *model, const char *bytes, size_t n)
{
	if (n == 0)
		return;
	model->failed = model->failed || n > model->cap - model->n;
	if (model->failed)
		return;
	memcpy(model->bytes + model->n, bytes, n);
	model->n += n;
}

static void model_drop(struct model *model, size_t from, size_t n)
{
	memmove(model->bytes + from, model->bytes + from + n, model->n - from - n);
	model->n -= n;
}

static void step(struct generator *g, struct buf *buf, struct model *model)
{
	char room[60];
	struct str text = generate_bytes(g, room, sizeof room);
	size_t place = generate_below(g, model->cap + 2);
	switch (generate_below(g, 9)) {
	case 0:
		if (generate_below(g, 4) == 0) {
			buf_clear(buf);
			model->n = 0;
			model->failed = false;
		}
		break;
	case 1:
		buf_truncate(buf, place);
		if (place < model->n)
			model_drop(model, place, model->n - place);
		break;
	case 2:
		buf_consume(buf, place);
		model_drop(model, 0, MIN(place, model->n));
		break;
	case 3: {
		char *to = buf_reserve(buf, text.n);
		model->failed = model->failed || text.n > model->cap - model->n;
		assert_int_equal(to == NULL, model->failed);
		if (to != NULL && text.n > 0) {
			memcpy(to, text.p, text.n);
			buf_commit(buf, text.n / 2);
			model_add(model, text.p, text.n / 2);
		}
		break;
	}
	case 4: {
		size_t n;
		AUTO_FREE char *stolen = buf_steal(buf, &n);
		assert_int_equal(n, model->n);
		assert_memory_equal(stolen, model->bytes, n);
		assert_int_equal(stolen[n], '\0');
		model->n = 0;
		model->failed = false;
		break;
	}
	case 5:
		buf_addf(buf, "%zu-%d", text.n, 7);
		snprintf(room, sizeof room, "%zu-%d", text.n, 7);
		model_add(model, room, strlen(room));
		break;
	default:
		buf_add_str(buf, text);
		model_add(model, text.p, text.n);
	}
}

static void behaves_like_an_array_with_a_cap(void **state)
{
	(void)state;
	struct generator g = {13};
	for (int round = 0; round < 2000; round++) {
		struct model model = {.cap = generate_below(&g, 300)};
		AUTO_BUF buf = round % 2 == 0 ? BUF_INIT(model.cap) : BUF_INIT_SECRET(model.cap);
		for (int i = 0; i < 60; i++) {
			step(&g, &buf, &model);
			assert_int_equal(buf.failed, model.failed);
			assert_int_equal(buf.n, model.n);
			assert_memory_equal(buf.p, model.bytes, model.n);
			assert_int_equal(buf.p[buf.n], '\0');
			assert_true(buf.room <= model.cap + 1);
		}
	}
	assert_int_equal(buf_empty[0], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_an_array_with_a_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
