/*
 * chain: following a record from its start, whether it comes from a file or from the database
 *
 * First the checkpoints in their order, then the events, then in a file the head. Each step answers whether the chain
 * holds so far; the first that does not leaves the reason in the verdict, and no further step is taken.
 */
#pragma once
#include "audit/line.h"
#include "audit/seal.h"
#include "base/vec.h"

/* Of one record: more than a hundred years of hours. */
#define AUDIT_CHECKPOINTS_MAX ((size_t)1 << 20)

struct audit_chain {
	struct audit_verdict *verdict;
	struct str key; /* 32 bytes, or "" */
	struct audit_mark {
		uint64_t seq;
		unsigned char hash[SHA256_SIZE];
	} last; /* the newest event so far, or the last that retention took; seq 0 = none */
	VEC(struct audit_mark) checkpoints;
	size_t reached;  /* checkpoints that `last` has come to */
	uint64_t proven; /* seq of the newest checkpoint that the key signed */
	bool began;      /* an event was seen */
};

void audit_chain_init(struct audit_chain *chain, struct audit_verdict *verdict, struct str key);
void audit_chain_release(struct audit_chain *chain);
bool audit_chain_checkpoint(struct audit_chain *chain, const struct audit_seal *seal);
bool audit_chain_event(struct audit_chain *chain, struct str text, struct audit_link *ret_link);
bool audit_chain_head(struct audit_chain *chain, const struct audit_seal *seal);
/* When nothing follows: whether every checkpoint's event was there. Fills what the verdict says of origin, without a head. */
bool audit_chain_end(struct audit_chain *chain);
bool audit_chain_break(struct audit_chain *chain, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
