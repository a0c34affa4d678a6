/*
 * schema: a TOML document into a struct, by rows
 *
 * A schema is closed: a key that no row names is refused. Wrong types are refused at the first one; unknown keys are
 * gathered first, so that one error names all of them, dotted, in the order of the document. What a document does not
 * have is left as the caller has set it, so defaults are set before.
 *
 *     static const struct schema_row rows[] = {
 *             {.key = "name", .kind = SCHEMA_STRING, .offset = offsetof(struct thing, name)},
 *     };
 *     static const struct schema schema = {.rows = rows, .n = ARRAY_LEN(rows)};
 *     schema_read(&schema, root, &(struct schema_source){arena, file}, &thing, err)
 */
#pragma once
#include "artifact/str_list.h"
#include "base/arena.h"
#include "base/err.h"
#include "text/toml.h"

enum schema_kind {
	SCHEMA_STRING,  /* struct str; U+0000 is refused */
	SCHEMA_STRINGS, /* struct str_list of such; items != NULL says that it was there */
	SCHEMA_INTEGER, /* int64_t */
	SCHEMA_BOOLEAN, /* bool */
	SCHEMA_OPEN,    /* a table with whatever keys: const struct toml_value *; NULL when it was not there */
	SCHEMA_TABLE,   /* the struct at `offset`, by the rows of `table` */
	SCHEMA_TABLES,  /* an array of tables: a pointer to structs, their number at `count` */
	SCHEMA_MAP,     /* a table of tables: the same, each with its name at `table->name` */
	SCHEMA_KIND__MAX
};

struct schema_row {
	const char *key;
	enum schema_kind kind;
	size_t offset;
	bool has_flag;
	size_t flag; /* when has_flag: a bool that becomes true when the key is there */
	size_t count;
	const struct schema *table;
};

struct schema {
	const struct schema_row *rows;
	size_t n;
	size_t size; /* of the struct, for SCHEMA_TABLES and SCHEMA_MAP */
	size_t name; /* offset of its struct str, for SCHEMA_MAP */
	bool has_self;
	size_t self; /* when has_self: a const struct toml_value * that becomes the table, for the lines of later errors */
};

struct schema_source {
	struct arena *arena; /* for lists and pointed-to structs */
	const char *file;    /* for errors; may be NULL */
};

/* `object` may be half filled on failure. PARSE_ERROR; unknown keys are also in details.unknown_keys. */
int schema_read(const struct schema *schema, const struct toml_value *root, const struct schema_source *source,
		void *object, struct err *err) __attribute__((warn_unused_result));
