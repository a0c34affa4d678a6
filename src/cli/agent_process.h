/*
 * agent_process: an agent program as a job of our terminal
 *
 * It runs in a process group of its own. When our group has the terminal, the agent's gets it, and we take it back when it
 * stops or ends; a stop of the agent stops us too, so that the shell sees one job, and when we go on, so does it. SIGINT,
 * SIGTERM, SIGHUP, SIGQUIT and SIGTSTP that reach us are passed to its group. It hears SIGHUP when we are killed.
 *
 * Signals are taken synchronously: agent_process_prepare() blocks them, before any thread is started. One at a time, on the
 * main thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct agent_process {
	const char *path;        /* of the program */
	const char *const *argv; /* NULL-terminated */
	const char *const *envp;
};
void agent_process_prepare(void);
/* Until it has ended: its exit status, 128 and the number of the signal that ended it, or -1 when it cannot be started. */
int agent_process_run(const struct agent_process *process, struct err *err) __attribute__((warn_unused_result));
/* The program of that name in PATH; NOT_FOUND tells where was looked. Lives in the arena. */
int agent_process_find(const char *name, const char *path_variable, struct arena *arena, struct str *ret,
		       struct err *err) __attribute__((warn_unused_result));
