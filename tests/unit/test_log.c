#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static uint64_t fixed(void *context)
{
	(void)context;
	return UINT64_C(1767323045678) * TIME_MILLISECOND; /* 2026-01-02T03:04:05.678Z */
}
static const struct clock fixed_clock = {.monotonic = fixed, .wall = fixed};

static int read_end = -1, write_end = -1;

static int open_pipe(void **state)
{
	(void)state;
	int ends[2];
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return -1;
	read_end = ends[0];
	write_end = ends[1];
	return 0;
}

static int close_pipe(void **state)
{
	(void)state;
	log_setup(&(struct log_options){.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO});
	close(read_end);
	return close(write_end);
}

static void set_up(enum log_form form, enum log_level level)
{
	log_setup(&(struct log_options){.fd = write_end, .form = form, .level = level, .clock = &fixed_clock});
}

/* What one read gives: a line that was written at once. */
static struct str read_line(void)
{
	static char line[2 * LOG_LINE_MAX];
	ssize_t n = read(read_end, line, sizeof line - 1);
	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		n = 0;
	}
	line[n] = '\0';
	return str_of(line, (size_t)n);
}

static void log_every_kind(void)
{
	struct err err = {0};
	errno = ENOENT;
	(void)fail_errno(&err, "cannot open '%s'", "a\nb");
	log_info("runner_started", log_str("hash", S("sha256:0f")), log_u64("big", UINT64_MAX),
		 log_i64("low", INT64_MIN), log_bool("cached", true), log_duration("took", 1500 * TIME_MICROSECOND),
		 log_z("name", "a \"b\"\n"), log_z("none", NULL), log_err(&err));
}

static void writes_text_lines(void **state)
{
	(void)state;
	set_up(LOG_FORM_TEXT, LOG_LEVEL_INFO);
	log_every_kind();
	assert_string_equal(read_line().p,
			    "2026-01-02T03:04:05.678Z info runner_started hash=sha256:0f big=18446744073709551615 "
			    "low=-9223372036854775808 cached=true took=1.5ms name=\"a \\\"b\\\"\\n\" none=\"\" "
			    "class=system_error message=\"cannot open 'a\\nb': No such file or directory\"\n");
	log_warn("alone");
	assert_string_equal(read_line().p, "2026-01-02T03:04:05.678Z warn alone\n");
}

static void writes_json_lines(void **state)
{
	(void)state;
	set_up(LOG_FORM_JSON, LOG_LEVEL_INFO);
	log_every_kind();
	assert_string_equal(
		read_line().p,
		"{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"event\":\"runner_started\","
		"\"hash\":\"sha256:0f\",\"big\":18446744073709551615,\"low\":-9223372036854775808,\"cached\":true,"
		"\"took_ns\":1500000,\"name\":\"a \\\"b\\\"\\n\",\"none\":\"\",\"class\":\"system_error\","
		"\"message\":\"cannot open 'a\\nb': No such file or directory\"}\n");
	log_error("alone");
	assert_string_equal(read_line().p,
			    "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"error\",\"event\":\"alone\"}\n");
}

static struct log_field never(bool *evaluated)
{
	*evaluated = true;
	return log_bool("evaluated", true);
}

static void levels_below_the_threshold_cost_nothing(void **state)
{
	(void)state;
	bool evaluated = false;
	set_up(LOG_FORM_TEXT, LOG_LEVEL_WARN);
	log_debug("no", never(&evaluated));
	log_info("no", never(&evaluated));
	assert_false(evaluated);
	assert_int_equal(read_line().n, 0);
	log_warn("yes", never(&evaluated));
	assert_true(evaluated);
	assert_true(read_line().n > 0);

	log_set_level(LOG_LEVEL_NONE);
	assert_false(log_enabled(LOG_LEVEL_ERROR));
	log_set_level(LOG_LEVEL_DEBUG);
	assert_true(log_enabled(LOG_LEVEL_DEBUG));
	assert_false(log_enabled(LOG_LEVEL_NONE));
}

