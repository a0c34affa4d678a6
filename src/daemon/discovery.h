/*
 * discovery: how other programs of the same person find the running daemon
 *
 * The parent writes daemon.json (compact JSON, 0600, replaced at once) and daemon.pid ("<pid>\n") when all its children
 * are ready, and removes both when it stops. The daemon is *alive* when somebody holds daemon.lock and whoever answers
 * GET /v1/health at the address says the file's instance_id; until that is known the token is not sent anywhere. What is
 * left behind by a daemon that died is stale, and harmless: nobody holds the lock.
 *
 * None of this writes anything but discovery_write() and discovery_remove(). Any thread.
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include <stdbool.h>

#define DISCOVERY_URL_MAX      80
#define DISCOVERY_VERSION_MAX  64
#define DISCOVERY_INSTANCE_MAX 33
#define DISCOVERY_TOKEN_DIGITS 64

struct discovery {
	char url[DISCOVERY_URL_MAX]; /* "http://127.0.0.1:53817": a loopback address, no path */
	int pid;                     /* of the parent */
	char version[DISCOVERY_VERSION_MAX];
	char started_at[32];                      /* RFC 3339, UTC */
	struct secret *token;                     /* 64 hexadecimal digits; NULL = none */
	char instance_id[DISCOVERY_INSTANCE_MAX]; /* 32 hexadecimal digits */
	unsigned api_revision;
	char socket
		[108]; /* of the Unix socket; "" = it has none, or its path is too long for an address (then use discovery_connect) */
};
void discovery_release(struct discovery *discovery); /* of what it holds; safe on {0} and twice */
#define AUTO_DISCOVERY __attribute__((cleanup(discovery_release))) struct discovery

/* The text of daemon.json. PARSE_ERROR names the member that is wrong and quotes nothing. */
int discovery_parse(struct str text, struct discovery *ret, struct err *err) __attribute__((warn_unused_result));
/* 1; 0 when there is no file; -1 with PARSE_ERROR or SYSTEM when it is damaged, or others could have written it. */
int discovery_read(const char *state_dir, struct discovery *ret, struct err *err) __attribute__((warn_unused_result));
int discovery_write(const char *state_dir, const struct discovery *discovery, struct err *err)
	__attribute__((warn_unused_result));
void discovery_remove(const char *state_dir);

/* Whether /v1/health at its address (the Unix socket first) answers with its instance_id. Sends no token. */
typedef bool discovery_ask(void *context, const struct discovery *daemon);
/* The daemon when it is alive: 1 with *ret, 0, or -1. Waits for nothing but `ask`. A damaged file is "not alive". */
int discovery_find(const char *state_dir, discovery_ask *ask, void *context, struct discovery *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Whether somebody holds the lock, running or just starting: 1, 0, -1. */
int discovery_is_locked(const char *state_dir, struct err *err) __attribute__((warn_unused_result));
/* By daemon.pid, when daemon.json is of no use: a process that runs as a daemon and that the file names; 0 = none. */
int discovery_pid(const char *state_dir);
/* Of a daemon that holds the lock and is not found: UNREACHABLE says what is wrong and what to do. Returns -1. */
int discovery_refuse(const char *state_dir, struct err *err);

/*
 * A stream connected to daemon.sock in the state directory, whose listener belongs to this user (SO_PEERCRED), however long
 * the path: a descriptor, or -1 with UNREACHABLE.
 */
int discovery_connect(const char *state_dir, struct err *err) __attribute__((warn_unused_result));
