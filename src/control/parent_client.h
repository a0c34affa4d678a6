/*
 * parent_client: control's end of its link to the parent
 *
 * Workers ask for files, folders and runners and wait; the loop's thread reads the link. A runner is what connector/peer.h
 * calls a peer: parent_launcher() makes one out of it for connector/load.h.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "connector/peer.h"
#include "os/loop.h"
#include "supervise/supervise.h"

struct parent_client;
struct parent_listener {
	void (*peer)(void *user, enum supervise_role role, int fd); /* takes over the descriptor */
	void (*child)(void *user, const struct supervise_child *child);
	void (*stop)(void *user, uint64_t ms);
	void (*gone)(void *user);                    /* the parent has ended: so does control */
	void (*changed)(void *user, uint32_t watch); /* something of what is watched is another */
	void *user;
	void (*gateway)(void *user,
			int fd); /* its pair to a new egress; takes over the descriptor. NULL = it is closed */
	/* A runner that was not killed; `connector`: whose, "" when it compiled. NULL = nobody is told */
	void (*crashed)(void *user, struct str connector, struct str how);
};
struct parent_client *parent_client_new(struct loop *loop, const struct parent_listener *listener, struct err *err)
	__attribute__((warn_unused_result));
/* Ends every wait with UNAVAILABLE, and refuses what is asked from now on. On the loop's thread. */
void parent_client_close(struct parent_client *client);
void parent_client_free(struct parent_client *client);

/* Never on the loop's thread. The descriptors are the caller's; *ret_path lives in arena. */
int parent_open_folder(struct parent_client *client, struct str path, struct arena *arena, struct str *ret_path,
		       int *ret_manifest, int *ret_wasm, struct err *err) __attribute__((warn_unused_result));
/*
 * A file or a folder that the parent looks at once a second from now on (supervise.h says which): a change is told to the
 * listener by its number, never 0. With `keep` it need not be there yet. *ret_path is the canonical path, in arena; may be
 * NULL. Never on the loop's thread, but for parent_unwatch(): any.
 */
struct parent_watch {
	enum supervise_watch kind;
	bool keep;
	struct str path;
};
int parent_watch(struct parent_client *client, const struct parent_watch *watch, struct arena *arena,
		 uint32_t *ret_watch, struct str *ret_path, struct err *err) __attribute__((warn_unused_result));
void parent_unwatch(struct parent_client *client, uint32_t watch);
/* The files of it, by name, with the number that is another when the file is. In arena. */
struct parent_file {
	struct str name;
	uint64_t stamp;
};
struct parent_files {
	struct parent_file *items;
	size_t n;
};
int parent_list(struct parent_client *client, uint32_t watch, struct arena *arena, struct parent_files *ret,
		struct err *err) __attribute__((warn_unused_result));
/* A descriptor for reading, the caller's; and the stamp of what was opened. */
int parent_open_file(struct parent_client *client, uint32_t watch, struct str name, uint64_t *ret_stamp,
		     struct err *err) __attribute__((warn_unused_result));
/* Has the parent tell the person's desktop that something waits; at once, and heard by nobody when it cannot be. Any thread. */
void parent_notify(struct parent_client *client, struct str id);
/* Asks for another pair of the gateway, the one before having broken; `had`: how many came. May be lost. Any thread. */
void parent_gateway_lost(struct parent_client *client, uint32_t had);
/* Starts runners through the parent; *relay (in struct peer) names the relay of a serving one. */
const struct peer_launcher *parent_launcher(struct parent_client *client);
