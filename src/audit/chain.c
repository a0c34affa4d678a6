#include "audit/chain.h"
#include <stdarg.h>
#include <stdio.h>

void audit_chain_init(struct audit_chain *chain, struct audit_verdict *verdict, struct str key)
{
	*verdict = (struct audit_verdict){0};
	*chain = (struct audit_chain){.verdict = verdict, .key = key, .checkpoints = VEC_INIT(AUDIT_CHECKPOINTS_MAX)};
}

void audit_chain_release(struct audit_chain *chain)
{
	vec_release(&chain->checkpoints);
}

bool audit_chain_break(struct audit_chain *chain, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(chain->verdict->why, sizeof chain->verdict->why, fmt, ap);
	va_end(ap);
	chain->verdict->note[0] = '\0'; /* it is of chains that are whole */
	return false;
}

static unsigned long long shown(uint64_t seq)
{
	return seq;
}

static bool is_our_key(const struct audit_chain *chain, const struct audit_seal *seal)
{
	return chain->key.n > 0 && str_eq(chain->key, str_of(seal->public_key, sizeof seal->public_key));
}

static bool same_hash(const unsigned char *a, const unsigned char *b)
{
	return memcmp(a, b, SHA256_SIZE) == 0;
}

bool audit_chain_checkpoint(struct audit_chain *chain, const struct audit_seal *seal)
{
	if (chain->began)
		return audit_chain_break(chain, "the checkpoint of event %llu stands behind events", shown(seal->seq));
	if (seal->seq == 0 || (chain->checkpoints.n > 0 && vec_last(&chain->checkpoints)->seq >= seal->seq))
		return audit_chain_break(chain, "the checkpoint of event %llu is out of order", shown(seal->seq));
	if (!audit_seal_verify(seal))
		return audit_chain_break(chain,
					 "the checkpoint of event %llu was changed: its signature does not verify",
					 shown(seal->seq));
	struct audit_mark mark = {.seq = seal->seq};
	memcpy(mark.hash, seal->hash, sizeof mark.hash);
	if (!vec_push(&chain->checkpoints, mark))
		return audit_chain_break(chain, "there are more than %zu checkpoints", AUDIT_CHECKPOINTS_MAX);
	chain->verdict->checkpoints++;
	if (is_our_key(chain, seal))
		chain->proven = seal->seq;
	return true;
}

/* The events before the first were dropped: the chain goes on behind the last checkpoint of them. */
static void skip_dropped(struct audit_chain *chain, uint64_t first)
{
	while (chain->reached < chain->checkpoints.n && chain->checkpoints.items[chain->reached].seq < first)
		chain->last = chain->checkpoints.items[chain->reached++];
}

bool audit_chain_event(struct audit_chain *chain, struct str text, struct audit_link *ret_link)
{
	struct audit_link link;
	if (!audit_line_read(text, &link, chain->verdict->why))
		return false;
	if (!chain->began)
		skip_dropped(chain, link.seq);
	if (link.seq != chain->last.seq + 1)
		return audit_chain_break(chain, "event %llu stands where event %llu belongs", shown(link.seq),
					 shown(chain->last.seq + 1));
	if (!same_hash(link.prev, chain->last.hash))
		return audit_chain_break(chain, "event %llu does not name the hash of the one before it",
					 shown(link.seq));
	chain->last.seq = link.seq;
	memcpy(chain->last.hash, link.hash, sizeof chain->last.hash);
	if (chain->reached < chain->checkpoints.n && chain->checkpoints.items[chain->reached].seq == link.seq &&
	    !same_hash(chain->checkpoints.items[chain->reached++].hash, link.hash))
		return audit_chain_break(chain, "event %llu is not the one that its checkpoint signed",
					 shown(link.seq));
	if (!chain->began)
		chain->verdict->first_seq = link.seq;
	chain->began = true;
	chain->verdict->last_seq = link.seq;
	chain->verdict->events++;
	*ret_link = link;
	return true;
}

static void say(struct audit_chain *chain, const char *note)
{
	snprintf(chain->verdict->note, sizeof chain->verdict->note, "%s", note);
}

bool audit_chain_end(struct audit_chain *chain)
{
	if (!chain->began)
		skip_dropped(chain, UINT64_MAX);
	if (chain->reached < chain->checkpoints.n)
		return audit_chain_break(chain, "the end is missing: a checkpoint signed event %llu",
					 shown(chain->checkpoints.items[chain->reached].seq));
	chain->verdict->intact = true;
	chain->verdict->origin_proven = chain->proven > 0;
	say(chain, "chain intact, origin not proven");
	if (chain->proven > 0)
		snprintf(chain->verdict->note, sizeof chain->verdict->note,
			 "chain intact, origin proven up to event %llu", shown(chain->proven));
	return true;
}

bool audit_chain_head(struct audit_chain *chain, const struct audit_seal *seal)
{
	if (!audit_chain_end(chain))
		return false;
	chain->verdict->intact = chain->verdict->origin_proven = false;
	if (seal->seq != chain->last.seq || seal->count != chain->verdict->events)
		return audit_chain_break(chain, "the head is of %llu events up to %llu, and here are %llu up to %llu",
					 shown(seal->count), shown(seal->seq), shown(chain->verdict->events),
					 shown(chain->last.seq));
	if (!same_hash(seal->hash, chain->last.hash))
		return audit_chain_break(chain, "the head is of another event %llu", shown(seal->seq));
	if (!audit_seal_verify(seal))
		return audit_chain_break(chain, "the head was changed: its signature does not verify");
	chain->verdict->intact = true;
	chain->verdict->origin_proven = is_our_key(chain, seal);
	if (chain->verdict->origin_proven)
		say(chain, "chain intact, origin proven");
	else if (chain->key.n > 0)
		say(chain, "chain intact, origin not proven: signed by another key than the one given");
	else
		say(chain, "chain intact, origin not proven");
	return true;
}
