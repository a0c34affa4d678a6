#include "text/toml_parser.h"

/*
 * What may be defined again, and what may not (TOML 1.0, "Table", "Dotted keys", "Inline Table", "Array of Tables"):
 *
 *   a table from          [it]            [it.more]    it.more = 1 under its parent
 *   a deeper header       yes, once       yes          yes, and is from a dotted key after it
 *   its header            no              yes          no
 *   a dotted key          no              yes          yes
 *   a value               no              no           no
 *
 * [[it]] wants an array that came from [[it]]; a header goes on in the last table of such an array, a dotted key never.
 */

/* The makers below return NULL when they fail. */
static struct toml_value *new_value(struct toml_parser *parser, const struct toml_value *parent,
				    struct toml_position position)
{
	uint32_t depth = parent == NULL ? 0 : parent->depth + 1;
	if (depth > TOML_DEPTH_MAX) {
		toml_fail_at(parser, position, "nested deeper than %d tables and arrays", TOML_DEPTH_MAX);
		return NULL;
	}
	if (parser->values == TOML_VALUES_MAX) {
		toml_fail_at(parser, position, "more than %d values", TOML_VALUES_MAX);
		return NULL;
	}
	parser->values++;
	struct toml_value *value = ARENA_NEW(parser->arena, struct toml_value);
	*value = (struct toml_value){.line = position.line, .column = position.column, .depth = depth};
	return value;
}

static void append(struct toml_value *parent, struct toml_value *child)
{
	struct toml_children *children = &parent->as.children;
	if (children->last != NULL)
		children->last->next = child;
	else
		children->first = child;
	children->last = child;
	children->n++;
}

/* The member for changing, or NULL: the tree is the parser's own until it is handed out. */
static struct toml_value *find(const struct toml_value *table, struct str name)
{
	struct toml_value *member = table->as.children.first;
	while (member != NULL && !str_eq(member->name, name))
		member = member->next;
	return member;
}

static struct toml_value *add_member(struct toml_parser *parser, struct toml_value *table, struct str name,
				     struct toml_position position)
{
	struct toml_value *member = new_value(parser, table, position);
	if (member != NULL) {
		member->name = name;
		append(table, member);
	}
	return member;
}

static struct toml_value *add_table(struct toml_parser *parser, struct toml_value *table, struct str name,
				    enum toml_origin origin, struct toml_position position)
{
	struct toml_value *member = add_member(parser, table, name, position);
	if (member != NULL) {
		member->type = TOML_TABLE;
		member->origin = origin;
	}
	return member;
}

static void fail_defined(struct toml_parser *parser, struct toml_position position, const struct toml_value *first)
{
	struct str key = toml_key_text(parser->arena, first->name);
	toml_fail_at(parser, position, "'%.*s' is already defined as %s in line %u", STR_FMT(key),
		     toml_type_name(first->type), first->line);
}

/* ---- values ---- */

static int read_value(struct toml_parser *parser, struct toml_value *value);
static int read_pair(struct toml_parser *parser, struct toml_value *table);

static int read_array(struct toml_parser *parser, struct toml_value *array)
{
	array->type = TOML_ARRAY;
	array->origin = TOML_FROM_VALUE;
	toml_advance(parser, 1);
	for (;;) {
		if (toml_skip_lines(parser) < 0)
			return -1;
		if (toml_accept(parser, S("]")))
			return 0;
		struct toml_value *element = new_value(parser, array, parser->position);
		if (element == NULL || read_value(parser, element) < 0 || toml_skip_lines(parser) < 0)
			return -1;
		append(array, element);
		if (toml_accept(parser, S("]")))
			return 0;
		if (!toml_accept(parser, S(",")))
			return toml_fail_expected(parser, "',' or ']'");
	}
}

/* One line, no comma behind the last pair: that is TOML 1.0; 1.1 lifts both. */
static int read_inline_table(struct toml_parser *parser, struct toml_value *table)
{
	table->type = TOML_TABLE;
	table->origin = TOML_FROM_VALUE;
	toml_advance(parser, 1);
	toml_skip_blanks(parser);
	if (toml_accept(parser, S("}")))
		return 0;
	do {
		toml_skip_blanks(parser);
		if (read_pair(parser, table) < 0)
			return -1;
		toml_skip_blanks(parser);
	} while (toml_accept(parser, S(",")));
	if (!toml_accept(parser, S("}")))
		return toml_fail_expected(parser, "',' or '}' on the same line");
	return 0;
}

static int read_value(struct toml_parser *parser, struct toml_value *value)
{
	switch (toml_peek(parser)) {
	case '"':
	case '\'':
		value->type = TOML_STRING;
		return toml_read_string(parser, &value->as.text);
	case '[':
		return read_array(parser, value);
	case '{':
		return read_inline_table(parser, value);
	default:
		return toml_read_scalar(parser, value);
	}
}

/* ---- key = value ---- */

/* One part of a key that another part follows, `name` being already read: the table to go on in. */
static struct toml_value *step_into(struct toml_parser *parser, struct toml_value *table, struct str name,
				    struct toml_position position)
{
	struct toml_value *member = find(table, name);
	if (member == NULL)
		return add_table(parser, table, name, TOML_FROM_DOTTED_KEY, position);
	bool open = member->type == TOML_TABLE &&
		    (member->origin == TOML_FROM_DOTTED_KEY || member->origin == TOML_FROM_DEEPER);
	if (!open) {
		fail_defined(parser, position, member);
		return NULL;
	}
	member->origin = TOML_FROM_DOTTED_KEY;
	return member;
}

