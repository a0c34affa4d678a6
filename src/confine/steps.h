/*
 * steps: the parts of confine_apply(), one file each. Private to this folder.
 */
#pragma once
#include "confine/confine.h"

/*
 * namespace.c: enters the namespaces, a user namespace with the caller's own ids among them, in which it has all rights: the
 * flags, or 0 when the kernel refuses. Not dumpable afterwards; the signal at the parent's death is gone.
 */
uint64_t namespace_enter(uint64_t wanted);
/* Those of `told` that a look does not contradict. Opens files and a socket: before the walls are up. */
uint64_t namespace_look(uint64_t told);
/* Both need a mount namespace and the right to mount. -1 with errno. */
int namespace_empty_root(void) __attribute__((warn_unused_result)); /* read-only */
/* The folder as root and working directory; the descriptor's number then leads to the new root. */
int namespace_folder_root(int folder) __attribute__((warn_unused_result));

/* landlock.c: the ABI that is now in force, 0 when the kernel has none. */
int landlock_confine(const struct confine_policy *policy, int own_folder, int *ret_abi, struct err *err)
	__attribute__((warn_unused_result));

/* privilege.c */
int privilege_give_up(struct err *err) __attribute__((warn_unused_result)); /* dumpable, no_new_privs, death signal */
int privilege_limit(const struct confine_rlimit *rlimits, struct err *err) __attribute__((warn_unused_result));
int privilege_drop_capabilities(struct err *err) __attribute__((warn_unused_result));

/* seccomp.c */
int seccomp_confine(const struct confine_policy *policy, bool all_threads, struct err *err)
	__attribute__((warn_unused_result));

/* probe.c: tries every act that must fail; `namespaces` as found by namespace_look(). */
void probe_acts(const struct confine_policy *policy, const struct confine_options *options, uint64_t namespaces,
		struct confine_attempt ret[CONFINE_ACT__MAX]);
