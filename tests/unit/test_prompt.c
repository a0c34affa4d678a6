#include "cli/prompt.h"
#include "base/mem.h"
#include "base/vec.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <cmocka.h>

/*
 * Each question is asked by a child whose controlling terminal is a pty of ours: the test is the person. What the child
 * learns it says on a pipe.
 */
struct person {
	int master, said; /* descriptors */
	int slave;        /* kept open, to look at the terminal after the child */
	pid_t child;
	char screen[4096];
	size_t n;
};

static void become_terminal(int slave)
{
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	for (int fd = 0; fd < 3; fd++)
		dup2(slave, fd);
}

static struct person ask(void (*question)(int said))
{
	struct person person = {.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
	int ends[2];
	assert_true(person.master >= 0);
	assert_int_equal(grantpt(person.master) | unlockpt(person.master), 0);
	person.slave = open(ptsname(person.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(person.slave >= 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	person.child = fork();
	if (person.child == 0) {
		become_terminal(person.slave);
		question(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	person.said = ends[0];
	return person;
}

/* Reads the screen until it shows the text. */
static void wait_for(struct person *person, const char *text)
{
	while (strstr(person->screen, text) == NULL) {
		struct pollfd fd = {.fd = person->master, .events = POLLIN};
		assert_int_equal(poll(&fd, 1, 20000), 1);
		ssize_t got = read(person->master, person->screen + person->n, sizeof person->screen - 1 - person->n);
		assert_true(got > 0);
		person->n += (size_t)got;
		person->screen[person->n] = '\0';
	}
}

static bool echoes(const struct person *person)
{
	struct termios now;
	assert_int_equal(tcgetattr(person->slave, &now), 0);
	return (now.c_lflag & ECHO) != 0;
}

static void type(const struct person *person, const char *text)
{
	assert_int_equal(write(person->master, text, strlen(text)), strlen(text));
}

/* The wait status, with what the child said. */
static int end(struct person *person, char *said, size_t size)
{
	size_t n = 0;
	ssize_t got;
	int status;
	while ((got = read(person->said, said + n, size - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	waitpid(person->child, &status, 0);
	assert_true(echoes(person)); /* whatever happened */
	close(person->said);
	close(person->slave);
	close(person->master);
	return status;
}

static void say(int fd, const char *text, size_t n)
{
	if (write(fd, text, n) != (ssize_t)n)
		_exit(9);
}

/* ------------------------------------------------------------------------------------------------------------ questions */

static void hidden(int said)
{
	static struct err err;
	AUTO(secret) *secret = prompt_hidden("Passphrase: ", &err);
	if (secret == NULL)
		say(said, err_row(err.class)->name, strlen(err_row(err.class)->name));
	else
		say(said, secret_borrow(secret).p, secret_size(secret));
}

static void line(int said)
{
	static struct err err;
	AUTO_BUF answer = BUF_INIT(PROMPT_MAX);
	if (prompt_line("Name: ", &answer, &err) < 0)
		say(said, err_row(err.class)->name, strlen(err_row(err.class)->name));
	else
		say(said, answer.p, answer.n);
}

static void yes_or_no(int said)
{
	char c = (char)('0' + prompt_yes("Delete a\033[31m?", false, NULL));
	say(said, &c, 1);
	c = (char)('0' + prompt_yes("Keep?", true, NULL));
	say(said, &c, 1);
}

static void what_is_hidden_is_not_shown(void **state)
{
	(void)state;
	char said[256];
	struct person person = ask(hidden);
	wait_for(&person, "Passphrase: ");
	assert_false(echoes(&person));
	type(&person, "s3cret with a blank \n");
	assert_int_equal(end(&person, said, sizeof said), 0);
	assert_string_equal(said, "s3cret with a blank ");
	assert_null(strstr(person.screen, "s3cret"));
}

static void an_empty_answer_is_one(void **state)
{
	(void)state;
	char said[256];
	struct person person = ask(hidden);
	wait_for(&person, "Passphrase: ");
	type(&person, "\n");
	assert_int_equal(end(&person, said, sizeof said), 0);
	assert_string_equal(said, "");
}

static void the_end_of_input_is_no_answer(void **state)
{
	(void)state;
	char said[256];
	struct person person = ask(hidden);
	wait_for(&person, "Passphrase: ");
	type(&person, "\x04");
	assert_int_equal(end(&person, said, sizeof said), 0);
	assert_string_equal(said, "usage_error");
}

static void signals_bring_the_echo_back(void **state)
{
	(void)state;
	static const int signals[] = {SIGTERM, SIGHUP, SIGINT};
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		char said[256];
		struct person person = ask(hidden);
		wait_for(&person, "Passphrase: ");
		kill(person.child, signals[i]);
		int status = end(&person, said, sizeof said);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
	}
	char said[256];
	struct person person = ask(hidden);
	wait_for(&person, "Passphrase: ");
	type(&person, "half\x03");
	int status = end(&person, said, sizeof said);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void after_a_stop_it_asks_again(void **state)
{
	(void)state;
	char said[256];
	struct person person = ask(hidden);
	wait_for(&person, "Passphrase: ");
	kill(person.child, SIGTSTP);
	/* Alone in its session it cannot be stopped: it is as if it were stopped and continued at once. */
	person.n = 0;
	memset(person.screen, 0, sizeof person.screen);
	wait_for(&person, "Passphrase: ");
	type(&person, "again\n");
	assert_int_equal(end(&person, said, sizeof said), 0);
	assert_string_equal(said, "again");
}

static void a_line_is_shown_and_trimmed(void **state)
{
	(void)state;
	char said[256];
	struct person person = ask(line);
	wait_for(&person, "Name: ");
	assert_true(echoes(&person));
	type(&person, "  work \n");
	wait_for(&person, "work");
	assert_int_equal(end(&person, said, sizeof said), 0);
	assert_string_equal(said, "work");
}

static void yes_is_said_in_full_or_by_default(void **state)
{
	(void)state;
	static const struct {
		const char *answers[2], *said;
	} cases[] = {
		{{"y\n", "\n"}, "11"},
		{{"YES\n", "n\n"}, "10"},
		{{"\n", "no\n"}, "00"},
		{{"yeah\n", "x\n"}, "00"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char said[16];
		struct person person = ask(yes_or_no);
		wait_for(&person, "[y/N]: ");
		assert_non_null(strstr(person.screen, "Delete a\\x1b[31m?"));
		type(&person, cases[i].answers[0]);
		wait_for(&person, "Keep? [Y/n]: ");
		type(&person, cases[i].answers[1]);
		assert_int_equal(end(&person, said, sizeof said), 0);
		assert_string_equal(said, cases[i].said);
	}
}

static void nobody(int said)
{
	static struct err err;
	int fd = open("/dev/tty", O_RDWR);
	ioctl(fd, TIOCNOTTY);
	close(fd);
	AUTO(secret) *secret = prompt_hidden("Passphrase: ", &err);
	say(said, prompt_possible() || secret != NULL ? "asked" : err_row(err.class)->name, 5);
}

static void without_a_terminal_nobody_is_asked(void **state)
{
	(void)state;
	char said[16];
	signal(SIGHUP, SIG_IGN);
	struct person person = ask(nobody);
	assert_int_equal(end(&person, said, sizeof said), 0);
	assert_string_equal(said, "usage");
	signal(SIGHUP, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_hidden_is_not_shown),
		cmocka_unit_test(an_empty_answer_is_one),
		cmocka_unit_test(the_end_of_input_is_no_answer),
		cmocka_unit_test(signals_bring_the_echo_back),
		cmocka_unit_test(after_a_stop_it_asks_again),
		cmocka_unit_test(a_line_is_shown_and_trimmed),
		cmocka_unit_test(yes_is_said_in_full_or_by_default),
		cmocka_unit_test(without_a_terminal_nobody_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
