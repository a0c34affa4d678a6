/*
 * help: what the table of verbs says, as pages
 *
 * All of it is made from the rows: the list of verbs, the page of one verb, completion scripts for three shells, and the page
 * of the manual (mdoc), so that they cannot say different things.
 */
#pragma once
#include "cli/print.h"
#include "cli/verb.h"

void help_all(struct printer *out, const struct verb *table);
/* The verbs whose words begin with these: "vault", "vault member". */
void help_group(struct printer *out, const struct verb *table, struct str words);
void help_verb(struct printer *out, const struct verb *verb);
/* The same as JSON, an object a line: of one verb; of a group, or with "" of all. Hidden ones are not listed. */
void help_verb_json(struct printer *out, const struct verb *verb);
void help_group_json(struct printer *out, const struct verb *table, struct str words);
/* "name [flags] ARGUMENTS" of a verb. */
void help_usage(struct printer *out, const struct verb *verb);

void completion_bash(struct buf *out, const struct verb *table);
void completion_zsh(struct buf *out, const struct verb *table);
void completion_fish(struct buf *out, const struct verb *table);
/* aileron(1). */
void manual_page(struct buf *out, const struct verb *table);
