/*
 * verb: the command line as a table
 *
 * One row a verb: its words, its arguments, its flags, the operations of the API that it uses, what it does, and what is
 * said about it. Parsing, help, suggestions, shell completion and the page of the manual come from the rows.
 *
 * Flags are Go's: "-x" and "--x" are the same, a value follows after '=' or as the next argument, a switch takes "=true" or
 * "=false", flags may stand before, between and after the arguments, "--" ends them, and the last one holds unless the flag
 * may be repeated. Nothing is abbreviated. Every verb takes --json and --help. What VERB_PASSES_ON passes on is not read.
 */
#pragma once
#include "api/operation.h"
#include "base/err.h"
#include "base/str.h"

enum flag_kind {
	FLAG_SWITCH,
	FLAG_OPTIONAL, /* a switch that may be given a text behind '=' */
	FLAG_TEXT,
	FLAG_FILE,   /* completed as a path */
	FLAG_FOLDER, /* likewise */
	FLAG_NUMBER, /* decimal */
	FLAG_TIME,   /* RFC 3339, or how long ago: "90m", "2h" */
};
struct verb_flag {
	const char *name;
	enum flag_kind kind;
	const char *value; /* what it takes, for people: "FILE"; NULL for a switch */
	bool repeated;
	const char *help; /* NULL: shown nowhere */
};

enum verb_mark {
	VERB_NEVER_SPAWNS = 1,  /* works, or says so, without a daemon */
	VERB_HIDDEN = 2,        /* not in help, completion, manual */
	VERB_GROUP_DEFAULT = 4, /* what the first word alone means: "audit" is "audit list" */
	VERB_PASSES_ON = 8,     /* what stands behind its first argument is another program's, flags too */
};

struct cli;
typedef int verb_run(struct cli *cli, struct err *err); /* the exit status, or -1 with an error */
#define VERB_OPERATIONS_MAX 8
struct verb {
	const char *words;     /* "vault member add" */
	const char *arguments; /* "PATH [-]", for people */
	const char *names;     /* what its first argument is one of, as `names` knows it; NULL = nothing listed */
	unsigned least, most;  /* how many arguments */
	const struct verb_flag *flags; /* ended by name NULL; NULL = only --json and --help */
	enum api_operation_id
		operations[VERB_OPERATIONS_MAX]; /* the first n_operations; the first one decides about the vault */
	unsigned n_operations;
	unsigned marks;
	verb_run *run;
	const char *summary; /* one line, no capital, no stop */
	const char *about;   /* sentences for help and the manual; paragraphs by "\n"; "" = none */
};
extern const struct verb verbs[]; /* ended by words NULL; verbs of a group stand together */

#define VERB_VALUES_MAX 128
struct verb_value {
	const struct verb_flag *flag;
	const char *text; /* NULL for a switch that is on without one */
	bool on;          /* of a switch, FLAG_OPTIONAL too */
};
struct verb_line {
	const struct verb *verb;
	struct verb_value values[VERB_VALUES_MAX];
	size_t n_values;
	const char *arguments[VERB_VALUES_MAX];
	size_t n_arguments;
	bool help; /* --help was among them: nothing else was checked */
};

/*
 * Reads argv[1 …]. USAGE says what is wrong and, for a word or a flag that is near to a real one, which was meant. "help"
 * "--help", "-h", "--version" and "-v" in the first place are the verbs of these names. Strings are borrowed from argv.
 */
int verb_parse(const struct verb *table, int argc, char **argv, struct verb_line *ret, struct err *err)
	__attribute__((warn_unused_result));
/* USAGE for words that are no verb's, with those that are near. Returns -1. */
int verb_refuse(const struct verb *table, struct str words, struct err *err);
/* The row with these words; NULL when there is none. */
const struct verb *verb_named(const struct verb *table, struct str words);
/* Whether some verb begins with these words and a blank. */
bool verb_is_group(const struct verb *table, struct str words);

/* The flag of a verb, --json and --help among them; NULL when it has none of that name. */
const struct verb_flag *verb_flag_named(const struct verb *verb, struct str name);
/* Whether its value may be the next argument. */
static inline bool verb_flag_takes_next(const struct verb_flag *flag)
{
	return flag->kind != FLAG_SWITCH && flag->kind != FLAG_OPTIONAL;
}
extern const struct verb_flag verb_common_flags[]; /* --json, --help; ended by name NULL */

/* What was given. A name that the verb does not have is BUG(). */
bool verb_switch(const struct verb_line *line, const char *name);
const char *verb_text(const struct verb_line *line, const char *name); /* NULL when it was not given */
uint64_t verb_number(const struct verb_line *line, const char *name, uint64_t otherwise);
/* The n-th value of a flag that may be repeated; NULL after the last. */
const char *verb_text_at(const struct verb_line *line, const char *name, size_t n);
