/*
 * keeper_link: what egress asks of the keeper
 *
 * The channel that control cannot read (vault/keeper_protocol.h), on egress's loop. Questions go out at once and answers
 * come when they come: nobody waits, so a keeper that takes its time (it may have a token refreshed) holds up no other
 * call. A keeper that ends, or says what the protocol does not allow, is let go: every open question is answered with
 * UNAVAILABLE, and so is each new one until another keeper is attached.
 *
 * Everything received is wiped when its callback has returned, and so is what waited to be sent. One loop's thread;
 * callbacks come from the loop, never from inside a function below, and may call all of them.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "crypto/held_key.h"
#include "vault/keeper_protocol.h"

#define KEEPER_ASKS_MAX 8192 /* open at once; UNAVAILABLE above */

struct loop;
struct keeper_link;

struct keeper_link_options {
	struct loop *loop;
	/*
	 * The keeper wants a new token before it releases one: to be answered, now or later, by keeper_refreshed() or
	 * keeper_refresh_failed() with the same id. The texts are borrowed for the length of the call.
	 */
	void (*refresh)(void *context, uint32_t id, const struct keeper_exchange *exchange);
	void *context;
};

struct keeper_link *keeper_link_new(const struct keeper_link_options *options) __attribute__((returns_nonnull));
void keeper_link_free(struct keeper_link *link); /* open questions are forgotten; NULL is fine */
DEFINE_AUTO(keeper_link, keeper_link_free)

/* The socket of a keeper, taken over, in the place of the one before. */
int keeper_link_attach(struct keeper_link *link, int fd, struct err *err) __attribute__((warn_unused_result));
bool keeper_link_is_up(const struct keeper_link *link);

/* Valid during the callback, but for `err`, of which NULL is "yes". What else there is depends on the question. */
struct keeper_answer {
	const struct err *err;
	struct str kind, username, pool, secret; /* CLAIM, EXTEND; secret "" for the latter and kinds that sign */
	struct str signature;                    /* SIGN_* */
	const struct keeper_exchange *exchange;  /* EXCHANGE */
};
typedef void keeper_answered(void *context, const struct keeper_answer *answer);

struct keeper_ask {
	keeper_answered *answered; /* once, unless the question is forgotten */
	void *context;
};

/*
 * Each returns the question's number, or 0 with UNAVAILABLE or LIMIT. `target` is where the credential is going to, its
 * address judged. Texts are borrowed for the length of the call.
 */
uint32_t keeper_claim(struct keeper_link *link, uint64_t use, const struct keeper_target *target,
		      const struct keeper_ask *ask, struct err *err) __attribute__((warn_unused_result));
/* Whether the value of a use that was released may go there, too: answered as a claim is, without the value. */
uint32_t keeper_extend(struct keeper_link *link, uint64_t use, const struct keeper_target *target,
		       const struct keeper_ask *ask, struct err *err) __attribute__((warn_unused_result));
struct keeper_signing {
	uint64_t use;
	struct keeper_target target;
	const struct sigv4_scope *scope; /* NULL: SIGN_BYTES by `algorithm` */
	enum signing_algorithm algorithm;
	struct str bytes;
};
uint32_t keeper_sign(struct keeper_link *link, const struct keeper_signing *signing, const struct keeper_ask *ask,
		     struct err *err) __attribute__((warn_unused_result));
uint32_t keeper_exchange(struct keeper_link *link, uint64_t ticket, const struct keeper_ask *ask, struct err *err)
	__attribute__((warn_unused_result));
uint32_t keeper_store_tokens(struct keeper_link *link, uint64_t ticket, const struct keeper_tokens *tokens,
			     const struct keeper_ask *ask, struct err *err) __attribute__((warn_unused_result));
uint32_t keeper_store_device_code(struct keeper_link *link, uint64_t ticket, struct str device_code,
				  const struct keeper_ask *ask, struct err *err) __attribute__((warn_unused_result));
/* The answer will be told to nobody. A number that is not open (any more) does nothing. */
void keeper_forget(struct keeper_link *link, uint32_t number);

/* Answers to `refresh`; nothing when that keeper is gone. */
void keeper_refreshed(struct keeper_link *link, uint32_t id, const struct keeper_tokens *tokens);
/* BINDING_FAILED: refused for good; NETWORK_ERROR: nobody knows, the old one may still be good. */
void keeper_refresh_failed(struct keeper_link *link, uint32_t id, const struct err *why);