static void levels_have_names(void **state)
{
	(void)state;
	enum log_level level = LOG_LEVEL_WARN;
	assert_true(log_level_named(S("debug"), &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_false(log_level_named(S("DEBUG"), &level));
	assert_false(log_level_named(S(""), &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "error");
}

/* Guests write the values: a value can end no line, forge no field and drive no terminal. */
static void a_hostile_value_stays_inside_its_field(void **state)
{
	(void)state;
	struct str hostile = S("x\" level=error\r\n2026 forged\x1b[2J\xe2\x80\xae");
	set_up(LOG_FORM_TEXT, LOG_LEVEL_INFO);
	log_info("said", log_str("text", hostile));
	assert_string_equal(read_line().p, "2026-01-02T03:04:05.678Z info said "
					   "text=\"x\\\" level=error\\r\\n2026 forged\\x1b[2J\\u202e\"\n");
	set_up(LOG_FORM_JSON, LOG_LEVEL_INFO);
	log_info("said", log_str("text", hostile));
	assert_non_null(strstr(read_line().p, "\"x\\\" level=error\\r\\n2026 forged\\u001b[2J\\u202e\"}\n"));
}

static void a_line_stays_under_its_maximum(void **state)
{
	(void)state;
	static char zeros[100000];
	static const enum log_form forms[] = {LOG_FORM_TEXT, LOG_FORM_JSON};
	assert_true(LOG_LINE_MAX <= PIPE_BUF);
	for (size_t n = 0; n < sizeof zeros; n += n < 9000 ? 7 : 9999) {
		set_up(forms[n % 2], LOG_LEVEL_INFO);
		memset(zeros, n % 3 == 0 ? 0 : n % 3 == 1 ? 'a' : (char)0xc3, sizeof zeros);
		log_info("long", log_str("first", str_of(zeros, n)), log_u64("number", n),
			 log_str("last", str_of(zeros, n)));
		struct str line = read_line();
		assert_true(line.n > 0 && line.n <= LOG_LINE_MAX);
		assert_true(str_ends(line, n % 2 == 0 ? S("\n") : S("}\n")));
		assert_int_equal(str_find_char(line, '\n'), line.n - 1);
		if (n > LOG_LINE_MAX) {
			assert_true(line.n > LOG_LINE_MAX / 2);
			assert_true(str_find(line, S("...")) != STR_NPOS);
		}
	}
}

static void fields_that_do_not_fit_are_counted(void **state)
{
	(void)state;
	enum { FIELDS = 600 };
	static struct log_field fields[FIELDS + 1];
	for (size_t i = 0; i < FIELDS; i++)
		fields[i] = log_u64("key", i);
	fields[FIELDS] = (struct log_field){.kind = LOG_FIELD_END};
	for (enum log_form form = LOG_FORM_TEXT; form <= LOG_FORM_JSON; form++) {
		set_up(form, LOG_LEVEL_INFO);
		log_event(LOG_LEVEL_INFO, "many", fields);
		struct str line = read_line();
		size_t present = 0;
		for (const char *at = strstr(line.p, "key"); at != NULL; at = strstr(at + 1, "key"))
			present++;
		char ending[40];
		snprintf(ending, sizeof ending, form == LOG_FORM_TEXT ? " left_out=%zu\n" : ",\"left_out\":%zu}\n",
			 FIELDS - present);
		assert_true(present > 300 && line.n <= LOG_LINE_MAX);
		assert_true(str_ends(line, str_from(ending)));
	}
}

static void errno_survives(void **state)
{
	(void)state;
	log_setup(&(struct log_options){.fd = -1, .level = LOG_LEVEL_INFO, .clock = &fixed_clock});
	errno = ELOOP;
	log_info("to_nobody");
	assert_int_equal(errno, ELOOP);
}

enum { WRITERS = 4, LINES = 500 };

static void *write_lines(void *context)
{
	char text[3000];
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < LINES; i++)
		log_info("line", log_u64("writer", (uintptr_t)context), log_str("text", str_of(text, i * 5)));
	return NULL;
}

static void lines_of_several_threads_never_mix(void **state)
{
	(void)state;
	set_up(LOG_FORM_TEXT, LOG_LEVEL_INFO);
	fcntl(write_end, F_SETFL, 0); /* writers wait for the reader */
	fcntl(read_end, F_SETFL, 0);
	pthread_t threads[WRITERS];
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)i), 0);
	FILE *lines = fdopen(dup(read_end), "r");
	size_t next[WRITERS] = {0};
	for (size_t seen = 0; seen < WRITERS * LINES; seen++) {
		char line[LOG_LINE_MAX + 1];
		assert_non_null(fgets(line, sizeof line, lines));
		struct str prefix = S("2026-01-02T03:04:05.678Z info line writer=");
		assert_true(str_starts(str_from(line), prefix));
		size_t writer = (size_t)(line[prefix.n] - '0');
		assert_true(writer < WRITERS);
		size_t xs = next[writer]++ * 5;
		size_t quotes = xs == 0 ? 2 : 0;
		assert_int_equal(strlen(line), prefix.n + sizeof "0 text=" - 1 + xs + quotes + 1);
	}
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	fclose(lines);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_pipe, close_pipe)
	const struct CMUnitTest tests[] = {
		TEST(writes_text_lines),
		TEST(writes_json_lines),
		TEST(levels_below_the_threshold_cost_nothing),
		TEST(levels_have_names),
		TEST(a_hostile_value_stays_inside_its_field),
		TEST(a_line_stays_under_its_maximum),
		TEST(fields_that_do_not_fit_are_counted),
		TEST(errno_survives),
		TEST(lines_of_several_threads_never_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
