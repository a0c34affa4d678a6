/*
 * engine_pin: which engine compiled code is made by and for
 *
 * Part of the fingerprint under which compiled code is cached (code_file.h). A test holds ENGINE_PIN against
 * deps/wasmtime/Cargo.toml; raise ENGINE_CONFIG_VERSION with every change of engine.c that changes compiled code.
 */
#pragma once

#define ENGINE_PIN            "48.0.8"
#define ENGINE_CONFIG_VERSION 2
