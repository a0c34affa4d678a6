/*
 * keeper: who has the vault
 *
 * One object and one thread: it answers control and egress (keeper_protocol.h), obeys its parent (supervise.h), and
 * forgets its keys when told, after idling, and when the machine was suspended. Channels are attached and replaced at any
 * time. What was under way on an old egress channel ends: its uses are forgotten, and a refresh whose outcome nobody will tell
 * leaves the binding stale, refresh_lost. An old control channel takes the uses and tickets with it that came by it, since the
 * next control counts anew. A peer that breaks the protocol loses its channel.
 *
 * Nothing but what it sends and what the vault's file holds leaves it. Names of bindings, hosts and kinds are logged;
 * no secret ever is. docs/formats/keeper.md says what each request does.
 *
 * While a passphrase is tried (0.15 s and more) everybody waits: there is one thread, and one copy of the keys.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/time.h"
#include "crypto/kdf.h"

#define KEEPER_AUTO_LOCK_MS    (LIMIT_AUTO_LOCK_HOURS * UINT64_C(3600) * 1000) /* unless the settings say otherwise */
#define KEEPER_SUSPEND_NS      (2 * TIME_SECOND)   /* that the clocks drift apart before it counts as a suspend */
#define KEEPER_LOOK_MS         5000                /* how often an unlocked keeper looks at its clocks at least */
#define KEEPER_REFRESH_NS      (60 * TIME_SECOND)  /* before its expiry a token is refreshed */
#define KEEPER_REFRESH_WAIT_NS (180 * TIME_SECOND) /* that egress may take for it */
#define KEEPER_CLOSING_NS      (5 * TIME_SECOND)   /* that LOCK waits for tokens which are on their way */
#define KEEPER_USES_MAX        4096
#define KEEPER_USES_BYTES      ((size_t)64 << 20) /* of their permits */
#define KEEPER_TICKETS_MAX     64
#define KEEPER_TICKET_NS       (10 * TIME_MINUTE) /* of a code flow */
#define KEEPER_DEVICE_NS       (30 * TIME_MINUTE) /* of a device flow */
#define KEEPER_PERMIT_NS       TIME_HOUR          /* the furthest deadline of a use */

struct keeper;
struct keeper_options {
	const char *folder;                  /* of the vault; NULL = the working directory */
	int parent_fd;                       /* -1 = none; stays the caller's */
	const struct clock *clock;           /* NULL = the system's */
	uint64_t (*boottime)(void *context); /* CLOCK_BOOTTIME, asked with the clock's context; NULL = the system's */
	const struct argon2_cost *cost;      /* of new passphrases; NULL = ARGON2_DEFAULT */
	uint64_t auto_lock_ms;               /* 0 = never */
};
/* Makes the device key when there is none (`device.key`, mode 0600) and this start's key for sealed messages. */
struct keeper *keeper_new(const struct keeper_options *options, struct err *err) __attribute__((warn_unused_result));
void keeper_free(struct keeper *keeper); /* locks; NULL is fine */
DEFINE_AUTO(keeper, keeper_free)

/* The body of SUPERVISE_READY: public key for sealed messages, public device key, key id. */
void keeper_ready_put(const struct keeper *keeper, struct buf *out);

/* Take over the descriptor; what was attached before is dropped. */
void keeper_attach_control(struct keeper *keeper, int fd);
void keeper_attach_egress(struct keeper *keeper, int fd);
/* `reason`: "locked", "idle", "signal", "suspend"; nothing to do when it is locked. */
void keeper_lock(struct keeper *keeper, const char *reason);
bool keeper_is_unlocked(const struct keeper *keeper);

/* SIGUSR1 locks the keeper that this process has. The handler only sets a flag, which the next turn finds. */
void keeper_watch_signal(void);

/*
 * Waits for the next thing, at most wait_ms (-1 = until it happens), and does what there is to do. 1 to go on, 0 when the
 * parent has ended or said stop and nothing is under way, -1 when it can do no more.
 */
int keeper_turn(struct keeper *keeper, int wait_ms, struct err *err) __attribute__((warn_unused_result));
int keeper_run(struct keeper *keeper, struct err *err)
	__attribute__((warn_unused_result)); /* turns until one says no */
