/*
 * wasi: the 46 functions of wasi_snapshot_preview1
 *
 * All of them link. There are no arguments, no environment, no files, no sockets and no preopened folders; standard
 * input, output and error are in memory. Clocks, randomness and sleep are real. docs/formats/host-abi.md lists every
 * function with its answers.
 */
#pragma once
#include "connector/engine/program.h"

extern const struct host_function wasi_functions[]; /* ended by name NULL */
