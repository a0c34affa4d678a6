/*
 * action_text: an action's front matter as written, before its rules are checked; nobody outside this folder includes it
 *
 * What the schema reads goes straight into the structs of action.h where they say the same; what they say otherwise (a
 * type's word, a step's connector by name) stands beside them. `at` is where a table stands, for the lines of errors.
 */
#pragma once
#include "action/action.h"
#include "text/toml.h"

struct connector_text {
	const struct toml_value *at;
	struct action_connector row;
};
struct input_text {
	const struct toml_value *at;
	struct action_input row;
	struct str type, items_type;
	bool has_required;
};
struct step_text {
	const struct toml_value *at;
	struct action_step row;
	struct str connector, effect;
	const struct toml_value *inputs; /* NULL = none, as all such below */
};
struct preview_text {
	const struct toml_value *at;
	bool present;
	struct str op;
	const struct toml_value *args, *render;
	struct str_list multiline;
};
struct action_text {
	const struct toml_value *root;
	const char *file; /* may be NULL */
	uint32_t line;    /* of the opening `+++`: where a key stands that is missing from the root */
	struct str name, version, source, intent;
	struct connector_text *connectors;
	size_t n_connectors;
	struct input_text *inputs;
	size_t n_inputs;
	struct step_text *steps;
	size_t n_steps;
	bool approval_required, approval_editable, approval_grants;
	struct preview_text preview;
};

/* PARSE_ERROR: bad TOML, a wrong type, unknown keys. `source` of the line numbers is the whole file. */
int action_text_read(struct arena *arena, struct str front, struct action_text *text, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The rules, in the documented order: VALIDATION_ERROR of the first that is broken. Fills in what follows from the words
 * (types, effects, indices, lines) and appends to `templates` a JSON array: the preview's `args`, or null, then every step's
 * `inputs`, or null.
 */
int action_text_check(struct action_text *text, struct buf *templates, struct err *err)
	__attribute__((warn_unused_result));

/* VALIDATION_ERROR at the key of the table, or at the table when it has no such key; returns -1. */
int text_broken(const struct action_text *text, const struct toml_value *table, const char *key, struct err *err,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Gives the place to an error that was made elsewhere. */
int text_broken_by(const struct action_text *text, const struct toml_value *table, const char *key, struct err *err);
/* The same at a value. */
int text_broken_at(const struct action_text *text, const struct toml_value *where, struct err *err, const char *fmt,
		   ...) __attribute__((format(printf, 4, 5)));

/*
 * A table with templates as JSON: every reference names an input or a step before `step` (SIZE_MAX: any), numbers are finite
 * and exact, no text has a NUL. Appends; VALIDATION_ERROR at the value.
 */
int template_check(const struct action_text *text, const struct toml_value *table, size_t step, struct buf *out,
		   struct err *err) __attribute__((warn_unused_result));
