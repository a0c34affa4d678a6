/*
 * manifest_rules: what the rules of a manifest share; nobody outside this folder includes it
 *
 * A rule looks at the parsed manifest and either passes or ends the validation with broken(), which gives the error its
 * file and line. Lines come from the TOML tree: `place` names the key the rule is about.
 */
#pragma once
#include "artifact/connector_manifest.h"
#include "text/toml.h"

struct rules {
	const struct connector_manifest *manifest;
	const char *file;
	struct err *err;
};

/* The value of a dotted key, or the innermost table around it that exists; NULL when there is no tree. */
const struct toml_value *place(const struct rules *rules, const char *dotted_key);
/* The element of the array, or the array when it has no such; NULL stays NULL. */
const struct toml_value *place_element(const struct toml_value *array, size_t index);

/* VALIDATION_ERROR; returns -1. */
int broken(const struct rules *rules, const struct toml_value *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds place and context to an error that a helper has made of the value; returns -1. */
int broken_by(const struct rules *rules, const char *dotted_key);

/* A value as messages quote it: hidden characters as escapes, at most 100 bytes of it. Returns ret. */
#define QUOTED_SIZE 512
const char *quoted(struct str value, char ret[QUOTED_SIZE]);

/* ASCII alone, whatever the locale. */
static inline bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}
static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* credential_rules, spawn_rules: 0, or -1 with the first broken rule. */
int check_credential(const struct rules *rules);
int check_spawn(const struct rules *rules);
