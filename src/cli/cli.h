/*
 * cli: what a verb has at hand while it runs, and what most verbs do
 *
 * Made by main.c, for one verb. Strings that functions here return live as long as the cli.
 */
#pragma once
#include "api/operation.h"
#include "base/arena.h"
#include "cli/client.h"
#include "cli/print.h"
#include "cli/verb.h"
#include "text/json.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_UNREACHABLE = 69
}; /* of a verb that ran; failures have that of their class */

struct cli {
	const struct verb_line *line;
	struct arena *arena;
	struct printer out;
	const char *state_dir;
	struct client *client;     /* NULL until cli_client() */
	struct secret *token;      /* AILERON_TOKEN; NULL = not set */
	struct secret *passphrase; /* AILERON_VAULT_PASSPHRASE; NULL = not set */
	struct secret *typed; /* the passphrase that was typed to unlock, so that a verb need not ask again; or NULL */
	bool json;            /* --json */
};

/* The daemon, spawned unless the verb never does; UNREACHABLE when there is none. Borrowed. */
struct client *cli_client(struct cli *cli, struct err *err) __attribute__((warn_unused_result));
/* The daemon when one is alive: 1, 0, -1. Spawns none. */
int cli_client_if_alive(struct cli *cli, struct err *err) __attribute__((warn_unused_result));
/* One request: what client_call() does, with the daemon found first. */
int cli_call(struct cli *cli, const struct client_request *request, struct json **ret, struct err *err)
	__attribute__((warn_unused_result));

const char *cli_argument(const struct cli *cli, size_t n); /* NULL when there are fewer */

/* A path as the daemon, which works elsewhere, has to be given it: a relative one is taken from here. */
int cli_absolute(struct cli *cli, const char *path, struct str *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Members of an answer; "", 0, false when absent or of another kind. */
struct str cli_str(const struct json *object, const char *name);
int64_t cli_int(const struct json *object, const char *name);
bool cli_bool(const struct json *object, const char *name);
/* A text from outside with hidden characters made visible, and a NUL behind it. */
struct str cli_visible(struct cli *cli, struct str text);
/* An array of strings as one text: "a, b". */
struct str cli_joined(struct cli *cli, const struct json *array, const char *between);
/* An RFC 3339 time of an answer as people here read it: "2026-01-02 03:04:05", of the local clock; as it is when it is none. */
struct str cli_time(struct cli *cli, struct str rfc3339);
/* What a flag was given cannot be read: the error becomes USAGE and names the flag. Returns -1. */
int cli_refuse(const char *flag, struct err *err);
/* --since and the like: RFC 3339 as it is, or how long ago as a duration. */
int cli_since(struct cli *cli, const char *flag, struct str *ret, struct err *err) __attribute__((warn_unused_result));
/* Asks unless --yes was given: 1 yes, 0 no (and "cancelled" was said), -1: there is no terminal, and --yes was not given. */
int cli_confirm(struct cli *cli, struct err *err, const char *fmt, ...)
	__attribute__((warn_unused_result, format(printf, 3, 4)));
/*
 * What came of it: the answer with --json, else our words. NULL is the answer of a deletion, which has no body. CLI_OK, for a
 * verb to return.
 */
int cli_say(struct cli *cli, const struct json *answer, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
