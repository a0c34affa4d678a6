#include "cli/prompt.h"
#include "base/ascii.h"
#include "base/escape.h"
#include "base/mem.h"
#include "os/file.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>

/* The terminal while a question is open. */
struct asking {
	int tty, signals; /* descriptors */
	struct termios before;
	sigset_t mask_before;
	bool hidden;
};

static int open_tty(void)
{
	return open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

bool prompt_possible(void)
{
	AUTO_FD tty = open_tty();
	return tty >= 0;
}

static void asking_end(struct asking *asking)
{
	if (asking->hidden)
		tcsetattr(asking->tty, TCSAFLUSH, &asking->before);
	if (asking->tty >= 0)
		close(asking->tty);
	if (asking->signals >= 0)
		close(asking->signals);
	sigprocmask(SIG_SETMASK, &asking->mask_before, NULL);
}

/* Signals that would end or stop the process wait until the terminal is as it was. */
static int asking_begin(struct asking *asking, bool hidden, struct err *err)
{
	static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	sigset_t set;
	*asking = (struct asking){.signals = -1};
	asking->tty = open_tty();
	if (asking->tty < 0)
		return fail(err, ERR_USAGE, "there is no terminal to ask at");
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, &asking->mask_before);
	asking->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	struct termios quiet;
	if (hidden && tcgetattr(asking->tty, &asking->before) == 0) {
		quiet = asking->before;
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
		quiet.c_lflag |= ICANON | ISIG;
		asking->hidden = tcsetattr(asking->tty, TCSAFLUSH, &quiet) == 0;
	}
	if (asking->signals >= 0 && (!hidden || asking->hidden))
		return 0;
	asking_end(asking);
	return fail_errno(err, "cannot ask at the terminal");
}

static void say(int tty, const char *text)
{
	(void)!file_write_fd(tty, "the terminal", str_from(text), NULL);
}

void prompt_say(const char *text)
{
	AUTO_FD tty = open_tty();
	if (tty >= 0)
		say(tty, text);
}

/* 1: there is something to read. 0: a signal came, whose number is *ret_signal. */
static int wait_for_answer(const struct asking *asking, int *ret_signal, struct err *err)
{
	struct pollfd fds[] = {{.fd = asking->tty, .events = POLLIN}, {.fd = asking->signals, .events = POLLIN}};
	for (;;) {
		struct signalfd_siginfo info;
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return fail_errno(err, "cannot wait for an answer");
		if (read(asking->signals, &info, sizeof info) == (ssize_t)sizeof info) {
			*ret_signal = (int)info.ssi_signo;
			return 0;
		}
		if (fds[0].revents != 0)
			return 1;
	}
}

/* One line into `line`, of PROMPT_MAX bytes: its length without the line's end; -2 with a signal; -1. */
static ssize_t read_line(const struct asking *asking, char *line, int *ret_signal, struct err *err)
{
	size_t n = 0;
	while (n < PROMPT_MAX) {
		int ready = wait_for_answer(asking, ret_signal, err);
		if (ready <= 0)
			return ready < 0 ? -1 : -2;
		ssize_t got = read(asking->tty, line + n, PROMPT_MAX - n);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return fail_errno(err, "cannot read from the terminal");
		if (got == 0 && n == 0)
			return fail(err, ERR_USAGE, "nothing was typed");
		n += (size_t)got;
		if (got == 0 || line[n - 1] == '\n')
			return (ssize_t)(line[n - 1] == '\n' ? n - 1 : n);
	}
	return fail(err, ERR_USAGE, "the answer is longer than %zu bytes", PROMPT_MAX - 1);
}

/* Asks until there is an answer: being stopped and continued asks again, any other signal does what it does. */
static ssize_t ask(const char *question, bool hidden, char *line, struct err *err)
{
	for (;;) {
		struct asking asking;
		int signal_number = 0;
		if (asking_begin(&asking, hidden, err) < 0)
			return -1;
		say(asking.tty, question);
		ssize_t n = read_line(&asking, line, &signal_number, err);
		if (hidden || n < 0)
			say(asking.tty, "\n");
		asking_end(&asking);
		if (n != -2)
			return n;
		raise(signal_number);
		if (signal_number != SIGTSTP)
			return fail(err, ERR_CANCELLED, "interrupted");
	}
}

struct secret *prompt_hidden(const char *question, struct err *err)
{
	AUTO(secret) *line = secret_new(PROMPT_MAX, err);
	if (line == NULL)
		return NULL;
	ssize_t n = ask(question, true, secret_borrow_mut(line), err);
	return n < 0 ? NULL : secret_from(str_of(secret_borrow(line).p, (size_t)n), err);
}

int prompt_line(const char *question, struct buf *answer, struct err *err)
{
	char line[PROMPT_MAX];
	ssize_t n = ask(question, false, line, err);
	if (n < 0)
		return -1;
	buf_add_str(answer, str_trim(str_of(line, (size_t)n)));
	return buf_check(answer, "the answer", err);
}

int prompt_yes(const char *question, bool otherwise, struct err *err)
{
	AUTO_BUF asked = BUF_INIT(PROMPT_MAX);
	AUTO_BUF answer = BUF_INIT(PROMPT_MAX);
	escape_visible(&asked, str_from(question));
	buf_addf(&asked, " [%s]: ", otherwise ? "Y/n" : "y/N");
	if (prompt_line(asked.p, &answer, err) < 0)
		return -1;
	struct str word = buf_str(&answer);
	if (word.n == 0)
		return otherwise;
	return str_eq_fold(word, S("y")) || str_eq_fold(word, S("yes"));
}
