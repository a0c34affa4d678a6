/*
 * host: the 10 functions of aileron_host
 *
 * What a connector can do besides computing: log, and ask for an HTTP request. The runner decides nothing about either;
 * it passes them to its parent and keeps the answer for the guest to read. docs/formats/host-abi.md is the manual.
 */
#pragma once
#include "connector/engine/program.h"

#define HOST_MODULE "aileron_host"
#define WASI_MODULE "wasi_snapshot_preview1"

extern const struct host_function host_functions[]; /* ended by name NULL */
/* Everything that a connector may import: both modules, ended by name NULL. */
extern const struct host_module host_modules[];