/* Blanks around the point belong to it. */
static bool accept_point(struct toml_parser *parser)
{
	toml_skip_blanks(parser);
	if (!toml_accept(parser, S(".")))
		return false;
	toml_skip_blanks(parser);
	return true;
}

static int read_pair(struct toml_parser *parser, struct toml_value *table)
{
	struct toml_position position = parser->position;
	struct str name;
	if (toml_read_key(parser, &name) < 0)
		return -1;
	while (accept_point(parser)) {
		table = step_into(parser, table, name, position);
		if (table == NULL)
			return -1;
		position = parser->position;
		if (toml_read_key(parser, &name) < 0)
			return -1;
	}
	if (!toml_accept(parser, S("=")))
		return toml_fail_expected(parser, "'=' behind the key");
	toml_skip_blanks(parser);

	const struct toml_value *first = find(table, name);
	if (first != NULL) {
		fail_defined(parser, position, first);
		return -1;
	}
	struct toml_value *value = add_member(parser, table, name, position);
	return value == NULL ? -1 : read_value(parser, value);
}

/* ---- [table] and [[array of tables]] ---- */

/* As step_into(), for headers. */
static struct toml_value *descend(struct toml_parser *parser, struct toml_value *table, struct str name,
				  struct toml_position position)
{
	struct toml_value *member = find(table, name);
	if (member == NULL)
		return add_table(parser, table, name, TOML_FROM_DEEPER, position);
	if (member->type == TOML_ARRAY && member->origin == TOML_FROM_HEADERS)
		return member->as.children.last;
	if (member->type != TOML_TABLE || member->origin == TOML_FROM_VALUE) {
		fail_defined(parser, position, member);
		return NULL;
	}
	return member;
}

static struct toml_value *open_table(struct toml_parser *parser, struct toml_value *table, struct str name,
				     struct toml_position position)
{
	struct toml_value *member = find(table, name);
	if (member == NULL)
		return add_table(parser, table, name, TOML_FROM_HEADER, position);
	if (member->type != TOML_TABLE || member->origin != TOML_FROM_DEEPER) {
		fail_defined(parser, position, member);
		return NULL;
	}
	member->origin = TOML_FROM_HEADER;
	return member;
}

static struct toml_value *open_element(struct toml_parser *parser, struct toml_value *table, struct str name,
				       struct toml_position position)
{
	struct toml_value *array = find(table, name);
	if (array == NULL) {
		array = add_member(parser, table, name, position);
		if (array == NULL)
			return NULL;
		array->type = TOML_ARRAY;
		array->origin = TOML_FROM_HEADERS;
	} else if (array->type != TOML_ARRAY || array->origin != TOML_FROM_HEADERS) {
		fail_defined(parser, position, array);
		return NULL;
	}
	struct toml_value *element = new_value(parser, array, position);
	if (element == NULL)
		return NULL;
	element->type = TOML_TABLE;
	element->origin = TOML_FROM_HEADER;
	append(array, element);
	return element;
}

/* The table that the lines behind the header fill. */
static struct toml_value *read_header(struct toml_parser *parser, struct toml_value *root)
{
	bool is_element = toml_accept(parser, S("[["));
	if (!is_element)
		toml_advance(parser, 1);
	toml_skip_blanks(parser);

	struct toml_value *table = root;
	struct toml_position position = parser->position;
	struct str name;
	if (toml_read_key(parser, &name) < 0)
		return NULL;
	while (accept_point(parser)) {
		table = descend(parser, table, name, position);
		if (table == NULL)
			return NULL;
		position = parser->position;
		if (toml_read_key(parser, &name) < 0)
			return NULL;
	}
	if (!toml_accept(parser, is_element ? S("]]") : S("]"))) {
		toml_fail_expected(parser, is_element ? "']]' behind the name" : "']' behind the name");
		return NULL;
	}
	return (is_element ? open_element : open_table)(parser, table, name, position);
}

/* ---- the document ---- */

/* A header, or a pair of the table that the last header opened; then the end of the line. */
static int read_statement(struct toml_parser *parser, struct toml_value *root, struct toml_value **table)
{
	if (toml_peek(parser) == '[') {
		struct toml_value *opened = read_header(parser, root);
		if (opened == NULL)
			return -1;
		*table = opened;
	} else if (read_pair(parser, *table) < 0) {
		return -1;
	}
	return toml_end_line(parser);
}

static struct toml_value *read_document(struct toml_parser *parser)
{
	if (toml_check_utf8(parser) < 0)
		return NULL;
	parser->at = 0;
	parser->position = (struct toml_position){1, 1};
	struct toml_value *root = new_value(parser, NULL, parser->position);
	if (root == NULL)
		return NULL;
	root->type = TOML_TABLE;
	root->origin = TOML_FROM_HEADER;
	if (toml_accept(parser, S("\xef\xbb\xbf")))
		parser->position.column = 1; /* the byte order mark is not seen in an editor */

	struct toml_value *table = root;
	for (;;) {
		if (toml_skip_lines(parser) < 0)
			return NULL;
		if (toml_peek(parser) == TOML_END)
			return root;
		if (read_statement(parser, root, &table) < 0)
			return NULL;
	}
}

int toml_parse(struct arena *arena, struct str text, const char *file, const struct toml_value **ret_root,
	       struct err *err)
{
	struct toml_parser parser = {
		.arena = arena,
		.file = file,
		.err = err,
		.text = text,
		.position = {1, 1},
		.scratch = BUF_INIT(text.n + 1),
	};
	struct toml_value *root = read_document(&parser);
	buf_release(&parser.scratch);
	if (root == NULL)
		return -1;
	*ret_root = root;
	return 0;
}
