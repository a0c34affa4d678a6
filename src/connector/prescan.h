/*
 * prescan: a look over a module's sections before anything is compiled
 *
 * Compiling is where a small file can cost hours and gigabytes: a million empty functions in 4 MB, 50,000 locals around
 * 300 loops. The scan holds the module against the limits of base/limits.h in one pass, without recursion or allocation
 * and without reading past its end. It is no validator: what it cannot read it leaves to the engine, whose message for
 * malformed input is better. Pure; any thread. Source of the encoding: WebAssembly core specification 2.0, section 5.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

/*
 * 0 when no limit is passed. RESOURCE_LIMIT_EXCEEDED otherwise, with details.limit "compile", details.rule one of
 * module_size, functions, locals, function_body, table_elements, and details.found and details.allowed.
 */
int prescan_module(struct str wasm, struct err *err) __attribute__((warn_unused_result));
