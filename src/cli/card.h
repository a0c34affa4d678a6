/*
 * card: what a person sees of an approval before they decide
 *
 * Who asks, what would happen in words, the exact arguments, the hosts, the credential, the connector and its content, what
 * the service says (a preview), and how long it waits. Everything from outside is made visible, and nothing of it can begin a
 * line of the card: a text of several lines, or a long one, stands behind a bar at the left. Long texts are folded, which
 * is told.
 */
#pragma once
#include "cli/cli.h"

struct card_view {
	bool full;       /* nothing is folded */
	uint64_t now_ns; /* for how long it waits */
};
/* `pending` is the API's Pending. */
void card_print(struct cli *cli, struct printer *out, const struct json *pending, const struct card_view *view);
/* Steps as the API tells them: of a Pending, or of a dry run. */
void card_print_steps(struct cli *cli, struct printer *out, const struct json *steps, bool full);
/* Members of an object as rows, by a heading. */
void card_print_arguments(struct printer *out, const char *heading, const struct json *args, bool full);
/* How far a time of an answer is from now, to the minute: "3 min", "2 h 5 min". */
struct str card_span(struct cli *cli, uint64_t from_ns, uint64_t to_ns);
