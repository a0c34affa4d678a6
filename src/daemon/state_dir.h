/*
 * state_dir: the folder that a person's daemon lives in
 *
 * AILERON_HOME (an absolute path) or ".aileron" in the home folder; 0700, and refused when it belongs to somebody else or
 * others may enter it. What lies in it, and whose it is:
 *
 *     daemon.json daemon.pid daemon.lock daemon.log daemon.sock keeper.pub device.pub     the parent's
 *     config.yaml (config.h)                                                              the person's
 *     vault/                                                                              the keeper's alone
 *     control/, control/compiled/ (which it could not make itself)                        control's alone
 */
#pragma once
#include "base/err.h"
#include "base/mem.h"

/* Its path, whether or not it exists: a fresh string, or NULL. */
char *state_dir_path(struct err *err) __attribute__((warn_unused_result));
/* "<state_dir>/<name>", a fresh string. */
char *state_dir_file(const char *state_dir, const char *name);

struct state_dir {
	int vault, control; /* folders, open for reading */
};
#define STATE_DIR_INIT ((struct state_dir){-1, -1})
/*
 * Makes what is missing of the folder and its parts and opens vault/ and control/. An old "secrets.json" at the top moves into
 * vault/ by renaming, unread, unless there is one. Under the daemon's lock, before any child runs.
 */
int state_dir_open(const char *path, struct state_dir *ret, struct err *err) __attribute__((warn_unused_result));
/* What state_dir_open() would refuse in what is there, without making or moving anything. 0 when there is no folder. */
int state_dir_check(const char *path, struct err *err) __attribute__((warn_unused_result));
void state_dir_close(struct state_dir *dir); /* safe on STATE_DIR_INIT and twice */
#define AUTO_STATE_DIR __attribute__((cleanup(state_dir_close))) struct state_dir
