/*
 * tokens: who asks
 *
 * Four kinds, all given by `Authorization: Bearer` and by nothing else:
 *
 *   the daemon's   64 hex digits from the parent, new at every start of the daemon; everything
 *   a person's     "person_" and 43 characters (base64url of 32 random bytes); twelve hours, revocable, as long as the
 *                  daemon (not control) at most; everything but what only the daemon's token may. The database has its
 *                  SHA-256. It is given for a code, which is good once, for 60 seconds, and lives in memory alone
 *   a session's    JWT (RFC 7519), HS256 over the caveat key, without expiry: claims iss "aileron-daemon", sub and
 *                  session (the session's id), iat, typ "aileron-caveat", caps. It dies with its session and with the
 *                  daemon
 *   an agent's     agents.h; it opens /mcp alone, and no operation of the API
 *
 * A port outlives the daemon that had it, and anybody may take it then: what a page sends there is a token that has ended.
 * And it sends none, and no passphrase, before who answers has proven to know that token (tokens_prove()): docs/PAGE.md.
 *
 * Comparisons take the same time wherever the difference is. Any thread.
 */
#pragma once
#include "api/operation.h"
#include "base/time.h"
#include "control/control.h"
#include "crypto/digest.h"
#include "crypto/secret.h"

#define TOKENS_CODE_S     60
#define TOKENS_CODES      16 /* codes that wait to be exchanged; the oldest makes room */
#define TOKENS_PERSON_S   (UINT64_C(12) * 3600)
#define TOKENS_PERSONS    256 /* valid person tokens; above, THROTTLED */
#define TOKENS_TEXT_MAX   64  /* of a code or a person token, with a NUL */
#define TOKENS_CAVEAT_MAX 1024
#define TOKENS_NONCE      32
#define TOKENS_NAME_MAX   64 /* of the instance and the address */

enum capability {
	CAPABILITY_ACTIONS_LIST = 1,
	CAPABILITY_ACTIONS_RUN = 2,
	CAPABILITY_APPROVALS_POLL = 4,
	CAPABILITY_COMMS = 8
};
#define CAPABILITIES_ALL 15u

struct tokens_spec {
	struct str daemon_token;   /* copied into memory of its own */
	struct str caveat_key;     /* the same */
	struct str instance;       /* of the daemon: another one's person tokens are good no more; copied */
	struct str address;        /* "127.0.0.1:8443", where the page finds us; copied */
	struct db *db;             /* NULL in a test without persons */
	struct agents *agents;     /* NULL = there are none */
	struct sessions *sessions; /* NULL in a test where they do not end */
	const struct clock *clock;
};
/* Reads the person tokens that are still valid. PROTOCOL when a name is too long. */
struct tokens *tokens_new(const struct tokens_spec *spec, struct err *err) __attribute__((warn_unused_result));
void tokens_free(struct tokens *tokens); /* NULL is fine */
DEFINE_AUTO(tokens, tokens_free)

/* From the value of the Authorization header. UNAUTHORIZED when it is missing, or nobody's. */
int tokens_identify(struct tokens *tokens, struct str authorization, struct identity *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Whether what it was identified by is good still, for an answer that goes on: a person's token and a session can end. Any thread. */
bool tokens_stand(struct tokens *tokens, const struct identity *identity);
/*
 * Whether that identity may do what needs this permission; `session` is the session that the route names, "" = none.
 * FORBIDDEN says which: lacks a capability, is bound to another session, does not open this route.
 */
int identity_permits(const struct identity *identity, enum api_permission permission, struct str session,
		     struct err *err) __attribute__((warn_unused_result));

/* A code for a browser. Not on the database. */
void tokens_new_code(struct tokens *tokens, char ret[TOKENS_TEXT_MAX], uint64_t *ret_expires_ns);
/* UNAUTHORIZED when it is unknown, used or too old. The code is used up whatever comes of it. */
int tokens_exchange(struct tokens *tokens, struct str code, char ret[TOKENS_TEXT_MAX], uint64_t *ret_id,
		    uint64_t *ret_expires_ns, struct err *err) __attribute__((warn_unused_result));
/*
 * What only this daemon can say, at this address, of its token of that number: HMAC-SHA256, keyed with the SHA-256 of the
 * token, of "aileron-person-proof-1", the nonce (TOKENS_NONCE bytes) and the address. Where there is no such token, or no
 * more, it is a value that nobody can tell from one, and the same each time. Quick.
 *
 * Nothing is counted: 256 bits cannot be tried, and a limit would let whoever asks often keep the page from asking.
 */
void tokens_prove(struct tokens *tokens, uint64_t id, struct str nonce, unsigned char ret[SHA256_SIZE]);
/* NOT_FOUND when there is none of that number. */
int tokens_revoke(struct tokens *tokens, uint64_t id, struct err *err) __attribute__((warn_unused_result));

/* The caveat token of a session, all capabilities, into `out`. */
void caveat_mint(struct str key, struct str session, uint64_t issued_at_s, struct buf *out);
void tokens_mint_caveat(struct tokens *tokens, struct str session, struct buf *out);
/* Whether it was made with that key and says what a caveat token must; its session and capabilities. */
bool caveat_verify(struct str key, struct str token, struct identity *ret);
