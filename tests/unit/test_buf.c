#include "base/buf.h"
#include "base/mem.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <cmocka.h>

static void an_unused_one_is_the_empty_text(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT(10);
	assert_string_equal(buf.p, "");
	buf_add(&buf, NULL, 0);
	buf_add_str(&buf, STR_EMPTY);
	buf_addf(&buf, "%s", "");
	buf_truncate(&buf, 0);
	buf_consume(&buf, 9);
	buf_clear(&buf);
	buf_release(&buf);
	assert_true(buf_ok(&buf));
	size_t n = 9;
	AUTO_FREE char *stolen = buf_steal(&buf, &n);
	assert_string_equal(stolen, "");
	assert_int_equal(n, 0);
	assert_string_equal(buf_empty, "");
}

static void an_append_that_does_not_fit_changes_nothing_and_sticks(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO_BUF buf = BUF_INIT(5);
	buf_add_z(&buf, "abc");
	assert_int_equal(buf_check(&buf, "the text", &err), 0);
	buf_addf(&buf, "%d", 100);
	assert_false(buf_ok(&buf));
	assert_string_equal(buf.p, "abc");
	buf_add_char(&buf, 'd');
	assert_string_equal(buf.p, "abc");
	assert_null(buf_reserve(&buf, 1));
	assert_int_equal(buf_check(&buf, "the text", &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_string_equal(err.message, "the text is larger than 5 bytes");

	buf_clear(&buf);
	buf_add_z(&buf, "abcde");
	assert_true(buf_ok(&buf));
	assert_string_equal(buf.p, "abcde");
	assert_true(buf.room <= 6);
	buf_add_char(&buf, 'f');
	assert_false(buf_ok(&buf));
}

static void a_cap_of_nothing_holds_nothing(void **state)
{
	(void)state;
	AUTO_BUF buf = BUF_INIT(0);
	buf_add(&buf, "", 0);
	assert_true(buf_ok(&buf));
	buf_add_char(&buf, 'a');
	assert_false(buf_ok(&buf));
	assert_string_equal(buf.p, "");
}

static void reserved_room_is_filled_by_the_caller(void **state)
{
	(void)state;
	AUTO_BUF buf = BUF_INIT(100);
	char *to = buf_reserve(&buf, 10);
	assert_non_null(to);
	memcpy(to, "abcdef", 6);
	buf_commit(&buf, 3);
	assert_string_equal(buf.p, "abc");
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_false(buf_ok(&buf));
}

static void stealing_leaves_it_empty_with_its_cap(void **state)
{
	(void)state;
	AUTO_BUF buf = BUF_INIT(4);
	buf_add(&buf, "a\0b", 3);
	size_t n;
	AUTO_FREE char *stolen = buf_steal(&buf, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(stolen, "a\0b", 4);
	assert_int_equal(buf.n, 0);
	buf_add_z(&buf, "abcd");
	assert_true(buf_ok(&buf));
}

/* The memory stays reachable after a clear, so what it holds then can be seen. */
static void a_secret_one_leaves_nothing_behind(void **state)
{
	(void)state;
	static const char zeros[64];
	AUTO_BUF buf = BUF_INIT_SECRET(64);
	buf_add_z(&buf, "password");
	buf_truncate(&buf, 4);
	assert_memory_equal(buf.p + 4, zeros, 4);
	buf_consume(&buf, 2);
	assert_memory_equal(buf.p, "ss\0\0\0\0\0", 8);
	buf_clear(&buf);
	assert_memory_equal(buf.p, zeros, 8);
	buf_release(&buf);
	assert_true(buf.secret);
}

static void committing_more_than_was_reserved_ends_the_program(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		struct buf buf = BUF_INIT(100);
		buf_reserve(&buf, 10);
		buf_commit(&buf, 101);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unused_one_is_the_empty_text),
		cmocka_unit_test(an_append_that_does_not_fit_changes_nothing_and_sticks),
		cmocka_unit_test(a_cap_of_nothing_holds_nothing),
		cmocka_unit_test(reserved_room_is_filled_by_the_caller),
		cmocka_unit_test(stealing_leaves_it_empty_with_its_cap),
		cmocka_unit_test(a_secret_one_leaves_nothing_behind),
		cmocka_unit_test(committing_more_than_was_reserved_ends_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
