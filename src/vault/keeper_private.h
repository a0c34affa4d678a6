/*
 * keeper_private: what the files of the keeper share
 */
#pragma once
#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "crypto/held_key.h"
#include "crypto/sign.h"
#include "vault/binding.h"
#include "vault/keeper.h"
#include "vault/keeper_device.h"
#include "vault/keeper_nonces.h"
#include "vault/keeper_protocol.h"
#include "vault/keeper_throttle.h"
#include "vault/keeper_token.h"
#include "vault/sealed.h"
#include "vault/vault_file.h"

struct keeper {
	const struct clock *clock;
	uint64_t (*boottime)(void *context);
	struct vault *vault;
	struct sealed_key *sealed;
	struct keeper_device *device;
	int parent_fd;
	struct rpc_channel *control, *egress; /* NULL = none */
	bool control_broken, egress_broken;   /* to be dropped at the end of the turn */
	bool parent_left;
	uint64_t stop_at_ns; /* told to stop; 0 = not */
	/* Asked to lock while tokens are on their way: nothing is served any more, and the vault stays open for them alone. */
	uint64_t closing_until_ns; /* 0 = not */
	uint32_t closing_id;       /* of the request that waits for it; 0 = it is gone */

	struct keeper_nonces nonces;
	struct keeper_throttle throttle;
	struct map *uses;      /* number -> struct keeper_use */
	size_t uses_bytes;     /* of the permits */
	struct map *tickets;   /* number -> struct keeper_ticket */
	struct map *refreshes; /* path -> struct keeper_refresh */

	uint64_t auto_lock_ns, active_ns; /* monotonic: when it was last of use */
	uint64_t unlocked_at_s;
	uint64_t suspended_ns; /* BOOTTIME minus MONOTONIC, as last seen */
	struct err err;        /* of the request that is being answered */
};

uint64_t keeper_now(const struct keeper *keeper);   /* monotonic, ns */
uint64_t keeper_now_s(const struct keeper *keeper); /* Unix */
void keeper_active(struct keeper *keeper);

/* To control, when there is one. */
void keeper_push_changed(struct keeper *keeper, const char *reason);
struct keeper_note {
	const char *what; /* "refreshed", "stale", "released", "signed" */
	struct str path, host, detail;
	uint64_t use;
};
void keeper_push_note(struct keeper *keeper, const struct keeper_note *note);
void keeper_state_now(const struct keeper *keeper, struct keeper_state *ret); /* texts are the keeper's */
bool keeper_is_serving(const struct keeper *keeper);                          /* unlocked, and not about to lock */
/* VAULT_MISSING or VAULT_LOCKED when it is not. */
int keeper_need_unlocked(const struct keeper *keeper, struct err *err) __attribute__((warn_unused_result));

/* Answers to egress: ok, then `head`, then `secret` as the last field when it is not NULL; or the error. */
void keeper_tell_egress(struct keeper *keeper, uint16_t type, uint32_t id, const struct buf *head,
			const struct str *secret);
void keeper_refuse_egress(struct keeper *keeper, uint16_t type, uint32_t id, const struct err *err);

/* A request of control: appends its answer's body; 1 when the answer comes later. PROTOCOL ends the channel. */
int keeper_answer_control(struct keeper *keeper, const struct rpc_frame *frame, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/* KEEPER_SEALED (keeper_operations.c). */
int keeper_do_sealed(struct keeper *keeper, struct str body, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/* A request of egress; it answers by itself. -1 = PROTOCOL: ends the channel. */
int keeper_serve_egress(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));

/* ---- uses (keeper_uses.c) ---- */

struct keeper_use {
	uint64_t number;
	struct arena *arena; /* what `permit` points into */
	struct keeper_permit permit;
	size_t bytes;
	bool released;
	struct secret *secret; /* of kinds that sign, once they have */
	struct held_key *key;
};
int keeper_permit(struct keeper *keeper, struct str body, struct err *err) __attribute__((warn_unused_result));
void keeper_end_use(struct keeper *keeper, uint64_t number);
void keeper_end_uses(struct keeper *keeper);
/* The use, its entry, and that it may go to `target` now; errors are of the closed set. */
struct keeper_claim {
	struct keeper_use *use;
	const struct vault_entry *entry;
	struct binding_consent consent; /* in the arena given */
};
int keeper_check_claim(struct keeper *keeper, struct arena *arena, uint64_t number, const struct keeper_target *target,
		       struct keeper_claim *ret, struct err *err) __attribute__((warn_unused_result));
/* Answers RELEASED. */
void keeper_release(struct keeper *keeper, uint32_t id, struct keeper_use *use, struct str host, struct str secret);
int keeper_on_claim(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));
int keeper_on_extend(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));
int keeper_on_sign_sigv4(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));
int keeper_on_sign_bytes(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));

/* ---- refreshes (keeper_refresh.c) ---- */

/* A claim of oauth2: 0 when it is answered, or waits for a refresh; -1 when it is to be refused. */
int keeper_claim_token(struct keeper *keeper, uint32_t id, const struct keeper_claim *claim,
		       const struct keeper_target *target, struct err *err) __attribute__((warn_unused_result));
int keeper_on_refreshed(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));
int keeper_on_refresh_failed(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));
/* Nobody will tell any more how they ended: those bindings are stale. */
void keeper_lose_refreshes(struct keeper *keeper);
void keeper_expire_refreshes(struct keeper *keeper);
/* What an earlier life has left behind: bindings that are marked, but have no refresh under way. */
void keeper_mark_lost(struct keeper *keeper);
/* The texts of an exchange but for the tokens; scopes in `arena`. Endpoints come from what the person consented to. */
void keeper_exchange_of(struct arena *arena, const struct binding_consent *consent, struct keeper_exchange *ret);

/* ---- tickets (keeper_tickets.c) ---- */

struct keeper_ticket_request {
	uint64_t number;
	struct str path, metadata, consent;
	const struct secret *verifier; /* NULL for the device flow */
	bool create;
};
int keeper_ticket_make(struct keeper *keeper, const struct keeper_ticket_request *request, struct err *err)
	__attribute__((warn_unused_result));
void keeper_end_tickets(struct keeper *keeper);
int keeper_on_exchange(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));
int keeper_on_tokens(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));
int keeper_on_device_code(struct keeper *keeper, const struct rpc_frame *frame, struct err *err)
	__attribute__((warn_unused_result));

/* Tokens as an answer brought them, beside what is kept of `old` (NULL = none), as the vault's value. */
struct secret *keeper_token_of(const struct keeper *keeper, const struct binding_consent *consent,
			       const struct keeper_tokens *tokens, const struct keeper_token *old, struct err *err)
	__attribute__((warn_unused_result));
/* Whether the URL's host is a literal address of this machine. */
bool keeper_url_is_loopback(struct str url);
/* Decimal text of a number, for labels. */
struct keeper_number {
	char text[24];
};
struct str keeper_number(struct keeper_number *room, uint64_t value);
