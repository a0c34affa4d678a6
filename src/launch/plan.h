/*
 * plan: what one run of an agent program is started with
 *
 * Arguments, variables and files that tell it of us and, where it can be told, of the gateway: for this run alone, the
 * person's own files stay as they are. No token is in any of them: the guest reads its own from a file (`--as ID`). What the
 * gateway's address holds to let the session through is in a variable and in no argument, which all users of a machine can read.
 *
 * Pure, like program.h; all of a plan lives in the arena.
 */
#pragma once
#include "launch/program.h"

#define PLAN_ARGUMENTS_MAX 160
#define PLAN_VARIABLES_MAX 8
#define PLAN_FILES_MAX     1
#define PLAN_PLACEHOLDER   "injected-by-aileron"        /* in the place of a key that the gateway puts in */
#define PLAN_FILE          "mcp.json"                   /* the only name that a file of a plan has */
#define PLAN_CAPABILITY    "AILERON_GATEWAY_CAPABILITY" /* for a program that sends it in a header */

struct plan_variable {
	struct str name, value;
};
struct plan_file {
	struct str path, text; /* to be made 0600 in the run's own folder */
};
struct plan {
	struct str arguments[PLAN_ARGUMENTS_MAX]; /* without the program's name */
	size_t n_arguments;
	struct plan_variable variables[PLAN_VARIABLES_MAX];
	size_t n_variables;
	struct plan_file files[PLAN_FILES_MAX];
	size_t n_files;
	bool routed; /* through the gateway */
};

struct plan_input {
	const struct program *program;
	struct program_guest guest;
	struct str folder;                        /* of the run, for files */
	struct str anthropic_url, openai_url;     /* of the gateway, with their capability; "" = there is none */
	bool anthropic_injected, openai_injected; /* the agent needs a placeholder for the key */
	const char *const *arguments;             /* the person's */
	size_t n_arguments;
	struct str content; /* PROGRAM_LAUNCH_CONTENT: what holds without us; "" = nothing */
};
/*
 * USAGE when there are too many arguments, or none that could take ours; PARSE_ERROR for a configuration that is none;
 * PROTOCOL for an address that is none.
 */
int plan_make(const struct plan_input *input, struct arena *arena, struct plan *ret, struct err *err)
	__attribute__((warn_unused_result));
