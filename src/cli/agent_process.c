#include "cli/agent_process.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGCHLD};

struct job {
	pid_t pid;
	int terminal; /* -1 = none that is ours to give */
	bool has_modes;
	struct termios ours, agents;
	bool has_agents;
};

static void fill_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		sigaddset(set, taken[i]);
}

void agent_process_prepare(void)
{
	sigset_t set;
	fill_set(&set);
	/* To give the terminal away and to take it back from the background are writes to it. */
	sigaddset(&set, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* -------------------------------------------------------------------------------------------------------- the program */

static bool is_program(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int agent_process_find(const char *name, const char *path_variable, struct arena *arena, struct str *ret,
		       struct err *err)
{
	struct str rest = path_variable != NULL ? str_from(path_variable) : STR_EMPTY;
	struct str looked = rest;
	while (rest.n > 0) {
		struct str folder;
		rest = str_cut(rest, ':', &folder);
		/* What stands for the working directory is left out: it is whoever's project that is. */
		if (folder.n == 0 || folder.p[0] != '/')
			continue;
		struct str path = arena_printf(arena, "%.*s/%s", STR_FMT(folder), name);
		if (!is_program(path.p))
			continue;
		*ret = path;
		return 0;
	}
	return fail(err, ERR_NOT_FOUND, "'%s' is in no folder of PATH (%.*s)", name, STR_FMT(looked));
}

/* ---------------------------------------------------------------------------------------------------------- the child */

/* Between fork and exec: only what is safe there. */
static _Noreturn void become(const struct agent_process *process, pid_t parent, int terminal, int report)
{
	sigset_t none;
	(void)setpgid(0, 0);
	if (terminal >= 0)
		(void)tcsetpgrp(terminal, getpid());
	prctl(PR_SET_PDEATHSIG, SIGHUP);
	if (getppid() != parent)
		_exit(1);
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		signal(taken[i], SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(process->path, (char *const *)(uintptr_t)process->argv, (char *const *)(uintptr_t)process->envp);
	int error = errno;
	(void)!write(report, &error, sizeof error);
	_exit(127);
}

/* 0 when it runs the program now; else why it does not. */
static int read_report(int fd)
{
	int error = 0;
	ssize_t n;
	do
		n = read(fd, &error, sizeof error);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof error ? error : 0;
}

static int start(const struct agent_process *process, struct job *job, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail_errno(err, "cannot make a pipe");
	pid_t parent = getpid();
	job->pid = fork();
	if (job->pid == 0)
		become(process, parent, job->terminal, ends[1]);
	close(ends[1]);
	AUTO_FD report = ends[0];
	if (job->pid < 0)
		return fail_errno(err, "cannot start '%s'", process->path);
	/* Both sides do it: whoever comes first. */
	(void)setpgid(job->pid, job->pid);
	errno = read_report(report);
	if (errno == 0)
		return 0;
	fail_errno(err, "cannot start '%s'", process->path);
	(void)waitpid(job->pid, NULL, 0);
	return -1;
}

/* ------------------------------------------------------------------------------------------------------- the terminal */

static bool is_in_front(int terminal)
{
	return tcgetpgrp(terminal) == getpgrp();
}

static void find_terminal(struct job *job)
{
	job->terminal = -1;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && job->terminal < 0; fd++) {
		if (isatty(fd) && is_in_front(fd))
			job->terminal = fd;
	}
	job->has_modes = job->terminal >= 0 && tcgetattr(job->terminal, &job->ours) == 0;
}

static void give_terminal(struct job *job)
{
	if (job->terminal < 0)
		return;
	if (job->has_agents)
		(void)tcsetattr(job->terminal, TCSADRAIN, &job->agents);
	(void)tcsetpgrp(job->terminal, job->pid);
}

static void take_terminal(struct job *job)
{
	if (job->terminal < 0 || tcgetpgrp(job->terminal) != job->pid)
		return;
	job->has_agents = tcgetattr(job->terminal, &job->agents) == 0;
	(void)tcsetpgrp(job->terminal, getpgrp());
	if (job->has_modes)
		(void)tcsetattr(job->terminal, TCSADRAIN, &job->ours);
}

/* --------------------------------------------------------------------------------------------------------- the signals */

/* The agent has stopped: so do we, for the shell. When the shell lets us go on, in front or behind, so does the agent. */
static void stop_along(struct job *job)
{
	take_terminal(job);
	raise(SIGSTOP);
	if (job->terminal >= 0 && is_in_front(job->terminal))
		give_terminal(job);
	(void)kill(-job->pid, SIGCONT);
}

/* True when it has ended. */
static bool reap(struct job *job, int *ret_status)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(job->pid, &status, WNOHANG | WUNTRACED)) == job->pid) {
		if (!WIFSTOPPED(status)) {
			*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			return true;
		}
		stop_along(job);
	}
	return false;
}

static int wait_for_end(struct job *job)
{
	sigset_t set;
	int status = 0;
	fill_set(&set);
	while (!reap(job, &status)) {
		int signal = sigwaitinfo(&set, NULL);
		if (signal < 0 || signal == SIGCHLD)
			continue;
		/* A shell that continues us while the agent is not stopped (kill -CONT) asks for nothing. */
		if (signal != SIGCONT)
			(void)kill(-job->pid, signal);
	}
	return status;
}

int agent_process_run(const struct agent_process *process, struct err *err)
{
	struct job job = {.terminal = -1};
	find_terminal(&job);
	if (start(process, &job, err) < 0) {
		take_terminal(&job);
		return -1;
	}
	give_terminal(&job);
	int status = wait_for_end(&job);
	take_terminal(&job);
	return status;
}
