/*
 * vault_watch: what the keeper tells of itself, put on record
 *
 * That it locked by itself (idle, signal, suspend; what a request asked for its handler records); how far the vault has
 * come: the high-water mark of each vault's generations, which is raised while that vault is unlocked, when the number is
 * authenticated, and never lowered; and each use of a credential: binding_use, vault.credential.read, binding.refreshed,
 * binding.stale. Names alone, never a value.
 */
#pragma once
#include "base/arena.h"
#include "control/credential_uses.h"
#include "control/keeper_client.h"
#include "store/db.h"

struct vault_watch;
/* `uses` says whose call a use is of; both outlive this. */
struct vault_watch *vault_watch_new(struct db *db, struct credential_uses *uses)
	__attribute__((warn_unused_result, returns_nonnull));
void vault_watch_free(struct vault_watch *watch); /* NULL is fine */
DEFINE_AUTO(vault_watch, vault_watch_free)
/* Its functions are called on the loop's thread. */
struct keeper_listener vault_watch_listener(struct vault_watch *watch);
/* Whoever is to know that it was locked or unlocked, on the loop's thread; one, named before the keeper is there. */
void vault_watch_on_change(struct vault_watch *watch, void (*changed)(void *user, bool unlocked), void *user);

/* The mark of that vault, or, when it has none, the one that was made last; generation 0 when there is none at all. */
struct vault_mark {
	struct str vault_id; /* in the arena */
	uint64_t generation;
};
int vault_mark_find(struct db *db, struct arena *arena, struct str vault_id, struct vault_mark *ret, struct err *err)
	__attribute__((warn_unused_result));
