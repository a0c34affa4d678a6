/*
 * action: what an agent can ask for (an action file, `<name>.md`)
 *
 * TOML between two lines `+++`, then a body in Markdown. Parsing and checking are one step: the first broken rule is the
 * error, PARSE_ERROR or VALIDATION_ERROR with file and line. The format, with the keys that are ours, is
 * docs/formats/action.md. Everything lives in the action's own arena; it never changes once made: any thread may read it.
 */
#pragma once
#include "artifact/str_list.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "text/json.h"

#define ACTION_MAX          ((size_t)1 << 20) /* bytes of a file */
#define ACTION_INPUTS_MAX   128
#define ACTION_STEPS_MAX    64
#define ACTION_REQUIRES_MAX 32
#define ACTION_WORD_MAX     ((size_t)128)  /* bytes of a name, an id, an operation */
#define ACTION_PATH_MAX     ((size_t)1024) /* of a path of the preview's `render` */
#define ACTION_ARGUMENTS_MAX                                                                                           \
	((size_t)16 << 20)  /* bytes of a call's arguments, and of a step's with everything in its place */
#define ACTION_DEPTH_MAX 64 /* of nesting in an argument */

enum action_type { /* of an input */
		   ACTION_STRING,
		   ACTION_INTEGER,
		   ACTION_NUMBER,
		   ACTION_BOOLEAN,
		   ACTION_ARRAY,
		   ACTION_OBJECT,
		   ACTION_TYPE__MAX
};
const char *action_type_name(enum action_type type);

struct action_connector {
	struct str name; /* FQN without version */
	struct str version;
	struct str hash;              /* as written: "sha256:" and 64 digits, or ACTION_UNPINNED */
	bool unpinned;                /* "sha256:bound-at-release" */
	struct str_list capabilities; /* operations */
	struct str_list hosts;        /* ours: "host:port", within the manifest's; items NULL = not given */
	uint32_t line;                /* of its table in the file, as everywhere below */
};
#define ACTION_UNPINNED "sha256:bound-at-release"
struct action_input {
	struct str name, description, label; /* label "" = the name */
	enum action_type type;
	enum action_type items; /* of an array; ACTION_TYPE__MAX = not given */
	bool required, multiline;
};
enum action_effect { ACTION_READ, ACTION_WRITE, ACTION_DESTRUCTIVE, ACTION_EFFECT_UNKNOWN };
const char *action_effect_name(enum action_effect effect); /* "read" …; "unknown" */
struct action_step {
	struct str id, op;
	size_t connector; /* index of its row of `connectors` */
	bool has_idempotent, idempotent;
	enum action_effect effect; /* ours; UNKNOWN = not given */
	const struct json *inputs; /* object with templates in it; NULL = none */
	uint32_t line;
};
struct action_render {
	struct str label, path;
	bool multiline;
};
struct action_preview {
	bool present;
	struct str op;
	const struct json *args; /* object with templates; NULL = none */
	const struct action_render *render;
	size_t n_render;
	uint32_t line;
};
struct action {
	struct arena *arena;
	struct json *templates; /* what `inputs` and `args` point into */
	struct str file;        /* as action_parse() was given it */
	struct str name, version, source, intent;
	struct str body; /* lines end in "\n", without the last one's end */
	struct str title, description;
	const struct action_connector *connectors;
	size_t n_connectors;
	const struct action_input *inputs;
	size_t n_inputs;
	const struct action_step *steps;
	size_t n_steps;
	bool approval_required;
	bool approval_editable, approval_grants; /* ours */
	struct action_preview preview;
	uint8_t sha256[32]; /* of the file's bytes */
	struct str hash;    /* "sha256:…" of the same */
};

/* LIMIT when it is longer than ACTION_MAX. `file` is for errors only; NULL is fine. */
struct action *action_parse(struct str text, const char *file, struct err *err) __attribute__((warn_unused_result));
void action_free(struct action *action); /* NULL is fine */
DEFINE_AUTO(action, action_free)

/* ---------------------------------------------------------------------------------------------- as tools and in words */

#define ACTION_TOOL_NAME_MAX 41 /* with a NUL */
/* '-' and '.' become '_'; over 40 characters: the first 31, '_' and 8 hex digits of the SHA-256 of the action's name. */
void action_tool_name(struct str action_name, char ret[ACTION_TOOL_NAME_MAX]);
/* The first heading of the body, or the intent, cut to 200 bytes; and the body without that heading, or the intent. */
struct str action_title(const struct action *action);
struct str action_description(const struct action *action);
/* JSON Schema of the arguments: an object with additionalProperties false; an array always has `items`. */
void action_input_schema(const struct action *action, struct buf *out);
/* JSON Schema of what a call answers, the same for every action: {status, action, run_id, output?, steps?, approval_id?, …} */
void action_output_schema(struct buf *out);
/*
 * The four hints of MCP, from the steps. A step without effect counts as destructive. Open world is all that is not kept
 * from the network by `hosts = []`.
 */
struct action_hints {
	bool read_only, destructive, idempotent, open_world;
};
struct action_hints action_hints(const struct action *action);

/* --------------------------------------------------------------------------------------------------- arguments, steps */

/*
 * What a caller gave, against the inputs: undeclared refused, null of an optional one is absent, 1.0 is the integer 1, numbers
 * beyond ±(2^53-1) refused, inside objects and arrays too. INVALID_REQUEST names the field, in details.field too. Appends the
 * arguments as canonical JSON (RFC 8785; text/jcs.h). `given` NULL is an empty object.
 */
int action_arguments(const struct action *action, const struct json *given, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* What earlier steps answered: by step, the object that it put out, or NULL. */
struct action_outputs {
	const struct json *const *items;
	size_t n;
};
/*
 * The arguments of a step as JSON: its inputs with `${args.K}` and `${step.field}` resolved, and under every other name the
 * call's argument of that name. `args` is what action_arguments() made, parsed. A reference to a field that is not there is
 * CONNECTOR_RUNTIME_ERROR naming step and field, and so is a number in it that a connector would read as another one (beyond
 * ±(2^53-1)); what grows beyond ACTION_ARGUMENTS_MAX or `out` is LIMIT.
 */
int action_step_arguments(const struct action *action, size_t step, const struct json *args,
			  const struct action_outputs *outputs, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/* The same for people, before anything ran: what an earlier step will put in stands as "(from step X)". */
int action_step_shown(const struct action *action, size_t step, const struct json *args, struct buf *out,
		      struct err *err) __attribute__((warn_unused_result));
/* The preview's arguments; values of earlier steps are as in action_step_shown(). */
int action_preview_arguments(const struct action *action, const struct json *args, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/* {"fields":[{"label","value"?,"missing"?,"multiline"?}]} from what the preview's operation answered; long values are cut. */
int action_preview_render(const struct action *action, const struct json *output, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/* [{"label","value"?,"missing"?,"multiline"?}]: the arguments as rows, in declared order. */
int action_input_fields(const struct action *action, const struct json *args, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
