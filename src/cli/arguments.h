/*
 * arguments: what a person types for an operation or an action
 *
 * As a whole (--args: JSON as text, @FILE, or - for standard input), or one at a time (--arg name=value), where the type that
 * an action declares says how a value is read: a string as it is, anything else as JSON of its kind.
 */
#pragma once
#include "cli/cli.h"
#include "text/json_writer.h"

struct arguments_wish {
	const char *single;        /* the flag for one: "arg", "edit" */
	const struct json *inputs; /* of the action, as the API tells them; NULL = every value is a text */
	const struct json *base;   /* what single ones are put over; NULL = nothing */
};
/* An object, which the caller frees. USAGE for what no input takes; a class of reading files for --args @FILE. */
struct json *arguments_read(struct cli *cli, const struct arguments_wish *wish, struct err *err)
	__attribute__((warn_unused_result));
/* Whether something was given at all. */
bool arguments_given(const struct cli *cli, const struct arguments_wish *wish);

/* "name=value" as a member of the object that `w` has open. USAGE names the flag and the input. */
int arguments_put(struct json_writer *w, const struct arguments_wish *wish, struct str given, struct err *err)
	__attribute__((warn_unused_result));
