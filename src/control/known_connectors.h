/*
 * known_connectors: what the table of linked connectors says of those in use, kept between their uses
 *
 * A use asks for it by the name that it was given, with the table's version in hand when it has to read it after all: what
 * was read before a change is not kept after it. Any thread.
 */
#pragma once
#include "control/connectors.h"

#define KNOWN_CONNECTORS_MAX 64 /* the one that was kept first makes room */

struct known_connectors; /* control->known */
struct known_connectors *known_connectors_new(void) __attribute__((warn_unused_result, returns_nonnull));
void known_connectors_free(struct known_connectors *known); /* NULL is fine */

/* Whether the row behind that name is known: without its manifest and its last use, its strings in the arena. */
bool known_connectors_find(struct known_connectors *known, struct arena *arena, struct str name,
			   struct connector_row *ret);
/* To be taken before the table is read. */
uint64_t known_connectors_version(struct known_connectors *known);
/* What was read of that version; nothing happens when there is a newer one. */
void known_connectors_keep(struct known_connectors *known, uint64_t version, struct str name,
			   const struct connector_row *row);
/* Around the job that changes the table: who is told of its commit finds nothing of before, nor is that kept meanwhile. */
void known_connectors_change_begin(struct known_connectors *known);
void known_connectors_change_end(struct known_connectors *known);
