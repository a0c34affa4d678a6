/*
 * policies: what each confined program of ours may do
 *
 * The tables are in policies.c, one row a system call, each group with its reason. They are written for glibc and musl
 * on any architecture that libseccomp knows; what a call is named for here and does not exist there is left out.
 *
 * How compiling ends when memory runs out: RLIMIT_DATA makes mmap() and brk() fail with ENOMEM, which a Rust program
 * answers with abort(). As the first process of a pid namespace it survives SIGABRT's default action, so the parent
 * would see SIGSEGV; `compile` therefore turns a failed allocation (or SIGABRT) into CONFINE_EXIT_NO_MEMORY itself.
 */
#pragma once
#include "confine/confine.h"

/* `compile`: bytes in, compiled code out. Threads; no executable memory; writes to descriptors it was given. */
extern const struct confine_policy confine_runner_compile;
/* The same where the engine can compile only into executable memory; nothing is ever run from it. */
extern const struct confine_policy confine_runner_compile_mapped;
/* `serve` until the code is loaded: may make memory executable, once; then confine_tighten() with the next. */
extern const struct confine_policy confine_runner_serve;
extern const struct confine_policy confine_runner_serving;
/* egress: TCP and UDP out, the resolver's and the certificates' files. */
extern const struct confine_policy confine_egress;
/*
 * control: the connections of listeners that it was given, its own folder (confine_options.own_folder), threads, sealed
 * files in memory to hand on. No socket is made, connected or bound, nothing is started.
 */
extern const struct confine_policy confine_control;
/* The keeper: its own folder and the sockets that it was given. */
extern const struct confine_policy confine_keeper;

/* Exit status of a process that ran into its own RLIMIT_DATA. */
#define CONFINE_EXIT_NO_MEMORY 86
