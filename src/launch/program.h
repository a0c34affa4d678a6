/*
 * program: the agent programs that are known here, and how each is told of us
 *
 * A row a program: where its file of MCP servers is, how an entry in it looks, what it is started with. Sources, by
 * name: the tools' own documentation, looked at in November 2026 (docs/agents.md has the list with versions).
 *
 * Pure: nothing is read, written or started here. An entry says how the guest is started (`aileron-guest mcp --as ID`) and
 * lets the agent call our server without asking, where the file has such a list for one server; it never allows anything
 * else. The id is no secret. Strings that come from an arena live as long as it. Any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define PROGRAM_SERVER   "aileron"          /* our name among an agent's servers */
#define PROGRAM_FILE_MAX ((size_t)16 << 20) /* of a person's file */
#define PROGRAM_ID_SIZE  27                 /* of an agent's id, with a NUL */

enum program_syntax { PROGRAM_JSON, PROGRAM_TOML, PROGRAM_YAML }; /* JSON: with comments */

/* How an entry is spelled: the members that all have in common stand in program.c. */
enum program_entry {
	PROGRAM_ENTRY_STDIO,    /* type "stdio", command, args, env */
	PROGRAM_ENTRY_PLAIN,    /* command, args, env */
	PROGRAM_ENTRY_TRUSTED,  /* … and trust, which covers this server alone */
	PROGRAM_ENTRY_CODEX,    /* … and default_tools_approval_mode, likewise */
	PROGRAM_ENTRY_GOOSE,    /* type, name, enabled, cmd, args, envs, timeout */
	PROGRAM_ENTRY_OPENCODE, /* type "local", command with its arguments, environment */
};

/* How it is registered for one run. */
enum program_launch {
	PROGRAM_LAUNCH_NONE,      /* it is no program of a terminal, or cannot be told */
	PROGRAM_LAUNCH_CLAUDE,    /* --mcp-config FILE, strict */
	PROGRAM_LAUNCH_PI,        /* --mcp-config FILE */
	PROGRAM_LAUNCH_OVERRIDES, /* -c key=value */
	PROGRAM_LAUNCH_CONTENT,   /* a variable with the configuration itself */
	PROGRAM_LAUNCH_EXTENSION, /* --with-extension COMMAND */
};

/* Which of the gateway's two faces it is pointed at. */
enum program_route { PROGRAM_ROUTE_NONE, PROGRAM_ROUTE_ANTHROPIC, PROGRAM_ROUTE_OPENAI };

struct program {
	const char *name;    /* on the command line */
	const char *title;   /* for people */
	const char *command; /* in PATH; NULL = not started from here */
	const char *how_to_install;
	const char *variable; /* names the folder of the file, when it is set; NULL = none does */
	const char *in_variable;
	const char *base;    /* "HOME" or "XDG_CONFIG_HOME" */
	const char *in_base; /* the file, below that */
	const char *instead; /* another name of it that is taken when that file is there; NULL = none */
	enum program_syntax syntax;
	const char *key; /* under which its servers stand */
	enum program_entry entry;
	enum program_launch launch;
	enum program_route route;
};
extern const struct program programs[]; /* ended by name NULL */
const struct program *program_named(struct str name);
/* "claude, codex, …"; those that can be launched alone when asked so. */
struct str program_names(struct arena *arena, bool launched);

/* The person's variables, as getenv() gives them; "" counts as not set. */
typedef const char *program_variable(void *user, const char *name);
struct program_paths {
	struct str file, instead; /* instead: "" = none */
};
/* SYSTEM when neither the program's variable nor HOME says where. */
int program_paths(const struct program *program, struct arena *arena, program_variable *variable, void *user,
		  struct program_paths *ret, struct err *err) __attribute__((warn_unused_result));

/* What an entry is made of. */
struct program_guest {
	struct str path;       /* of aileron-guest, absolute */
	struct str id;         /* of the agent that it asks as */
	struct str state_home; /* AILERON_HOME, when the person has set it; else "" */
};
/* As it stands in the file: JSON of one object, lines of a TOML table, YAML. */
int program_put_entry(const struct program *program, const struct program_guest *guest, struct buf *out,
		      struct err *err) __attribute__((warn_unused_result));

enum program_found { PROGRAM_ABSENT, PROGRAM_OURS, PROGRAM_FOREIGN };
/* What stands under our name in a text; ret_id is set for PROGRAM_OURS. PARSE_ERROR as the file's syntax has it. */
int program_find(const struct program *program, struct str text, const char *file, enum program_found *ret,
		 char ret_id[PROGRAM_ID_SIZE], struct err *err) __attribute__((warn_unused_result));
/* The text with the entry, or without it (entry NULL p); everything else stays as it is. */
int program_edit(const struct program *program, struct str text, const char *file, struct str entry, struct buf *out,
		 struct err *err) __attribute__((warn_unused_result));
