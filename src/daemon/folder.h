/*
 * folder: the two files of a linked connector, opened by the parent for control
 *
 * `manifest.toml` and `connector.wasm` beneath a folder, both ordinary files of this user, neither reached by a link out of
 * it or within it (openat2, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS). The folder itself may be named by way of links; its
 * canonical path is told. Nothing is read.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include <limits.h>

struct folder {
	char path[PATH_MAX]; /* canonical */
	int manifest, wasm;  /* open for reading */
};
#define FOLDER_INIT ((struct folder){.manifest = -1, .wasm = -1})
/* INVALID_REQUEST says what is wrong with the folder or a file of it. */
int folder_open(struct str path, struct folder *ret, struct err *err) __attribute__((warn_unused_result));
/* The folder alone, with the same checks: a descriptor for looking into it (O_PATH), and its canonical path. */
int folder_find(struct str path, char ret[PATH_MAX], struct err *err) __attribute__((warn_unused_result));
/* One file directly beneath it, as above. `folder_path` is for messages. */
int folder_open_file(int folder, const char *folder_path, const char *name, struct err *err)
	__attribute__((warn_unused_result));
void folder_close(struct folder *folder); /* safe on FOLDER_INIT and twice */
#define AUTO_FOLDER __attribute__((cleanup(folder_close))) struct folder
