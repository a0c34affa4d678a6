/*
 * keeper_client: control's end of its channel to the keeper
 *
 * Workers ask and wait; the loop's thread reads the channel and hands answers over. Whoever asks before there was any
 * channel waits a second for the first. A new channel (the parent restarted the keeper) ends every wait with UNAVAILABLE.
 * What the keeper pushes (CHANGED, NOTED) goes to one listener on the loop's thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "os/loop.h"
#include "rpc/rpc.h"
#include "vault/keeper_protocol.h"

struct keeper_client;
struct keeper_listener {
	void (*changed)(void *user, const struct keeper_state *state, struct str reason);
	void (*noted)(void *user, struct str what, struct str path, uint64_t use, struct str host, struct str detail);
	void *user;
};
struct keeper_client *keeper_client_new(struct loop *loop, const struct keeper_listener *listener)
	__attribute__((warn_unused_result, returns_nonnull));
/* Ends every wait with UNAVAILABLE, and refuses what is asked from now on. On the loop's thread. */
void keeper_client_close(struct keeper_client *client);
void keeper_client_free(struct keeper_client *client); /* NULL is fine */
/* On the loop's thread: the new channel; takes over the descriptor. */
int keeper_client_attach(struct keeper_client *client, int fd, struct err *err) __attribute__((warn_unused_result));

/* For tests: another time than the ones below; 0 = those. Any thread. */
void keeper_client_set_patience(struct keeper_client *client, uint64_t ms);

/*
 * Asks and waits (10 s; KEEPER_STATE 3 s; sealed operations and KEEPER_TUNE 60 s), never on the loop's thread. *ret_body lives in
 * `arena`; may be NULL. The keeper's own error; UNAVAILABLE when it is not there, ends, or does not answer in time;
 * LIMIT when it would not take so much.
 */
int keeper_ask(struct keeper_client *client, enum keeper_message type, struct str body, struct arena *arena,
	       struct str *ret_body, struct err *err) __attribute__((warn_unused_result));
int keeper_ask_sealed(struct keeper_client *client, const struct keeper_sealed *sealed, struct arena *arena,
		      struct str *ret_body, struct err *err) __attribute__((warn_unused_result));
/* Strings in `arena`. */
int keeper_ask_state(struct keeper_client *client, struct arena *arena, struct keeper_state *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * All entries whose path begins with prefix; *ret_verified: the vault is unlocked and metadata was authenticated. The last
 * answer is kept until the keeper tells of a change.
 */
int keeper_ask_list(struct keeper_client *client, struct str prefix, struct arena *arena, struct keeper_entry **ret,
		    size_t *ret_n, bool *ret_verified, struct err *err) __attribute__((warn_unused_result));
void keeper_tell_end_use(struct keeper_client *client, uint64_t use); /* any thread, does not wait */
uint64_t keeper_new_number(struct keeper_client *client);             /* for uses and tickets */
